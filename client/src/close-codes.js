/**
 * What a client does after a close. Made by `make docs` from wsservice/close_codes.py; change it there.
 *
 * - `stop`: do not come back by itself.
 * - `backoff`: come back after a jittered delay.
 * - `refresh`: refresh the session once, then come back at once; else show the login.
 *
 * @typedef {"stop" | "backoff" | "refresh"} Advice
 */

/** No close frame came: what a browser reports for a lost connection and for a refused handshake alike. */
export const ABNORMAL = 1006;

/** @type {Readonly<Record<number, Advice>>} every code that is not here means `backoff` */
export const ADVICE = Object.freeze({
  1000: "stop",
  1002: "stop",
  1003: "stop",
  1007: "stop",
  1008: "refresh",
  1009: "stop",
  4409: "stop",
});

export const EXPIRED = "Authentication expired";
export const SIGNED_OUT = "Signed out";
export const TAKEN_OVER = "Continued on another connection";
export const MISSING_TOKEN = "Missing authentication token";
export const INVALID_TOKEN = "Invalid authentication token";
export const KEYS_UNAVAILABLE = "Authentication failed";

/** Reasons after which a client stays away, whatever the code. */
export const STOP_REASONS = Object.freeze([SIGNED_OUT, TAKEN_OVER]);

/** Reasons of a 1008 that speak of the session; any other is the application's own refusal. */
export const SESSION_REASONS = Object.freeze([EXPIRED, MISSING_TOKEN, INVALID_TOKEN]);

/** Reasons of a handshake that was refused: nothing that the client sent meanwhile was handled. */
export const HANDSHAKE_REASONS = Object.freeze([MISSING_TOKEN, INVALID_TOKEN, KEYS_UNAVAILABLE]);

/**
 * @param {number} code
 * @param {string} reason
 * @returns {Advice}
 */
export function adviceFor(code, reason) {
  return STOP_REASONS.includes(reason) ? "stop" : (ADVICE[code] ?? "backoff");
}
