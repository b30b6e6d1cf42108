// Fastify with @fastify/websocket, @fastify/cookie and jsonwebtoken: what wsservice replaces. Prints its port.
const fastify = require("fastify")();
const { fetchKeys } = require("./tokens");

fastify.register(require("@fastify/cookie"));
fastify.register(require("@fastify/websocket"));
const clients = new Set();

fetchKeys().then(async (verify) => {
  fastify.register(async (app) => {
    app.get("/ws", { websocket: true }, (socket, request) => {
      const token = request.cookies.authToken;
      if (!token) return socket.close(1008, "Missing authentication token");
      try {
        socket.user = verify(token);
      } catch {
        return socket.close(1008, "Invalid authentication token");
      }
      clients.add(socket);
      socket.on("close", () => clients.delete(socket));
      socket.on("error", () => {});
      socket.on("message", (data) => {
        const text = data.toString();
        if (text[0] !== "b") return socket.send(text);
        for (const client of clients) if (client.readyState === 1) client.send(text);
      });
    });
  });
  await fastify.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
  console.log(`listening on ${fastify.server.address().port}`);
});
