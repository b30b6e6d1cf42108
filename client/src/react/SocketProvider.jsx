/** @jsxRuntime automatic */
/** @jsxImportSource react */

import { useEffect, useMemo } from "react";
import { WsClient } from "../client.js";
import { Connection } from "./connection.js";
import { ConnectionContext, useSessionStore } from "./contexts.js";

/**
 * Gives `useWebSocket`, `useEvent` and `useConnectionState` to what is inside: one raw WebSocket, open while
 * the provider is mounted and somebody is logged in. It stands inside of an `AuthProvider`.
 *
 * @param {object} props
 * @param {string} [props.url] `ws:` or `wss:`, such as `ws://localhost:3020/ws`
 * @param {boolean} [props.recover] ask for what was missed, where the service can recover; it is the default
 * @param {import("./connection.js").Client} [props.client] one of your own, instead of a `url`
 * @param {import("react").ReactNode} [props.children]
 */
export function SocketProvider({ url, recover, client, children }) {
  const sessions = useSessionStore("SocketProvider");
  if (!url && !client)
    throw new Error('SocketProvider needs an address: <SocketProvider url="ws://localhost:3020/ws">');
  const connection = useMemo(
    () => new Connection(sessions, () => client ?? new WsClient(url ?? "", { session: sessions, recover })),
    [sessions, url, recover, client],
  );
  useEffect(() => connection.retain(), [connection]);
  return <ConnectionContext.Provider value={connection}>{children}</ConnectionContext.Provider>;
}
