import { describe, expect, it, vi } from "vitest";

import { CallError } from "../src/calls.js";
import { settle } from "./fakes.js";
import { makeRig, welcome } from "./rig.js";

describe("messages that wait", () => {
  it("are sent in order as soon as the connection is open", async () => {
    const rig = makeRig();
    rig.client.send("one");
    rig.client.emit("two", { a: 1 });
    await rig.open();
    expect(rig.socket.sent).toEqual(["one", '{"event":"two","data":{"a":1}}']);
    expect(rig.heard.waiting).toEqual([1, 2, 1, 0]);
  });

  it("are a hundred at most: the oldest is dropped, and told", async () => {
    const rig = makeRig();
    for (let number = 1; number <= 102; number++) rig.client.send(String(number));
    expect(rig.heard.dropped).toEqual(["1", "2"]);
    await rig.open();
    expect(rig.socket.sent).toHaveLength(100);
    expect(rig.socket.sent[0]).toBe("3");
  });

  it("are forgotten by close()", async () => {
    const rig = makeRig();
    rig.client.send("one");
    rig.client.close();
    await rig.open();
    expect(rig.socket.sent).toEqual([]);
  });

  it("wait again when the handshake that they followed was refused", async () => {
    for (const [code, reason] of [
      [1008, "Invalid authentication token"],
      [1013, "Authentication failed"],
    ]) {
      const rig = makeRig();
      rig.client.send("one");
      await rig.open();
      rig.client.send("two");
      await rig.end(code, reason);
      await rig.clock.advance(500);
      rig.socket.open();
      expect(rig.Socket.all).toHaveLength(2);
      expect(rig.socket.sent).toEqual(["one", "two"]);
    }
  });

  it("wait, too, where the socket is closing, which would drop them without a word", async () => {
    const rig = makeRig();
    await rig.open();
    rig.client.send("one");
    rig.socket.readyState = 2;
    rig.client.send("two");
    rig.client.emit("three");
    expect(rig.socket.sent).toEqual(["one"]);
    await rig.end(1001, "Server shutting down");
    await rig.clock.advance(500);
    rig.socket.open();
    expect(rig.socket.sent).toEqual(["two", '{"event":"three","data":null}']);
  });

  it("do not, once the server has said anything, or when the connection is lost otherwise", async () => {
    const rig = makeRig();
    rig.client.send("one");
    (await rig.open()).receive(welcome());
    await rig.end(1008, "Invalid authentication token");
    rig.socket.open();
    expect(rig.socket.sent).toEqual([]);
    rig.client.send("two");
    await rig.end(1006);
    await rig.clock.advance(500);
    rig.socket.open();
    expect(rig.socket.sent).toEqual([]);
  });

  it("may be binary, and are what they were when send() was called", async () => {
    const rig = makeRig();
    const bytes = new Uint8Array([1, 2, 3]);
    rig.client.send(bytes);
    bytes[0] = 9;
    await rig.open();
    expect([...rig.socket.sent[0]]).toEqual([1, 2, 3]);
    rig.client.send(new Uint8Array([7]).buffer);
    expect(rig.socket.sent[1].byteLength).toBe(1);
    expect(rig.heard.frame.map(({ direction, size }) => [direction, size])).toEqual([
      ["out", 3],
      ["out", 1],
    ]);
  });
});

describe("what comes in", () => {
  it("on the plain wire: bare messages, texts that are no JSON, bytes, and events", async () => {
    const rig = makeRig({ recover: false });
    const socket = await rig.open();
    socket
      .receive('{"user": "bob"}')
      .receive("no JSON")
      .receive(new Uint8Array([1]).buffer)
      .receive("[1]");
    socket.receive({ event: "news", data: 2 }).receive({ event: "message", data: { event: "x" } });
    expect(rig.heard.message.map((one) => (one instanceof ArrayBuffer ? one.byteLength : one))).toEqual([
      { user: "bob" },
      "no JSON",
      1,
      [1],
      { event: "x" },
    ]);
    expect(rig.heard.event).toEqual([{ name: "news", data: 2 }]);
  });

  it("a listener that throws harms no other one, and its error is not swallowed", async () => {
    const thrown = [];
    const queue = vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => {
      try {
        task();
      } catch (error) {
        thrown.push(error.message);
      }
    });
    const rig = makeRig({ recover: false });
    rig.client.on("message", () => {
      throw new Error("mine");
    });
    const after = vi.fn();
    rig.client.on("message", after);
    (await rig.open()).receive("x");
    queue.mockRestore();
    expect(after).toHaveBeenCalledWith("x");
    expect(thrown).toEqual(["mine"]);
  });

  it("is heard no more once a listener is taken away", async () => {
    const rig = makeRig();
    const listener = vi.fn();
    rig.client.on("message", listener)();
    (await rig.open()).receive("x");
    expect(listener).not.toHaveBeenCalled();
  });
});

describe("calls", () => {
  it("give the acknowledgement", async () => {
    const rig = makeRig();
    await rig.open();
    const answer = rig.client.call("report", { week: 47 });
    expect(JSON.parse(rig.socket.sent[0])).toEqual({ event: "report", data: { week: 47 }, id: 1 });
    rig.socket.receive({ ack: 1, data: { rows: 12 } });
    await expect(answer).resolves.toEqual({ rows: 12 });
    expect(rig.clock.pending).toBe(1); // that the connection is stable
  });

  it("fail with the server's code, after their timeout, and with the connection", async () => {
    const rig = makeRig();
    await expect(rig.client.call("x")).rejects.toMatchObject({ code: "closed" });
    await rig.open();
    const [refused, late, cut] = [
      rig.client.call("a"),
      rig.client.call("b", 1, { timeout: 100 }),
      rig.client.call("c"),
    ];
    const ends = Promise.allSettled([refused, late, cut]);
    rig.socket.receive({ ack: 1, error: { code: "forbidden", message: "You may not do this." } });
    await rig.clock.advance(100);
    rig.client.cut();
    const errors = (await ends).map(({ reason }) => reason);
    expect(errors.map(({ code }) => code)).toEqual(["forbidden", "timeout", "closed"]);
    expect(errors[0]).toBeInstanceOf(CallError);
    rig.socket.receive({ ack: 2, data: "too late" }); // and is ignored
  });

  it("of the server are answered by the handler's result, awaited", async () => {
    const rig = makeRig();
    rig.client.handle("ask", async (data) => ({ twice: data * 2 }));
    rig.client.handle("nothing", () => {});
    (await rig.open()).receive({ event: "ask", data: 4, id: 9 }).receive({ event: "nothing", data: null, id: 10 });
    await settle();
    expect(rig.socket.sent).toEqual(['{"ack":9,"data":{"twice":8}}', '{"ack":10,"data":null}']);
    expect(rig.heard.event).toEqual([]);
  });

  it("of the server are refused by the code of an error, and where nobody handles them", async () => {
    const rig = makeRig();
    rig.client.handle("no", () => {
      throw Object.assign(new Error("Not now."), { code: "busy" });
    });
    const stop = rig.client.handle("gone", () => 1);
    stop();
    (await rig.open()).receive({ event: "no", data: 1, id: 1 }).receive({ event: "gone", data: 2, id: 2 });
    await settle();
    expect(rig.socket.sent.map((text) => JSON.parse(text))).toEqual([
      { ack: 1, error: { code: "busy", message: "Not now." } },
      { ack: 2, error: { code: "unknown_event", message: "This client does not answer gone." } },
    ]);
    expect(rig.heard.event).toEqual([{ name: "gone", data: 2 }]);
  });

  it("of the server are not answered on another connection", async () => {
    const rig = makeRig();
    let finish;
    rig.client.handle("slow", () => new Promise((resolve) => (finish = resolve)));
    (await rig.open()).receive({ event: "slow", data: 1, id: 1 });
    rig.client.cut();
    await rig.clock.advance(500);
    rig.socket.open();
    finish(1);
    await settle();
    expect(rig.Socket.all.flatMap(({ sent }) => sent)).toEqual([]);
  });
});
