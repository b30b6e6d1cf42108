/** React's side of the client: providers and hooks. React 18 or newer. */

export { AuthProvider } from "./AuthProvider.jsx";
export { SocketProvider } from "./SocketProvider.jsx";
export { useAuth } from "./use-auth.js";
export { useConnectionState } from "./use-connection-state.js";
export { useEvent } from "./use-event.js";
export { useSocket } from "./use-socket.js";
export { useWebSocket } from "./use-web-socket.js";
export { ConnectionError } from "./connection-error.js";
export { CallError } from "../calls.js";
export { HttpError } from "../http.js";
