/** Calls that wait for the server's acknowledgement. */

/** @typedef {import("./envelope.js").RemoteError} RemoteError */

/** A call got no answer: it timed out, the connection ended, or the server answered with an error. */
export class CallError extends Error {
  /**
   * @param {string} code `timeout`, `closed`, or the server's
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "CallError";
    this.code = code;
  }
}

export class Calls {
  #clock;
  #nextId = 1;
  /** @type {Map<number, { resolve: (data: unknown) => void, reject: (error: CallError) => void, timer: any }>} */
  #waiting = new Map();

  /** @param {import("./clock.js").Clock} clock */
  constructor(clock) {
    this.#clock = clock;
  }

  /**
   * Begin to wait.
   *
   * @param {number} timeout milliseconds
   * @returns {{ id: number, answer: Promise<unknown> }} send the id; the answer rejects with a `CallError`
   */
  open(timeout) {
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => {
      const late = () => this.#take(id)?.reject(new CallError("timeout", `No answer within ${timeout / 1000} s.`));
      this.#waiting.set(id, { resolve, reject, timer: this.#clock.setTimeout(late, timeout) });
    });
    return { id, answer };
  }

  /**
   * An acknowledgement came; one that nobody waits for any more is ignored.
   *
   * @param {{ id: number, data: unknown, error?: RemoteError }} ack
   */
  settle({ id, data, error }) {
    const call = this.#take(id);
    if (error) call?.reject(new CallError(error.code, error.message));
    else call?.resolve(data);
  }

  /** The connection ended: no answer will come. */
  abandon() {
    for (const id of [...this.#waiting.keys()]) {
      this.#take(id)?.reject(new CallError("closed", "The connection ended before the answer came."));
    }
  }

  /** @param {number} id */
  #take(id) {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#clock.clearTimeout(call?.timer);
    return call;
  }
}
