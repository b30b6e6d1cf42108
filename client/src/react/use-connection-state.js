import { useSyncExternalStore } from "react";
import { useConnection } from "./contexts.js";

/**
 * All that is known of the connection's state: `state`, its `cause`, the close `code` and the server's
 * `reason`, `retryAt` (milliseconds since 1970, or null) and the number of the `attempt`.
 *
 * @param {import("./connection.js").Connection} [connection] the one of `useSocket`; else the `SocketProvider`'s
 * @returns {import("../states.js").Status} frozen, and the same object until something changes
 */
export function useConnectionState(connection) {
  const { subscribe, snapshot, serverSnapshot } = useConnection("useConnectionState", connection);
  return useSyncExternalStore(subscribe, snapshot, serverSnapshot).status;
}
