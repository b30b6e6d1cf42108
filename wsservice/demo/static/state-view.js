/** The state badge, the session's card, and the buttons of the connection. */

import { byId, setText } from "./dom.js";
import { clockTime, duration, stateCause, stateLabel, waitLeft } from "./words.js";

/**
 * @typedef {object} Snapshot
 * @property {import("./client/client.js").Status} status
 * @property {import("./client/auth-client.js").AuthState} auth
 * @property {number} now milliseconds since 1970, by this machine's clock
 * @property {number} serverNow the same by the server's
 */

/**
 * What the button does where there is nothing to cut.
 *
 * @type {Partial<Record<import("./client/client.js").State, string>>}
 */
const CONNECTION_BUTTON = Object.freeze({ idle: "Connect", closed: "Connect", reconnecting: "Reconnect now" });

export class StateView {
  #badge = byId("badge", HTMLElement);
  #label = byId("badge-label", HTMLElement);
  #wait = byId("badge-wait", HTMLElement);
  #cause = byId("badge-cause", HTMLElement);
  #user = byId("user-name", HTMLElement);
  #id = byId("user-id", HTMLElement);
  #roles = byId("user-roles", HTMLElement);
  #expires = byId("session-expires", HTMLElement);
  #refreshes = byId("session-refreshes", HTMLElement);
  #trip = byId("round-trip", HTMLElement);
  #ping = byId("ping", HTMLButtonElement);
  #cut = byId("cut", HTMLButtonElement);

  /**
   * Show it all; called on every change and twice a second.
   *
   * @param {Snapshot} snapshot
   */
  show({ status, auth, now, serverNow }) {
    this.#badge.dataset.state = status.state;
    this.#badge.dataset.cause = status.cause;
    setText(this.#label, stateLabel(status));
    setText(this.#wait, waitLeft(status, now));
    setText(this.#cause, stateCause(status));
    this.#ping.disabled = status.state !== "open";
    setText(this.#cut, CONNECTION_BUTTON[status.state] ?? "Cut the connection");
    if (status.state !== "open") this.showRoundTrip(null);
    if (auth.session !== null) this.#showSession(auth, now, serverNow);
  }

  /** @param {number | null} milliseconds null: unknown */
  showRoundTrip(milliseconds) {
    setText(this.#trip, milliseconds === null ? "–" : `${milliseconds.toFixed(1)} ms`);
  }

  /** @param {string} words */
  showRoundTripFailure(words) {
    setText(this.#trip, words);
  }

  /**
   * @param {import("./client/auth-client.js").AuthState} auth
   * @param {number} now
   * @param {number} serverNow
   */
  #showSession({ session, refreshAt }, now, serverNow) {
    if (session === null) return;
    const { user, expiresAt } = session;
    const left = expiresAt * 1000 - serverNow;
    setText(this.#user, user.username);
    setText(this.#id, user.id);
    setText(this.#roles, user.roles.join(", ") || "none");
    setText(this.#expires, left > 0 ? `${clockTime(now + left)}, in ${duration(left)}` : "ended");
    setText(this.#refreshes, refreshAt === null ? "–" : `${clockTime(refreshAt)}, in ${duration(refreshAt - now)}`);
  }
}
