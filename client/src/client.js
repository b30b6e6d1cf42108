/**
 * A WebSocket that comes back, and knows when it must not (`reconnector.js` has the rules). Nothing here
 * touches the page: the socket's class, the clock, chance and the session are arguments, and `page-life.js`
 * reports what the page does.
 *
 * With `recover` (the default) it gets back what it missed, if the service keeps it (`trail.js`); without, the
 * wire is the plain one.
 */

import { CallError, Calls } from "./calls.js";
import { systemClock } from "./clock.js";
import { HANDSHAKE_REASONS } from "./close-codes.js";
import { Emitter } from "./emitter.js";
import { decode, encodeAck, encodeEvent, sizeOf } from "./envelope.js";
import { Handlers } from "./handlers.js";
import { Outbox } from "./outbox.js";
import { ReconnectingClient } from "./reconnecting-client.js";
import { Reconnector } from "./reconnector.js";
import { Trail } from "./trail.js";

/**
 * @typedef {import("./states.js").State} State
 * @typedef {import("./states.js").Cause} Cause
 * @typedef {import("./states.js").Status} Status
 * @typedef {import("./reconnector.js").Session} Session
 * @typedef {import("./trail.js").Welcome} Welcome
 *
 * @typedef {string | ArrayBuffer | Uint8Array<ArrayBuffer>} Payload
 *
 * @typedef {object} Frame
 * @property {"in" | "out"} direction
 * @property {Payload} data
 * @property {number} size bytes of payload
 * @property {number} at milliseconds since 1970
 *
 * @typedef {object} Options
 * @property {Session} session
 * @property {new (url: string) => WebSocket} [WebSocket]
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [random] from 0 up to 1
 * @property {boolean} [recover] whether to ask for what was missed
 *
 * @typedef {object} Events
 * @property {Status} status
 * @property {Welcome} welcome the server let this client in; only with `recover`
 * @property {unknown} message the data of the event `message`
 * @property {{ name: string, data: unknown }} event any other event
 * @property {Frame} frame what went over the wire
 * @property {number} waiting how many messages wait for the connection
 * @property {Payload} dropped a frame that waited too long in line
 */

const CALL_TIMEOUT = 5_000;
/** `WebSocket.OPEN`. */
const OPEN = 1;

/** @extends {ReconnectingClient<Events>} */
export class WsClient extends ReconnectingClient {
  #url;
  #session;
  #WebSocket;
  #clock;
  #calls;
  #reconnector;
  /** @type {Trail | null} */
  #trail;
  #handlers;
  #emitter;
  /** @type {Outbox<Payload>} */
  #outbox = new Outbox({
    waiting: (count) => this.#emitter.emit("waiting", count),
    dropped: (frame) => this.#emitter.emit("dropped", frame),
  });
  /** @type {WebSocket | null} */
  #socket = null;

  /**
   * @param {string} url `ws:` or `wss:`
   * @param {Options} options
   */
  constructor(
    url,
    { session, WebSocket = globalThis.WebSocket, clock = systemClock, random = Math.random, recover = true },
  ) {
    const handlers = new Handlers();
    /** @type {Emitter<Events>} */
    const emitter = new Emitter();
    const reconnector = new Reconnector(
      {
        open: () => this.#open(),
        drop: (isFarewell) => this.#drop(isFarewell),
        changed: (status) => this.#changed(status),
      },
      { session, clock, random },
    );
    super({ reconnector, emitter, handlers });
    this.#handlers = handlers;
    this.#emitter = emitter;
    this.#reconnector = reconnector;
    this.#url = url;
    this.#session = session;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#calls = new Calls(clock);
    this.#trail = recover ? new Trail() : null;
  }

  /**
   * Close for good; messages that wait are forgotten. Only after `expired` can a new login continue the connection.
   *
   * @param {"asked" | "signed-out" | "expired"} [cause]
   */
  close(cause = "asked") {
    this.#outbox.clear();
    if (cause !== "expired") this.#trail?.forget();
    this.#reconnector.close(cause);
  }

  /**
   * Send a text or binary frame as it is. While the connection is away it waits, with at most 99 others: then the
   * oldest is dropped and told by `dropped`.
   *
   * @param {Payload} payload
   */
  send(payload) {
    if (this.status.state === "open" && this.#isWritable()) this.#write(payload);
    else this.#outbox.add(typeof payload === "string" ? payload : payload.slice(0)); // the caller may use it anew
  }

  /**
   * Send a named event; it waits for a connection as `send` does.
   *
   * @param {string} name
   * @param {unknown} [data]
   */
  emit(name, data = null) {
    this.send(encodeEvent(name, data));
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
    this.#write(encodeEvent(name, data, id));
    return answer;
  }

  #open() {
    if (!this.#WebSocket)
      throw new Error("There is no WebSocket here: pass one, as in new WsClient(url, { WebSocket }).");
    const socket = new this.#WebSocket(this.#trail ? this.#trail.address(this.#url) : this.#url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#closed(event.code, event.reason);
    this.#socket = socket;
  }

  #opened() {
    const entered = this.#reconnector.opened();
    if (this.status !== entered) return; // a listener closed it
    this.#outbox.flush(
      (frame) => this.#write(frame),
      () => this.status === entered,
    );
  }

  /** @param {string | ArrayBuffer} data */
  #received(data) {
    this.#outbox.confirm();
    this.#emitter.emit("frame", { direction: "in", data, size: sizeOf(data), at: this.#clock.now() });
    const incoming = decode(data);
    if (incoming.kind === "ack") this.#calls.settle(incoming);
    else if (incoming.kind === "message") this.#emitter.emit("message", incoming.data);
    else this.#handle(incoming);
  }

  /** @param {Extract<import("./envelope.js").Incoming, { kind: "event" }>} event */
  #handle({ name, data, id, offset }) {
    const welcome = this.#trail?.welcome({ name, data });
    if (welcome) {
      if (welcome.expiresAt !== null) this.#session.learn?.(welcome.expiresAt);
      this.#emitter.emit("welcome", welcome);
      return;
    }
    if (id !== undefined) void this.#answer(id, name, data);
    if (id === undefined || !this.#handlers.has(name)) {
      if (name === "message") this.#emitter.emit("message", data);
      else this.#emitter.emit("event", { name, data });
    }
    if (offset !== undefined) this.#trail?.seen(offset);
  }

  /**
   * @param {number} id
   * @param {string} name
   * @param {unknown} data
   */
  async #answer(id, name, data) {
    const socket = this.#socket;
    const answer = await this.#handlers.answer(name, data);
    if (this.#socket === socket && this.status.state === "open") this.#write(encodeAck(id, answer));
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    if (HANDSHAKE_REASONS.includes(reason)) this.#outbox.takeBack();
    this.#reconnector.closed(code, reason);
  }

  /** @param {boolean} isFarewell */
  #drop(isFarewell) {
    this.#outbox.confirm();
    this.#calls.abandon();
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (isFarewell) socket.close(1000);
    else socket.close();
  }

  /** @param {Status} status */
  #changed(status) {
    if (status.state === "closed" && status.cause !== "expired") this.#trail?.forget();
    this.#emitter.emit("status", status);
  }

  /** A socket that is closing takes what it is given, and drops it without a word. */
  #isWritable() {
    return /** @type {WebSocket} */ (this.#socket).readyState === OPEN;
  }

  /** @param {Payload} payload */
  #write(payload) {
    /** @type {WebSocket} */ (this.#socket).send(payload);
    this.#outbox.wrote(payload);
    this.#emitter.emit("frame", { direction: "out", data: payload, size: sizeOf(payload), at: this.#clock.now() });
  }
}
