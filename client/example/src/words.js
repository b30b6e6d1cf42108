/** States, times and people in words and colours. Pure: the time comes in as milliseconds since 1970. */

/** @typedef {import("@wsservice/client").Status} Status */

/** @type {Readonly<Record<Status["state"], string>>} */
const LABELS = Object.freeze({
  idle: "Not connected",
  connecting: "Connecting",
  open: "Connected",
  reconnecting: "Reconnecting",
  refreshing: "Renewing the session",
  closed: "Disconnected",
});

/** @param {Status} status */
export function labelOf({ state, cause, retryAt }) {
  if (state === "reconnecting" && cause === "offline") return "Waiting for the network";
  if (state === "reconnecting" && retryAt === null) return "Asking the server";
  return LABELS[state];
}

/**
 * The close code and the server's own words, as in "(1001 Server shutting down)"; empty without.
 *
 * @param {Status} status
 */
export function serverWords({ code, reason }) {
  const words = [code || "", reason].filter(Boolean).join(" ");
  return words && `(${words})`;
}

/**
 * How long a wait still lasts, as in "in 3 s"; empty when none runs.
 *
 * @param {Status} status
 * @param {number} now
 */
export function waitLeft({ retryAt }, now) {
  return retryAt === null ? "" : `in ${Math.max(0, Math.ceil((retryAt - now) / 1000))} s`;
}

/** @param {number} at */
export function clockTime(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/**
 * One of six hues, always the same for an id.
 *
 * @param {string} id
 */
export function hueOf(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return sum % 6;
}
