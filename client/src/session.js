/**
 * Who is logged in, and until when.
 *
 * @typedef {{ id: string, username: string, roles: string[], scopes?: string[] }} User
 *
 * @typedef {object} Session
 * @property {User} user
 * @property {number} expiresAt POSIX seconds, by the server's clock
 *
 * One more step that the identity provider wants; answer it by `answer`.
 * @typedef {object} Challenge
 * @property {string} challenge such as `NEW_PASSWORD_REQUIRED`
 * @property {string} session the provider's handle of this login
 * @property {string} username
 * @property {Record<string, string>} parameters
 *
 * @typedef {object} AuthState
 * @property {"loading" | "authenticated" | "anonymous" | "expired"} status
 * @property {Session | null} session
 * @property {number | null} refreshAt when it refreshes by itself, milliseconds since 1970 by this clock
 */

/** A refresh comes after 70 to 80 % of the session's life, so that tabs and users do not come at once. */
const REFRESH_AFTER = 0.8;
const REFRESH_JITTER = 0.1;
/** Milliseconds. Whatever the clocks say: no refresh by itself follows another one faster. */
export const LEAST_DELAY = 5_000;
/** What a timer can hold (HTML, section 8.6). */
const MOST_DELAY = 2 ** 31 - 1;

/** @type {AuthState} before anything was asked */
export const LOADING = Object.freeze({ status: "loading", session: null, refreshAt: null });

/**
 * In how many milliseconds to refresh.
 *
 * @param {number} life what is left of the session, milliseconds
 * @param {number} chance from 0 up to 1
 */
export function refreshDelay(life, chance) {
  return Math.min(MOST_DELAY, Math.max(LEAST_DELAY, life * (REFRESH_AFTER - REFRESH_JITTER * chance)));
}
