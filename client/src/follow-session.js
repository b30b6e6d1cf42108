/**
 * Tie a connection to the session: it opens when somebody is logged in, closes at the logout, and what it
 * learns of the session's end it tells.
 *
 * @param {import("./connection.js").Client} client
 * @param {import("../auth-client.js").AuthClient} auth
 * @returns {() => void} call it to untie them; the connection stays as it is
 */
export function followSession(client, auth) {
  let userId = "";

  /** @param {import("../session.js").AuthState} state */
  function onAuth({ status, session }) {
    if (session === null) {
      userId = "";
      if (status !== "loading") client.close(status === "expired" ? "expired" : "signed-out");
    } else if (session.user.id !== userId) {
      if (userId !== "") client.close(); // what waited was the other user's
      userId = session.user.id;
      client.connect();
    }
  }

  /** @param {import("../states.js").Status} status */
  function onStatus({ state, cause }) {
    if (state !== "closed") return;
    if (cause === "expired") auth.forget("expired");
    if (cause === "signed-out") auth.forget("anonymous");
  }

  const stops = [auth.on("state", onAuth), client.on("status", onStatus)];
  onAuth(auth.state);
  return () => stops.forEach((stop) => stop());
}
