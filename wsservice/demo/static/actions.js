/** What the buttons do, and in words how it went. */

import { CallError } from "./client/calls.js";
import { systemClock } from "./client/clock.js";
import { Http, HttpError } from "./client/http.js";
import { byId, setting } from "./dom.js";
import { byteSize, milliseconds } from "./words.js";

const FLOOD = Object.freeze({ count: 2000, size: 40 });
const FLOOD_TIMEOUT = 20_000;
const SHORTENED = 10;

/**
 * @typedef {import("./client/client.js").WsClient} WsClient
 *
 * @typedef {object} Parts
 * @property {import("./client/auth-client.js").AuthClient} auth
 * @property {Record<"raw" | "socketio", WsClient>} clients
 * @property {import("./measurements.js").Measurements} measurements
 * @property {string} url of the raw WebSocket
 * @property {(words: string) => void} told gets what the slow reader saw, for the log
 */

/** @param {Parts} parts */
export function connectButtons({ auth, clients, measurements, url, told }) {
  const slow = byId("slow", HTMLButtonElement);
  const shorten = byId("shorten", HTMLButtonElement);
  shorten.hidden = setting("dev") === "";

  onClick("sign-out", async () => {
    await auth.logout();
    return "";
  });
  onClick("sign-out-everywhere", async () => {
    await auth.logout({ everywhere: true });
    return "";
  });
  onClick("refresh", async () => {
    await auth.refresh();
    return "The session was refreshed; the connections live on.";
  });
  onClick("shorten", async () => {
    const http = new Http("/auth", (address, init) => fetch(address, init), systemClock);
    await http.post("/dev/shorten", { seconds: SHORTENED });
    await auth.me();
    return `The token ends in ${SHORTENED} s. It will be refreshed before, and the connections live on.`;
  });
  onClick("ping", async () => {
    const trips = await Promise.all([trip("raw"), trip("socketio")]);
    return `customResponse came: ${trips.join(", ")}.`;
  });
  onClick("flood", async () => {
    let bytes = 0;
    const stop = clients.raw.on("frame", ({ direction, size }) => void (bytes += direction === "in" ? size : 0));
    const start = performance.now();
    try {
      await clients.raw.call("flood", FLOOD, { timeout: FLOOD_TIMEOUT });
    } finally {
      stop();
    }
    const took = performance.now() - start;
    const rate = Math.round(FLOOD.count / (took / 1000)).toLocaleString("en");
    return `${FLOOD.count} messages, ${byteSize(bytes)}, in ${milliseconds(took)}: ${rate} a second.`;
  });
  onClick("slow", async () => {
    slow.disabled = true;
    say("A second connection asks for 16 MiB and does not read …");
    try {
      const { code, reason, bytes } = await readSlowly(url);
      const words = [`${code}`, reason].filter(Boolean).join(" ");
      told(`the slow reader was closed: ${words}`);
      return code === 1000
        ? `It took all ${byteSize(bytes)}: the buffers on the way were large enough.`
        : `The server closed it with ${words}, behind ${byteSize(bytes)} that were on the way. Nobody else noticed.`;
    } finally {
      slow.disabled = false;
    }
  });

  /** @param {"raw" | "socketio"} protocol */
  async function trip(protocol) {
    const start = performance.now();
    await clients[protocol].call("customEvent", { sentAt: systemClock.now() });
    const took = performance.now() - start;
    measurements.add(protocol, took);
    return `${protocol === "raw" ? "WebSocket" : "Socket.IO"} ${milliseconds(took)}`;
  }
}

/**
 * @param {string} url
 * @returns {Promise<{ code: number, reason: string, bytes: number }>} how its connection was closed
 */
function readSlowly(url) {
  const worker = new Worker("/static/slow-reader.js", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(url);
  }).finally(() => worker.terminate());
}

/** @param {string} words */
function say(words) {
  byId("action-words", HTMLElement).textContent = words;
}

/**
 * Run what a button does, and say how it went.
 *
 * @param {string} id
 * @param {() => Promise<string>} action gives what is to be said
 */
function onClick(id, action) {
  byId(id, HTMLButtonElement).addEventListener("click", async () => {
    try {
      say(await action());
    } catch (error) {
      if (!(error instanceof HttpError || error instanceof CallError)) throw error;
      say(error.message);
    }
  });
}
