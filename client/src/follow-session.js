/**
 * Tie a connection to the session: it opens when somebody is logged in, closes at the logout or when somebody else
 * is, and what it learns of the session's end it tells.
 *
 * @typedef {object} Client what is used of `WsClient` and `SocketIoClient`
 * @property {(name: "status", listener: (status: import("./states.js").Status) => void) => () => void} on
 * @property {() => void} connect
 * @property {(cause?: "asked" | "signed-out" | "expired") => void} close
 *
 * @param {Client} client
 * @param {Pick<import("./auth-client.js").AuthClient, "state" | "on" | "forget">} auth
 * @returns {() => void} call it to untie them; the connection stays as it is
 */
export function followSession(client, auth) {
  let isIn = false;
  /** Whose the connection is, or was until the session ended by itself. */
  let userId = "";

  /** @param {import("./session.js").AuthState} state */
  function onAuth({ status, session }) {
    if (session === null) {
      isIn = false;
      if (status !== "loading") client.close(status === "expired" ? "expired" : "signed-out");
      return;
    }
    if (session.user.id !== userId) {
      if (userId !== "") client.close(); // what waited, and what could be recovered, was the other user's
      userId = session.user.id;
      isIn = false;
    }
    if (!isIn) {
      isIn = true;
      client.connect();
    }
  }

  /** @param {import("./states.js").Status} status */
  function onStatus({ state, cause }) {
    if (state !== "closed") return;
    if (cause === "expired") auth.forget("expired");
    if (cause === "signed-out") auth.forget("anonymous");
  }

  const stops = [auth.on("state", onAuth), client.on("status", onStatus)];
  onAuth(auth.state);
  return () => stops.forEach((stop) => stop());
}
