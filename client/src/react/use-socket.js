import { useEffect, useMemo, useSyncExternalStore } from "react";
import { SocketIoClient } from "../socketio.js";
import { Connection } from "./connection.js";
import { useSessionStore } from "./contexts.js";

/**
 * @typedef {import("./session-store.js").SessionStore} SessionStore
 * @typedef {import("../client.js").Payload} Payload named in the declarations of what the hook gives
 * @typedef {import("socket.io-client").Socket} Socket
 * @typedef {(url: string, options: any) => Socket} Io
 *
 * @typedef {object} Options both are those of the first component that names an address
 * @property {Io} [io] that of a `socket.io-client` that is loaded already
 * @property {Record<string, unknown>} [options] for the stock client, such as `path` or `transports`
 */

/** @type {WeakMap<SessionStore, Map<string, Connection>>} components that name one address share one connection */
const CONNECTIONS = new WeakMap();

/**
 * Socket.IO, by the stock `socket.io-client`, inside of an `AuthProvider`. The connection is open while a
 * component that names this address is mounted and somebody is logged in; all of them share it. The package
 * is loaded when it is first needed.
 *
 * - `socket`: the stock Socket, null until it is there. `isConnected`: whether it is.
 * - `emit`, `send`, `call`, `connect`, `state`, `lastError`, `client`, `connection`: as of `useWebSocket`.
 *
 * @param {string} url `http:` or `https:`, such as `http://localhost:3020`, perhaps with a namespace as its path
 * @param {Options} [options]
 */
export function useSocket(url, options = {}) {
  const connection = connectionOf(useSessionStore("useSocket"), url, options);
  useEffect(() => connection.retain(), [connection]);
  const { subscribe, snapshot, serverSnapshot } = connection;
  const current = useSyncExternalStore(subscribe, snapshot, serverSnapshot);
  if (current.failure) throw current.failure;
  return useMemo(() => {
    const { status, lastError } = current;
    const { send, emit, call, connect } = connection;
    const client = /** @type {SocketIoClient<Socket> | null} */ (current.client);
    const { state } = status;
    const shown = { socket: client?.socket ?? null, isConnected: state === "open", state, lastError };
    return { ...shown, send, emit, call, connect, client, connection };
  }, [connection, current]);
}

/**
 * @param {SessionStore} sessions
 * @param {string} url
 * @param {Options} options
 * @returns {Connection}
 */
function connectionOf(sessions, url, options) {
  const known = CONNECTIONS.get(sessions) ?? new Map();
  CONNECTIONS.set(sessions, known);
  const connection = known.get(url) ?? new Connection(sessions, () => make(sessions, url, options));
  known.set(url, connection);
  return connection;
}

/**
 * @param {SessionStore} session
 * @param {string} url
 * @param {Options} options
 */
function make(session, url, { io, options }) {
  /** @param {Io} io */
  const made = (io) => new SocketIoClient(url, { io, session, options });
  return io ? made(io) : load().then(made);
}

/** The `try` tells bundlers that the package may be missing: who uses raw sockets only needs none. */
async function load() {
  try {
    const { io } = await import("socket.io-client");
    return io;
  } catch (cause) {
    throw new Error("useSocket needs socket.io-client: npm install socket.io-client, or useSocket(url, { io })", {
      cause,
    });
  }
}
