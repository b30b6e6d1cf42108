import { describe, expect, it } from "vitest";

import { AuthClient } from "../src/auth-client.js";
import { WsClient } from "../src/client.js";
import { FakeChannels, FakeClock, FakeLocks, FakeServer, fakeWebSocket, seeded, sessionFor, settle } from "./fakes.js";

/** One browser with so many tabs, and `/auth` of a service, whose refresh token is good once. */
function makeBrowser({
  tabs = 1,
  locks = new FakeLocks(),
  channels = new FakeChannels(),
  random = () => 0,
  baseUrl,
} = {}) {
  const clock = new FakeClock();
  let session = sessionFor(clock);
  const refresh = async () => {
    await settle();
    session = sessionFor(clock, 3600);
    return [200, session];
  };
  const server = new FakeServer(clock, {
    "GET /auth/me": () => [200, session],
    "POST /auth/login": () => [200, session],
    "POST /auth/refresh": refresh,
    "POST /auth/logout": [204, null],
  });
  const options = () => ({ clock, fetch: server.fetch, random, locks, baseUrl, channel: channels?.open() });
  const clients = Array.from({ length: tabs }, () => new AuthClient(options()));
  return { clock, server, clients, client: clients[0] };
}

const refused = (status, error, message = "no") => [status, { error, message }];

describe("who is logged in", () => {
  it("is loading until it is known", async () => {
    const { client } = makeBrowser();
    expect(client.state.status).toBe("loading");
    await client.restore();
    expect(client.state).toMatchObject({ status: "authenticated", session: { user: { username: "alice" } } });
    expect(Object.isFrozen(client.state)).toBe(true);
  });

  it.each([
    ["missing", "anonymous"],
    ["expired", "expired"],
    ["invalid", "expired"],
  ])("where the token is %s and cannot be refreshed, is nobody: %s", async (word, status) => {
    const { client, server } = makeBrowser();
    server.answers["GET /auth/me"] = refused(401, word);
    server.answers["POST /auth/refresh"] = refused(401, "session_expired");
    await client.restore();
    expect(client.state).toMatchObject({ status, session: null });
  });

  it("is revived by a refresh where only the token has ended", async () => {
    const { client, server } = makeBrowser();
    server.answers["GET /auth/me"] = refused(401, "expired");
    await client.restore();
    expect(client.state.status).toBe("authenticated");
    expect(server.requests).toEqual(["GET /auth/me", "POST /auth/refresh"]);
  });

  it("stays unknown while the server is away", async () => {
    const { client, server } = makeBrowser();
    server.answers["GET /auth/me"] = [0];
    await expect(client.restore()).rejects.toMatchObject({ status: 0, word: "unreachable" });
    expect(client.state.status).toBe("loading");
  });

  it.each([408, 429])("stays unknown where the refresh is answered %s: asked again, it may succeed", async (status) => {
    const { client, server } = makeBrowser();
    server.answers["GET /auth/me"] = refused(401, "expired");
    const { "POST /auth/refresh": good } = server.answers;
    server.answers["POST /auth/refresh"] = refused(status, "rate_limited");
    await expect(client.restore()).rejects.toMatchObject({ status });
    expect(client.state.status).toBe("loading");
    server.answers["POST /auth/refresh"] = good;
    await client.restore();
    expect(client.state.status).toBe("authenticated");
  });

  it("comes of a login, or of the challenges before it", async () => {
    const { client, server } = makeBrowser();
    server.answers["POST /auth/login"] = [
      200,
      { challenge: "SMS_MFA", session: "h", username: "alice", parameters: {} },
    ];
    server.answers["POST /auth/challenge"] = (init) => {
      expect(JSON.parse(init.body)).toEqual({
        challenge: "SMS_MFA",
        session: "h",
        username: "alice",
        responses: { SMS_MFA_CODE: "123456" },
      });
      return server.answers["GET /auth/me"]();
    };
    const challenge = await client.login("alice", "secret");
    expect(client.state.status).toBe("loading");
    expect(await client.answer(challenge, { SMS_MFA_CODE: "123456" })).toBeNull();
    expect(client.state.status).toBe("authenticated");
  });

  it("is told by a failed login in the server's words, and nothing changes", async () => {
    const { client, server } = makeBrowser();
    server.answers["POST /auth/login"] = refused(401, "invalid_credentials", "Wrong user name or password.");
    await expect(client.login("a", "b")).rejects.toMatchObject({
      status: 401,
      message: "Wrong user name or password.",
    });
    expect(client.state.status).toBe("loading");
  });
});

describe("requests", () => {
  it("go with credentials, to a base address of another origin, too", async () => {
    const { client, server } = makeBrowser({ baseUrl: "https://api.example.test/auth/" });
    await client.login("alice", "secret");
    await client.me();
    expect(server.inits.map(({ url }) => url)).toEqual([
      "https://api.example.test/auth/login",
      "https://api.example.test/auth/me",
    ]);
    for (const init of server.inits) expect(init).toMatchObject({ credentials: "include", cache: "no-store" });
    expect(server.inits[0].headers).toEqual({ "Content-Type": "application/json" });
    expect(server.inits[1].headers).toBeUndefined(); // a GET that needs no preflight
  });

  it("have a deadline", async () => {
    const { client, server, clock } = makeBrowser();
    server.answers["GET /auth/me"] = (init) =>
      new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(new Error("aborted"))));
    const answer = expect(client.me()).rejects.toMatchObject({ status: 0 });
    await clock.advance(10_000);
    await answer;
    expect(clock.pending).toBe(0);
  });

  it("that a proxy answers with a page fail as any other", async () => {
    const { client } = makeBrowser();
    const html = new AuthClient({ fetch: async () => new Response("<html>", { status: 502 }), clock: new FakeClock() });
    await expect(html.me()).rejects.toMatchObject({ status: 502, message: "The server answered 502." });
    expect(client.state.status).toBe("loading");
  });
});

describe("the refresh", () => {
  it("comes at 80 % of the session's life", async () => {
    const { client, clock, server } = makeBrowser();
    await client.restore();
    expect(client.state.refreshAt - clock.now()).toBe(0.8 * 3_600_000);
    await clock.advance(0.8 * 3_600_000 - 1);
    expect(server.count("POST /auth/refresh")).toBe(0);
    await clock.advance(1);
    expect(server.count("POST /auth/refresh")).toBe(1);
    expect(client.state.refreshAt - clock.now()).toBe(0.8 * 3_600_000);
  });

  it("is jittered over 70 to 80 %", async () => {
    const { client, clock } = makeBrowser({ random: seeded(5) });
    const parts = [];
    for (let round = 0; round < 500; round++) {
      await client.me();
      parts.push((client.state.refreshAt - clock.now()) / 3_600_000);
    }
    expect(Math.min(...parts)).toBeGreaterThanOrEqual(0.7);
    expect(Math.max(...parts)).toBeLessThanOrEqual(0.8);
    expect(Math.max(...parts) - Math.min(...parts)).toBeGreaterThan(0.09);
  });

  it("goes by the server's clock, which its answers tell", async () => {
    const { client, clock, server } = makeBrowser();
    const ahead = 7_200_000;
    const expiresAt = (clock.now() + ahead) / 1000 + 3600;
    server.answers["GET /auth/me"] = [
      200,
      { ...sessionFor(clock), expiresAt },
      { Date: new Date(clock.now() + ahead).toUTCString() },
    ];
    await client.me();
    expect(client.serverNow - clock.now()).toBe(ahead);
    expect(client.state.refreshAt - clock.now()).toBe(0.8 * 3_600_000);
  });

  it("does not hammer a server whose tokens seem to be over, since the clocks disagree", async () => {
    const { client, clock, server } = makeBrowser({ random: () => 1 });
    server.answers["POST /auth/refresh"] = () => [200, sessionFor(clock, -7200)];
    server.answers["GET /auth/me"] = () => [200, sessionFor(clock, -7200)];
    await client.me();
    await clock.advance(600_000);
    expect(server.count("POST /auth/refresh")).toBeLessThan(14);
  });

  it("is one request, however many ask at once", async () => {
    const { client, server } = makeBrowser();
    await client.restore();
    const all = await Promise.all([client.refresh(), client.refresh(), client.refresh()]);
    expect(new Set(all).size).toBe(1);
    expect(server.count("POST /auth/refresh")).toBe(1);
  });

  it("follows what a socket's welcome says of the session's end", async () => {
    const { client, clock } = makeBrowser();
    client.learn(clock.now() / 1000 + 600);
    expect(client.state.status).toBe("loading"); // who it is, a welcome does not say
    await client.restore();
    client.learn(clock.now() / 1000 + 600);
    expect(client.state.refreshAt - clock.now()).toBe(480_000);
    await clock.advance(100_000);
    const { state } = client;
    client.learn(state.session.expiresAt); // a reconnection moves nothing
    expect(client.state).toBe(state);
  });

  it("that the server refuses ends the session", async () => {
    const { client, server, clock } = makeBrowser();
    await client.restore();
    server.answers["POST /auth/refresh"] = refused(401, "session_expired");
    await clock.advance(0.8 * 3_600_000);
    expect(client.state).toMatchObject({ status: "expired", session: null });
    expect(clock.pending).toBe(0);
  });

  it("that fails otherwise is tried again, with backoff and jitter", async () => {
    const { client, server, clock } = makeBrowser({ random: () => 0.5 });
    await client.restore();
    server.answers["POST /auth/refresh"] = [503, {}];
    await clock.advance(0.75 * 3_600_000);
    expect(client.state).toMatchObject({ status: "authenticated", refreshAt: clock.now() + 5_000 + 2_500 });
    await clock.advance(7_500);
    expect(client.state.refreshAt - clock.now()).toBe(5_000 + 5_000);
  });

  it("of a service that has none is not tried again", async () => {
    const { client, server, clock } = makeBrowser();
    await client.restore();
    server.answers["POST /auth/refresh"] = refused(404, "not_supported");
    await expect(client.refresh()).rejects.toMatchObject({ status: 404 });
    expect(client.state).toMatchObject({ status: "authenticated", refreshAt: null });
    expect(clock.pending).toBe(0);
  });

  it("that is overdue when the page is in front again comes at once", async () => {
    const { client, server, clock } = makeBrowser();
    await client.restore();
    client.wake();
    expect(server.count("POST /auth/refresh")).toBe(0);
    clock.sleep(0.9 * 3_600_000);
    expect(server.count("POST /auth/refresh")).toBe(0);
    client.wake();
    await settle();
    expect(server.count("POST /auth/refresh")).toBe(1);
  });
});

describe("the tabs of a browser", () => {
  it("share one refresh after a 1008: each takes over what the first one got", async () => {
    const { clients, server } = makeBrowser({ tabs: 3 });
    await Promise.all(clients.map((client) => client.restore()));
    server.clock.advance(1_000);
    await settle();
    await Promise.all(clients.map((client) => client.refresh()));
    expect(server.count("POST /auth/refresh")).toBe(1);
    expect(new Set(clients.map((client) => client.state.session.expiresAt)).size).toBe(1);
  });

  it("share it by sockets, too, which all come back at once", async () => {
    const { clients, clock, server } = makeBrowser({ tabs: 3 });
    await Promise.all(clients.map((client) => client.restore()));
    const Socket = fakeWebSocket();
    const sockets = clients.map((session) => new WsClient("ws://x.test/ws", { session, clock, WebSocket: Socket }));
    for (const socket of sockets) socket.connect();
    for (const one of Socket.all) one.open();
    await clock.advance(60_000);
    for (const one of [...Socket.all]) one.end(1008, "Authentication expired");
    await settle();
    await settle();
    expect(server.count("POST /auth/refresh")).toBe(1);
    expect(sockets.map(({ status }) => status.state)).toEqual(["connecting", "connecting", "connecting"]);
  });

  it("do not refresh again for who learns of the end a little later", async () => {
    const { clients, clock, server } = makeBrowser({ tabs: 2 });
    await Promise.all(clients.map((client) => client.restore()));
    await clock.advance(60_000);
    const since = clock.now();
    await clock.advance(500);
    await clients[0].refresh({ since });
    await clock.advance(500);
    await clients[0].refresh({ since });
    await clients[1].refresh({ since });
    expect(server.count("POST /auth/refresh")).toBe(1);
    await clients[1].refresh({ since: clock.now() });
    expect(server.count("POST /auth/refresh")).toBe(2);
  });

  it("hear of a refresh, and put their own off", async () => {
    const { clients, clock, server } = makeBrowser({ tabs: 3, random: seeded(2) });
    await Promise.all(clients.map((client) => client.restore()));
    await clock.advance(24 * 3_600_000);
    const refreshes = server.count("POST /auth/refresh");
    expect(refreshes).toBeGreaterThanOrEqual(30); // a day by 70 to 80 % of an hour, and not three times that
    expect(refreshes).toBeLessThanOrEqual(35);
  });

  it("hear of a login and of a logout", async () => {
    const { clients } = makeBrowser({ tabs: 2 });
    await clients[0].login("alice", "secret");
    expect(clients[1].state.status).toBe("authenticated");
    await clients[1].logout();
    expect(clients.map(({ state }) => state.status)).toEqual(["anonymous", "anonymous"]);
  });

  it("end the session only after a refresh that another one is at, which would revive it", async () => {
    const { clients, server } = makeBrowser({ tabs: 2 });
    await Promise.all(clients.map((client) => client.restore()));
    server.requests.length = 0;
    const refreshing = clients[0].refresh();
    await clients[1].logout();
    await refreshing.catch(() => {});
    expect(server.requests).toEqual(["POST /auth/refresh", "POST /auth/logout"]);
    expect(clients.map(({ state }) => state.status)).toEqual(["anonymous", "anonymous"]);
  });

  it("where one is frozen with the lock: waits for it half a minute, then goes on", async () => {
    const locks = new FakeLocks();
    void locks.request("wsservice.refresh", {}, () => new Promise(() => {}));
    const { client, clock, server } = makeBrowser({ locks });
    await client.restore();
    server.answers["GET /auth/me"] = refused(401, "expired");
    const refreshing = client.refresh();
    await clock.advance(29_999);
    expect(server.count("POST /auth/refresh")).toBe(0);
    await clock.advance(1);
    await refreshing;
    expect(server.count("POST /auth/refresh")).toBe(1);
  });

  it.each([
    ["no locks", { locks: undefined }],
    ["no channels", { channels: null }],
    ["neither", { locks: undefined, channels: null }],
    ["locks that may not be used", { locks: { request: () => Promise.reject(new Error("SecurityError")) } }],
  ])("in a browser with %s: log in, refresh and log out", async (_, options) => {
    const { client, server } = makeBrowser({ locks: undefined, ...options });
    await client.login("alice", "secret");
    await client.refresh();
    await client.logout();
    expect(client.state.status).toBe("anonymous");
    expect(server.requests).toEqual(["POST /auth/login", "POST /auth/refresh", "POST /auth/logout"]);
  });
});

describe("a page that is in front again", () => {
  it("learns of somebody who logged in elsewhere, by one request", async () => {
    const { client, clock, server } = makeBrowser();
    await client.restore();
    server.answers["GET /auth/me"] = [200, sessionFor(clock, 3600, "2")];
    client.wake();
    client.wake();
    await settle();
    expect(client.state.session.user.id).toBe("2");
    expect(server.requests).toEqual(["GET /auth/me", "GET /auth/me"]);
  });

  it("learns that the session was ended elsewhere", async () => {
    const { client, server } = makeBrowser();
    await client.restore();
    server.answers["GET /auth/me"] = refused(401, "missing");
    server.answers["POST /auth/refresh"] = refused(401, "session_expired");
    client.wake();
    await settle();
    await settle();
    expect(client.state.status).toBe("expired");
  });

  it.each([[[0]], [refused(429, "rate_limited")], [refused(503, "unavailable")]])(
    "keeps its session where that cannot be learned: %j",
    async (answer) => {
      const { client, server } = makeBrowser();
      await client.restore();
      const { state } = client;
      server.answers["GET /auth/me"] = answer;
      client.wake();
      await settle();
      expect(client.state).toBe(state);
      expect(server.count("POST /auth/refresh")).toBe(0);
    },
  );

  it("is not brought back by an answer that a logout overtook; and asks nothing when nobody is logged in", async () => {
    const { client, server } = makeBrowser();
    await client.restore();
    const before = server.answers["GET /auth/me"]();
    let answer = () => {};
    server.answers["GET /auth/me"] = () => new Promise((resolve) => (answer = resolve));
    client.wake();
    await settle();
    await client.logout();
    answer(before);
    await settle();
    expect(client.state.status).toBe("anonymous");
    client.wake();
    expect(server.count("GET /auth/me")).toBe(2);
  });
});

describe("the logout", () => {
  it("ends this session, or all of the user's", async () => {
    const { client, server, clock } = makeBrowser();
    await client.restore();
    await client.logout();
    await client.login("alice", "secret");
    await client.logout({ everywhere: true });
    const bodies = server.inits.filter(({ url }) => url.endsWith("/logout")).map(({ body }) => JSON.parse(body));
    expect(bodies).toEqual([{}, { everywhere: true }]);
    expect(clock.pending).toBe(0);
  });

  it("that fails changes nothing", async () => {
    const { client, server } = makeBrowser();
    await client.restore();
    server.answers["POST /auth/logout"] = [0];
    await expect(client.logout()).rejects.toMatchObject({ status: 0 });
    expect(client.state.status).toBe("authenticated");
  });

  it.each([
    ["one tab", (clients) => [clients[0], clients[0]], {}],
    ["two tabs", (clients) => clients, {}],
    ["one tab without locks", (clients) => [clients[0], clients[0]], { locks: null }],
  ])("does not end the login that follows while it is still under way: %s", async (_, pick, options) => {
    const { clients, server } = makeBrowser({ tabs: 2, ...options });
    await clients[0].restore();
    const [leaving, entering] = pick(clients);
    /** @type {(answer: unknown) => void} */
    let answer = () => {};
    server.answers["POST /auth/logout"] = () => new Promise((resolve) => (answer = resolve));
    const logout = leaving.logout({ everywhere: true });
    await settle();
    leaving.forget("anonymous"); // its socket is told first, and the page shows the login
    const login = entering.login("alice", "secret");
    await settle();
    answer([204, null]);
    await Promise.all([logout, login]);
    expect(server.requests.slice(-2)).toEqual(["POST /auth/logout", "POST /auth/login"]);
    expect(entering.state.status).toBe("authenticated");
  });

  it("waits for a refresh where there are no locks, too", async () => {
    const { clients: [client], server } = makeBrowser({ locks: null });
    await client.restore();
    const refreshing = client.refresh();
    await client.logout();
    await refreshing;
    expect(server.requests.slice(-2)).toEqual(["POST /auth/refresh", "POST /auth/logout"]);
    expect(client.state.status).toBe("anonymous");
  });

  it("and the login wait five seconds for a tab that is frozen with the lock", async () => {
    const locks = new FakeLocks();
    void locks.request("wsservice.refresh", {}, () => new Promise(() => {}));
    const { client, clock, server } = makeBrowser({ locks });
    for (const way of [() => client.login("alice", "secret"), () => client.logout()]) {
      const before = server.requests.length;
      const done = way();
      await clock.advance(4_999);
      expect(server.requests).toHaveLength(before);
      await clock.advance(1);
      await done;
    }
    expect(server.requests).toEqual(["POST /auth/login", "POST /auth/logout"]);
    expect(client.state.status).toBe("anonymous");
  });

  it("that a socket learned of is told by forget(); the first reason stands", async () => {
    const { client } = makeBrowser();
    await client.restore();
    client.forget("anonymous");
    client.forget("expired");
    expect(client.state.status).toBe("anonymous");
  });
});

describe("several sockets of one session", () => {
  it("share one refresh", async () => {
    const { client, clock, server } = makeBrowser();
    await client.restore();
    const Socket = fakeWebSocket();
    const sockets = [1, 2].map(() => new WsClient("ws://x.test/ws", { session: client, clock, WebSocket: Socket }));
    for (const socket of sockets) socket.connect();
    for (const one of Socket.all) one.open();
    await clock.advance(60_000);
    for (const one of [...Socket.all]) one.end(1008, "Authentication expired");
    await settle();
    expect(server.count("POST /auth/refresh")).toBe(1);
    expect(sockets.map(({ status }) => status.state)).toEqual(["connecting", "connecting"]);
  });
});

describe("tokens", () => {
  it("are nowhere in what JavaScript sees: not in a state, a message to other tabs, or an address", async () => {
    const channels = new FakeChannels();
    const spy = channels.open();
    const heard = [];
    spy.addEventListener("message", ({ data }) => heard.push(data));
    const { client, server } = makeBrowser({ channels });
    await client.login("alice", "secret");
    await client.refresh();
    const seen = JSON.stringify([client.state, heard, server.inits.map(({ url }) => url)]);
    expect(seen).not.toMatch(/token|secret/i);
    expect(heard).toHaveLength(2);
  });
});
