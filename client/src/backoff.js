/**
 * Exponential backoff with full jitter: a delay is anything from nothing to the ceiling, and the
 * ceiling doubles. The first delay is jittered, too: after a restart all clients return at once otherwise.
 */
export class Backoff {
  #attempts = 0;
  #first;
  #most;
  #random;

  /**
   * @param {object} [options]
   * @param {number} [options.first] ceiling of the first delay, milliseconds
   * @param {number} [options.most] ceiling of every delay, milliseconds
   * @param {() => number} [options.random] from 0 up to 1
   */
  constructor({ first = 500, most = 30_000, random = Math.random } = {}) {
    this.#first = first;
    this.#most = most;
    this.#random = random;
  }

  /** How many delays were handed out since the last `reset`. */
  get attempts() {
    return this.#attempts;
  }

  /** The next delay, milliseconds. */
  next() {
    const ceiling = Math.min(this.#most, this.#first * 2 ** this.#attempts);
    this.#attempts += 1;
    return Math.round(this.#random() * ceiling);
  }

  /** Begin anew. Call it only after a connection proved stable, not as soon as it opened. */
  reset() {
    this.#attempts = 0;
  }
}
