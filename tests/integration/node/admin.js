// The admin view, as the stock client speaks its protocol: what @socket.io/admin-ui does, without its pages.
"use strict";

const assert = require("node:assert/strict");

/** What the UI connects by. */
const admin = (tools, auth, url) =>
  tools.client({ cookie: null, auth, reconnection: false }, tools.namespace, url);
const named = (sockets, name) => sockets.filter((one) => one.data.user.username === name);

exports.login = async (tools) => {
  const { username, password } = tools;
  for (const auth of [{}, { username, password: "wrong" }, { username: "bob", password }, { sessionId: "x" }]) {
    const error = await tools.refused(admin(tools, auth));
    assert.equal(error.message, "invalid credentials");
  }
  // a user's cookie is no login
  const error = await tools.refused(tools.client({ reconnection: false }, tools.namespace));
  assert.equal(error.message, "invalid credentials");

  const socket = admin(tools, { username, password });
  const session = tools.next(socket, "session");
  await tools.accepted(socket);
  const [sessionId] = await session;
  await tools.accepted(admin(tools, { sessionId }));
};

exports.development = async (tools) => {
  const { username, password } = tools;
  const alice = await tools.connect();
  const viewer = admin(tools, { username, password });
  const [config, list, stats] = ["config", "all_sockets", "server_stats"].map((event) => tools.listen(viewer, event));
  const kinds = ["socket_connected", "socket_disconnected", "room_joined", "room_left", "event_received", "event_sent"];
  const heard = Object.fromEntries(kinds.map((kind) => [kind, tools.listen(viewer, kind)]));
  await tools.accepted(viewer);
  await list.until(1);
  assert.ok(config[0][0].supportedFeatures.includes("ALL_EVENTS"));
  const [found] = named(list[0][0], "alice");
  assert.equal(found.id, alice.id);
  assert.equal(found.handshake.headers.cookie, undefined);
  await stats.until(2);
  assert.ok(stats[1][0].namespaces.some(({ name, socketsCount }) => name === "/" && socketsCount >= 1));

  alice.emit("message", "hello");
  const received = await heard.event_received.until(1);
  assert.deepEqual(received[0].slice(0, 3), ["/", alice.id, ["message", "hello"]]);

  viewer.emit("join", "/", "lobby", alice.id);
  const [[, room, id]] = await heard.room_joined.until(1);
  assert.deepEqual([room, id], ["lobby", alice.id]);
  const news = tools.next(alice, "news");
  viewer.emit("emit", "/", "lobby", "news", { a: 1 });
  assert.deepEqual(await news, [{ a: 1 }]);
  const isNews = ([, to, [event]]) => to === alice.id && event === "news";
  while (!heard.event_sent.some(isNews)) await tools.next(viewer, "event_sent");
  viewer.emit("leave", "/", "lobby", alice.id);
  await heard.room_left.until(1);

  const gone = tools.next(alice, "disconnect");
  viewer.emit("_disconnect", "/", false, id);
  assert.deepEqual((await gone)[0], "io server disconnect");
  const [[, left, reason]] = await heard.socket_disconnected.until(1);
  assert.deepEqual([left, reason], [id, "Disconnected by an administrator"]);
};

exports.twoNodes = async (tools) => {
  const { username, password, other } = tools;
  const [alice, bob] = [await tools.connect(), await tools.connect({ cookie: tools.cookies.bob }, "", other)];
  const viewer = admin(tools, { username, password });
  const [list, stats, session] = ["all_sockets", "server_stats", "session"].map((event) => tools.listen(viewer, event));
  const [connected, received] = ["socket_connected", "event_received"].map((event) => tools.listen(viewer, event));
  await tools.accepted(viewer);
  await list.until(1);
  for (const { id } of [alice, bob]) assert.equal(list[0][0].filter((one) => one.id === id).length, 1);
  while (new Set(stats.map(([{ serverId }]) => serverId)).size < 2) await tools.next(viewer, "server_stats");

  const carol = await tools.connect({ cookie: tools.cookies.carol }, "", other);
  while (!connected.some(([{ id }]) => id === carol.id)) await tools.next(viewer, "socket_connected");
  carol.emit("message", "from afar");
  while (!received.some(([, id]) => id === carol.id)) await tools.next(viewer, "event_received");

  // the session is good on the other node, too
  await tools.accepted(admin(tools, { sessionId: session[0][0] }, other));

  for (const [socket, close] of [[bob, false], [carol, true]]) {
    const gone = tools.next(socket, "disconnect");
    viewer.emit("_disconnect", "/", close, socket.id);
    await gone;
  }
  assert.equal(alice.connected, true);
};
