// Stock clients of several nodes behind one address, without sticky sessions. Called by test_several_processes.py.
"use strict";

const assert = require("node:assert/strict");

const numbers = (count) => Array.from({ length: count }, (_, index) => index);

/** A conversation: each answer once, in order, its own, whatever node got which request. */
async function talk(socket, listen, count) {
  const said = listen(socket, "said");
  for (const number of numbers(count)) socket.emit("say", socket.id, number);
  for (const number of numbers(count)) {
    assert.deepEqual(await socket.emitWithAck("echo", [socket.id, number]), [socket.id, number]);
  }
  await said.until(count);
  assert.deepEqual(
    said,
    Object.assign(
      numbers(count).map((number) => [socket.id, number]),
      { until: said.until },
    ),
  );
}

/** Long-polling only; Node's client opens a connection for each request. */
exports.polling = async ({ connect, listen, clients }) => {
  await Promise.all(
    numbers(clients).map(async () => {
      const socket = await connect({ transports: ["polling"] });
      await talk(socket, listen, 10);
      assert.equal(socket.io.engine.transport.name, "polling");
      const large = "ä€".repeat(50_000);
      assert.equal(await socket.emitWithAck("echo", large), large);
      assert.deepEqual(await socket.emitWithAck("echo", Buffer.from([0, 255])), Buffer.from([0, 255]));
    }),
  );
};

/** As front ends connect: the upgrade may reach another node than the session. */
exports.upgrading = async ({ client, accepted, next, listen, clients }) => {
  await Promise.all(
    numbers(clients).map(async () => {
      const socket = client();
      const upgraded = new Promise((resolve) => socket.io.once("open", () => resolve(next(socket.io.engine, "upgrade"))));
      await accepted(socket);
      await talk(socket, listen, 5);
      await upgraded;
      assert.equal(socket.io.engine.transport.name, "websocket");
      await talk(socket, listen, 5);
    }),
  );
};

/** WebSockets need no help. */
exports.websockets = async ({ connect, listen, clients }) => {
  await Promise.all(
    numbers(clients).map(async () => {
      await talk(await connect({ transports: ["websocket"] }), listen, 10);
    }),
  );
};

/** A node is killed: its clients come back, and so do others whose request was under way through it. */
exports.killed = async ({ connect, ask, clients }) => {
  const sockets = await Promise.all(numbers(clients).map(() => connect({ transports: ["polling"] })));
  const owner = (socket) => socket.io.engine.id.split(".")[0];
  const first = owner(sockets[0]);
  const theirs = sockets.filter((socket) => owner(socket) === first);
  assert.ok(theirs.length < clients, "all clients came to one node");
  const back = theirs.map(
    (socket) => new Promise((resolve) => socket.once("disconnect", () => socket.once("connect", resolve))),
  );
  await ask("kill", first);
  await Promise.all(back);
  for (const socket of sockets) {
    let answer;
    while (answer !== socket.id) {
      try {
        answer = await socket.timeout(5000).emitWithAck("echo", socket.id);
      } catch {
        // Asked in a session that was about to end: nobody answers.
      }
    }
    assert.notEqual(owner(socket), first);
  }
  return { theirs: theirs.length, others: clients - theirs.length };
};
