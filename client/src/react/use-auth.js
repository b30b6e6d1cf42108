import { useMemo, useSyncExternalStore } from "react";
import { useSessionStore } from "./contexts.js";

/** @typedef {import("../session.js").Challenge} Challenge named in the declarations of what the hook gives */

/**
 * Who is logged in, and the ways in and out. The functions are the same ones at every render.
 *
 *     const challenge = await login("alice", "...");                 // null: she is in
 *     if (challenge) await answer(challenge, { NEW_PASSWORD: "..." });
 *
 * - `status`: `loading` until it is known whether there is a session, then `authenticated`, `anonymous`, or
 *   `expired` when the session ended by itself.
 * - `user`: `{ id, username, roles }`, or null. `expiresAt`: POSIX seconds, or null.
 * - `error`: why it is still `loading`, such as a server that cannot be reached; else null.
 * - `login`, `answer`, `refresh`, `logout`: they reject with an `HttpError`, whose message is made for people.
 *   `logout({ everywhere: true })` ends the user's sessions on every device.
 */
export function useAuth() {
  const store = useSessionStore("useAuth");
  const { status, session, error } = useSyncExternalStore(store.subscribe, store.snapshot, store.serverSnapshot);
  return useMemo(() => {
    const { login, answer, refresh, logout } = store;
    const user = session?.user ?? null;
    return { user, status, expiresAt: session?.expiresAt ?? null, error, login, answer, refresh, logout };
  }, [store, status, session, error]);
}
