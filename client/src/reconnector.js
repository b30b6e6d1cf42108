/**
 * When to connect, to wait, to refresh the session and to stay away: the rules that both clients follow,
 * whatever carries their messages.
 *
 * Theory of operation. `connect()` opens the carrier; how it closes decides what follows (`close-codes.js`):
 *
 * - `backoff`: wait (exponential, full jitter), try again. The wait begins anew only after a connection
 *   that held for five seconds. Without a network it does not run; with the network back, or the page
 *   in front again, it is cut short.
 * - `refresh` (1008): refresh the session once, come back at once. Refused again within ten seconds of
 *   that: stop, the user must log in.
 * - `stop`: stay away.
 * - 1006 before the carrier opened says neither "refused" nor "no network". At every third in a row the
 *   session is asked for over HTTP, which can tell, until it is answered.
 */

import { Backoff } from "./backoff.js";
import { ABNORMAL, adviceFor, EXPIRED, SESSION_REASONS, SIGNED_OUT } from "./close-codes.js";
import { isFinal, outcome } from "./outcome.js";
import { IDLE, NEXT } from "./states.js";

/**
 * @typedef {import("./states.js").State} State
 * @typedef {import("./states.js").Cause} Cause
 * @typedef {import("./states.js").Status} Status
 *
 * What is needed of the session; `refresh` and `me` reject with an error that has a `status` (HTTP, 0 for none).
 * @typedef {object} Session
 * @property {(options?: { since?: number }) => Promise<unknown>} refresh not needed if it was renewed after `since`
 *   (milliseconds since 1970)
 * @property {() => Promise<unknown>} me
 * @property {(expiresAt: number) => void} [learn] when the session ends, as a socket was told; POSIX seconds
 *
 * What carries the messages. It tells `opened()`, and `closed(code, reason)` once.
 * @typedef {object} Carrier
 * @property {() => void} open start to connect
 * @property {(isFarewell: boolean) => void} drop let go of it: nothing that it still says may be told. Without a
 *   farewell the server keeps what it can for a return
 * @property {(status: Status) => void} changed
 */

const CONNECT_TIMEOUT = 10_000;
/** A connection that held so long was no accident: the backoff begins anew. */
const STABLE_AFTER = 5_000;
/** Refused again so soon after a refresh, the session is beyond help. */
const REFUSED_AGAIN_WITHIN = 10_000;
/** So many handshakes in a row fail without a word before the session is asked for over HTTP. */
const ASK_AFTER = 3;
/** When the network or the page is back: enough to keep a crowd apart, too little to notice. */
const HURRY_WITHIN = 300;

export class Reconnector {
  #session;
  #carrier;
  #clock;
  #random;
  #backoff;
  /** @type {Status} */
  #status = IDLE;
  /** @type {any} the one timer of the state: give up connecting, try again, or call the connection stable */
  #timer = null;
  #offline = false;
  /** Handshakes that failed in a row, and whether the server answered over HTTP meanwhile. */
  #failures = 0;
  #answers = false;
  #attemptedAt = -Infinity;
  #refreshedAt = -Infinity;

  /**
   * @param {Carrier} carrier
   * @param {{ session: Session, clock: import("./clock.js").Clock, random: () => number }} options
   */
  constructor(carrier, { session, clock, random }) {
    this.#carrier = carrier;
    this.#session = session;
    this.#clock = clock;
    this.#random = random;
    this.#backoff = new Backoff({ random });
  }

  /** @returns {Status} frozen, and the same object until something changes */
  get status() {
    return this.#status;
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

  /** @param {"asked" | "signed-out" | "expired"} cause */
  close(cause) {
    this.#drop(cause !== "expired");
    const { state, cause: before } = this.#status;
    if (state !== "closed" && (state !== "idle" || before === "suspended")) this.#enter("closed", { cause });
  }

  cut() {
    const { state } = this.#status;
    if (state !== "open" && state !== "connecting") return;
    this.#drop();
    this.#retry("cut");
  }

  offline() {
    this.#offline = true;
    if (this.#status.state === "reconnecting") this.#retry("offline");
  }

  online() {
    this.#offline = false;
    this.wake();
  }

  wake() {
    if (this.#status.state !== "reconnecting" || this.#offline) return;
    const { cause, code, reason, retryAt } = this.#status;
    const soon = this.#clock.now() + Math.round(this.#random() * HURRY_WITHIN);
    this.#wait(Math.min(soon, retryAt ?? soon), { cause, code, reason });
  }

  suspend() {
    const { state } = this.#status;
    if (state === "idle" || state === "closed") return;
    this.#drop();
    this.#enter("idle", { cause: "suspended" });
  }

  resume() {
    if (this.#status.state === "idle" && this.#status.cause === "suspended") this.connect();
  }

  /**
   * The carrier is open.
   *
   * @returns {Status}
   */
  opened() {
    this.#failures = 0;
    this.#answers = false;
    return this.#enter("open", {}, { after: STABLE_AFTER, run: () => this.#backoff.reset() });
  }

  /**
   * The carrier closed, or never opened: the heart of the machine.
   *
   * @param {number} code
   * @param {string} reason
   * @param {import("./close-codes.js").Advice} [advice]
   */
  closed(code, reason, advice = adviceFor(code, reason)) {
    const wasOpen = this.#status.state === "open";
    this.#drop();
    if (!wasOpen) this.#failures += 1;
    if (advice === "stop") {
      this.#enter("closed", { cause: reason === SIGNED_OUT ? "signed-out" : "refused", code, reason });
    } else if (advice === "refresh") {
      void this.#refused(code, reason);
    } else if (!wasOpen && code === ABNORMAL && !this.#answers && this.#failures % ASK_AFTER === 0) {
      void this.#ask();
    } else if (wasOpen) {
      this.#retry("lost", code, reason);
    } else {
      this.#retry(this.#answers ? "unopened" : "unreachable", code, reason);
    }
  }

  /** @param {Cause} cause */
  #attempt(cause) {
    this.#attemptedAt = this.#clock.now();
    this.#carrier.open();
    this.#enter("connecting", { cause }, { after: CONNECT_TIMEOUT, run: () => this.closed(ABNORMAL, "") });
  }

  /**
   * The session is not accepted: refresh it once and come back at once.
   *
   * @param {number} code
   * @param {string} reason
   */
  async #refused(code, reason) {
    const now = this.#clock.now();
    if (now - this.#refreshedAt < REFUSED_AGAIN_WITHIN) {
      const cause = SESSION_REASONS.includes(reason) || code === ABNORMAL ? "expired" : "refused";
      this.#enter("closed", { cause, code, reason });
      return;
    }
    const entered = this.#enter("refreshing", { cause: "expired", code, reason });
    // Another tab may have renewed it meanwhile. What was accepted and then ended may have been renewed long ago.
    const since = reason === EXPIRED ? Math.max(this.#attemptedAt, now - REFUSED_AGAIN_WITHIN) : this.#attemptedAt;
    const failure = await outcome(this.#session.refresh({ since }));
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

  #drop(isFarewell = false) {
    this.#clock.clearTimeout(this.#timer);
    this.#carrier.drop(isFarewell);
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
    this.#carrier.changed(entered);
    return entered;
  }
}
