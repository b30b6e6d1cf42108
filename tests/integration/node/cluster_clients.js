// Clients of socket.io, and @socket.io/redis-emitter, as a test wants them; called by ../mixed_cluster.py.
"use strict";

const { Emitter } = require("@socket.io/redis-emitter");
const Redis = require("ioredis");
const { io } = require("socket.io-client");
const { serve, tell } = require("./calls.js");

const sockets = new Map();
//: what a client answers when it is asked; null is nothing, ever
const answers = new Map();
let emitter;

/** Of an emitter, for whom: {namespace, to, except, volatile}. */
function chosen({ namespace, to = [], except = [], volatile = false } = {}) {
  let operator = namespace ? emitter.of(namespace) : emitter;
  if (to.length) operator = operator.to(to);
  if (except.length) operator = operator.except(except);
  return volatile ? operator.volatile : operator;
}

serve({
  /** A client that tells all it hears, by its name; gives its id. */
  connect(name, address, options) {
    const socket = io(address, { forceNew: true, reconnection: false, transports: ["websocket"], ...options });
    sockets.set(name, socket);
    socket.onAny((event, ...args) => {
      const answer = typeof args.at(-1) === "function" ? args.pop() : null;
      tell("heard", name, event, ...args);
      if (answer && answers.get(name) !== null) answer(answers.get(name) ?? name);
    });
    return new Promise((resolve, reject) => {
      socket.on("connect", () => resolve(socket.id));
      socket.on("connect_error", (error) => reject(new Error(`connect_error: ${error.message}`)));
      socket.on("disconnect", (reason) => tell("left", name, reason));
    });
  },
  answerWith: (name, value) => void answers.set(name, value),
  emit: (name, event, ...args) => void sockets.get(name).emit(event, ...args),
  ask: (name, event, ...args) => sockets.get(name).timeout(20000).emitWithAck(event, ...args),
  disconnect(name) {
    sockets.get(name)?.disconnect();
    sockets.delete(name);
    answers.delete(name);
  },
  async startEmitter(redisPort) {
    const redis = new Redis(redisPort, "127.0.0.1");
    redis.on("error", () => {});
    emitter = new Emitter(redis);
  },
  emitterEmit: (options, event, ...args) => void chosen(options).emit(event, ...args),
  emitterJoin: (options, rooms) => chosen(options).socketsJoin(rooms),
  emitterLeave: (options, rooms) => chosen(options).socketsLeave(rooms),
  emitterDisconnect: (options, close) => chosen(options).disconnectSockets(close),
  emitterServerSideEmit: (options, ...args) => void chosen(options).serverSideEmit(...args),
});
