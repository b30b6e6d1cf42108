/**
 * Login, challenge, refresh and logout over `/auth`. The tokens live in cookies that no script can read;
 * what is known here is who is logged in and until when.
 *
 * The session is refreshed ahead of its end, by one tab at a time: a refresh token may be good for one
 * use only, and two tabs that spend it at once would end the session. So a refresh holds a lock that all
 * tabs share, and the tabs that had to wait for it take over what the first one got.
 */

import { systemClock } from "./clock.js";
import { Http } from "./http.js";
import { KnownSession } from "./known-session.js";
import { isFinal } from "./outcome.js";
import { SHORT_PATIENCE, Tabs } from "./tabs.js";

/**
 * @typedef {import("./http.js").HttpError} HttpError
 * @typedef {import("./session.js").User} User
 * @typedef {import("./session.js").Session} Session
 * @typedef {import("./session.js").Challenge} Challenge
 * @typedef {import("./session.js").AuthState} AuthState
 *
 * @typedef {object} Options
 * @property {string} [baseUrl]
 * @property {(url: string, init: RequestInit) => Promise<Response>} [fetch]
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [random] from 0 up to 1
 * @property {Pick<LockManager, "request">} [locks] shared by the tabs; a page without TLS has none
 * @property {import("./tabs.js").Channel} [channel] tells the other tabs; the client never closes it
 */

export class AuthClient {
  #http;
  #clock;
  #tabs;
  #known;
  /** @type {Promise<Session> | null} */
  #refreshing = null;
  /** @type {Promise<void> | null} */
  #looking = null;
  /** When this tab or another one last got a new token, milliseconds since 1970. */
  #renewedAt = -Infinity;

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
    this.#tabs = new Tabs(locks, channel, clock);
    this.#known = new KnownSession({
      clock,
      random,
      serverNow: () => this.serverNow,
      isDue: () => this.#refreshQuietly(),
    });
    this.#tabs.hear((session) => this.#heard(session));
  }

  /** @returns {AuthState} frozen, and the same object until something changes */
  get state() {
    return this.#known.state;
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
    return this.#known.on(name, listener);
  }

  /**
   * Find out whether this browser has a session, reviving one whose token ended. Call it once, first.
   * Rejects only when that cannot be learned (no network, server away, asked too often): call it again later.
   */
  async restore() {
    try {
      await this.me();
    } catch (error) {
      const { status, word } = /** @type {HttpError} */ (error);
      if (status !== 401) throw error;
      await this.refresh().catch((/** @type {HttpError} */ refused) => {
        if (!isFinal(refused)) throw refused;
        this.#known.end(word === "missing" ? "anonymous" : "expired");
      });
    }
  }

  /**
   * Ask who is logged in.
   *
   * @returns {Promise<Session>}
   */
  async me() {
    return this.#known.begin(await this.#http.get("/me"));
  }

  /**
   * It waits for a logout or a refresh that is under way, whose answer would replace the new cookies.
   *
   * @param {string} username
   * @param {string} password
   * @returns {Promise<Challenge | null>} null when the user is logged in
   */
  login(username, password) {
    return this.#enter("/login", { username, password });
  }

  /**
   * @param {Challenge} challenge
   * @param {Record<string, string>} responses by the provider's names, such as `NEW_PASSWORD`
   * @returns {Promise<Challenge | null>} null when the user is logged in
   */
  answer({ challenge, session, username }, responses) {
    return this.#enter("/challenge", { challenge, session, username, responses });
  }

  /**
   * Get a new token; open sockets live on with it. Calls at the same time share one request.
   *
   * @param {{ since?: number }} [options] what this or another tab got after `since` (milliseconds since 1970) is
   *   new enough; without, it is always asked for
   * @returns {Promise<Session>} rejects with an `HttpError`; after a 401 or 403 the session is over
   */
  refresh({ since = Infinity } = {}) {
    const { session } = this.state;
    if (session !== null && this.#renewedAt > since) return Promise.resolve(session);
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /**
   * End the session: the server closes its sockets. It waits for a refresh, which would revive the session.
   *
   * @param {{ everywhere?: boolean }} [options] `everywhere`: all of the user's sessions, on every device
   */
  async logout({ everywhere = false } = {}) {
    const post = async () => {
      await this.#http.post("/logout", everywhere ? { everywhere } : {});
      this.#known.end("anonymous");
      this.#tabs.tell(null);
    };
    await this.#tabs.alone(post, { patience: SHORT_PATIENCE });
  }

  /**
   * A socket was told when the session ends: refresh ahead of that.
   *
   * @param {number} expiresAt POSIX seconds
   */
  learn(expiresAt) {
    const { session } = this.state;
    if (session !== null && session.expiresAt !== expiresAt) this.#known.begin({ ...session, expiresAt });
  }

  /**
   * The session is over, as a socket learned it.
   *
   * @param {"anonymous" | "expired"} status `anonymous` when the user wanted it so
   */
  forget(status) {
    this.#known.end(status);
  }

  /**
   * The page is in front again: timers may have slept, and the session with them; or somebody else logged in, in a
   * page that shares the cookies and no channel.
   */
  wake() {
    const { session, refreshAt } = this.state;
    if (refreshAt !== null && this.#clock.now() >= refreshAt) this.#refreshQuietly();
    else if (session !== null) this.#looking ??= this.#look(session).finally(() => (this.#looking = null));
  }

  async #refresh() {
    const before = this.state.session?.expiresAt ?? 0;
    const post = async () => this.#renewed(await this.#http.post("/refresh", {}));
    try {
      return await this.#tabs.alone(post, {
        afterWaiting: async () => (await this.#refreshedElsewhere(before)) ?? post(),
      });
    } catch (error) {
      const { status } = /** @type {HttpError} */ (error);
      if (this.state.session !== null) {
        if (status === 401 || status === 403) this.#known.end("expired");
        else if (status === 404) this.#known.keep(this.state.session);
        else this.#known.retry(this.state.session);
      }
      throw error;
    }
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

  /**
   * See whether the session is still that one.
   *
   * @param {Session} session
   */
  async #look(session) {
    try {
      const found = await this.#http.get("/me");
      if (this.state.session !== session) return; // a logout or refresh overtook it
      const isSame = found.user.id === session.user.id && found.expiresAt === session.expiresAt;
      if (!isSame) this.#known.begin(found);
    } catch (error) {
      const { status } = /** @type {HttpError} */ (error);
      if (status === 401 && this.state.session === session) this.#refreshQuietly();
    }
  }

  #refreshQuietly() {
    // A failure is in the state already: over, or scheduled again.
    this.refresh().catch(() => {});
  }

  /**
   * One step of a login.
   *
   * @param {string} path
   * @param {unknown} body
   * @returns {Promise<Challenge | null>}
   */
  #enter(path, body) {
    const post = async () => {
      const answer = await this.#http.post(path, body);
      if ("challenge" in answer) return answer;
      this.#renewed(answer);
      return null;
    };
    return this.#tabs.alone(post, { patience: SHORT_PATIENCE });
  }

  /**
   * This tab got a new token.
   *
   * @param {Session} body
   */
  #renewed(body) {
    this.#renewedAt = this.#clock.now();
    const session = this.#known.begin(body);
    this.#tabs.tell(session);
    return session;
  }

  /**
   * Another tab of this browser logged in, refreshed, or (null) logged out.
   *
   * @param {Session | null} session
   */
  #heard(session) {
    if (session === null) {
      this.#known.end("anonymous");
    } else {
      this.#renewedAt = this.#clock.now();
      this.#known.begin(session);
    }
  }
}
