/** What both clients offer alike, whatever carries their messages. */

import { Emitter } from "./emitter.js";
import { Handlers } from "./handlers.js";

/** @template {{ status: import("./states.js").Status }} Events the value that each event carries */
export class ReconnectingClient {
  #reconnector;
  #emitter;
  #handlers;

  /**
   * @param {object} parts which the heir keeps, too
   * @param {import("./reconnector.js").Reconnector} parts.reconnector
   * @param {Emitter<Events>} parts.emitter
   * @param {Handlers} parts.handlers
   */
  constructor({ reconnector, emitter, handlers }) {
    this.#reconnector = reconnector;
    this.#emitter = emitter;
    this.#handlers = handlers;
  }

  /** @returns {import("./states.js").Status} frozen, and the same object until something changes */
  get status() {
    return this.#reconnector.status;
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(value: Events[Name]) => void} listener
   * @returns {() => void} call it to stop listening
   */
  on(name, listener) {
    return this.#emitter.on(name, listener);
  }

  /**
   * Answer what the server asks by `connection.call(name, data)`.
   *
   * @param {string} name
   * @param {import("./handlers.js").Handler} handler one a name: the last one given
   * @returns {() => void} call it to answer no more
   */
  handle(name, handler) {
    return this.#handlers.set(name, handler);
  }

  /** Connect, and stay connected until `close()` or a reason to stop; without effect while at it. */
  connect() {
    this.#reconnector.connect();
  }

  /** Drop the connection as if the network had, and come back. For demonstrations and tests. */
  cut() {
    this.#reconnector.cut();
  }

  /** The network is gone: waits stop running. An open socket may outlive it and is left alone. */
  offline() {
    this.#reconnector.offline();
  }

  /** The network is back. */
  online() {
    this.#reconnector.online();
  }

  /** Cut a wait short: the page is in front again. */
  wake() {
    this.#reconnector.wake();
  }

  /** The page goes away, perhaps to return: an open socket would keep it out of the back/forward cache. */
  suspend() {
    this.#reconnector.suspend();
  }

  /** The page is back: undo `suspend`. */
  resume() {
    this.#reconnector.resume();
  }
}
