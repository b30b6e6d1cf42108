/** @jsxRuntime automatic */
/** @jsxImportSource react */

import { useEffect, useMemo } from "react";
import { SessionContext } from "./contexts.js";
import { SessionStore } from "./session-store.js";

/**
 * Gives `useAuth` to what is inside: it looks for the session once mounted, and keeps it fresh.
 *
 * @param {object} props
 * @param {string} [props.baseUrl] where login, refresh and logout are, such as `http://localhost:3020/auth`
 * @param {import("../auth-client.js").AuthClient} [props.client] one of your own, instead; it lives on when
 *   the provider is unmounted
 * @param {import("react").ReactNode} [props.children]
 */
export function AuthProvider({ baseUrl, client, children }) {
  const store = useMemo(() => new SessionStore({ baseUrl, client }), [baseUrl, client]);
  useEffect(() => store.retain(), [store]);
  return <SessionContext.Provider value={store}>{children}</SessionContext.Provider>;
}
