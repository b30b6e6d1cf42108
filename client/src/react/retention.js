/**
 * What runs while anybody holds it, such as a connection that several components use.
 *
 * StrictMode mounts, unmounts and mounts every component; so does a list whose keys change. The end
 * therefore waits for one turn of the event loop: who holds it again by then gets what is running.
 */

import { systemClock } from "../clock.js";

export class Retention {
  #start;
  #clock;
  #holders = 0;
  /** @type {(() => void) | null} */
  #stop = null;
  /** @type {any} */
  #ending = null;

  /**
   * @param {() => () => void} start called when somebody begins to hold it; returns what ends it
   * @param {import("../clock.js").Clock} [clock]
   */
  constructor(start, clock = systemClock) {
    this.#start = start;
    this.#clock = clock;
  }

  /**
   * Hold it.
   *
   * @returns {() => void} call it to let go; calling it again does nothing
   */
  retain() {
    this.#clock.clearTimeout(this.#ending);
    this.#holders += 1;
    this.#stop ??= this.#start();
    let held = true;
    return () => {
      if (held) this.#release();
      held = false;
    };
  }

  #release() {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.#ending = this.#clock.setTimeout(() => {
      this.#stop?.();
      this.#stop = null;
    }, 0);
  }
}
