/** The session's card: who is logged in, and until when. */

import { byId, setText } from "./dom.js";
import { clockTime, duration } from "./words.js";

export class SessionView {
  #user = byId("user-name", HTMLElement);
  #id = byId("user-id", HTMLElement);
  #roles = byId("user-roles", HTMLElement);
  #expires = byId("session-expires", HTMLElement);
  #refreshes = byId("session-refreshes", HTMLElement);

  /**
   * Show it; called on every change and twice a second.
   *
   * @param {import("./client/auth-client.js").AuthState} auth
   * @param {number} now milliseconds since 1970, by this machine's clock
   * @param {number} serverNow the same by the server's
   */
  show({ session, refreshAt }, now, serverNow) {
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
