// Connections that break, and go on where they were (`--recovery`). Called by test_socketio_node.py.
"use strict";

const assert = require("node:assert/strict");

const LOST = ["transport close", "transport error"];

/** A client that comes back as another one: with that one's private id and offset. */
function impersonate(socket, { pid, offset }) {
  socket._pid = pid;
  socket._lastOffset = offset;
  return socket.connect();
}

const secrets = (socket) => ({ pid: socket._pid, offset: socket._lastOffset });

/** Break a connection, and wait until the service has noticed. */
async function lose(socket, watcher, { breakTransport, next }) {
  const [left, ended] = [next(watcher, "left"), next(socket, "disconnect")];
  const { id } = socket;
  breakTransport(socket);
  await ended;
  assert.equal((await left)[0], id);
  return id;
}

async function watch({ connect }) {
  const watcher = await connect({ transports: ["websocket"] });
  await watcher.emitWithAck("enter", "watchers");
  return watcher;
}

/** What was missed comes before `connect`: all of it, in order, and nothing that was not for this one. */
exports.missed = async (tools) => {
  const { accepted, connect, listen } = tools;
  const watcher = await watch(tools);
  const tell = (options, ...args) => watcher.emitWithAck("tell", options, "news", ...args);
  const socket = await connect({ reconnection: false });
  await socket.emitWithAck("enter", "club");
  await socket.emitWithAck("remember", "name", "Ann");
  const news = listen(socket, "news");
  await tell({}, "heard");
  await news.until(1);
  assert.equal(typeof news[0][1], "string"); // the offset

  const id = await lose(socket, watcher, tools);
  const bytes = Buffer.from([1, 2, 3]);
  await tell({}, "to all");
  await tell({ room: "club" }, "to the club", { deep: [bytes] });
  await tell({ room: id }, "to me");
  await tell({ user: (await watcher.emitWithAck("who am i")).sub }, "to this user");
  await tell({ room: "another room" }, "not to me");
  await tell({ except_room: "club" }, "not to the club");
  await tell({ skip: id }, "not to me either");
  await tell({ volatile: true }, "volatile");
  await tell({ room: ["club", id] }, "once");

  const order = [];
  socket.onAny((event, what) => order.push(what));
  socket.on("connect", () => order.push("connect"));
  await accepted(socket.connect());
  assert.equal(socket.recovered, true);
  assert.equal(socket.id, id);
  assert.deepEqual(order, ["to all", "to the club", "to me", "to this user", "once", "connect"]);
  assert.deepEqual(news[2].slice(0, 2), ["to the club", { deep: [bytes] }]);
  const me = await socket.emitWithAck("who am i");
  assert.deepEqual([me.id, me.recovered, me.data], [id, true, { name: "Ann" }]);
  assert.ok(me.rooms.includes("club"));

  await tell({ room: "club" }, "from now on");
  await socket.emitWithAck("echo");
  assert.equal(order.at(-1), "from now on");
  assert.equal(order.length, 7);
};

/** A client that was sent nothing yet misses nothing either, and comes back by itself. */
exports.nothingReceived = async (tools) => {
  const { connect, listen, next } = tools;
  const watcher = await watch(tools);
  const socket = await connect({ reconnectionDelay: 300, reconnectionDelayMax: 300 });
  assert.equal(socket._lastOffset, undefined);
  const news = listen(socket, "news");
  const back = next(socket, "connect");
  const id = await lose(socket, watcher, tools);
  await watcher.emitWithAck("tell", {}, "news", "the first of all");
  await back;
  await news.until(1);
  assert.deepEqual([socket.recovered, socket.id], [true, id]);
  assert.equal(news[0][0], "the first of all");
};

/** A stream of events through breaks at any moment: each arrives once, in order. */
exports.breaks = async (tools) => {
  const { breakTransport, connect, listen, next } = tools;
  const watcher = await watch(tools);
  const socket = await connect();
  const numbers = listen(socket, "number");
  await watcher.emitWithAck("stream", socket.id, 600);
  for (const count of [1, 150, 300, 450]) {
    await numbers.until(count);
    const back = next(socket, "connect");
    breakTransport(socket);
    await back;
    assert.equal(socket.recovered, true);
  }
  await numbers.until(600);
  await socket.emitWithAck("echo");
  assert.deepEqual(
    numbers.map(([number]) => number),
    Array.from({ length: 600 }, (_, number) => number),
  );
};

/** Of two clients with one private id, the second goes on and the first is ended; and nobody after an end on purpose. */
exports.oneAtATime = async (tools) => {
  const { accepted, client, connect, next } = tools;
  const watcher = await watch(tools);
  const socket = await connect({ reconnection: false });
  await socket.emitWithAck("enter", "club");
  const id = await lose(socket, watcher, tools);
  await accepted(socket.connect());
  assert.deepEqual([socket.recovered, socket.id], [true, id]);

  const ended = next(socket, "disconnect");
  const second = await accepted(impersonate(client({ autoConnect: false }), secrets(socket)));
  assert.ok(LOST.includes((await ended)[0]));
  assert.deepEqual([second.recovered, second.id], [true, id]);
  assert.deepEqual(await second.emitWithAck("who is in", "club"), [id]);

  const used = secrets(second);
  const left = next(watcher, "left");
  second.disconnect();
  await left;
  const third = await accepted(impersonate(client({ autoConnect: false }), used));
  assert.equal(third.recovered, false);
  assert.notEqual(third.id, id);
  assert.deepEqual(await third.emitWithAck("who is in", "club"), []);
};

/** Two clients that come back with one private id at once: one has it in the end. */
exports.race = async (tools) => {
  const { client, connect, next } = tools;
  const watcher = await watch(tools);
  const socket = await connect({ reconnection: false });
  await socket.emitWithAck("enter", "club");
  const old = secrets(socket);
  const id = await lose(socket, watcher, tools);
  const left = next(watcher, "left");
  const rivals = [1, 2].map(() => impersonate(client({ autoConnect: false, reconnection: false }), old));
  const lost = Promise.race(rivals.map((one) => next(one, "disconnect")));
  await Promise.all(rivals.map((one) => next(one, "connect")));
  assert.ok(LOST.includes((await lost)[0]));
  assert.equal((await left)[0], id);
  const winners = rivals.filter((one) => one.connected && one.id === id);
  assert.equal(winners.length, 1);
  assert.deepEqual(await winners[0].emitWithAck("who is in", "club"), [id]);
};

/** Another user's private id is good for nothing, and its owner can still use it; so is that of another namespace. */
exports.foreign = async (tools) => {
  const { accepted, client, connect, cookies } = tools;
  const watcher = await watch(tools);
  const socket = await connect({ reconnection: false });
  const stolen = secrets(socket);
  const id = await lose(socket, watcher, tools);
  const thief = await accepted(impersonate(client({ autoConnect: false, cookie: cookies.bob }), stolen));
  const elsewhere = await accepted(impersonate(client({ autoConnect: false }, "/admin"), stolen));
  const guess = await accepted(impersonate(client({ autoConnect: false }), { pid: "guessed", offset: "x.1" }));
  for (const one of [thief, elsewhere, guess]) {
    assert.equal(one.recovered, false);
    assert.notEqual(one.id, id);
  }
  await accepted(socket.connect());
  assert.deepEqual([socket.recovered, socket.id], [true, id]);
};

/** The old connection still looks alive: it is ended for the new one, which goes on. */
exports.halfOpen = async (tools) => {
  const { accepted, client, connect, next } = tools;
  const old = await connect({ reconnection: false });
  await old.emitWithAck("enter", "club");
  const { id } = old;
  const ended = next(old, "disconnect");
  const fresh = await accepted(impersonate(client({ autoConnect: false }), secrets(old)));
  const [reason] = await ended;
  assert.ok(LOST.includes(reason), reason);
  assert.deepEqual([fresh.recovered, fresh.id], [true, id]);
  assert.ok((await fresh.emitWithAck("who am i")).rooms.includes("club"));
};

/** What the application or the client ends on purpose is not recovered. */
exports.onPurpose = async (tools) => {
  const { accepted, connect, next } = tools;
  const socket = await connect();
  for (const end of [() => socket.emit("disconnect me"), () => socket.disconnect()]) {
    const { id } = socket;
    const ended = next(socket, "disconnect");
    end();
    await ended;
    await accepted(socket.connect());
    assert.equal(socket.recovered, false);
    assert.notEqual(socket.id, id);
  }
};

/** Without the option nothing of it is seen. */
exports.off = async ({ connect, next }) => {
  const socket = await connect();
  assert.equal(socket._pid, undefined);
  const said = next(socket, "said");
  socket.emit("say", 1);
  assert.deepEqual(await said, [1]);
};
