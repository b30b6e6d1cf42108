/** Why there is no connection, as an error whose message is made for people. */

/** @typedef {import("../states.js").Status} Status */

/** @type {Readonly<Record<import("../states.js").Cause, string>>} */
const CAUSES = Object.freeze({
  asked: "The connection was closed.",
  cut: "The connection was cut.",
  suspended: "The connection paused while the page was away.",
  lost: "The connection was lost.",
  unreachable: "The server cannot be reached.",
  unopened: "The server answers, but opens no WebSocket.",
  offline: "This device is offline.",
  expired: "The session has ended.",
  "signed-out": "You are signed out.",
  refused: "The server refused the connection.",
});

/** @type {Readonly<Record<number, string>>} what a close code says better than the cause */
const CODES = Object.freeze({
  1001: "The server is restarting.",
  1009: "A message was too large.",
  1011: "The server had an error.",
  1012: "The server is restarting.",
  1013: "The server is busy.",
  4408: "This page read too slowly.",
  4409: "Another window took the place of this one.",
  4429: "The server has too much to do for you.",
});

export class ConnectionError extends Error {
  /** @param {Status} status */
  constructor({ state, cause, code, reason }) {
    super(CODES[code] ?? CAUSES[cause]);
    this.name = "ConnectionError";
    this.state = state;
    /** @type {import("../states.js").Cause} */
    this.cause = cause;
    /** The close code, 0 for none. */
    this.code = code;
    /** The server's own words, perhaps empty. */
    this.reason = reason;
  }
}

/**
 * The error that goes with a status.
 *
 * @param {Status} status
 * @param {ConnectionError | null} before what went with the status before
 * @returns {ConnectionError | null} null while all is well
 */
export function errorOf(status, before) {
  const { state, cause } = status;
  if (state === "open") return null;
  if (state === "connecting" || state === "idle") return before; // it may yet turn out well
  if (state === "closed" && (cause === "asked" || cause === "signed-out")) return null;
  return new ConnectionError(status);
}
