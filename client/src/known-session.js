/**
 * What is known of the session, and the timer that says when to refresh it.
 *
 * @typedef {import("./session.js").Session} Session
 * @typedef {import("./session.js").AuthState} AuthState
 */

import { Backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { LEAST_DELAY, LOADING, refreshDelay } from "./session.js";

export class KnownSession {
  #clock;
  #random;
  #serverNow;
  #isDue;
  #backoff;
  /** @type {Emitter<{ state: AuthState }>} */
  #emitter = new Emitter();
  /** @type {AuthState} */
  #state = LOADING;
  /** @type {any} */
  #timer = null;

  /**
   * @param {object} options
   * @param {import("./clock.js").Clock} options.clock
   * @param {() => number} options.random from 0 up to 1
   * @param {() => number} options.serverNow the server's time, milliseconds since 1970
   * @param {() => void} options.isDue called when the session is to be refreshed
   */
  constructor({ clock, random, serverNow, isDue }) {
    this.#clock = clock;
    this.#random = random;
    this.#serverNow = serverNow;
    this.#isDue = isDue;
    this.#backoff = new Backoff({ first: LEAST_DELAY, most: 60_000, random });
  }

  /** @returns {AuthState} frozen, and the same object until something changes */
  get state() {
    return this.#state;
  }

  /**
   * @param {"state"} name
   * @param {(state: AuthState) => void} listener
   * @returns {() => void} call it to stop listening
   */
  on(name, listener) {
    return this.#emitter.on(name, listener);
  }

  /**
   * Somebody is logged in, or has a new token.
   *
   * @param {Session} session
   * @returns {Session}
   */
  begin({ user, expiresAt }) {
    const session = { user, expiresAt };
    const life = expiresAt * 1000 - this.#serverNow();
    if (life > 0) {
      this.#backoff.reset();
      this.#schedule(session, refreshDelay(life, this.#random()));
    } else {
      // A new token that seems to be over: the clocks disagree, and each refresh would ask for the next one.
      this.retry(session);
    }
    return session;
  }

  /**
   * A refresh failed and may yet succeed: the session stays, and is refreshed later.
   *
   * @param {Session} session
   */
  retry(session) {
    this.#schedule(session, LEAST_DELAY + this.#backoff.next());
  }

  /**
   * This server cannot refresh: the session lasts as long as its token.
   *
   * @param {Session} session
   */
  keep(session) {
    this.#clock.clearTimeout(this.#timer);
    this.#set({ status: "authenticated", session, refreshAt: null });
  }

  /**
   * Nobody is logged in any more; the first reason stands.
   *
   * @param {"anonymous" | "expired"} status
   */
  end(status) {
    if (this.#state.session === null && this.#state.status !== "loading") return;
    this.#clock.clearTimeout(this.#timer);
    this.#set({ status, session: null, refreshAt: null });
  }

  /**
   * @param {Session} session
   * @param {number} delay
   */
  #schedule(session, delay) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(this.#isDue, delay);
    this.#set({ status: "authenticated", session, refreshAt: this.#clock.now() + delay });
  }

  /** @param {AuthState} state */
  #set(state) {
    this.#state = Object.freeze(state);
    this.#emitter.emit("state", this.#state);
  }
}
