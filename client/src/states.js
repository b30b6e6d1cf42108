/**
 * The states of a connection, why it is in one, and which may follow which.
 *
 * @typedef {"idle" | "connecting" | "open" | "reconnecting" | "refreshing" | "closed"} State
 *
 * Why the client is in its state:
 * `asked` by the caller, `cut` by the caller, `suspended` with its page, `lost` while open, `unreachable`
 * server, `unopened` though the server answers over HTTP, `offline`, `expired` session, `signed-out`, or
 * `refused` by the server for good.
 * @typedef {"asked" | "cut" | "suspended" | "lost" | "unreachable" | "unopened" | "offline" | "expired"
 *   | "signed-out" | "refused"} Cause
 *
 * @typedef {object} Status
 * @property {State} state
 * @property {Cause} cause
 * @property {number} code the close code that led here, 0 for none
 * @property {string} reason the server's own words, perhaps empty
 * @property {number | null} retryAt when the next attempt starts, milliseconds since 1970
 * @property {number} attempt how many delays were used up since the last stable connection
 */

/** @type {Readonly<Record<State, readonly State[]>>} what is not here is a mistake of ours */
export const NEXT = Object.freeze({
  idle: ["connecting", "closed"],
  connecting: ["open", "reconnecting", "refreshing", "closed", "idle"],
  open: ["reconnecting", "refreshing", "closed", "idle"],
  reconnecting: ["connecting", "reconnecting", "refreshing", "closed", "idle"],
  refreshing: ["connecting", "reconnecting", "closed", "idle"],
  closed: ["connecting", "idle"],
});

/** @type {Status} before anything was asked */
export const IDLE = Object.freeze({ state: "idle", cause: "asked", code: 0, reason: "", retryAt: null, attempt: 0 });
