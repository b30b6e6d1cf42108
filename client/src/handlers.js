/**
 * What answers the server's `connection.call`: one function a name.
 *
 * @typedef {import("./envelope.js").RemoteError} RemoteError
 * @typedef {(data: any) => unknown} Handler its result, or what its promise gives, is the answer; an error that it
 *   throws is one, too, by its `code` and message
 */
export class Handlers {
  /** @type {Map<string, Handler>} */
  #handlers = new Map();

  /**
   * @param {string} name
   * @param {Handler} handler in the place of the one before
   * @returns {() => void} call it to take the handler away
   */
  set(name, handler) {
    this.#handlers.set(name, handler);
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
    };
  }

  /** @param {string} name */
  has(name) {
    return this.#handlers.has(name);
  }

  /**
   * @param {string} name
   * @param {unknown} data
   * @returns {Promise<{ data: unknown } | { error: RemoteError }>}
   */
  async answer(name, data) {
    const handler = this.#handlers.get(name);
    if (!handler) return { error: { code: "unknown_event", message: `This client does not answer ${name}.` } };
    try {
      return { data: (await handler(data)) ?? null };
    } catch (error) {
      const { code, message } = /** @type {Partial<RemoteError>} */ (error ?? {});
      if (typeof code === "string") return { error: { code, message: message ?? code } };
      queueMicrotask(() => {
        throw error; // a fault, which belongs in the console and not on the wire
      });
      return { error: { code: "internal_error", message: "The client failed." } };
    }
  }
}
