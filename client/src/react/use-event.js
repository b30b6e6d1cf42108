import { useEffect, useInsertionEffect, useRef } from "react";
import { useConnection } from "./contexts.js";

/**
 * Call a function for every event of a name, and for `message` and `welcome`. The function may be another one
 * at each render: the newest is called, and nothing subscribes anew. It alone decides whether to render.
 *
 * @param {string} name
 * @param {(data: any) => void} handler
 * @param {import("./connection.js").Connection} [connection] the one of `useSocket`; else the `SocketProvider`'s
 */
export function useEvent(name, handler, connection) {
  const source = useConnection("useEvent", connection);
  const newest = useRef(handler);
  // Before any other effect, which might bring an event about.
  useInsertionEffect(() => {
    newest.current = handler;
  });
  useEffect(() => source.listen(name, (data) => newest.current(data)), [source, name]);
}
