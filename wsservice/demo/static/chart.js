/** A chart of round trips as an SVG, with the same in words beside it. Only attributes: the policy allows no style. */

import { byId, make } from "./dom.js";
import { milliseconds } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
/** As in the viewBox of the page. */
const WIDTH = 400;
const HEIGHT = 90;
const RIGHT = 394;
const TOP = 14;
const BOTTOM = 76;
/** The scale ends at one of these (milliseconds), so that it does not jump with every value. */
const SCALES = [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/** @typedef {import("./measurements.js").Series} Series */

export class Chart {
  #svg = byId("chart", SVGElement);
  #words = byId("chart-words", HTMLElement);
  #span;

  /** @param {number} span milliseconds */
  constructor(span) {
    this.#span = span;
  }

  /**
   * @param {Record<"raw" | "socketio", Series>} series
   * @param {number} now milliseconds since 1970
   */
  draw(series, now) {
    const highest = Math.max(0, ...Object.values(series).flatMap(({ trips }) => trips.map(({ took }) => took)));
    const scale = SCALES.find((step) => step >= highest) ?? highest;
    const x = (/** @type {number} */ at) => round(RIGHT - ((now - at) / this.#span) * RIGHT);
    const y = (/** @type {number} */ took) => round(BOTTOM - (took / scale) * (BOTTOM - TOP));
    const parts = [line("grid", 0, TOP, WIDTH, TOP), line("grid", 0, BOTTOM, WIDTH, BOTTOM)];
    for (const [protocol, { trips, returns }] of Object.entries(series)) {
      for (const at of returns) parts.push(line(`return ${protocol}`, x(at), TOP, x(at), BOTTOM));
      const points = trips.map(({ at, took }) => `${x(at)},${y(took)}`).join(" ");
      parts.push(shape("polyline", { class: `trips ${protocol}`, points }));
      const last = trips.at(-1);
      if (last) parts.push(shape("circle", { class: `dot ${protocol}`, cx: x(last.at), cy: y(last.took), r: 3 }));
    }
    parts.push(text(0, TOP - 4, `${scale} ms`), text(0, HEIGHT - 3, `${this.#span / 60_000} min ago`));
    parts.push(text(WIDTH, HEIGHT - 3, "now", "end"));
    this.#svg.replaceChildren(...parts);
    const words = [describe("WebSocket", series.raw), describe("Socket.IO", series.socketio)];
    this.#words.replaceChildren(...words.map((each) => make("span", "", each, " ")));
  }
}

/**
 * @param {string} name
 * @param {Series} series
 */
function describe(name, { trips, returns }) {
  const sorted = trips.map(({ took }) => took).sort((a, b) => a - b);
  const last = trips.at(-1);
  const median = sorted[Math.floor(sorted.length / 2)];
  const came = returns.length === 1 ? "1 reconnect" : `${returns.length || "no"} reconnects`;
  if (last === undefined || median === undefined) return `${name}: not measured yet.`;
  return `${name}: last ${milliseconds(last.took)}, median ${milliseconds(median)}, ${came}.`;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/**
 * @param {string} kind
 * @param {number} x1
 * @param {number} y1
 * @param {number} x2
 * @param {number} y2
 */
function line(kind, x1, y1, x2, y2) {
  return shape("line", { class: kind, x1, y1, x2, y2 });
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {"start" | "end"} [anchor]
 */
function text(x, y, content, anchor = "start") {
  const element = shape("text", { class: "axis", x, y, "text-anchor": anchor });
  element.textContent = content;
  return element;
}
