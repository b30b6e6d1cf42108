/**
 * Tell the clients what happens to the page and to the network.
 *
 * @param {Pick<import("./client.js").WsClient, "online" | "offline" | "suspend" | "resume" | "wake">} client
 * @param {Pick<import("./auth-client.js").AuthClient, "wake">} auth
 * @param {Window} [window]
 * @returns {() => void} call it to stop telling
 */
export function followPage(client, auth, window = globalThis.window) {
  const { document, navigator } = window;
  const stop = new AbortController();
  const { signal } = stop;
  const wake = () => {
    auth.wake();
    client.wake();
  };
  window.addEventListener("online", () => client.online(), { signal });
  window.addEventListener("offline", () => client.offline(), { signal });
  window.addEventListener("pagehide", () => client.suspend(), { signal });
  window.addEventListener(
    "pageshow",
    ({ persisted }) => {
      if (persisted) auth.wake(); // out of the cache: who knows what other tabs did meanwhile
      client.resume();
    },
    { signal },
  );
  document.addEventListener("visibilitychange", () => void (document.visibilityState === "visible" && wake()), {
    signal,
  });
  if (!navigator.onLine) client.offline();
  return () => stop.abort();
}
