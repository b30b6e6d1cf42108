// What a user of the hooks writes: it is type-checked against the declarations, and never run.
import { AuthClient, WsClient } from "@wsservice/client";
import {
  AuthProvider,
  ConnectionError,
  SocketProvider,
  useAuth,
  useConnectionState,
  useEvent,
  useSocket,
  useWebSocket,
} from "@wsservice/client/react";
import { io, type Socket } from "socket.io-client";

const auth = new AuthClient();
const client = new WsClient("wss://localhost/ws", { session: auth });

export function Root() {
  return (
    <AuthProvider baseUrl="http://localhost:3020/auth">
      <SocketProvider url="ws://localhost:3020/ws" recover={false}>
        <Page />
      </SocketProvider>
    </AuthProvider>
  );
}

export function OwnClients() {
  return (
    <AuthProvider client={auth}>
      <SocketProvider client={client}>
        <Page />
      </SocketProvider>
    </AuthProvider>
  );
}

// @ts-expect-error an address is a text
export const wrong = <SocketProvider url={3020} />;

function Page() {
  const { user, status, login, answer, refresh, logout, error, expiresAt } = useAuth();
  const { send, emit, call, connect, state, lastError, client: raw, connection } = useWebSocket();
  const { socket, isConnected, connection: stock } = useSocket("http://localhost:3020");
  useSocket("http://localhost:3020/news", { io, options: { transports: ["websocket"] } });
  const { retryAt, cause } = useConnectionState(stock);
  useEvent("message", (data: { text: string }) => data.text);
  useEvent("news", (data) => data, connection);

  async function logIn() {
    const challenge = await login("alice", "secret");
    if (challenge) await answer(challenge, { NEW_PASSWORD: "mine" });
    await refresh();
    await logout({ everywhere: true });
  }

  send("text");
  emit("report", { week: 47 });
  connect();
  raw?.cut();
  const result: Promise<unknown> = call("report", null, { timeout: 1000 });
  const known: Socket | null = socket;
  const why: ConnectionError | null = lastError;
  // @ts-expect-error nobody may be logged in
  user.username;
  // @ts-expect-error there is no such state
  state === "gone";
  return (
    <p onClick={logIn}>
      {[
        user?.username,
        status,
        error?.message,
        expiresAt,
        isConnected,
        retryAt,
        cause,
        why?.code,
        known?.id,
        String(result),
      ]}
    </p>
  );
}
