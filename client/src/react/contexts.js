/** What the providers hand down, and the errors of hooks that stand outside of them. */

import { createContext, useContext } from "react";

/** @type {import("react").Context<import("./session-store.js").SessionStore | null>} */
export const SessionContext = createContext(/** @type {any} */ (null));

/** @type {import("react").Context<import("./connection.js").Connection | null>} */
export const ConnectionContext = createContext(/** @type {any} */ (null));

SessionContext.displayName = "Session";
ConnectionContext.displayName = "Connection";

/**
 * @param {string} who asks, for the error
 * @returns {import("./session-store.js").SessionStore}
 */
export function useSessionStore(who) {
  const store = useContext(SessionContext);
  if (store) return store;
  throw new Error(`${who} needs an <AuthProvider> above it: <AuthProvider baseUrl="/auth"> ... </AuthProvider>`);
}

/**
 * @param {string} who asks, for the error
 * @param {import("./connection.js").Connection} [given] one that the caller has
 * @returns {import("./connection.js").Connection}
 */
export function useConnection(who, given) {
  const provided = useContext(ConnectionContext);
  const connection = given ?? provided;
  if (connection) return connection;
  throw new Error(
    `${who} needs a <SocketProvider> above it: <SocketProvider url="ws://localhost:3020/ws"> ... </SocketProvider>` +
      " (inside of the <AuthProvider>)",
  );
}
