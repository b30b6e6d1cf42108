// What clients and the service say to each other, once they are connected. Called by test_socketio_node.py.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const WebSocket = require("ws");
const { Polling } = require("./raw");

/** The client asks. */
exports.acks = async ({ connect, next }) => {
  const socket = await connect();
  const answer = (...args) => new Promise((resolve) => socket.emit(...args, (...values) => resolve(values)));
  assert.deepEqual(await answer("echo"), []);
  assert.deepEqual(await answer("echo", null), [null]);
  assert.deepEqual(await answer("echo", 1, "zwei", [3], { four: null }), [1, "zwei", [3], { four: null }]);
  assert.deepEqual(await answer("leave", "a room"), []); // the handler returns nothing
  assert.deepEqual(await socket.timeout(60_000).emitWithAck("echo", "in time"), "in time");

  const refusal = { code: "not_today", message: "Come back tomorrow", data: { args: [1, 2] } };
  assert.deepEqual(await answer("refuse", 1, 2), [{ error: refusal }]);
  socket.emit("refuse", 3);
  const [told] = await next(socket, "error");
  assert.deepEqual(told, { ...refusal, data: { args: [3] }, event: "refuse" });
  const [{ error }] = await answer("no such event");
  assert.equal(error.code, "unknown_event");

  // What is late is ignored, and the next is not mistaken for it.
  const watcher = await connect();
  await watcher.emitWithAck("enter", "watchers");
  const saving = next(watcher, "saving");
  await assert.rejects(socket.timeout(50).emitWithAck("save", "a letter"), /timed out/);
  await saving;
  await watcher.emitWithAck("release", "a letter");
  assert.equal(await socket.emitWithAck("echo", "in step"), "in step");
};

/** The service asks: one client, or all in a room. */
exports.calls = async ({ connect, next }) => {
  const [socket, second, third] = [await connect(), await connect(), await connect()];
  socket.on("question", (...args) => args.pop()(...args));
  assert.deepEqual(await socket.emitWithAck("ask me", 60, "question", 1, { two: 2 }), [1, { two: 2 }]);
  assert.deepEqual(await socket.emitWithAck("ask me", 60, "question", "one"), "one");
  assert.deepEqual(await socket.emitWithAck("ask me", 60, "question"), undefined);
  const bytes = Buffer.from([0, 255]);
  assert.deepEqual(await socket.emitWithAck("ask me", 60, "question", { deep: [bytes] }), { deep: [bytes] });

  const silent = next(socket, "silence");
  assert.equal(await socket.emitWithAck("ask me", 0.05, "silence"), "no answer");
  (await silent).pop()("too late");
  assert.equal(await socket.emitWithAck("ask me", 60, "question", "in step"), "in step");

  const polling = await connect({ transports: ["polling"] });
  const everybody = [socket, second, third, polling];
  for (const [index, one] of everybody.entries()) {
    await one.emitWithAck("enter", "jury");
    one.on("vote", (subject, reply) => reply(`${subject}: ${index}`));
  }
  const votes = await socket.emitWithAck("ask all", "jury", 60, "vote", "tea");
  assert.deepEqual(votes.sort(), ["tea: 0", "tea: 1", "tea: 2", "tea: 3"]);
  third.off("vote");
  third.on("vote", () => third.disconnect()); // who leaves is not waited for
  const others = await socket.emitWithAck("ask all", "jury", 60, "vote", "milk");
  assert.deepEqual(others.sort(), ["milk: 0", "milk: 1", "milk: 3"]);
  second.off("vote");
  const { late } = await socket.emitWithAck("ask all", "jury", 1.5, "vote", "rum");
  assert.ok(late.every((vote) => ["rum: 0", "rum: 3"].includes(vote)));
  assert.deepEqual(await socket.emitWithAck("ask all", "an empty room", 60, "vote", "?"), []);
};

/** Bytes at any depth, both ways. */
exports.binary = async ({ connect, listen }) => {
  const socket = await connect();
  const said = listen(socket, "said");
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  const empty = Buffer.alloc(0);
  const deep = { a: [{ b: { c: [1, bytes, { d: empty }] } }] };
  const cases = [
    [bytes],
    [empty],
    [bytes, "between", empty, bytes],
    [deep],
    [[[[[bytes]]]]],
    [Buffer.alloc(300_000, 1)],
    [{ _placeholder: true, num: 0 }],
    Array.from({ length: 10 }, (_, index) => Buffer.from([index])),
  ];
  for (const args of cases) {
    const answer = await new Promise((resolve) => socket.emit("echo", ...args, (...values) => resolve(values)));
    assert.deepEqual(answer, args);
    socket.emit("say", ...args);
  }
  await said.until(cases.length);
  assert.deepEqual([...said], cases);
  socket.emit("say", new Uint8Array([1, 2]).buffer, new Uint8Array([3]));
  await said.until(cases.length + 1);
  assert.deepEqual(said.at(-1), [Buffer.from([1, 2]), Buffer.from([3])]);
};

/** Volatile messages: to a client that takes them, and to one that does not. */
exports.volatile = async ({ connect, listen, next, url, cookie, transports }) => {
  const [socket, other] = [await connect(), await connect()];
  const ticks = listen(socket, "tick");
  const over = next(socket, "burst over");
  socket.emit("burst", 5);
  await over;
  assert.deepEqual(ticks.flat(), [...ticks.flat()].sort()); // some are dropped, the others are in order
  assert.ok(ticks.length <= (transports[0] === "polling" ? 1 : 5), `${ticks.length} ticks`);
  const before = ticks.length;
  while (ticks.length === before) await other.emitWithAck("tell", { room: socket.id, volatile: true }, "tick", 9);
  socket.volatile.emit("say", "volatile from the client");

  // One that does not poll gets what is not volatile, and only that.
  const idle = new Polling(url, { cookie });
  await idle.open();
  await idle.send("40");
  const room = JSON.parse((await idle.receive()).slice(2)).sid;
  await other.emitWithAck("tell", { room, volatile: true }, "tick", 1);
  await other.emitWithAck("tell", { room }, "lasting", 2);
  await other.emitWithAck("tell", { room, volatile: true }, "tick", 3);
  assert.equal(await idle.receive(), '42["lasting",2]');
  await idle.send("1");
};

/** Who hears what: rooms, exceptions, everybody else. */
exports.rooms = async ({ connect, listen, cookies }) => {
  const a = await connect();
  const b = await connect({ transports: ["polling"] });
  const c = await connect({ cookie: cookies.bob });
  const all = [a, b, c];
  const heard = all.map((socket) => listen(socket, "news"));
  /** Emit, and see who heard it, each once; nobody is asked before all must have it. */
  async function hears(emission, expected) {
    await emission;
    await Promise.all(all.map((socket) => socket.emitWithAck("echo")));
    assert.deepEqual(
      heard.map((list) => list.splice(0).length),
      expected,
    );
  }
  await a.emitWithAck("enter", "red");
  await a.emitWithAck("enter", "blue");
  await b.emitWithAck("enter", "red");
  await c.emitWithAck("enter", "blue");
  const tell = (options) => a.emitWithAck("tell", options, "news", 1);
  await hears(tell({}), [1, 1, 1]);
  await hears(tell({ room: "red" }), [1, 1, 0]);
  await hears(tell({ room: ["red", "blue"] }), [1, 1, 1]);
  await hears(tell({ room: [] }), [0, 0, 0]);
  await hears(tell({ room: c.id }), [0, 0, 1]);
  await hears(tell({ room: "nobody's" }), [0, 0, 0]);
  await hears(tell({ except_room: "blue" }), [0, 1, 0]);
  await hears(tell({ room: ["red", "blue"], except_room: [b.id] }), [1, 0, 1]);
  await hears(tell({ skip: a.id }), [0, 1, 1]);
  await hears(tell({ local: true, room: "red" }), [1, 1, 0]);
  const bob = (await c.emitWithAck("who am i")).user;
  assert.equal(bob, "bob");
  await hears(a.emitWithAck("shout", null, "news", 1), [0, 1, 1]);
  await hears(a.emitWithAck("shout", "red", "news", 1), [0, 1, 0]);
  await hears(c.emitWithAck("shout", ["red", "blue"], "news", 1), [1, 1, 0]);
  await a.emitWithAck("leave", "red");
  await hears(tell({ room: "red" }), [0, 1, 0]);

  assert.deepEqual(await a.emitWithAck("who is in", "blue"), [a.id, c.id].sort());
  await a.emitWithAck("move", "blue", "green");
  assert.deepEqual(await a.emitWithAck("who is in", "blue"), []);
  await hears(tell({ room: "green" }), [1, 0, 1]);
  const { error } = await a.emitWithAck("enter", c.id); // that would be eavesdropping
  assert.equal(error.code, "no_entry");
  c.disconnect();
  b.disconnect();
  for (const [room, left] of Object.entries({ red: [], green: [a.id] })) {
    let members;
    do members = await a.emitWithAck("who is in", room);
    while (members.length > left.length);
    assert.deepEqual(members, left);
  }
};

/** A raw WebSocket client and Socket.IO clients in one conversation. */
exports.raw = async ({ connect, listen, url, cookies, accepted }) => {
  const raw = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { cookie: cookies.bob } });
  await once(raw, "open");
  const received = [];
  raw.on("message", (data) => received.push(JSON.parse(data)));
  const polling = await connect({ transports: ["polling"] });
  const socket = await connect({ transports: ["websocket"] });
  const messages = [polling, socket].map((one) => listen(one, "message"));
  const until = async (count) => {
    while (received.length < count) await once(raw, "message");
  };

  raw.send("bare text");
  await until(1);
  await Promise.all(messages.map((list) => list.until(1)));
  const said = { user: "bob", message: "bare text" };
  assert.deepEqual(received, [said]);
  for (const list of messages) assert.deepEqual([...list], [[said]]);

  socket.send("from Socket.IO");
  await until(2);
  await Promise.all(messages.map((list) => list.until(2)));
  assert.deepEqual(received[1], { user: "alice", message: "from Socket.IO" });

  raw.send(JSON.stringify({ event: "enter", data: "everybody's", id: 1 }));
  await until(3);
  for (const one of [polling, socket]) await one.emitWithAck("enter", "everybody's");
  const news = [polling, socket].map((one) => listen(one, "news"));
  await polling.emitWithAck("tell", { room: "everybody's" }, "news", { a: 1 });
  await until(4);
  assert.deepEqual(received[3], { event: "news", data: { a: 1 } });
  await Promise.all(news.map((list) => list.until(1)));
  assert.deepEqual([...news[0], ...news[1]], [[{ a: 1 }], [{ a: 1 }]]);
  await polling.emitWithAck("shout", null, "news", 2);
  await until(5);
  assert.deepEqual(received[4], { event: "news", data: 2 });

  // One call asks both kinds.
  for (const one of [polling, socket]) one.on("vote", (subject, reply) => reply(`${subject} by ${one.io.engine.transport.name}`));
  raw.on("message", (data) => {
    const { event, data: subject, id } = JSON.parse(data);
    if (event === "vote") raw.send(JSON.stringify({ ack: id, data: `${subject} by hand` }));
  });
  const votes = await socket.emitWithAck("ask all", "everybody's", 60, "vote", "yes");
  assert.deepEqual(votes.sort(), ["yes by hand", "yes by polling", "yes by websocket"]);
  const main = await accepted(socket.io.socket("/admin"));
  main.emit("tell", {}, "news", "not for a raw client");
  await main.emitWithAck("echo");
  raw.send(JSON.stringify({ event: "echo", data: "last", id: 2 }));
  while (received.at(-1).ack !== 2) await once(raw, "message");
  assert.equal(received.filter(({ event }) => event === "news").length, 2);
  raw.close();
  await once(raw, "close");
};

/** The client's queue: in order, one at a time, again after a break. */
exports.retries = async ({ breakTransport, client, connect, accepted, listen, next }) => {
  const watcher = await connect();
  await watcher.emitWithAck("enter", "watchers");
  const saving = listen(watcher, "saving");
  const socket = client({ retries: 3, ackTimeout: 60_000 });
  const acks = [];
  for (const number of [1, 2, 3]) socket.emit("echo", number, (error, value) => acks.push([error, value]));
  await accepted(socket);
  const saved = socket.emitWithAck("save", "a page"); // the queue's own acknowledgement has the error first
  const behind = new Promise((resolve) => socket.emit("echo", "behind", (error, value) => resolve([error, value])));
  await saving.until(1);
  assert.deepEqual(acks, [
    [null, 1],
    [null, 2],
    [null, 3],
  ]);
  const again = next(socket, "connect");
  breakTransport(socket);
  await again;
  await saving.until(2); // the same event once more: handlers must bear it
  assert.equal(await watcher.emitWithAck("release", "a page"), 2);
  assert.equal(await saved, "a page is saved");
  assert.deepEqual(await behind, [null, "behind"]);
  assert.equal(saving.length, 2);

  // An event that nobody handles is acknowledged, too: the queue does not stall.
  const unknown = await socket.emitWithAck("no such event");
  assert.equal(unknown.error.code, "unknown_event");
  assert.equal(await socket.emitWithAck("echo", "next"), "next");
};
