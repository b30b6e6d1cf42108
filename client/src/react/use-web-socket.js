import { useMemo, useSyncExternalStore } from "react";
import { useConnection } from "./contexts.js";

/** @typedef {import("../client.js").Payload} Payload named in the declarations of what the hook gives */

/**
 * The raw WebSocket of the `SocketProvider`. The component renders when the connection's state changes, and
 * never for a message: listen to those by `useEvent`. The functions are the same ones at every render.
 *
 * - `send(text)`, `emit(name, data)`: wait for the connection, a hundred messages at most.
 * - `await call(name, data, { timeout })`: the handler's result; rejects with a `CallError`.
 * - `state`: `idle`, `connecting`, `open`, `reconnecting`, `refreshing` or `closed`.
 * - `lastError`: why there is no connection, a `ConnectionError` with words, cause and close code; null when open.
 * - `connect()`: try again now. `client`: the `WsClient`, null until mounted.
 * - `connection`: for `useEvent` and `useConnectionState` elsewhere.
 */
export function useWebSocket() {
  const connection = useConnection("useWebSocket");
  const { subscribe, snapshot, serverSnapshot } = connection;
  const current = useSyncExternalStore(subscribe, snapshot, serverSnapshot);
  const { lastError } = current;
  const { state } = current.status;
  const client = /** @type {import("../client.js").WsClient | null} */ (current.client);
  return useMemo(() => {
    const { send, emit, call, connect } = connection;
    return { send, emit, call, connect, state, lastError, client, connection };
  }, [connection, state, lastError, client]);
}
