/**
 * A Socket.IO client with the interface and the rules of `WsClient`, over the stock socket.io-client, whose `io`
 * is an argument. The stock client's own reconnection is off: it knows nothing of sessions, and its first delay
 * has a floor, so that a crowd comes back together. What it does by itself is to recover what was missed, and to
 * choose a transport.
 */

import { CallError, Calls } from "./calls.js";
import { systemClock } from "./clock.js";
import { ABNORMAL, adviceFor, KEYS_UNAVAILABLE } from "./close-codes.js";
import { Emitter } from "./emitter.js";
import { Handlers } from "./handlers.js";
import { isOffset } from "./offsets.js";
import { Outbox } from "./outbox.js";
import { ReconnectingClient } from "./reconnecting-client.js";
import { Reconnector } from "./reconnector.js";

/**
 * @typedef {import("./states.js").Status} Status
 * @typedef {import("./trail.js").Welcome} Welcome
 *
 * What is used of the stock client's `Socket`, so that its package is needed by those only who use it.
 * @typedef {object} StockSocket
 * @property {string | undefined} [id]
 * @property {boolean} recovered
 * @property {any[]} receiveBuffer events that came while the socket was not connected
 * @property {any} io the stock `Manager`
 * @property {() => any} connect
 * @property {() => any} disconnect
 * @property {(name: string, ...args: any[]) => any} emit
 * @property {(name: any, listener: (...args: any[]) => void) => any} on
 * @property {(listener: (...args: any[]) => void) => any} onAny
 *
 * @typedef {{ name: string, data: unknown }} NamedEvent
 *
 * @typedef {object} Events
 * @property {Status} status
 * @property {Welcome} welcome the server let this client in; of `session`, `offset`, `reason` and `expiresAt` the
 *   stock client tells nothing
 * @property {unknown} message the data of the event `message`
 * @property {NamedEvent} event any other event; several arguments are a list
 * @property {number} waiting how many events wait for the connection
 * @property {NamedEvent} dropped an event that waited too long in line
 */

/**
 * @template {StockSocket} Socket
 * @typedef {object} Options
 * @property {(url: string, options: any) => Socket} io of socket.io-client
 * @property {import("./reconnector.js").Session} session
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [random] from 0 up to 1
 * @property {Record<string, unknown>} [options] more of the stock client's, such as `path` or `transports`
 */

const CALL_TIMEOUT = 5_000;
/** `readyState` of an open WebSocket; what closes or is closed has more. */
const WS_OPEN = 1;
/** Refusals for which no new token helps. */
const FINAL = Object.freeze(["Not permitted", "Invalid namespace", "Too many namespaces"]);

/**
 * @template {StockSocket} Socket
 * @extends {ReconnectingClient<Events>}
 */
export class SocketIoClient extends ReconnectingClient {
  #calls;
  #reconnector;
  #handlers;
  #emitter;
  /** @type {Outbox<NamedEvent>} */
  #outbox = new Outbox({
    waiting: (count) => this.#emitter.emit("waiting", count),
    dropped: (event) => this.#emitter.emit("dropped", event),
  });
  /** Whether the socket is in use: what it says otherwise is the echo of our own letting go. */
  #isActive = false;
  /** @type {unknown[][]} what was recovered, until the connection is told */
  #early = [];

  /**
   * @param {string} url `http:` or `https:`, the namespace as its path
   * @param {Options<Socket>} options
   */
  constructor(url, { io, session, clock = systemClock, random = Math.random, options = {} }) {
    const handlers = new Handlers();
    /** @type {Emitter<Events>} */
    const emitter = new Emitter();
    const reconnector = new Reconnector(
      {
        open: () => this.#open(),
        drop: (isFarewell) => this.#drop(isFarewell),
        changed: (status) => emitter.emit("status", status),
      },
      { session, clock, random },
    );
    super({ reconnector, emitter, handlers });
    this.#handlers = handlers;
    this.#emitter = emitter;
    this.#reconnector = reconnector;
    this.#calls = new Calls(clock);
    /**
     * The stock socket, for all that this class does not cover. Leave `connect` and `disconnect` to this class.
     *
     * @type {Socket}
     */
    this.socket = io(url, {
      withCredentials: true,
      ...options,
      // A manager of its own, since its connection is opened and closed by our rules.
      forceNew: true,
      autoConnect: false,
      reconnection: false,
      timeout: false,
    });
    this.socket.on("connect", () => this.#isActive && this.#opened());
    this.socket.on("disconnect", (reason, details) => this.#isActive && this.#disconnected(reason, details));
    this.socket.on("connect_error", (error) => this.#isActive && this.#refused(error));
    this.socket.onAny((...args) => this.#received(args));
  }

  /**
   * Close for good; events that wait are forgotten.
   *
   * @param {"asked" | "signed-out" | "expired"} [cause]
   */
  close(cause = "asked") {
    this.#outbox.clear();
    this.#reconnector.close(cause);
  }

  /**
   * Send the event `message`; it waits for a connection as `emit` does.
   *
   * @param {unknown} data text or bytes, to be understood as from a `WsClient`
   */
  send(data) {
    this.emit("message", data);
  }

  /**
   * Send a named event. While the connection is away it waits, with at most 99 others: then the oldest is dropped
   * and told by `dropped`.
   *
   * @param {string} name none of socket.io's own: `connect`, `connect_error`, `disconnect`, `disconnecting`,
   *   `newListener`, `removeListener`
   * @param {unknown} [data]
   */
  emit(name, data = null) {
    if (this.status.state === "open") this.socket.emit(name, data);
    else this.#outbox.add({ name, data });
  }

  /**
   * Send a named event and wait for its acknowledgement. It never waits for a connection.
   *
   * @param {string} name
   * @param {unknown} [data]
   * @param {{ timeout?: number }} [options] milliseconds
   * @returns {Promise<unknown>} the handler's result; rejects with a `CallError`
   */
  call(name, data = null, { timeout = CALL_TIMEOUT } = {}) {
    if (this.status.state !== "open") return Promise.reject(new CallError("closed", "There is no connection."));
    const { id, answer } = this.#calls.open(timeout);
    this.socket.emit(name, data, (/** @type {any} */ result) => {
      const error = isRefusal(result) ? result.error : undefined;
      this.#calls.settle({ id, data: result, error });
    });
    return answer;
  }

  #open() {
    this.#isActive = true;
    this.#early = [];
    this.socket.receiveBuffer = []; // what came as it was let go was not heard: it is recovered, and once is enough
    this.socket.connect();
  }

  #opened() {
    const entered = this.#reconnector.opened();
    const isOpen = () => this.status === entered;
    const { id = "", recovered } = this.socket;
    const unknown = { session: null, offset: null, reason: null, expiresAt: null };
    if (isOpen()) this.#emitter.emit("welcome", { ...unknown, id, recovered: Boolean(recovered) });
    const early = this.#early;
    this.#early = [];
    for (const args of early) if (isOpen()) this.#deliver(args);
    if (isOpen()) this.#outbox.flush(({ name, data }) => this.socket.emit(name, data), isOpen);
    this.#outbox.confirm();
  }

  /**
   * @param {string} reason the stock client's word
   * @param {{ context?: { code?: number, reason?: string } }} [details] with the browser's `CloseEvent`, if it was a
   *   WebSocket that closed
   */
  #disconnected(reason, details) {
    if (reason === "io server disconnect") {
      this.#reconnector.closed(1000, "", "stop");
    } else if (reason === "io client disconnect") {
      this.close();
    } else {
      const { code = ABNORMAL, reason: words = "" } = details?.context ?? {};
      // A transport's 1000 is no farewell: Engine.IO closes so after a ping without an answer.
      this.#reconnector.closed(code, words, code === 1000 ? "backoff" : adviceFor(code, words));
    }
  }

  /** @param {Error & { data?: unknown }} error */
  #refused(error) {
    // Only what the server says of a namespace has `data`, be it undefined; the rest is of transports.
    if (!("data" in error)) this.#reconnector.closed(ABNORMAL, "");
    else if (error.message === KEYS_UNAVAILABLE) this.#reconnector.closed(1013, error.message);
    else if (FINAL.includes(error.message)) this.#reconnector.closed(1008, error.message, "stop");
    else this.#reconnector.closed(1008, error.message);
  }

  /** @param {unknown[]} args the name first */
  #received(args) {
    if (this.status.state === "open") this.#deliver(args);
    else this.#early.push(args);
  }

  /** @param {unknown[]} args */
  #deliver([first, ...rest]) {
    const name = /** @type {string} */ (first);
    const last = rest.at(-1);
    if (typeof last === "function") {
      const data = dataOf(rest.slice(0, -1));
      void this.#handlers.answer(name, data).then((answer) => last("error" in answer ? answer : answer.data));
      if (!this.#handlers.has(name)) this.#tell(name, data);
      return;
    }
    // With recovery the offset stands behind the arguments of what can be recovered.
    const isRecoverable = "_pid" in this.socket && this.socket._pid && isOffset(last);
    this.#tell(name, dataOf(isRecoverable ? rest.slice(0, -1) : rest));
  }

  /**
   * @param {string} name
   * @param {unknown} data
   */
  #tell(name, data) {
    if (name === "message") this.#emitter.emit("message", data);
    else this.#emitter.emit("event", { name, data });
  }

  /** @param {boolean} isFarewell */
  #drop(isFarewell) {
    this.#calls.abandon();
    if (!this.#isActive) return;
    this.#isActive = false;
    // `disconnect` tells the server to forget; closing below it leaves what can be recovered. A WebSocket that the
    // server is closing takes no farewell, and the browser would complain.
    const isClosing = this.socket.io.engine?.transport?.ws?.readyState > WS_OPEN;
    if (isFarewell && !isClosing) this.socket.disconnect();
    else if (this.socket.io._readyState !== "closed") this.socket.io._close();
  }
}

/** @param {unknown[]} args */
function dataOf(args) {
  return args.length === 1 ? args[0] : args.length === 0 ? null : args;
}

/**
 * Whether an acknowledgement is a refusal: `{"error": {"code", "message"}}` and nothing else.
 *
 * @param {any} result
 * @returns {result is { error: import("./envelope.js").RemoteError }}
 */
function isRefusal(result) {
  return typeof result?.error?.code === "string" && Object.keys(result).length === 1;
}
