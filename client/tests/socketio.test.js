import { describe, expect, it } from "vitest";

import { SocketIoClient } from "../src/socketio.js";
import { FakeClock, settle } from "./fakes.js";
import { failure, FakeSession } from "./rig.js";

/** As much of the stock client's Socket as is used; the real one is in tests/client/test_real_service.py. */
class FakeSocket {
  #listeners = {};
  #any = [];
  id = undefined;
  recovered = false;
  connected = false;
  receiveBuffer = [];
  connects = 0;
  /** How it was let go, each time: "disconnect" says goodbye, "close" does not. */
  ends = [];
  sent = [];
  io = { _readyState: "closed", _close: () => this.#end("close", "forced close") };

  on(name, listener) {
    (this.#listeners[name] ??= []).push(listener);
  }

  onAny(listener) {
    this.#any.push(listener);
  }

  connect() {
    this.connects += 1;
    this.io._readyState = "open";
  }

  disconnect() {
    this.#end("disconnect", "io client disconnect");
  }

  emit(...args) {
    this.sent.push(args);
  }

  #away() {
    this.connected = false;
    this.io._readyState = "closed";
  }

  #end(how, reason) {
    this.ends.push(how);
    this.#away();
    this.say("disconnect", reason); // the echo, which the stock client gives at once
  }

  say(name, ...args) {
    for (const listener of this.#listeners[name] ?? []) listener(...args);
  }

  /** The server let it in; these events were recovered before. */
  accept({ id = "c1", recovered = false, missed = [] } = {}) {
    for (const args of missed) this.hear(...args);
    const buffered = this.receiveBuffer;
    Object.assign(this, { id, recovered, connected: true, receiveBuffer: [] });
    for (const args of buffered) this.hear(...args);
    this.say("connect");
  }

  hear(...args) {
    if (!this.connected) {
      this.receiveBuffer.push(args);
      return;
    }
    for (const listener of this.#any) listener(...args);
  }

  /** What the server says of a namespace has data, what fails below it has not. */
  refuse(message, data) {
    this.say("connect_error", Object.assign(new Error(message), { data }));
  }

  /** The transport is lost. */
  lose(reason, details) {
    this.#away();
    this.say("disconnect", reason, details);
  }

  fail() {
    this.#away();
    this.say("connect_error", new Error("xhr poll error"));
  }

  close(code, reason) {
    this.lose("transport close", { description: "websocket connection closed", context: { code, reason } });
  }
}

function makeRig() {
  const clock = new FakeClock();
  const session = new FakeSession();
  const made = [];
  const io = (url, options) => {
    made.push({ url, options });
    return new FakeSocket();
  };
  const options = { path: "/live", reconnection: true };
  const client = new SocketIoClient("http://service.test/room", { io, session, clock, random: () => 0.5, options });
  const heard = { status: [], message: [], event: [], welcome: [], dropped: [], waiting: [] };
  for (const name of Object.keys(heard)) client.on(name, (value) => heard[name].push(value));
  return { client, clock, session, made, heard, socket: client.socket };
}

async function openRig() {
  const rig = makeRig();
  rig.client.connect();
  rig.socket.accept();
  return rig;
}

describe("Socket.IO by the same rules", () => {
  it("says no farewell into a WebSocket that the server is closing, of which a browser would complain", async () => {
    for (const [readyState, how] of [
      [1, "disconnect"],
      [2, "close"],
      [3, "close"],
    ]) {
      const { client, socket } = await openRig();
      socket.io.engine = { transport: { ws: { readyState } } };
      client.close("signed-out");
      expect(socket.ends).toEqual([how]);
    }
  });

  it("makes one stock socket, with credentials, whose own reconnection is off", () => {
    const { made, socket } = makeRig();
    expect(made).toEqual([
      {
        url: "http://service.test/room",
        options: {
          withCredentials: true,
          path: "/live",
          forceNew: true,
          autoConnect: false,
          reconnection: false,
          timeout: false,
        },
      },
    ]);
    expect(socket.connects).toBe(0);
  });

  it("is open when the namespace is joined, and tells the welcome", async () => {
    const { client, heard } = await openRig();
    expect(client.status.state).toBe("open");
    expect(heard.welcome).toEqual([
      { id: "c1", recovered: false, session: null, offset: null, reason: null, expiresAt: null },
    ]);
  });

  it("tells what was recovered behind the welcome", async () => {
    const { client, clock, socket, heard } = await openRig();
    socket.lose("transport close");
    await clock.advance(250);
    const order = [];
    for (const name of ["status", "welcome", "event"]) client.on(name, () => order.push(name));
    socket.accept({
      recovered: true,
      missed: [
        ["news", 1],
        ["news", 2],
      ],
    });
    expect(order).toEqual(["status", "welcome", "event", "event"]);
    expect(heard.welcome[1].recovered).toBe(true);
    expect(heard.event).toEqual([
      { name: "news", data: 1 },
      { name: "news", data: 2 },
    ]);
  });

  it("comes back with backoff and full jitter after a lost transport, which is not closed again", async () => {
    const { client, clock, socket } = await openRig();
    socket.lose("transport error");
    expect(client.status).toMatchObject({ state: "reconnecting", cause: "lost", retryAt: clock.now() + 250 });
    expect(socket.ends).toEqual([]);
    await clock.advance(250);
    expect(socket.connects).toBe(2);
  });

  it.each(["Missing authentication token", "Invalid authentication token", "Members only"])(
    "refreshes once after `%s`, and is back at once",
    async (message) => {
      const { client, socket, session } = makeRig();
      client.connect();
      socket.refuse(message, { code: "x" });
      await settle();
      expect(session.refreshes).toHaveLength(1);
      expect(socket.connects).toBe(2);
      socket.refuse(message);
      await settle();
      const cause = message === "Members only" ? "refused" : "expired";
      expect(client.status).toMatchObject({ state: "closed", cause, reason: message });
    },
  );

  it.each(["Not permitted", "Invalid namespace", "Too many namespaces"])("stays away after `%s`", async (message) => {
    const { client, clock, socket, session } = makeRig();
    client.connect();
    socket.refuse(message);
    await clock.advance(600_000);
    expect(client.status).toMatchObject({ state: "closed", cause: "refused", reason: message });
    expect(session.refreshes).toEqual([]);
    expect(socket.connects).toBe(1);
  });

  it("comes back with backoff after `Authentication failed`", () => {
    const { client, socket } = makeRig();
    client.connect();
    socket.refuse("Authentication failed");
    expect(client.status).toMatchObject({ state: "reconnecting", code: 1013 });
  });

  it("asks who is logged in after three transports that did not open", async () => {
    const { client, clock, socket, session } = makeRig();
    session.meOutcomes = [failure(401)];
    client.connect();
    for (let time = 0; time < 3; time++) {
      socket.fail();
      await clock.advance(2_000);
    }
    expect(session.asked).toBe(1);
    expect(session.refreshes).toHaveLength(1);
  });

  it("reads the close code of a WebSocket: an expired token is refreshed", async () => {
    const { socket, session } = await openRig();
    socket.close(1008, "Authentication expired");
    await settle();
    expect(session.refreshes).toHaveLength(1);
    expect(socket.connects).toBe(2);
  });

  it("reads the close code of a WebSocket: signed out ends it", async () => {
    const { client, socket } = await openRig();
    socket.close(1008, "Signed out");
    expect(client.status).toMatchObject({ state: "closed", cause: "signed-out" });
  });

  it("takes a transport's 1000 for a break: Engine.IO closes so without a pong", async () => {
    const { client, socket } = await openRig();
    socket.close(1000, "");
    expect(client.status.state).toBe("reconnecting");
  });

  it("stays away when the server disconnects it", async () => {
    const { client, clock, socket } = await openRig();
    socket.say("disconnect", "io server disconnect");
    await clock.advance(600_000);
    expect(client.status).toMatchObject({ state: "closed", cause: "refused", code: 1000 });
    expect(socket.connects).toBe(1);
  });

  it("says goodbye by close(), and not by suspend() or cut()", async () => {
    const { client, clock, socket } = await openRig();
    client.suspend();
    client.resume();
    socket.accept();
    client.cut();
    await clock.advance(500);
    socket.accept();
    client.close();
    expect(socket.ends).toEqual(["close", "close", "disconnect"]);
    expect(client.status).toMatchObject({ state: "closed", cause: "asked" });
    expect(clock.pending).toBe(0);
  });

  it("gives up a connection that takes longer than ten seconds", async () => {
    const { client, clock, socket } = makeRig();
    client.connect();
    await clock.advance(10_000);
    expect(client.status.state).toBe("reconnecting");
    expect(socket.ends).toEqual(["close"]);
  });
});

describe("Socket.IO's messages", () => {
  it("wait while away, a hundred at most", async () => {
    const { client, socket, heard } = makeRig();
    for (let number = 0; number < 101; number++) client.emit("n", number);
    expect(heard.dropped).toEqual([{ name: "n", data: 0 }]);
    client.connect();
    socket.accept();
    expect(socket.sent).toHaveLength(100);
    client.send("hello");
    expect(socket.sent.at(-1)).toEqual(["message", "hello"]);
  });

  it("come as messages and events, without the offsets of recovery", async () => {
    const { socket, heard } = await openRig();
    socket.hear("message", { user: "bob" });
    socket._pid = "p";
    socket.hear("message", "hi", "b64Q.17");
    socket.hear("news", 1, 2, "b64Q.18");
    socket.hear("empty", "b64Q.19");
    socket.hear("cluster", { a: 1 }, "1795544611431-0");
    socket.hear("cluster", { a: 2 }, "1795544609059-0.0.1.d68fcea53796");
    socket.hear("volatile", "no offset");
    expect(heard.message).toEqual([{ user: "bob" }, "hi"]);
    expect(heard.event).toEqual([
      { name: "news", data: [1, 2] },
      { name: "empty", data: null },
      { name: "cluster", data: { a: 1 } },
      { name: "cluster", data: { a: 2 } },
      { name: "volatile", data: "no offset" },
    ]);
  });

  it("of a connection that was let go are not heard", async () => {
    const { client, socket, heard } = await openRig();
    client.cut();
    socket.hear("late", 1);
    client.close();
    socket.hear("late", 2);
    client.connect();
    socket.accept();
    expect(heard.event).toEqual([]);
  });

  it("are calls with answers, refusals, timeouts and ends", async () => {
    const { client, clock, socket } = await openRig();
    const calls = ["a", "b", "c", "d"].map((name) => client.call(name, 1, { timeout: name === "c" ? 100 : 5_000 }));
    const ends = Promise.allSettled(calls);
    socket.sent[0][2]({ rows: 1 });
    socket.sent[1][2]({ error: { code: "forbidden", message: "You may not do this." } });
    await clock.advance(100);
    client.cut();
    const results = await ends;
    expect(results.map(({ value, reason }) => value ?? reason.code)).toEqual([
      { rows: 1 },
      "forbidden",
      "timeout",
      "closed",
    ]);
    await expect(client.call("x")).rejects.toMatchObject({ code: "closed" });
  });

  it("of the server that want an answer get one", async () => {
    const { client, socket, heard } = await openRig();
    const answers = [];
    client.handle("ask", (data) => data * 2);
    socket.hear("ask", 4, (answer) => answers.push(answer));
    await settle();
    socket.hear("unknown", 4, (answer) => answers.push(answer));
    await settle();
    expect(answers).toEqual([8, { error: { code: "unknown_event", message: "This client does not answer unknown." } }]);
    expect(heard.event).toEqual([{ name: "unknown", data: 4 }]);
  });
});
