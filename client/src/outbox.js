/**
 * What is to be sent while there is no connection, oldest first. At most a hundred wait: then the oldest is
 * dropped, and told.
 *
 * @template Frame
 */
export class Outbox {
  /** @type {Frame[]} */
  #waiting = [];
  /** @type {Frame[] | null} written on this connection before the server said anything; see `takeBack` */
  #unconfirmed = null;
  #tell;

  /** @param {{ waiting: (count: number) => void, dropped: (frame: Frame) => void }} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @param {Frame} frame */
  add(frame) {
    this.#waiting.push(frame);
    this.#trim();
    this.#tell.waiting(this.#waiting.length);
  }

  /**
   * A connection is open: write what waits, until the connection is not the same any more.
   *
   * @param {(frame: Frame) => void} write
   * @param {() => boolean} isOpen a listener may close it in between
   */
  flush(write, isOpen) {
    this.#unconfirmed = [];
    while (this.#waiting.length > 0 && isOpen()) {
      write(/** @type {Frame} */ (this.#waiting.shift()));
      this.#tell.waiting(this.#waiting.length);
    }
  }

  /** @param {Frame} frame */
  wrote(frame) {
    this.#unconfirmed?.push(frame);
    if (this.#unconfirmed !== null && this.#unconfirmed.length > MOST_WAITING) this.#unconfirmed.shift();
  }

  /** The server said something, so it had let the client in; or the connection is over. */
  confirm() {
    this.#unconfirmed = null;
  }

  /** The server refused the handshake and handled nothing: what was written meanwhile waits again. */
  takeBack() {
    if (!this.#unconfirmed?.length) return;
    this.#waiting.unshift(...this.#unconfirmed);
    this.#unconfirmed = null;
    this.#trim();
    this.#tell.waiting(this.#waiting.length);
  }

  /** Nothing is to be sent any more. */
  clear() {
    this.#waiting = [];
    this.#unconfirmed = null;
    this.#tell.waiting(0);
  }

  #trim() {
    while (this.#waiting.length > MOST_WAITING) this.#tell.dropped(/** @type {Frame} */ (this.#waiting.shift()));
  }
}

const MOST_WAITING = 100;
