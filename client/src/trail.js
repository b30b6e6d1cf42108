/**
 * How far a client has come, so that it gets back what it missed (docs/protocol.md, "Coming back after a
 * break"). It is kept in memory only: the session is a secret, and of use to this page alone.
 *
 * @typedef {object} Welcome what the server says first, to a client that asks to recover
 * @property {string | null} session a secret; null without recovery
 * @property {string} id the connection's; the same after a recovery
 * @property {string | null} offset
 * @property {boolean} recovered whether the connection is continued, and what was missed follows
 * @property {"unknown" | "lost" | "foreign" | "off" | null} reason why it is not, where the client came back
 * @property {number | null} expiresAt when the login's session ends, POSIX seconds; null where it is not told
 */

export class Trail {
  /** @type {string | null} */
  #session = null;
  /** @type {string | null} */
  #offset = null;
  #isNew = false;

  /**
   * The address that asks for what was missed; the first time, that it shall be possible.
   *
   * @param {string} url
   * @returns {string}
   */
  address(url) {
    this.#isNew = true;
    const query = new URLSearchParams({ recover: this.#session ?? "1" });
    if (this.#session !== null && this.#offset !== null) query.set("offset", this.#offset);
    return `${url}${url.includes("?") ? "&" : "?"}${query}`;
  }

  /**
   * Take an event as the welcome, if it is that: the first one of a connection. Later ones of that name are the
   * application's.
   *
   * @param {{ name: string, data: unknown }} event
   * @returns {Welcome | null}
   */
  welcome({ name, data }) {
    if (!this.#isNew || name !== "welcome") return null;
    this.#isNew = false;
    const welcome = /** @type {Welcome} */ (data);
    this.#session = welcome.session;
    this.#offset = welcome.offset;
    return welcome;
  }

  /**
   * An event was handled. Not before: what the page dies over is sent again.
   *
   * @param {string} offset
   */
  seen(offset) {
    this.#offset = offset;
  }

  /** The client is done: it comes back as a new one. */
  forget() {
    this.#session = this.#offset = null;
  }
}
