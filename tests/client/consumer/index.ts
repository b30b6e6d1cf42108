// What a user of the package writes: it is type-checked against the declarations, and never run.
import {
  AuthClient,
  followPage,
  SocketIoClient,
  WsClient,
  type AuthState,
  type Challenge,
  type Status,
  type Welcome,
} from "@wsservice/client";
import { io, type Socket } from "socket.io-client";

const auth = new AuthClient({ baseUrl: "/auth", channel: new BroadcastChannel("tabs") });
const client = new WsClient("wss://localhost/ws", { session: auth, recover: true });
const stop: () => void = followPage(client, auth);

client.on("status", (status: Status) => status.state === "open");
client.on("welcome", (welcome: Welcome) => welcome.recovered || welcome.reason === "lost");
client.on("message", (data) => {
  // @ts-expect-error what the server sends is unknown, until the application says what it is
  data.user;
});
client.on("event", ({ name, data }) => [name satisfies string, data]);
// @ts-expect-error there is no such event
client.on("nothing", () => {});
client.handle("ask", async (question) => ({ answer: question }));
client.send("text");
client.send(new Uint8Array([1]));
client.send(new ArrayBuffer(1));
// @ts-expect-error an object is emitted, not sent
client.send({});
client.emit("report", { week: 47 });
const answer: Promise<unknown> = client.call("report", { week: 47 }, { timeout: 1000 });

const stock = new SocketIoClient("http://localhost", { io, session: auth, options: { transports: ["websocket"] } });
const socket: Socket = stock.socket;
followPage(stock, auth);
stock.on("status", (status: Status) => status.retryAt);

const state: AuthState = auth.state;
const challenge: Promise<Challenge | null> = auth.login("alice", "secret");
void auth.logout({ everywhere: true });
// @ts-expect-error no such option
void auth.logout({ nowhere: true });

export { answer, challenge, socket, state, stop };
