/**
 * A WebSocket that comes back, and knows when it must not. Nothing here touches the page: the socket's
 * class, the clock, chance and the session are arguments, and `page-life.js` reports what the page does.
 *
 * Theory of operation. `connect()` opens a socket; how it closes decides what follows (`close-codes.js`):
 *
 * - `backoff`: wait (exponential, full jitter), try again. The wait begins anew only after a connection
 *   that held for five seconds. Without a network it does not run; with the network back, or the page
 *   in front again, it is cut short.
 * - `refresh` (1008): refresh the session once, come back at once. Refused again within ten seconds of
 *   that: stop, the user must log in.
 * - `stop`: stay away.
 * - 1006 before the socket opened says neither "refused" nor "no network". At every third in a row the
 *   session is asked for over HTTP, which can tell, until it is answered.
 */

import { Backoff } from "./backoff.js";
import { CallError, Calls } from "./calls.js";
import { systemClock } from "./clock.js";
import { ABNORMAL, adviceFor, INVALID_TOKEN, MISSING_TOKEN, SESSION_REASONS, SIGNED_OUT } from "./close-codes.js";
import { Emitter } from "./emitter.js";
import { decode, encodeEvent } from "./envelope.js";

/**
 * @typedef {"idle" | "connecting" | "open" | "reconnecting" | "refreshing" | "closed"} State
 *
 * Why the client is in its state:
 * `asked` by the caller, `cut` by the caller, `suspended` with its page, `lost` while open, `unreachable`
 * server, `unopened` though the server answers over HTTP, `offline`, `expired` session, `signed-out`, or
 * `refused` by the server for good.
 * @typedef {"asked" | "cut" | "suspended" | "lost" | "unreachable" | "unopened" | "offline" | "expired"
 *   | "signed-out" | "refused"} Cause
 *
 * @typedef {object} Status
 * @property {State} state
 * @property {Cause} cause
 * @property {number} code the close code that led here, 0 for none
 * @property {string} reason the server's own words, perhaps empty
 * @property {number | null} retryAt when the next attempt starts, milliseconds since 1970
 * @property {number} attempt how many delays were used up since the last stable connection
 *
 * @typedef {object} Frame
 * @property {"in" | "out"} direction
 * @property {string | ArrayBuffer} data
 * @property {number} size bytes of payload
 * @property {number} at milliseconds since 1970
 *
 * What the client needs of the session; both reject with an error that has a `status` (HTTP, 0 for none).
 * @typedef {object} Session
 * @property {() => Promise<unknown>} refresh
 * @property {() => Promise<unknown>} me
 *
 * @typedef {object} Options
 * @property {Session} session
 * @property {new (url: string) => WebSocket} [WebSocket]
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [random] from 0 up to 1
 *
 * @typedef {object} Events
 * @property {Status} status
 * @property {unknown} message the data of the event `message`
 * @property {{ name: string, data: unknown }} event any other event
 * @property {Frame} frame what went over the wire
 * @property {number} waiting how many messages wait for the connection
 * @property {string} dropped a frame that waited too long in line
 */

/** @type {Readonly<Record<State, readonly State[]>>} what is not here is a mistake of ours */
const NEXT = Object.freeze({
  idle: ["connecting", "closed"],
  connecting: ["open", "reconnecting", "refreshing", "closed", "idle"],
  open: ["reconnecting", "refreshing", "closed", "idle"],
  reconnecting: ["connecting", "reconnecting", "refreshing", "closed", "idle"],
  refreshing: ["connecting", "reconnecting", "closed", "idle"],
  closed: ["connecting", "idle"],
});

const CONNECT_TIMEOUT = 10_000;
/** A connection that held so long was no accident: the backoff begins anew. */
const STABLE_AFTER = 5_000;
/** Refused again so soon after a refresh, the session is beyond help. */
const REFUSED_AGAIN_WITHIN = 10_000;
/** So many handshakes in a row fail without a word before the session is asked for over HTTP. */
const ASK_AFTER = 3;
/** When the network or the page is back: enough to keep a crowd apart, too little to notice. */
const HURRY_WITHIN = 300;
const MOST_WAITING = 100;
const CALL_TIMEOUT = 5_000;

export class WsClient {
  #url;
  #session;
  #WebSocket;
  #clock;
  #random;
  #backoff;
  #calls;
  /** @type {Emitter<Events>} */
  #emitter = new Emitter();
  /** @type {Status} */
  #status = Object.freeze({ state: "idle", cause: "asked", code: 0, reason: "", retryAt: null, attempt: 0 });
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {any} the one timer of the state: give up connecting, try again, or call the connection stable */
  #timer = null;
  #offline = false;
  /** Handshakes that failed in a row, and whether the server answered over HTTP meanwhile. */
  #failures = 0;
  #answers = false;
  #refreshedAt = -Infinity;
  /** @type {string[]} */
  #waiting = [];
  /** @type {string[] | null} sent on this socket before the server said anything; see `#refused` */
  #unconfirmed = null;

  /**
   * @param {string} url `ws:` or `wss:`
   * @param {Options} options
   */
  constructor(url, { session, WebSocket = globalThis.WebSocket, clock = systemClock, random = Math.random }) {
    this.#url = url;
    this.#session = session;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#random = random;
    this.#backoff = new Backoff({ random });
    this.#calls = new Calls(clock);
  }

  /** @returns {Status} frozen, and the same object until something changes */
  get status() {
    return this.#status;
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

  /** Connect, and stay connected until `close()` or a reason to stop; without effect while at it. */
  connect() {
    const { state } = this.#status;
    if (state !== "idle" && state !== "closed") return;
    this.#backoff.reset();
    this.#failures = 0;
    this.#answers = false;
    this.#refreshedAt = -Infinity;
    this.#attempt("asked");
  }

  /**
   * Close for good; messages that wait are forgotten.
   *
   * @param {"asked" | "signed-out" | "expired"} [cause]
   */
  close(cause = "asked") {
    this.#release();
    this.#waiting = [];
    this.#emitter.emit("waiting", 0);
    const { state, cause: before } = this.#status;
    if (state !== "closed" && (state !== "idle" || before === "suspended")) this.#enter("closed", { cause });
  }

  /** Drop the connection as if the network had, and come back. For demonstrations and tests. */
  cut() {
    if (this.#socket === null) return;
    this.#release();
    this.#retry("cut");
  }

  /** The network is gone: waits stop running. An open socket may outlive it and is left alone. */
  offline() {
    this.#offline = true;
    if (this.#status.state === "reconnecting") this.#retry("offline");
  }

  /** The network is back. */
  online() {
    this.#offline = false;
    this.wake();
  }

  /** Cut a wait short: the page is in front again. */
  wake() {
    if (this.#status.state !== "reconnecting" || this.#offline) return;
    const { cause, code, reason, retryAt } = this.#status;
    const soon = this.#clock.now() + Math.round(this.#random() * HURRY_WITHIN);
    this.#wait(Math.min(soon, retryAt ?? soon), { cause, code, reason });
  }

  /** The page goes away, perhaps to return: an open socket would keep it out of the back/forward cache. */
  suspend() {
    const { state } = this.#status;
    if (state === "idle" || state === "closed") return;
    this.#release();
    this.#enter("idle", { cause: "suspended" });
  }

  /** The page is back: undo `suspend`. */
  resume() {
    if (this.#status.cause === "suspended") this.connect();
  }

  /**
   * Send a text frame as it is. While the connection is away it waits, with at most 99 others: then the
   * oldest is dropped and told by `dropped`.
   *
   * @param {string} text
   */
  send(text) {
    if (this.#status.state === "open") {
      this.#write(text);
      return;
    }
    this.#waiting.push(text);
    if (this.#waiting.length > MOST_WAITING) {
      this.#emitter.emit("dropped", /** @type {string} */ (this.#waiting.shift()));
    }
    this.#emitter.emit("waiting", this.#waiting.length);
  }

  /**
   * Send a named event and wait for its acknowledgement. It never waits for a connection.
   *
   * @param {string} name
   * @param {unknown} data
   * @param {{ timeout?: number }} [options] milliseconds
   * @returns {Promise<unknown>} the handler's result; rejects with a `CallError`
   */
  call(name, data, { timeout = CALL_TIMEOUT } = {}) {
    if (this.#status.state !== "open") return Promise.reject(new CallError("closed", "There is no connection."));
    const { id, answer } = this.#calls.open(timeout);
    this.#write(encodeEvent(name, data, id));
    return answer;
  }

  /** @param {Cause} cause */
  #attempt(cause) {
    const socket = new this.#WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#closed(event.code, event.reason);
    this.#socket = socket;
    this.#enter("connecting", { cause }, { after: CONNECT_TIMEOUT, run: () => this.#closed(ABNORMAL, "") });
  }

  #opened() {
    this.#failures = 0;
    this.#answers = false;
    this.#unconfirmed = [];
    const entered = this.#enter("open", {}, { after: STABLE_AFTER, run: () => this.#proveStable() });
    while (this.#waiting.length > 0 && this.#status === entered) {
      this.#write(/** @type {string} */ (this.#waiting.shift()));
      this.#emitter.emit("waiting", this.#waiting.length);
    }
  }

  #proveStable() {
    this.#backoff.reset();
    this.#unconfirmed = null;
  }

  /** @param {string | ArrayBuffer} data */
  #received(data) {
    this.#unconfirmed = null;
    this.#emitter.emit("frame", { direction: "in", data, size: sizeOf(data), at: this.#clock.now() });
    const incoming = decode(data);
    if (incoming.kind === "message") this.#emitter.emit("message", incoming.data);
    else if (incoming.kind === "event") this.#emitter.emit("event", { name: incoming.name, data: incoming.data });
    else this.#calls.settle(incoming);
  }

  /**
   * The socket closed, or never opened: the heart of the machine.
   *
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    const wasOpen = this.#status.state === "open";
    const unconfirmed = this.#unconfirmed ?? [];
    this.#release();
    if (!wasOpen) this.#failures += 1;
    const advice = adviceFor(code, reason);
    if (advice === "stop") {
      this.#enter("closed", { cause: reason === SIGNED_OUT ? "signed-out" : "refused", code, reason });
    } else if (advice === "refresh") {
      // A server that refused the handshake handled nothing: what was sent meanwhile waits again.
      if (reason === MISSING_TOKEN || reason === INVALID_TOKEN) this.#waiting.unshift(...unconfirmed);
      void this.#refused(code, reason);
    } else if (!wasOpen && code === ABNORMAL && !this.#answers && this.#failures % ASK_AFTER === 0) {
      void this.#ask();
    } else if (wasOpen) {
      this.#retry("lost", code, reason);
    } else {
      this.#retry(this.#answers ? "unopened" : "unreachable", code, reason);
    }
  }

  /**
   * The session is not accepted: refresh it once and come back at once.
   *
   * @param {number} code
   * @param {string} reason
   */
  async #refused(code, reason) {
    if (this.#clock.now() - this.#refreshedAt < REFUSED_AGAIN_WITHIN) {
      const cause = SESSION_REASONS.includes(reason) || code === ABNORMAL ? "expired" : "refused";
      this.#enter("closed", { cause, code, reason });
      return;
    }
    const entered = this.#enter("refreshing", { cause: "expired", code, reason });
    const failure = await outcome(this.#session.refresh());
    if (this.#status !== entered) return; // closed or suspended meanwhile
    if (failure === null) {
      this.#refreshedAt = this.#clock.now();
      this.#attempt("expired");
    } else if (isFinal(failure)) {
      this.#enter("closed", { cause: "expired", code, reason });
    } else {
      this.#retry("unreachable", code, reason);
    }
  }

  /** Handshakes fail without a word: learn over HTTP whether it is the session or the network. */
  async #ask() {
    const entered = this.#enter("reconnecting", { cause: "unreachable", code: ABNORMAL });
    const failure = await outcome(this.#session.me());
    if (this.#status !== entered) return; // closed, suspended or offline meanwhile
    this.#answers = failure === null;
    if (failure === null) this.#retry("unopened", ABNORMAL);
    else if (failure.status === 401) await this.#refused(ABNORMAL, "");
    else if (failure.status === 403) this.#enter("closed", { cause: "refused", reason: failure.message });
    else this.#retry("unreachable", ABNORMAL);
  }

  /**
   * @param {Cause} cause
   * @param {number} [code]
   * @param {string} [reason]
   */
  #retry(cause, code = 0, reason = "") {
    if (this.#offline) this.#enter("reconnecting", { cause: "offline" });
    else this.#wait(this.#clock.now() + this.#backoff.next(), { cause, code, reason });
  }

  /**
   * @param {number} retryAt
   * @param {Pick<Status, "cause" | "code" | "reason">} why
   */
  #wait(retryAt, why) {
    const after = retryAt - this.#clock.now();
    this.#enter("reconnecting", { ...why, retryAt }, { after, run: () => this.#attempt(why.cause) });
  }

  /**
   * The only place where the state changes. It ends the timer of the state before, and tells the
   * listeners last: one of them may change the state again.
   *
   * @param {State} state
   * @param {Partial<Status>} [details]
   * @param {{ after: number, run: () => void }} [timer] milliseconds, and what happens then
   * @returns {Status}
   */
  #enter(state, details = {}, timer) {
    if (!NEXT[this.#status.state].includes(state)) throw new Error(`no way from ${this.#status.state} to ${state}`);
    this.#clock.clearTimeout(this.#timer);
    this.#timer = timer ? this.#clock.setTimeout(timer.run, timer.after) : null;
    const kept = { cause: this.#status.cause, code: 0, reason: "", retryAt: null };
    const entered = Object.freeze({ ...kept, ...details, state, attempt: this.#backoff.attempts });
    this.#status = entered;
    this.#emitter.emit("status", entered);
    return entered;
  }

  /** Let go of the socket: nothing that it still says is heard. */
  #release() {
    this.#clock.clearTimeout(this.#timer);
    this.#unconfirmed = null;
    this.#calls.abandon();
    if (this.#socket === null) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  /** @param {string} text */
  #write(text) {
    /** @type {WebSocket} */ (this.#socket).send(text);
    this.#unconfirmed?.push(text);
    this.#emitter.emit("frame", { direction: "out", data: text, size: sizeOf(text), at: this.#clock.now() });
  }
}

/** @typedef {{ status: number, message: string }} Failure */

/**
 * @param {Promise<unknown>} promise
 * @returns {Promise<Failure | null>} null when it succeeded
 */
async function outcome(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    const { status = 0, message = "" } = /** @type {Partial<Failure>} */ (error);
    return { status, message };
  }
}

/**
 * Whether asking again is of no use: every 4xx but "too slow" and "too often".
 *
 * @param {Failure} failure
 */
function isFinal({ status }) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** @param {string | ArrayBuffer} data */
function sizeOf(data) {
  return typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
}
