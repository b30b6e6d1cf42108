/**
 * A connection outside of React: a client that lives while a component is mounted that uses it, and what
 * `useSyncExternalStore` needs to read its state. Messages never are state: they go to callbacks.
 *
 * The client is made when the first component is mounted, not before: on a server none is. What is asked
 * of the connection before that, or while the client's code is still being loaded, waits in order.
 */

import { CallError } from "../calls.js";
import { Emitter } from "../emitter.js";
import { followSession } from "../follow-session.js";
import { followPage } from "../page-life.js";
import { IDLE } from "../states.js";
import { errorOf } from "./connection-error.js";
import { Retention } from "./retention.js";

/**
 * @typedef {import("../states.js").Status} Status
 * @typedef {import("../client.js").Payload} Payload
 *
 * What is used of `WsClient` and `SocketIoClient`.
 * @typedef {object} Client
 * @property {Status} status
 * @property {(name: any, listener: (value: any) => void) => () => void} on
 * @property {() => void} connect
 * @property {(cause?: "asked" | "signed-out" | "expired") => void} close
 * @property {() => void} wake
 * @property {() => void} online
 * @property {() => void} offline
 * @property {() => void} suspend
 * @property {() => void} resume
 * @property {(data: any) => void} send
 * @property {(name: string, data?: unknown) => void} emit
 * @property {(name: string, data?: unknown, options?: { timeout?: number }) => Promise<unknown>} call
 *
 * @typedef {object} Snapshot
 * @property {Status} status
 * @property {import("./connection-error.js").ConnectionError | null} lastError why there is no connection
 * @property {Client | null} client null until the first component is mounted
 * @property {unknown} failure why there will never be a client
 */

const RELAYED = Object.freeze(
  /** @type {const} */ (["status", "message", "event", "frame", "waiting", "dropped", "welcome"]),
);
/** What is a callback of its own, and no event of the application. */
const OWN = Object.freeze(["message", "welcome"]);

/** @type {Snapshot} what a server renders, and a browser until it has hydrated */
const ON_A_SERVER = Object.freeze({ status: IDLE, lastError: null, client: null, failure: null });

export class Connection {
  #sessions;
  #make;
  /** @type {Client | Promise<Client> | null} */
  #made = null;
  /** @type {Client | null} */
  #client = null;
  /** @type {Emitter<Record<string, any>>} */
  #emitter = new Emitter();
  /** @type {Snapshot} */
  #snapshot = ON_A_SERVER;
  /** @type {((client: Client) => void)[]} */
  #asked = [];
  #retention = new Retention(() => this.#start());

  /**
   * @param {import("./session-store.js").SessionStore} sessions
   * @param {() => Client | Promise<Client>} make called once
   */
  constructor(sessions, make) {
    this.#sessions = sessions;
    this.#make = make;
  }

  /** Have the connection, as long as somebody is logged in, until the returned function is called. */
  retain = () => this.#retention.retain();

  /** @param {() => void} listener */
  subscribe = (listener) => this.#emitter.on("snapshot", listener);

  /** @returns {Snapshot} frozen, and the same object until something changes */
  snapshot = () => this.#snapshot;

  serverSnapshot = () => ON_A_SERVER;

  /**
   * Listen to what the client tells: `status`, `message`, `event`, `frame`, `waiting`, `dropped`, `welcome`.
   *
   * @param {(typeof RELAYED)[number]} name
   * @param {(value: any) => void} listener
   * @returns {() => void} call it to stop listening
   */
  on = (name, listener) => this.#emitter.on(name, listener);

  /**
   * Listen to an event of the application, to `message`, or to `welcome`.
   *
   * @param {string} name
   * @param {(data: any) => void} listener
   * @returns {() => void} call it to stop listening
   */
  listen(name, listener) {
    if (OWN.includes(name)) return this.#emitter.on(name, listener);
    return this.#emitter.on("event", (event) => void (event.name === name && listener(event.data)));
  }

  /**
   * Send a message. While the connection is away it waits, with at most 99 others.
   *
   * @param {Payload} data text or bytes
   */
  send = (data) => this.#ask((client) => client.send(data));

  /**
   * Send a named event, in the same manner.
   *
   * @param {string} name
   * @param {unknown} [data]
   */
  emit = (name, data) => this.#ask((client) => client.emit(name, data));

  /**
   * Send a named event and wait for its acknowledgement. It never waits for a connection.
   *
   * @param {string} name
   * @param {unknown} [data]
   * @param {{ timeout?: number }} [options] milliseconds
   * @returns {Promise<unknown>} the handler's result; rejects with a `CallError`
   */
  call = (name, data, options) => {
    if (this.#client === null) return Promise.reject(new CallError("closed", "There is no connection."));
    return this.#client.call(name, data, options);
  };

  /** Come back now, from a wait or from a refusal. Without effect while nobody is logged in. */
  connect = () => {
    if (this.#client === null || this.#sessions.client.state.session === null) return;
    this.#client.wake();
    this.#client.connect();
  };

  /** @param {(client: Client) => void} action */
  #ask(action) {
    if (this.#client === null) this.#asked.push(action);
    else action(this.#client);
  }

  #start() {
    let stop = () => {};
    let stopped = false;
    /** @param {Client} client */
    const run = (client) => {
      if (!stopped) stop = this.#run(client);
    };
    this.#made ??= this.#make();
    if (this.#made instanceof Promise) this.#made.then(run, (failure) => this.#change({ failure }));
    else run(this.#made);
    return () => {
      stopped = true;
      stop();
    };
  }

  /** @param {Client} client */
  #run(client) {
    const auth = this.#sessions.client;
    const stops = RELAYED.map((name) => client.on(name, (value) => this.#relay(name, value)));
    this.#client = client;
    this.#change({ client, status: client.status });
    for (const action of this.#asked.splice(0)) action(client);
    stops.push(followPage(client, auth), followSession(client, auth));
    return () => {
      client.close();
      stops.forEach((stop) => stop());
    };
  }

  /**
   * @param {string} name
   * @param {any} value
   */
  #relay(name, value) {
    if (name === "status") this.#change({ status: value, lastError: errorOf(value, this.#snapshot.lastError) });
    this.#emitter.emit(name, value);
  }

  /** @param {Partial<Snapshot>} change */
  #change(change) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...change });
    this.#emitter.emit("snapshot", undefined);
  }
}
