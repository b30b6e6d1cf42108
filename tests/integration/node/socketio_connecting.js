// How clients connect: by each transport, from one to the other, to several namespaces. Called by test_socketio_node.py.
"use strict";

const assert = require("node:assert/strict");
const { io } = require("socket.io-client");
const { Polling } = require("./raw");

const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);

/** A conversation on the one transport that the settings name. */
exports.oneTransport = async ({ connect, listen, transports, accepted, next }) => {
  const socket = await connect({ query: { place: "home" } });
  assert.equal(socket.io.engine.transport.name, transports[0]);
  const said = listen(socket, "said");
  for (const number of numbers(0, 200)) socket.emit("say", number);
  await said.until(200);
  assert.deepEqual(said.flat(), numbers(0, 200));
  const me = await socket.emitWithAck("who am i");
  assert.deepEqual([me.id, me.user, me.query], [socket.id, "alice", "home"]);
  assert.equal(socket.io.engine.transport.name, transports[0]);

  const large = "ä€😀".repeat(60_000); // 540,000 bytes
  assert.equal(await socket.emitWithAck("echo", large), large);

  // The client's own end of a namespace, and its return on the same session.
  const session = socket.io.engine.id;
  const watcher = await connect({}, "/admin");
  await watcher.emitWithAck("enter", "watchers");
  const another = socket.io.socket("/admin");
  await next(another, "connect");
  const left = next(watcher, "left");
  const id = another.id;
  another.disconnect();
  assert.deepEqual(await left, [id, "client namespace disconnect"]);
  await accepted(another.connect());
  assert.notEqual(another.id, id);
  assert.deepEqual(await another.emitWithAck("echo", 1), 1);
  assert.equal(socket.io.engine.id, session);
};

/** Both sides talk from before the upgrade until after it; the upgrade comes when they are in the midst of it. */
exports.upgrade = async ({ connect, listen, next }) => {
  const watcher = await connect({ transports: ["websocket"] });
  for (let round = 0; round < 3; round += 1) {
    const socket = await connect({ transports: ["polling", "websocket"], upgrade: false });
    const { engine } = socket.io;
    const [said, streamed, stages] = [listen(socket, "said"), listen(socket, "number"), []];
    let sent = 0;
    const say = (count) => {
      for (const _ of numbers(0, count)) {
        socket.emit("say", sent, sent % 7 === 0 ? Buffer.from([sent % 256]) : null);
        sent += 1;
      }
    };
    for (const stage of ["upgrading", "upgrade"]) {
      engine.once(stage, () => {
        stages.push([stage, engine.transport.name]);
        say(20);
      });
    }
    await watcher.emitWithAck("stream", socket.id, 300);
    say(20);
    await streamed.until(20);
    const upgraded = next(engine, "upgrade");
    engine._probe("websocket"); // what the stock client does as soon as it is open, where this cannot be seen
    say(20);
    await upgraded;
    say(20);
    await said.until(100);
    await streamed.until(300);
    assert.equal(await socket.emitWithAck("echo", round), round); // nothing came twice
    assert.deepEqual(stages, [
      ["upgrading", "polling"],
      ["upgrade", "websocket"],
    ]);
    assert.deepEqual(
      said.map(([number]) => number),
      numbers(0, 100),
    );
    for (const [number, bytes] of said) {
      assert.deepEqual(bytes, number % 7 === 0 ? Buffer.from([number % 256]) : null);
    }
    assert.deepEqual(streamed.flat(), numbers(0, 300));
    socket.disconnect();
  }
};

/** Upgrades as they come, one in the way of the other: each client has its own answers. */
exports.manyUpgrades = async ({ client, accepted, next }) => {
  await Promise.all(
    numbers(0, 20).map(async (number) => {
      const socket = client({ transports: ["polling", "websocket"] });
      const upgraded = new Promise((resolve) => socket.io.once("open", () => resolve(next(socket.io.engine, "upgrade"))));
      await accepted(socket);
      for (const part of numbers(0, 5)) assert.deepEqual(await socket.emitWithAck("echo", [number, part]), [number, part]);
      await upgraded;
      assert.equal(socket.io.engine.transport.name, "websocket");
      assert.equal(await socket.emitWithAck("echo", number), number);
    }),
  );
};

/** What front ends write, unchanged. */
exports.defaults = async ({ url, cookie, accepted, next }) => {
  const socket = io(url, { withCredentials: true, extraHeaders: { cookie } });
  const upgraded = new Promise((resolve) => {
    socket.io.on("open", () => resolve(next(socket.io.engine, "upgrade")));
  });
  await accepted(socket);
  assert.equal(await socket.emitWithAck("echo", "by polling or not"), "by polling or not");
  await upgraded;
  assert.equal(socket.io.engine.transport.name, "websocket");
  assert.equal(await socket.emitWithAck("echo", "by websocket"), "by websocket");
  const me = await socket.emitWithAck("who am i");
  assert.equal(me.user, "alice");
  socket.disconnect();
};

/** `--compression`, and the compressed answers of long-polling. */
exports.compression = async ({ connect, url, cookie }) => {
  const text = "compressible ".repeat(20_000);
  const bytes = Buffer.alloc(100_000, 7);
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    const socket = await connect({ transports });
    if (transports[0] === "websocket") {
      assert.match(socket.io.engine.transport.ws.extensions, /permessage-deflate/);
    }
    for (let round = 0; round < 3; round += 1) {
      assert.equal(await socket.emitWithAck("echo", text), text);
      assert.deepEqual(await socket.emitWithAck("echo", bytes), bytes);
      assert.equal(await socket.emitWithAck("echo", "short"), "short");
    }
  }
  const polling = new Polling(url, { cookie, "accept-encoding": "gzip" });
  await polling.open();
  await polling.send("40");
  await polling.receive();
  await polling.send(`42["say",${JSON.stringify(text)}]`);
  const answer = await polling.get();
  assert.equal(answer.headers.get("content-encoding"), "gzip");
  assert.match(answer.headers.get("vary"), /accept-encoding/i);
  assert.equal(await answer.text(), `42["said",${JSON.stringify(text)}]`);
};

/** Several namespaces over one connection, one of them made on demand. */
exports.namespaces = async ({ connect, listen, next, refused }) => {
  const main = await connect();
  const [admin, seven, eight] = ["/admin", "/room-7", "/room-8"].map((name) => main.io.socket(name));
  await Promise.all([admin, seven, eight].map((socket) => next(socket, "connect")));
  const all = [main, admin, seven, eight];
  assert.equal(new Set(all.map((socket) => socket.id)).size, 4);
  const names = await Promise.all(all.map(async (socket) => (await socket.emitWithAck("who am i")).namespace));
  assert.deepEqual(names, ["/", "/admin", "/room-7", "/room-8"]);

  const heard = all.map((socket) => listen(socket, "news"));
  await seven.emitWithAck("tell", {}, "news", "for seven");
  await admin.emitWithAck("tell", {}, "news", "for admin", Buffer.from("bytes"));
  await Promise.all(all.map((socket) => socket.emitWithAck("echo")));
  assert.deepEqual(
    heard.map((list) => [...list]),
    [[], [["for admin", Buffer.from("bytes")]], [["for seven"]], []],
  );

  // Acknowledgements of the same number, asked for in several namespaces at once.
  const answers = await Promise.all(all.flatMap((socket) => [1, 2].map((n) => socket.emitWithAck("echo", socket.nsp + n))));
  assert.deepEqual(answers, all.flatMap((socket) => [1, 2].map((n) => socket.nsp + n)));

  for (const name of ["/nowhere", "/room-x", "/room-7/8"]) {
    assert.equal((await refused(main.io.socket(name))).message, "Invalid namespace");
  }
  const gone = next(seven, "disconnect");
  await eight.emitWithAck("echo");
  seven.emit("disconnect me");
  assert.deepEqual((await gone)[0], "io server disconnect");
  assert.equal(await main.emitWithAck("echo", "the others stay"), "the others stay");
};

/** An upgrade that cannot be leaves the client on long-polling. */
exports.noUpgrade = async ({ connect }) => {
  const socket = await connect({ transports: ["polling", "websocket"] });
  assert.equal(await socket.emitWithAck("echo", "still polling"), "still polling");
  assert.equal(socket.io.engine.transport.name, "polling");
};

/** `--socketio-path`. */
exports.otherPath = async ({ connect, path }) => {
  const socket = await connect({ path });
  assert.equal(await socket.emitWithAck("echo", 1), 1);
};

/** The heartbeat, many times over. */
exports.pings = async ({ connect, listen }) => {
  const socket = await connect();
  const pings = listen(socket.io, "ping");
  const { id } = socket;
  await pings.until(10);
  assert.equal(await socket.emitWithAck("echo", "alive"), "alive");
  assert.equal(socket.id, id);
};
