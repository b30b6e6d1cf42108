/**
 * A BroadcastChannel that exists only while it is open: making one is an effect, which no render may have,
 * and in Node an open one keeps the process alive.
 */
export class TabChannel {
  #name;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {((event: MessageEvent) => void)[]} */
  #listeners = [];

  /** @param {string} name the same in every tab that shall hear it */
  constructor(name) {
    this.#name = name;
  }

  open() {
    if (!("BroadcastChannel" in globalThis)) return;
    const channel = new BroadcastChannel(this.#name);
    for (const listener of this.#listeners) channel.addEventListener("message", listener);
    this.#channel = channel;
  }

  close() {
    this.#channel?.close();
    this.#channel = null;
  }

  /**
   * @param {"message"} name
   * @param {(event: MessageEvent) => void} listener
   */
  addEventListener(name, listener) {
    this.#listeners.push(listener);
    this.#channel?.addEventListener(name, listener);
  }

  /** @param {unknown} message */
  postMessage(message) {
    this.#channel?.postMessage(message);
  }
}
