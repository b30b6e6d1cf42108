// Fastify with @fastify/websocket, @fastify/cookie and jsonwebtoken: what wsservice replaces. Prints its port.
// Over TLS if TLS_KEY and TLS_CERT name files.
const { readFileSync } = require("fs");
const { fetchKeys } = require("./tokens");
require("./collect");

const { TLS_KEY, TLS_CERT } = process.env;
const https = TLS_KEY ? { key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) } : undefined;
const fastify = require("fastify")({ https });
fastify.register(require("@fastify/cookie"));
fastify.register(require("@fastify/websocket"));
const clients = new Set();
const rooms = new Map();

function tell(members, text) {
  for (const client of members) if (client.readyState === 1) client.send(text);
}

function join(room, socket) {
  if (!rooms.has(room)) rooms.set(room, new Set());
  const members = rooms.get(room).add(socket);
  socket.on("close", () => members.delete(socket));
}

const handlers = new Map([["answer", (socket, data) => data]]);

// What an application does by hand over plain WebSockets, to have events that are answered, as wsservice has them.
function dispatch(socket, text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return socket.close(1007, "Not JSON");
  }
  const handler = handlers.get(message.event);
  if (!handler) return socket.send(JSON.stringify({ ack: message.id, error: { code: "unknown_event" } }));
  const data = handler(socket, message.data);
  if (message.id !== undefined) socket.send(JSON.stringify({ ack: message.id, data }));
}

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
        if (text[0] === "{") return dispatch(socket, text);
        if (text[0] === "b") return tell(clients, text);
        if (text[0] === "r") return tell(rooms.get(text.slice(1, 4)), text);
        if (text[0] === "j") join(text.slice(1, 4), socket);
        socket.send(text);
      });
    });
  });
  await fastify.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
  console.log(`listening on ${fastify.server.address().port}`);
});
