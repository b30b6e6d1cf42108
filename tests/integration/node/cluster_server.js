// A server of socket.io with the classic Redis adapter, as one more node of a cluster; called by ../mixed_cluster.py.
"use strict";

const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const Redis = require("ioredis");
const { Server } = require("socket.io");
const { serve, tell } = require("./calls.js");

let io;

/** A broadcast operator of what a test says: {namespace, to, except, volatile, local, timeout}. */
function operator({ namespace = "/", to = [], except = [], volatile = false, local = false, timeout } = {}) {
  let chosen = io.of(namespace).to(to).except(except);
  if (volatile) chosen = chosen.volatile;
  if (local) chosen = chosen.local;
  return timeout ? chosen.timeout(timeout) : chosen;
}

const described = ({ id, rooms, data, handshake }) => ({ id, rooms, data, handshake });

serve({
  /** Begin to serve; gives the port. */
  async start(redisPort, namespaces) {
    const [pub, sub] = [new Redis(redisPort, "127.0.0.1"), new Redis(redisPort, "127.0.0.1")];
    for (const client of [pub, sub]) client.on("error", () => {});
    const http = createServer();
    io = new Server(http, { adapter: createAdapter(pub, sub, { key: "socket.io" }), transports: ["websocket"] });
    for (const namespace of [...namespaces.map((name) => io.of(name)), io.of(/^\/room-\d+$/)]) {
      namespace.on("connection", (socket) => {
        socket.data.place = "node";
        socket.on("say", (options, event, ...args) => operator(options).emit(event, ...args));
      });
    }
    for (const name of namespaces) {
      io.of(name).on("asked", (...args) => {
        const answer = typeof args.at(-1) === "function" ? args.pop() : null;
        tell("served", name, "asked", ...args);
        answer?.({ node: "node", args });
      });
    }
    await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
    return http.address().port;
  },
  emit: (options, event, ...args) => void operator(options).emit(event, ...args),
  fetch: async (options) => (await operator(options).fetchSockets()).map(described),
  /** Gives the answers; with those of the error if it is too late. */
  async call(options, event, ...args) {
    try {
      return { answers: await operator(options).emitWithAck(event, ...args) };
    } catch (error) {
      return { late: error.responses ?? String(error) };
    }
  },
  serverSideEmit: (namespace, ...args) => void io.of(namespace).serverSideEmit(...args),
  async serverSideAsk(namespace, ...args) {
    try {
      return { answers: await io.of(namespace).serverSideEmitWithAck(...args) };
    } catch (error) {
      return { late: error.responses ?? String(error) };
    }
  },
  join: (options, rooms) => operator(options).socketsJoin(rooms),
  leave: (options, rooms) => operator(options).socketsLeave(rooms),
  disconnect: (options, close) => operator(options).disconnectSockets(close),
  allRooms: (namespace) => io.of(namespace).adapter.allRooms(),
  serverCount: (namespace) => io.of(namespace).adapter.serverCount(),
  localIds: (namespace) => [...io.of(namespace).sockets.keys()],
});
