/**
 * The session outside of React: an `AuthClient` that looks for its session while the provider is mounted,
 * and what `useSyncExternalStore` needs to read it.
 */

import { AuthClient } from "../auth-client.js";
import { Emitter } from "../emitter.js";
import { findSession } from "../find-session.js";
import { Retention } from "./retention.js";
import { TabChannel } from "./tab-channel.js";

/**
 * @typedef {import("../http.js").HttpError} HttpError
 * @typedef {import("../session.js").AuthState} AuthState
 * @typedef {import("../session.js").Challenge} Challenge
 *
 * @typedef {object} SessionSnapshot
 * @property {AuthState["status"]} status
 * @property {AuthState["session"]} session
 * @property {HttpError | null} error why it is not known yet whether there is a session
 */

/** @type {SessionSnapshot} what a server renders, and a browser until it has hydrated */
const ON_A_SERVER = Object.freeze({ status: "loading", session: null, error: null });

export class SessionStore {
  #baseUrl;
  #given;
  /** @type {TabChannel} */
  #channel;
  /** @type {AuthClient} */
  #client;
  /** @type {Emitter<{ error: HttpError | null }>} */
  #emitter = new Emitter();
  /** @type {HttpError | null} */
  #error = null;
  /** @type {SessionSnapshot} */
  #snapshot = ON_A_SERVER;
  #retention = new Retention(() => this.#start());

  /**
   * @param {object} options
   * @param {string} [options.baseUrl] where login, refresh and logout are
   * @param {AuthClient} [options.client] one of the caller's own, which the store never ends
   */
  constructor({ baseUrl = "/auth", client }) {
    this.#baseUrl = baseUrl;
    this.#given = client;
    this.#channel = this.#makeChannel();
    this.#client = this.#make();
  }

  get client() {
    return this.#client;
  }

  /** Look for the session, and keep it fresh, until the returned function is called. */
  retain = () => this.#retention.retain();

  /** @param {() => void} listener */
  subscribe = (listener) => {
    const stops = [this.#client.on("state", listener), this.#emitter.on("error", listener)];
    return () => stops.forEach((stop) => stop());
  };

  /** @returns {SessionSnapshot} frozen, and the same object until something changes */
  snapshot = () => {
    const { status, session } = this.#client.state;
    const known = this.#snapshot;
    if (known.status !== status || known.session !== session || known.error !== this.#error) {
      this.#snapshot = Object.freeze({ status, session, error: this.#error });
    }
    return this.#snapshot;
  };

  serverSnapshot = () => ON_A_SERVER;

  /**
   * @param {string} username
   * @param {string} password
   * @returns {Promise<Challenge | null>} null when the user is logged in; rejects with an `HttpError`
   */
  login = (username, password) => this.#client.login(username, password);

  /**
   * @param {Challenge} challenge what `login` or `answer` gave
   * @param {Record<string, string>} responses by the provider's names, such as `NEW_PASSWORD`
   * @returns {Promise<Challenge | null>} null when the user is logged in; rejects with an `HttpError`
   */
  answer = (challenge, responses) => this.#client.answer(challenge, responses);

  /**
   * Get a new token; open sockets live on with it. Rejects with an `HttpError`.
   *
   * @param {{ since?: number }} [options] see `AuthClient`
   */
  refresh = (options) => this.#client.refresh(options);

  /** Ask who is logged in. Rejects with an `HttpError`. */
  me = () => this.#client.me();

  /** @param {number} expiresAt POSIX seconds, as a socket was told it */
  learn = (expiresAt) => this.#client.learn(expiresAt);

  /**
   * End the session, in all tabs; or all sessions of the user, on every device.
   *
   * @param {{ everywhere?: boolean }} [options]
   */
  logout = (options) => this.#client.logout(options);

  /** One for each client: a former one must not hear of a session any more. */
  #makeChannel() {
    return new TabChannel(`wsservice.session ${this.#baseUrl}`);
  }

  #make() {
    return this.#given ?? new AuthClient({ baseUrl: this.#baseUrl, channel: this.#channel });
  }

  #start() {
    const stop = new AbortController();
    const { signal } = stop;
    const { document } = globalThis;
    this.#channel.open();
    document.addEventListener("visibilitychange", () => void (document.hidden || this.#client.wake()), { signal });
    void findSession(this.#client, (error) => this.#tell(error), signal);
    return () => {
      stop.abort();
      this.#channel.close();
      if (this.#given) return;
      // Its timer would refresh the session for ever. A provider that is shown again begins with a new one.
      this.#client.forget("anonymous");
      this.#channel = this.#makeChannel();
      this.#client = this.#make();
    };
  }

  /** @param {HttpError | null} error */
  #tell(error) {
    if (this.#error === error) return;
    this.#error = error;
    this.#emitter.emit("error", error);
  }
}
