// The package's own core in Node, against the real service: sockets of `ws` and of socket.io-client, with the
// cookie as a header, since Node has no browser's jar. The settings have `source`, the folder of the core.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { io } = require("socket.io-client");
const WebSocket = require("ws");

const load = (source, file) => import(pathToFileURL(path.join(source, file)).href);

/** A class that opens sockets with a cookie, as a browser does by itself. */
function withCookie(cookie) {
  return class extends WebSocket {
    constructor(url) {
      super(url, { headers: cookie() ? { cookie: cookie() } : {} });
      this.constructor.last = this;
    }
  };
}

/** What a client tells of a name, as a growing list; `until(5)` waits for so many. */
function listen(client, name) {
  const heard = [];
  let changed = () => {};
  client.on(name, (value) => {
    heard.push(value);
    changed();
  });
  heard.until = async (count) => {
    while (heard.length < count) await new Promise((resolve) => (changed = resolve));
    return heard;
  };
  return heard;
}

async function untilState(client, ...wanted) {
  while (!wanted.includes(client.status.state)) {
    await new Promise((resolve) => {
      const stop = client.on("status", () => {
        stop();
        resolve();
      });
    });
  }
  return client.status;
}

const noSession = { refresh: () => Promise.reject(new Error("no")), me: () => Promise.reject(new Error("no")) };

exports.raw_recovers = async ({ url, cookie, source, ask }) => {
  const { WsClient } = await load(source, "client.js");
  const Socket = withCookie(() => cookie);
  const client = new WsClient(`${url.replace("http", "ws")}/ws`, { session: noSession, WebSocket: Socket });
  const [welcomes, events] = [listen(client, "welcome"), listen(client, "event")];
  client.connect();
  await welcomes.until(1);
  await client.call("ask", ["join", "room"]);
  const id = welcomes[0].id;

  await ask("say", [0, 1, 2]);
  await events.until(3);
  client.suspend(); // the page goes into the back/forward cache
  await ask("say", [3, 4, 5]);
  client.resume();
  await events.until(6);
  Socket.last.terminate(); // a cable is pulled
  await untilState(client, "reconnecting");
  client.offline();
  await ask("say", [6, 7, 8]);
  client.online();
  await events.until(9);
  assert.deepEqual(
    events.map(({ name, data }) => [name, data]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => ["said", n]),
  );
  assert.deepEqual(
    welcomes.map((welcome) => [welcome.recovered, welcome.id]),
    [
      [false, id],
      [true, id],
      [true, id],
    ],
  );
  assert.ok(welcomes[2].expiresAt * 1000 > Date.now());

  client.close(); // done, and says so: it cannot come back to it
  client.connect();
  await welcomes.until(4);
  assert.deepEqual([welcomes[3].recovered, welcomes[3].reason], [false, null]);
  client.close();
};

/** The service dies under a client, which comes back by itself, to another process; the test is the load balancer. */
exports.raw_survives_a_kill = async ({ url, cookie, source, ask }) => {
  const { WsClient } = await load(source, "client.js");
  let port = new URL(url).port;
  const Cookied = withCookie(() => cookie);
  class Balanced extends Cookied {
    constructor(address) {
      const balanced = new URL(address);
      balanced.port = port;
      super(balanced.href);
    }
  }
  const client = new WsClient(`${url.replace("http", "ws")}/ws`, { session: noSession, WebSocket: Balanced });
  const [welcomes, events] = [listen(client, "welcome"), listen(client, "event")];
  client.connect();
  await welcomes.until(1);
  await client.call("ask", ["join", "room"]);
  await ask("say", [0, 1, 2]);
  await events.until(3);
  client.offline(); // for as long as it takes to say something that is missed
  port = await ask("kill");
  await untilState(client, "reconnecting");
  await ask("say", [3, 4, 5]);
  client.online();
  await events.until(6);
  assert.deepEqual(
    events.map(({ data }) => data),
    [0, 1, 2, 3, 4, 5],
  );
  assert.deepEqual(
    welcomes.map(({ recovered }) => recovered),
    [false, true],
  );
  client.close();
};

exports.socketio_recovers = async ({ url, cookie, source, transports, ask }) => {
  const { SocketIoClient } = await load(source, "socketio.js");
  const options = { transports, extraHeaders: { cookie } };
  const client = new SocketIoClient(url, { io, session: noSession, options });
  const [welcomes, events] = [listen(client, "welcome"), listen(client, "event")];
  client.connect();
  await welcomes.until(1);
  assert.equal(await client.call("join", "room"), true);
  await ask("say", [0, 1, 2]);
  await events.until(3);
  client.suspend();
  await ask("say", [3, 4, 5]);
  client.resume();
  await events.until(6);
  client.offline();
  client.socket.io.engine.close(); // the transport is lost
  await untilState(client, "reconnecting");
  await ask("say", [6, 7, 8]);
  client.online();
  await events.until(9);
  assert.deepEqual(
    events.map(({ name, data }) => [name, data]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => ["said", n]),
  );
  assert.deepEqual(
    welcomes.map(({ recovered }) => recovered),
    [false, true, true],
  );
  client.close();
};

/** `fetch` with a jar of cookies. */
function jar(origin) {
  const cookies = new Map();
  const header = () => [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  return {
    header,
    fetch: async (address, init) => {
      const headers = { ...init.headers, origin, ...(cookies.size ? { cookie: header() } : {}) };
      const response = await fetch(address, { ...init, headers });
      for (const line of response.headers.getSetCookie()) {
        const [pair] = line.split(";");
        const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
        if (value) cookies.set(name, value);
        else cookies.delete(name);
      }
      return response;
    },
  };
}

/** Log in, and have both clients open: a login, a refresh, a refusal that a refresh cannot mend, a logout. */
exports.session_of_both = async ({ url, username, password, source }) => {
  const { AuthClient, SocketIoClient, WsClient } = await load(source, "index.js");
  const cookies = jar(url);
  const auth = new AuthClient({ baseUrl: `${url}/auth`, fetch: cookies.fetch });
  await auth.restore();
  assert.equal(auth.state.status, "anonymous");

  const Socket = withCookie(cookies.header);
  const raw = new WsClient(`${url.replace("http", "ws")}/ws`, { session: auth, WebSocket: Socket });
  raw.send("said too early");
  raw.connect();
  assert.deepEqual((await untilState(raw, "closed")).cause, "expired"); // nobody is logged in

  assert.equal(await auth.login(username, password), null);
  const extraHeaders = { cookie: cookies.header() };
  const options = { transports: ["websocket"], extraHeaders };
  const stock = new SocketIoClient(url, { io, session: auth, options });
  const [messages, stockMessages] = [listen(raw, "message"), listen(stock, "message")];
  stock.connect();
  await untilState(stock, "open");
  raw.connect();
  await stockMessages.until(1);
  assert.equal(stockMessages[0].message, "said too early");
  await messages.until(1);
  stock.send("by Socket.IO");
  await messages.until(2);
  assert.equal(messages[1].message, "by Socket.IO");

  await auth.refresh();
  assert.deepEqual([raw.status.state, stock.status.state], ["open", "open"]);
  await auth.logout();
  const ends = await Promise.all([untilState(raw, "closed"), untilState(stock, "closed")]);
  assert.deepEqual(
    ends.map(({ cause, reason }) => [cause, reason]),
    Array(2).fill(["signed-out", "Signed out"]),
  );
  assert.equal(auth.state.status, "anonymous");
};
