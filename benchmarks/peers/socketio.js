// socket.io on Node, with the cookie's token checked by a middleware; with REDIS_URL, a node of a cluster. Prints its port.
const { createServer } = require("http");
const { Server } = require("socket.io");
const { fetchKeys } = require("./tokens");
require("./collect");

const server = createServer();
const io = new Server(server);

async function joinCluster() {
  if (!process.env.REDIS_URL) return;
  const { createAdapter } = require("@socket.io/redis-adapter");
  const publisher = require("redis").createClient({ url: process.env.REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}

joinCluster().then(fetchKeys).then((verify) => {
  io.use((socket, next) => {
    const token = /(?:^|; )authToken=([^;]+)/.exec(socket.handshake.headers.cookie ?? "");
    if (!token) return next(new Error("Missing authentication token"));
    try {
      socket.data.user = verify(token[1]);
    } catch {
      return next(new Error("Invalid authentication token"));
    }
    next();
  });
  io.on("connection", (socket) => {
    socket.on("echo", (text) => socket.emit("echo", text));
    socket.on("all", (text) => io.emit("all", text));
    socket.on("join", (room) => {
      socket.join(room);
      socket.emit("join", room);
    });
    socket.on("room", (room, text) => io.to(room).emit("room", text));
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
    console.log(`listening on ${server.address().port}`);
  });
});
