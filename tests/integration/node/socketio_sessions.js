// Who is let in, and how a connection ends and comes back. Called by test_socketio_node.py.
"use strict";

const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { openRaw, Polling } = require("./raw");

const LOST = ["transport close", "transport error"];

/** The application refuses, and accepts a better word on the same session. */
exports.middleware = async ({ client, connect, accepted, refused }) => {
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    const alone = client({ transports, auth: { ticket: "torn" } });
    const error = await refused(alone);
    assert.ok(error instanceof Error);
    assert.deepEqual([error.message, error.data], ["This ticket is torn", { office: 7 }]);
    assert.equal(alone.active, false);
    alone.auth = { ticket: "whole" };
    await accepted(alone.connect()); // stock clients close a session without a namespace

    const main = await connect({ transports }); // but not one with another
    const session = main.io.engine.id;
    const socket = main.io.socket("/admin", { auth: { ticket: "torn", colour: "red" } });
    assert.deepEqual((await refused(socket)).data, { office: 7 });
    await refused(socket.connect());
    socket.auth = (give) => give({ ticket: "whole" });
    await accepted(socket.connect());
    assert.equal(main.io.engine.id, session);
    assert.deepEqual((await socket.emitWithAck("who am i")).auth, { ticket: "whole" });
    assert.deepEqual((await main.emitWithAck("who am i")).auth, {});
  }
};

/** No token, a bad token; then a good one. */
exports.tokens = async ({ client, cookie, accepted, refused }) => {
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    for (const [bad, message] of [
      [null, "Missing authentication token"],
      ["authToken=nonsense", "Invalid authentication token"],
    ]) {
      const socket = client({ transports, cookie: bad });
      const error = await refused(socket);
      assert.deepEqual([error.message, error.data], [message, undefined]);
      assert.equal((await refused(socket.io.socket("/admin"))).message, message);
      socket.io.opts.extraHeaders.cookie = cookie; // as a browser does after a login
      await accepted(socket.connect());
      assert.equal((await socket.emitWithAck("who am i")).user, "alice");
    }
  }
};

/** A client without the cleverness of the stock one: it asks again on the same session. */
exports.sameSession = async ({ url, cookie }) => {
  const ask = "40";
  const refusal = '44{"message":"Missing authentication token"}';
  const polling = new Polling(url, {});
  await polling.open();
  for (let times = 0; times < 3; times += 1) {
    await polling.send(ask);
    assert.equal(await polling.receive(), refusal);
  }
  await polling.send("40/admin,");
  assert.equal(await polling.receive(), refusal.replace("44", "44/admin,"));
  polling.headers.cookie = cookie;
  await polling.send(ask);
  assert.match(await polling.receive(), /^40\{"sid":"[\w-]{20}"\}$/);
  await polling.send("1");

  const socket = await openRaw(url, {});
  for (let times = 0; times < 3; times += 1) {
    socket.send(ask);
    assert.equal(await socket.receive(), refusal);
  }
  socket.close();
};

/** The issuer's keys cannot be had; then they can: for stock clients, and for one that asks again on its session. */
exports.unavailable = async ({ client, url, cookie, ask, accepted, refused }) => {
  const sockets = [["websocket"], ["polling"]].map((transports) => client({ transports }));
  for (const error of await Promise.all(sockets.map(refused))) {
    assert.deepEqual([error.message, error.data], ["Authentication failed", undefined]);
  }
  const raw = await openRaw(url, { cookie });
  raw.send("40");
  assert.equal(await raw.receive(), '44{"message":"Authentication failed"}');
  const polling = new Polling(url, { cookie });
  await polling.open();
  await polling.send("40");
  assert.equal(await polling.receive(), '44{"message":"Authentication failed"}');

  await ask("let the keys be there");
  raw.send("40");
  await polling.send("40");
  assert.match(await raw.receive(), /^40\{"sid"/);
  assert.match(await polling.receive(), /^40\{"sid"/);
  raw.close();
  await polling.send("1");
  await Promise.all(sockets.map((socket) => accepted(socket.connect())));
  for (const socket of sockets) assert.equal((await socket.emitWithAck("who am i")).user, "alice");
};

const REFRESH = `
  const [url, cookie] = process.argv.slice(1);
  const headers = { cookie, origin: url, "content-type": "application/json" };
  fetch(url + "/auth/refresh", { method: "POST", body: "{}", headers }).then(({ status, headers }) => {
    const cookies = headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
    process.stdout.write(JSON.stringify({ status, cookies }));
  });
`;

/** Refresh the session; blocks, so that no attempt to reconnect can come before. */
function refresh(url, cookie) {
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", REFRESH, url, cookie], { encoding: "utf8" });
  assert.ok(stdout, stderr);
  const { status, cookies } = JSON.parse(stdout);
  assert.equal(status, 200);
  return cookies;
}

/** A token's time is over: the client comes back by itself, if the front end has refreshed the cookie. */
exports.expiry = async ({ connect, cookies, url, next, refused }) => {
  const careless = await connect({ cookie: cookies.carol });
  const told = refused(careless);
  const users = { alice: ["websocket"], bob: ["polling"] };
  const returned = Object.entries(users).map(async ([user, transports]) => {
    const socket = await connect({ transports, cookie: cookies[user] });
    const { id } = socket;
    const back = next(socket, "disconnect").then(([reason]) => {
      assert.ok(LOST.includes(reason), reason);
      assert.equal(socket.active, true);
      return next(socket, "connect");
    });
    socket.once("disconnect", () => {
      socket.io.opts.extraHeaders.cookie = refresh(url, cookies[user]);
    });
    await back;
    assert.notEqual(socket.id, id);
    assert.equal((await socket.emitWithAck("who am i")).user, user);
  });
  await Promise.all(returned);
  assert.equal((await told).message, "Invalid authentication token");
};

/** The application's end of a connection, the client's, and one that nobody wanted. */
exports.ends = async ({ breakTransport, connect, accepted, next }) => {
  const watcher = await connect({ transports: ["websocket"] });
  await watcher.emitWithAck("enter", "watchers");
  for (const transports of [["websocket"], ["polling"]]) {
    const socket = await connect({ transports });
    let { id } = socket;
    let [ended, left] = [next(socket, "disconnect"), next(watcher, "left")];
    socket.emit("disconnect me");
    assert.equal((await ended)[0], "io server disconnect");
    assert.equal(socket.active, false);
    assert.deepEqual(await left, [id, "server disconnect"]);
    await accepted(socket.connect());

    await socket.emitWithAck("enter", "doomed");
    ended = next(socket, "disconnect");
    await watcher.emitWithAck("disconnect room", "doomed");
    assert.equal((await ended)[0], "io server disconnect");
    await accepted(socket.connect());

    [ended, left] = [next(socket, "disconnect"), next(watcher, "left")];
    ({ id } = socket);
    const back = next(socket, "connect");
    breakTransport(socket);
    assert.ok(["transport close", "forced close"].includes((await ended)[0]));
    const [whose, why] = await left;
    assert.equal(whose, id);
    assert.ok(LOST.includes(why), why);
    await back; // by itself
    assert.notEqual(socket.id, id);
    assert.ok(!socket.recovered);

    [ended, left] = [next(socket, "disconnect"), next(watcher, "left")];
    ({ id } = socket);
    socket.disconnect();
    assert.equal((await ended)[0], "io client disconnect");
    assert.equal((await left)[0], id);
  }
};

/** The bound of a message: the transport ends, and no word tells the client to stay away. */
exports.tooLarge = async ({ connect, next }) => {
  const socket = await connect();
  assert.equal(await socket.emitWithAck("echo", "x".repeat(900)), "x".repeat(900));
  const [ended, back] = [next(socket, "disconnect"), next(socket, "connect")];
  socket.emit("say", "x".repeat(5000));
  assert.ok(LOST.includes((await ended)[0]));
  await back;
  assert.equal(await socket.emitWithAck("echo", "back"), "back");
};

/** Somebody signs out: the client tries to come back, and is told why it cannot. */
exports.logout = async ({ ask, connect, cookies, next, refused }) => {
  const [socket, other] = [await connect(), await connect({ cookie: cookies.bob })];
  const [ended, told] = [next(socket, "disconnect"), refused(socket)];
  assert.equal(await ask("log out"), 204);
  assert.ok(LOST.includes((await ended)[0]));
  assert.equal((await told).message, "Invalid authentication token");
  assert.equal(await other.emitWithAck("echo", "still here"), "still here");
};

/** SIGTERM: nobody is told to stay away. */
exports.stop = async ({ ask, connect, next }) => {
  const sockets = [
    await connect({ transports: ["websocket"] }),
    await connect({ transports: ["polling"] }),
    await connect({ transports: ["polling", "websocket"] }),
    await connect({ transports: ["websocket"] }, "/admin"),
    await connect({ transports: ["polling"] }, "/room-1"),
  ];
  const packets = [];
  for (const { io } of sockets) io.engine.on("data", (data) => packets.push(data));
  const ended = sockets.map((socket) => next(socket, "disconnect"));
  const trying = sockets.map((socket) => next(socket.io, "reconnect_attempt"));
  const status = await ask("stop");
  for (const [reason] of await Promise.all(ended)) assert.ok(LOST.includes(reason), reason);
  await Promise.all(trying); // they come back by themselves
  assert.deepEqual(packets, []);
  assert.equal(status, 0);
};

/** kill -9, and the same service again on the same port. */
exports.restart = async ({ ask, connect, listen, next }) => {
  const sockets = [
    await connect({ transports: ["websocket"] }),
    await connect({ transports: ["polling"] }),
    await connect({ transports: ["polling", "websocket"] }),
  ];
  const ids = sockets.map(({ id }) => id);
  const said = sockets.map((socket) => listen(socket, "said"));
  const ended = sockets.map((socket) => next(socket, "disconnect"));
  await ask("kill");
  for (const [reason] of await Promise.all(ended)) assert.ok(LOST.includes(reason), reason);
  for (const [index, socket] of sockets.entries()) for (const part of [0, 1]) socket.emit("say", index, part);
  const back = sockets.map((socket) => next(socket, "connect"));
  await ask("start again");
  await Promise.all(back);
  await Promise.all(said.map((list) => list.until(2)));
  await Promise.all(sockets.map((socket) => socket.emitWithAck("echo")));
  for (const [index, socket] of sockets.entries()) {
    assert.notEqual(socket.id, ids[index]);
    assert.equal(socket.recovered, false); // the new service knows nothing of the old one's connections
    assert.deepEqual(
      said[index].map((args) => args.slice(0, 2)),
      [
        [index, 0],
        [index, 1],
      ],
    );
  }
};

/** Origins: one that may connect, and one that may not. */
exports.origins = async ({ client, connect, refused }) => {
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    const good = await connect({ transports, extraHeaders: { origin: "https://app.example.com" } });
    assert.equal(await good.emitWithAck("echo", 1), 1);
    const bad = client({ transports, reconnection: false, extraHeaders: { origin: "https://evil.example" } });
    const error = await refused(bad);
    if (transports[0] === "polling") {
      assert.equal(error.description, 403);
    } else {
      assert.match(error.description.message, /403/);
    }
  }
};
