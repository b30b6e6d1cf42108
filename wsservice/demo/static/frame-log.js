/** The log of frames and of what became of the connections, newest first, bounded, and written once a drawn picture. */

import { byId, make } from "./dom.js";
import { byteSize, exactTime } from "./words.js";

const MOST_ROWS = 200;
const MOST_CHARACTERS = 160;

/** @type {Record<"in" | "out" | "state", [string, string]>} */
const DIRECTIONS = Object.freeze({ in: ["↓", "received"], out: ["↑", "sent"], state: ["•", "connection"] });
const PROTOCOLS = Object.freeze({ raw: "ws", socketio: "io" });

/** What heartbeats and the chart send; see `measurements.js`. */
const MEASURING = /^[23]$|\{"measure":/;

/**
 * @typedef {object} Row
 * @property {keyof typeof PROTOCOLS} protocol
 * @property {keyof typeof DIRECTIONS} direction
 * @property {number} at
 * @property {string} size
 * @property {string} text
 */

export class FrameLog {
  #body = byId("frames", HTMLTableSectionElement);
  #totals = byId("frame-totals", HTMLElement);
  #all = byId("show-measuring", HTMLInputElement);
  #count = { in: 0, out: 0 };
  #bytes = { in: 0, out: 0 };
  /** @type {Row[]} not yet drawn */
  #waiting = [];
  #scheduled = false;

  /**
   * @param {"raw" | "socketio"} protocol
   * @param {import("./client/client.js").Frame} frame
   */
  addFrame(protocol, { direction, data, size, at }) {
    this.#count[direction] += 1;
    this.#bytes[direction] += size;
    this.#schedule();
    const text = typeof data === "string" ? data : "binary";
    if (this.#all.checked || !MEASURING.test(text)) this.#add({ protocol, direction, at, size: byteSize(size), text });
  }

  /**
   * @param {Row["protocol"]} protocol
   * @param {string} text what became of the connection
   * @param {number} at
   */
  addState(protocol, text, at) {
    this.#add({ protocol, direction: "state", at, size: "", text });
  }

  clear() {
    this.#waiting = [];
    this.#body.replaceChildren();
    this.#count = { in: 0, out: 0 };
    this.#bytes = { in: 0, out: 0 };
    this.#showTotals();
  }

  /** @param {Row} row */
  #add(row) {
    this.#schedule();
    this.#waiting.push(row);
    if (this.#waiting.length > 2 * MOST_ROWS) this.#waiting.splice(0, MOST_ROWS);
  }

  /** A flood brings thousands between two pictures, of which only the last are seen. */
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#scheduled = false;
    const rows = this.#waiting.slice(-MOST_ROWS);
    this.#waiting = [];
    this.#body.prepend(...rows.reverse().map(makeRow));
    while (this.#body.rows.length > MOST_ROWS) this.#body.deleteRow(-1);
    this.#showTotals();
  }

  #showTotals() {
    const total = (/** @type {"in" | "out"} */ way) => `${this.#count[way]} (${byteSize(this.#bytes[way])})`;
    this.#totals.textContent = `${total("in")} received, ${total("out")} sent`;
  }
}

/** @param {Row} row */
function makeRow({ protocol, direction, at, size, text }) {
  const [sign, word] = DIRECTIONS[direction];
  const arrow = make("span", "", sign);
  arrow.setAttribute("aria-hidden", "true");
  const shown = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)} …` : text;
  const content = make("td", "frame-text", shown);
  content.title = shown;
  const cells = [
    make("td", "frame-time", exactTime(at)),
    make("td", `frame-protocol ${protocol}`, PROTOCOLS[protocol]),
    make("td", "frame-direction", arrow, make("span", "visually-hidden", word)),
    content,
  ];
  if (direction === "state") content.colSpan = 2;
  else cells.splice(3, 0, make("td", "frame-size", size));
  return make("tr", `frame ${direction}`, ...cells);
}
