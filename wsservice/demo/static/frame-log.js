/** The log of frames and of what became of the connection, newest first, bounded. */

import { byId, make } from "./dom.js";
import { byteSize, exactTime } from "./words.js";

const MOST_ROWS = 200;
const MOST_CHARACTERS = 160;

const DIRECTIONS = Object.freeze({ in: ["↓", "received"], out: ["↑", "sent"], state: ["•", "connection"] });

export class FrameLog {
  #body = byId("frames", HTMLTableSectionElement);
  #totals = byId("frame-totals", HTMLElement);
  #count = { in: 0, out: 0 };
  #bytes = { in: 0, out: 0 };

  /** @param {import("./client/client.js").Frame} frame */
  addFrame({ direction, data, size, at }) {
    this.#count[direction] += 1;
    this.#bytes[direction] += size;
    const text = typeof data === "string" ? data : "binary";
    this.#add(direction, { at, size: byteSize(size), text });
    this.#showTotals();
  }

  /**
   * @param {string} text what became of the connection
   * @param {number} at
   */
  addState(text, at) {
    this.#add("state", { at, size: "", text });
  }

  clear() {
    this.#body.replaceChildren();
    this.#count = { in: 0, out: 0 };
    this.#bytes = { in: 0, out: 0 };
    this.#showTotals();
  }

  /**
   * @param {keyof typeof DIRECTIONS} direction
   * @param {{ at: number, size: string, text: string }} row
   */
  #add(direction, { at, size, text }) {
    const [sign, word] = DIRECTIONS[direction];
    const arrow = make("span", "", sign);
    arrow.setAttribute("aria-hidden", "true");
    const shown = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)} …` : text;
    const content = make("td", "frame-text", shown);
    content.title = shown;
    const cells = [
      make("td", "frame-time", exactTime(at)),
      make("td", "frame-direction", arrow, make("span", "visually-hidden", word)),
      content,
    ];
    if (direction === "state") content.colSpan = 2;
    else cells.splice(2, 0, make("td", "frame-size", size));
    this.#body.prepend(make("tr", `frame ${direction}`, ...cells));
    while (this.#body.rows.length > MOST_ROWS) this.#body.deleteRow(-1);
  }

  #showTotals() {
    const total = (/** @type {"in" | "out"} */ way) => `${this.#count[way]} (${byteSize(this.#bytes[way])})`;
    this.#totals.textContent = `${total("in")} received, ${total("out")} sent`;
  }
}
