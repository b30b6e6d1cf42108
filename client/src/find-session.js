import { Backoff } from "./backoff.js";
import { HttpError } from "./http.js";

/**
 * Find out whether there is a session, and try again where that cannot be learned: a server that is just
 * starting may not know it yet. It ends when it is known, by another tab, too; or when the server refuses this
 * page's origin (403), as it always will.
 *
 * @param {import("./auth-client.js").AuthClient} auth
 * @param {(error: HttpError | null) => void} told why it is not known yet; null when it is
 * @param {AbortSignal} [signal] ends it, without a word
 * @returns {Promise<void>}
 */
export async function findSession(auth, told, signal) {
  const backoff = new Backoff();
  while (auth.state.status === "loading") {
    try {
      await auth.restore();
      told(null);
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof HttpError)) throw error;
      told(error);
      if (error.status === 403) return;
      await pause(backoff.next(), signal);
    }
    if (signal?.aborted) return;
  }
}

/**
 * Wait, but not longer than until the network is back.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      globalThis.removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    globalThis.addEventListener("online", done);
    signal?.addEventListener("abort", done);
  });
}
