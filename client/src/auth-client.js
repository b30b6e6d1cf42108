/**
 * Login, challenge, refresh and logout over `/auth`. The tokens live in cookies that no script can read;
 * what is known here is who is logged in and until when.
 *
 * The session is refreshed ahead of its end, by one tab at a time: a refresh token may be good for one
 * use only, and two tabs that spend it at once would end the session. So a refresh holds a lock that all
 * tabs share, and the tabs that had to wait for it take over what the first one got.
 */

import { Backoff } from "./backoff.js";
import { systemClock } from "./clock.js";
import { Emitter } from "./emitter.js";
import { Http } from "./http.js";

/**
 * @typedef {import("./http.js").HttpError} HttpError
 *
 * @typedef {{ id: string, username: string, roles: string[] }} User
 *
 * @typedef {object} Session
 * @property {User} user
 * @property {number} expiresAt POSIX seconds, by the server's clock
 *
 * One more step that the identity provider wants; answer it by `answer`.
 * @typedef {object} Challenge
 * @property {string} challenge such as `NEW_PASSWORD_REQUIRED`
 * @property {string} session the provider's handle of this login
 * @property {string} username
 * @property {Record<string, string>} parameters
 *
 * @typedef {object} AuthState
 * @property {"loading" | "authenticated" | "anonymous" | "expired"} status
 * @property {Session | null} session
 * @property {number | null} refreshAt when it refreshes by itself, milliseconds since 1970 by this clock
 *
 * @typedef {object} Options
 * @property {string} [baseUrl]
 * @property {(url: string, init: RequestInit) => Promise<Response>} [fetch]
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [random] from 0 up to 1
 * @property {LockManager} [locks] shared by the tabs; a page without TLS has none
 * @property {BroadcastChannel} [channel] tells the other tabs; the client never closes it
 */

const LOCK = "wsservice.refresh";
/** A refresh comes after 70 to 80 % of the session's life, so that tabs and users do not come at once. */
const REFRESH_AFTER = 0.8;
const REFRESH_JITTER = 0.1;
/** Whatever the clocks say: no refresh follows another one faster. */
const LEAST_DELAY = 5_000;
/** What a timer can hold (HTML, section 8.6). */
const MOST_DELAY = 2 ** 31 - 1;

export class AuthClient {
  #http;
  #clock;
  #random;
  #locks;
  #channel;
  #backoff;
  /** @type {Emitter<{ state: AuthState }>} */
  #emitter = new Emitter();
  /** @type {AuthState} */
  #state = Object.freeze({ status: "loading", session: null, refreshAt: null });
  /** @type {any} */
  #timer = null;
  /** @type {Promise<Session> | null} */
  #refreshing = null;

  /** @param {Options} [options] */
  constructor({
    baseUrl = "/auth",
    fetch = (url, init) => globalThis.fetch(url, init),
    clock = systemClock,
    random = Math.random,
    locks = globalThis.navigator?.locks,
    channel,
  } = {}) {
    this.#http = new Http(baseUrl, fetch, clock);
    this.#clock = clock;
    this.#random = random;
    this.#locks = locks;
    this.#channel = channel;
    this.#backoff = new Backoff({ first: LEAST_DELAY, most: 60_000, random });
    channel?.addEventListener("message", (event) => this.#heard(event.data));
  }

  /** @returns {AuthState} frozen, and the same object until something changes */
  get state() {
    return this.#state;
  }

  /** The server's time as this client knows it, milliseconds since 1970. */
  get serverNow() {
    return this.#clock.now() + this.#http.skew;
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
   * Find out whether this browser has a session, reviving one whose token ended. Call it once, first.
   * Rejects only when that cannot be learned (no network, server away): call it again later.
   */
  async restore() {
    try {
      await this.me();
    } catch (error) {
      const { status, word } = /** @type {HttpError} */ (error);
      if (status !== 401) throw error;
      await this.refresh().catch((/** @type {HttpError} */ refused) => {
        if (refused.status < 400 || refused.status >= 500) throw refused;
        this.#end(word === "missing" ? "anonymous" : "expired");
      });
    }
  }

  /**
   * Ask who is logged in.
   *
   * @returns {Promise<Session>}
   */
  async me() {
    return this.#begin(await this.#http.get("/me"));
  }

  /**
   * @param {string} username
   * @param {string} password
   * @returns {Promise<Challenge | null>} null when the user is logged in
   */
  async login(username, password) {
    return this.#proceed(await this.#http.post("/login", { username, password }));
  }

  /**
   * @param {Challenge} challenge
   * @param {Record<string, string>} responses by the provider's names, such as `NEW_PASSWORD`
   * @returns {Promise<Challenge | null>} null when the user is logged in
   */
  async answer({ challenge, session, username }, responses) {
    return this.#proceed(await this.#http.post("/challenge", { challenge, session, username, responses }));
  }

  /**
   * Get a new token; open sockets live on with it. Calls at the same time share one request.
   *
   * @returns {Promise<Session>} rejects with an `HttpError`; after a 4xx the session is over
   */
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** End the session: the server closes its sockets. It waits for a refresh, which would revive the session. */
  async logout() {
    const post = () => this.#http.post("/logout", {});
    await (this.#locks ? this.#locks.request(LOCK, post) : post());
    this.#end("anonymous");
    this.#channel?.postMessage(null);
  }

  /**
   * The session is over, as a socket learned it.
   *
   * @param {"anonymous" | "expired"} status `anonymous` when the user wanted it so
   */
  forget(status) {
    this.#end(status);
  }

  /** The page is in front again: timers may have slept, and the session with them. */
  wake() {
    if (this.#state.refreshAt !== null && this.#clock.now() >= this.#state.refreshAt) this.#refreshQuietly();
  }

  async #refresh() {
    const before = this.#state.session?.expiresAt ?? 0;
    try {
      const session = await this.#refreshAlone(before);
      this.#backoff.reset();
      return session;
    } catch (error) {
      const { status } = /** @type {HttpError} */ (error);
      if (this.#state.session !== null) {
        if (status === 401 || status === 403) this.#end("expired");
        else if (status === 404) this.#keep(this.#state.session);
        else this.#schedule(this.#state.session, LEAST_DELAY + this.#backoff.next());
      }
      throw error;
    }
  }

  /** @param {number} before */
  async #refreshAlone(before) {
    const post = async () => this.#tell(this.#begin(await this.#http.post("/refresh", {})));
    if (!this.#locks) return post();
    const session = await this.#locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? post() : null));
    return session ?? this.#locks.request(LOCK, async () => (await this.#refreshedElsewhere(before)) ?? post());
  }

  /**
   * What another tab got while this one waited for the lock.
   *
   * @param {number} before
   * @returns {Promise<Session | null>}
   */
  async #refreshedElsewhere(before) {
    try {
      const session = await this.me();
      return session.expiresAt > before ? session : null;
    } catch (error) {
      if (/** @type {HttpError} */ (error).status === 401) return null;
      throw error;
    }
  }

  #refreshQuietly() {
    // A failure is in the state already: over, or scheduled again.
    this.refresh().catch(() => {});
  }

  /** @param {Session | Challenge} body */
  #proceed(body) {
    if ("challenge" in body) return body;
    this.#tell(this.#begin(body));
    return null;
  }

  /**
   * @param {Session} session
   * @returns {Session}
   */
  #begin({ user, expiresAt }) {
    const session = { user, expiresAt };
    const life = expiresAt * 1000 - this.serverNow;
    const delay = life * (REFRESH_AFTER - REFRESH_JITTER * this.#random());
    this.#schedule(session, Math.min(MOST_DELAY, Math.max(LEAST_DELAY, delay)));
    return session;
  }

  /**
   * @param {Session} session
   * @param {number} delay
   */
  #schedule(session, delay) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => this.#refreshQuietly(), delay);
    this.#set({ status: "authenticated", session, refreshAt: this.#clock.now() + delay });
  }

  /**
   * This server cannot refresh: the session lasts as long as its token.
   *
   * @param {Session} session
   */
  #keep(session) {
    this.#clock.clearTimeout(this.#timer);
    this.#set({ status: "authenticated", session, refreshAt: null });
  }

  /** @param {"anonymous" | "expired"} status */
  #end(status) {
    if (this.#state.session === null && this.#state.status !== "loading") return; // the first reason stands
    this.#clock.clearTimeout(this.#timer);
    this.#set({ status, session: null, refreshAt: null });
  }

  /** @param {AuthState} state */
  #set(state) {
    this.#state = Object.freeze(state);
    this.#emitter.emit("state", this.#state);
  }

  /** @param {Session} session */
  #tell(session) {
    this.#channel?.postMessage(session);
    return session;
  }

  /**
   * Another tab of this browser logged in, refreshed, or (null) logged out.
   *
   * @param {Session | null} session
   */
  #heard(session) {
    if (session === null) this.#end("anonymous");
    else this.#begin(session);
  }
}
