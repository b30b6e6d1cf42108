/** How long a message takes to the server and back, by each protocol, and how often the connections came back. */

import { Chart } from "./chart.js";

/** Milliseconds between two measurements. */
const EVERY = 2_000;
/** What the chart shows, milliseconds. */
const SPAN = 60_000;

/**
 * @typedef {"raw" | "socketio"} Protocol
 *
 * @typedef {object} Series
 * @property {{ at: number, took: number }[]} trips milliseconds since 1970, and milliseconds
 * @property {number[]} returns when it was open again
 */

export class Measurements {
  #clients;
  #clock;
  #chart = new Chart(SPAN);
  /** @type {Record<Protocol, Series>} */
  #series = { raw: { trips: [], returns: [] }, socketio: { trips: [], returns: [] } };
  /** @type {Record<Protocol, boolean>} whether it was open before */
  #opened = { raw: false, socketio: false };
  #number = 0;

  /**
   * @param {Record<Protocol, import("./client/client.js").WsClient>} clients
   * @param {import("./client/clock.js").Clock} clock
   */
  constructor(clients, clock) {
    this.#clients = clients;
    this.#clock = clock;
    for (const protocol of /** @type {Protocol[]} */ (Object.keys(clients))) {
      clients[protocol].on("status", ({ state }) => void (state === "open" && this.#isOpen(protocol)));
    }
    const measure = () => {
      if (document.visibilityState === "visible") this.#measureAll();
      clock.setTimeout(measure, EVERY);
    };
    clock.setTimeout(measure, EVERY);
  }

  /** Begin anew: somebody else is here. */
  clear() {
    this.#series = { raw: { trips: [], returns: [] }, socketio: { trips: [], returns: [] } };
    this.#opened = { raw: false, socketio: false };
    this.#draw();
  }

  /**
   * One more round trip was measured.
   *
   * @param {Protocol} protocol
   * @param {number} took milliseconds
   */
  add(protocol, took) {
    this.#series[protocol].trips.push({ at: this.#clock.now(), took });
    this.#draw();
  }

  /** @param {Protocol} protocol */
  #isOpen(protocol) {
    if (this.#opened[protocol]) this.#series[protocol].returns.push(this.#clock.now());
    this.#opened[protocol] = true;
    void this.#measure(protocol);
  }

  #measureAll() {
    for (const protocol of /** @type {Protocol[]} */ (["raw", "socketio"])) {
      if (this.#clients[protocol].status.state === "open") void this.#measure(protocol);
    }
  }

  /** @param {Protocol} protocol */
  async #measure(protocol) {
    const start = performance.now();
    this.#number += 1;
    try {
      await this.#clients[protocol].call("ping", { measure: this.#number });
    } catch {
      return; // the connection ended, which the state tells
    }
    this.add(protocol, performance.now() - start);
  }

  #draw() {
    const now = this.#clock.now();
    for (const { trips, returns } of Object.values(this.#series)) {
      while (trips[0] && trips[0].at < now - SPAN) trips.shift();
      while (returns[0] !== undefined && returns[0] < now - SPAN) returns.shift();
    }
    this.#chart.draw(this.#series, now);
  }
}
