/**
 * States, ids, times and sizes in words. Pure: the time comes in as `now`, milliseconds since 1970.
 *
 * @typedef {import("./client/client.js").Status} Status
 */

/** @type {Readonly<Record<import("./client/client.js").State, string>>} */
const LABELS = Object.freeze({
  idle: "not connected",
  connecting: "connecting",
  open: "connected",
  reconnecting: "reconnecting",
  refreshing: "renewing the session",
  closed: "disconnected",
});

/** @type {Readonly<Record<import("./client/client.js").Cause, string>>} */
const CAUSES = Object.freeze({
  asked: "",
  cut: "you cut the connection",
  suspended: "paused while the page was away",
  lost: "the connection was lost",
  unreachable: "the server cannot be reached",
  unopened: "the server answers, but opens no WebSocket",
  offline: "this device is offline",
  expired: "the session has ended",
  "signed-out": "signed out",
  refused: "the server refused the connection",
});

/** @type {Readonly<Record<number, string>>} what a close code says better than the cause */
const CODES = Object.freeze({
  1001: "the server is restarting",
  1009: "a message was too large",
  1011: "the server had an error",
  1012: "the server is restarting",
  1013: "the server is busy",
  4408: "this page read too slowly",
});

/**
 * The state in a few words, without the time left: it is read aloud when it changes.
 *
 * @param {Status} status
 */
export function stateLabel({ state, cause, retryAt }) {
  if (state === "closed" && cause === "signed-out") return "signed out";
  if (state === "reconnecting" && cause === "offline") return "waiting for the network";
  if (state === "reconnecting" && retryAt === null) return "asking the server";
  return LABELS[state];
}

/**
 * Why, in words; empty where there is nothing to explain.
 *
 * @param {Status} status
 */
export function stateCause({ state, cause, code, reason }) {
  if (state === "connecting" || state === "open" || cause === "signed-out") return "";
  const words = CODES[code] ?? CAUSES[cause];
  const server = [code || "", reason].filter(Boolean).join(" ");
  return server ? `${words} (${server})` : words;
}

/**
 * How long a wait still lasts, as in "in 3 s"; empty when none runs.
 *
 * @param {Status} status
 * @param {number} now
 */
export function waitLeft({ retryAt }, now) {
  if (retryAt === null) return "";
  return `in ${Math.max(0, Math.ceil((retryAt - now) / 1000))} s`;
}

/**
 * A duration, rounded: "40 s", "12 min", "3 h", "2 days".
 *
 * @param {number} milliseconds
 */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 120 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/**
 * The time of day, in the reader's own manner.
 *
 * @param {number} at
 */
export function clockTime(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/**
 * The time of day to the millisecond.
 *
 * @param {number} at
 */
export function exactTime(at) {
  const time = new Date(at);
  const [hours, minutes, seconds] = [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits);
  return `${hours}:${minutes}:${seconds}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

/** @param {number} number */
function twoDigits(number) {
  return String(number).padStart(2, "0");
}

/** @param {number} bytes */
export function byteSize(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/**
 * The first part of an id: enough to tell people apart.
 *
 * @param {string} id
 */
export function shortId(id) {
  return id.length > 8 ? id.slice(0, 8) : id;
}

/**
 * One of eight hues, always the same for an id.
 *
 * @param {string} id
 */
export function hueOf(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + /** @type {number} */ (character.codePointAt(0))) >>> 0;
  return sum % 8;
}

/**
 * A short duration: "1.3 ms".
 *
 * @param {number} value milliseconds
 */
export function milliseconds(value) {
  return `${value.toFixed(1)} ms`;
}

/**
 * What became of the connection before this one; empty where there was none.
 *
 * @param {{ recovered?: boolean, reason?: string | null }} welcome as the server sent it
 */
export function returnWords({ recovered, reason }) {
  if (recovered) return "back, and nothing was missed";
  if (reason === "unknown" || reason === "lost" || reason === "foreign") {
    return "back as a new connection; something may be missing";
  }
  return "";
}
