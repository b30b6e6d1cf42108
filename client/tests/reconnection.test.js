import { describe, expect, it } from "vitest";

import { WsClient } from "../src/client.js";
import { seeded, settle } from "./fakes.js";
import { failure, FakeSession, makeRig } from "./rig.js";

describe("the backoff of a connection", () => {
  it("waits with full jitter before the first retry, too", async () => {
    const rig = makeRig({ chance: 0.25 });
    (await rig.open()).end(1006);
    expect(rig.client.status).toMatchObject({ state: "reconnecting", cause: "lost", code: 1006, attempt: 1 });
    expect(rig.client.status.retryAt).toBe(rig.clock.now() + 125);
    await rig.clock.advance(124);
    expect(rig.Socket.all).toHaveLength(1);
    await rig.clock.advance(1);
    expect(rig.Socket.all).toHaveLength(2);
    expect(rig.state).toBe("connecting");
  });

  it("spreads the return of ten thousand clients evenly over the first half second", async () => {
    const random = seeded(7);
    const tenths = Array(10).fill(0);
    for (let client = 0; client < 10_000; client++) {
      const rig = makeRig({ chance: random });
      rig.client.connect();
      rig.socket.open().end(1001, "Server shutting down");
      const delay = rig.client.status.retryAt - rig.clock.now();
      tenths[Math.min(9, Math.floor(delay / 50))] += 1;
    }
    expect(Math.min(...tenths)).toBeGreaterThan(850);
    expect(Math.max(...tenths)).toBeLessThan(1150);
  });

  it("doubles its ceiling from 0.5 s to 30 s while the server cannot be reached", async () => {
    const session = new FakeSession();
    session.meOutcomes = Array(9).fill(failure(0));
    const rig = makeRig({ chance: 1, session });
    rig.client.connect();
    const waits = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      await rig.end(1006);
      waits.push(rig.client.status.retryAt - rig.clock.now());
      await rig.clock.advance(waits.at(-1));
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it("begins anew only after a connection that held for five seconds", async () => {
    const rig = makeRig({ chance: 1 });
    await rig.open();
    await rig.clock.advance(4_999);
    await rig.end(1006);
    await rig.clock.advance(500);
    rig.socket.open();
    await rig.clock.advance(4_999);
    await rig.end(1006);
    expect(rig.client.status.retryAt - rig.clock.now()).toBe(1000);
    await rig.clock.advance(1000);
    rig.socket.open();
    await rig.clock.advance(5_000);
    await rig.end(1006);
    expect(rig.client.status.retryAt - rig.clock.now()).toBe(500);
  });

  it.each([1001, 1005, 1006, 1011, 1012, 1013, 4408, 4429, 4999])("runs after close code %i", async (code) => {
    const rig = makeRig();
    (await rig.open()).end(code);
    expect(rig.client.status).toMatchObject({ state: "reconnecting", code });
    expect(rig.session.refreshes).toEqual([]);
    expect(rig.client.status.retryAt).not.toBeNull();
  });

  it("runs after a handshake that takes longer than ten seconds", async () => {
    const rig = makeRig();
    rig.client.connect();
    await rig.clock.advance(10_000);
    expect(rig.client.status).toMatchObject({ state: "reconnecting", cause: "unreachable" });
    expect(rig.Socket.all[0].closedWith).toEqual([]);
  });
});

describe("close codes that say so", () => {
  it.each([
    [1000, "", "refused"],
    [1002, "", "refused"],
    [1003, "", "refused"],
    [1007, "", "refused"],
    [1009, "", "refused"],
    [4409, "Replaced by a newer connection", "refused"],
    [1008, "Signed out", "signed-out"],
    [1013, "Continued on another connection", "refused"],
  ])("end it for good: %i %s", async (code, reason, cause) => {
    const rig = makeRig();
    (await rig.open()).end(code, reason);
    await rig.clock.advance(600_000);
    expect(rig.client.status).toMatchObject({ state: "closed", cause, code, reason });
    expect(rig.Socket.all).toHaveLength(1);
    expect(rig.session.refreshes).toEqual([]);
    expect(rig.clock.pending).toBe(0);
  });

  it("can be overruled by whoever calls connect()", async () => {
    const rig = makeRig();
    (await rig.open()).end(1000);
    rig.client.connect();
    rig.socket.open();
    expect(rig.state).toBe("open");
  });
});

describe("1008", () => {
  it.each(["Missing authentication token", "Invalid authentication token", "Authentication expired"])(
    "%s: one refresh, then back at once",
    async (reason) => {
      const rig = makeRig();
      (await rig.open()).end(1008, reason);
      expect(rig.client.status).toMatchObject({ state: "refreshing", code: 1008, reason });
      await settle();
      expect(rig.session.refreshes).toHaveLength(1);
      expect(rig.state).toBe("connecting");
      expect(rig.Socket.all).toHaveLength(2);
      rig.socket.open();
      expect(rig.state).toBe("open");
    },
  );

  it("a second time within ten seconds: expired, stop", async () => {
    const rig = makeRig();
    await rig.open();
    await rig.end(1008, "Authentication expired");
    rig.socket.open();
    await rig.clock.advance(9_999);
    await rig.end(1008, "Invalid authentication token");
    expect(rig.client.status).toMatchObject({ state: "closed", cause: "expired", code: 1008 });
    await rig.clock.advance(600_000);
    expect(rig.session.refreshes).toHaveLength(1);
    expect(rig.Socket.all).toHaveLength(2);
  });

  it("a second time after ten seconds: another refresh", async () => {
    const rig = makeRig();
    await rig.open();
    await rig.end(1008, "Authentication expired");
    rig.socket.open();
    await rig.clock.advance(10_000);
    await rig.end(1008, "Authentication expired");
    expect(rig.session.refreshes).toHaveLength(2);
    expect(rig.state).toBe("connecting");
  });

  it("with the application's words a second time: refused, and the session is not blamed", async () => {
    const rig = makeRig();
    await rig.open();
    await rig.end(1008, "Members only");
    rig.socket.open();
    await rig.end(1008, "Members only");
    expect(rig.client.status).toMatchObject({ state: "closed", cause: "refused", reason: "Members only" });
  });

  it.each([400, 401, 403, 404])("and a refresh that is answered %i: expired, stop", async (status) => {
    const rig = makeRig();
    rig.session.outcomes = [failure(status)];
    await rig.open();
    await rig.end(1008, "Invalid authentication token");
    expect(rig.client.status).toMatchObject({ state: "closed", cause: "expired" });
  });

  it.each([0, 408, 429, 500, 503])("and a refresh that fails with %i: the backoff, then again", async (status) => {
    const rig = makeRig();
    rig.session.outcomes = [failure(status)];
    await rig.open();
    await rig.end(1008, "Authentication expired");
    expect(rig.client.status).toMatchObject({ state: "reconnecting", cause: "unreachable" });
    await rig.clock.advance(500);
    rig.socket.open();
    await rig.end(1008, "Authentication expired");
    expect(rig.session.refreshes).toHaveLength(2);
  });

  it("tells the refresh since when a new token is new enough", async () => {
    const rig = makeRig();
    const start = rig.clock.now();
    await rig.open();
    await rig.clock.advance(3_000);
    await rig.end(1008, "Invalid authentication token");
    expect(rig.session.refreshes).toEqual([{ since: start }]);
    rig.socket.open();
    await rig.clock.advance(3_600_000);
    await rig.end(1008, "Authentication expired"); // renewed in between, perhaps, but over now
    expect(rig.session.refreshes[1]).toEqual({ since: rig.clock.now() - 10_000 });
  });

  it("and closed by the caller while it refreshes: stays closed", async () => {
    const rig = makeRig();
    let finish;
    rig.session.outcomes = [new Promise((resolve) => (finish = resolve))];
    await rig.open();
    await rig.end(1008, "Authentication expired");
    rig.client.close();
    finish();
    await settle();
    expect(rig.state).toBe("closed");
    expect(rig.Socket.all).toHaveLength(1);
  });
});

describe("1006 before the first open", () => {
  async function fail(rig, times) {
    for (let time = 0; time < times; time++) {
      await rig.end(1006);
      if (rig.client.status.retryAt !== null) await rig.clock.advance(rig.client.status.retryAt - rig.clock.now());
    }
  }

  it("twice: does not ask who is logged in", async () => {
    const rig = makeRig();
    rig.client.connect();
    await fail(rig, 2);
    expect(rig.session.asked).toBe(0);
  });

  it("three times: asks once; where the session is good, it goes on trying and asks no more", async () => {
    const rig = makeRig();
    rig.client.connect();
    await fail(rig, 3);
    expect(rig.session.asked).toBe(1);
    await fail(rig, 9);
    expect(rig.session.asked).toBe(1);
    await rig.end(1006);
    expect(rig.client.status).toMatchObject({ state: "reconnecting", cause: "unopened" });
  });

  it("three times, and nobody is logged in: refreshes, then comes back at once", async () => {
    const rig = makeRig();
    rig.session.meOutcomes = [failure(401)];
    rig.client.connect();
    await fail(rig, 3);
    expect(rig.session.refreshes).toHaveLength(1);
    expect(rig.state).toBe("connecting");
  });

  it("three times, and the session is beyond help: expired, stop", async () => {
    const rig = makeRig();
    rig.session.meOutcomes = [failure(401)];
    rig.session.outcomes = [failure(401)];
    rig.client.connect();
    await fail(rig, 3);
    expect(rig.client.status).toMatchObject({ state: "closed", cause: "expired" });
  });

  it("three times, and the origin is not let in: stop", async () => {
    const rig = makeRig();
    rig.session.meOutcomes = [failure(403, "Origin not allowed")];
    rig.client.connect();
    await fail(rig, 3);
    expect(rig.client.status).toMatchObject({ state: "closed", cause: "refused", reason: "Origin not allowed" });
  });

  it("three times, and no network: goes on, and asks at every third", async () => {
    const rig = makeRig();
    rig.session.meOutcomes = Array(3).fill(failure(0));
    rig.client.connect();
    await fail(rig, 9);
    expect(rig.session.asked).toBe(3);
    expect(rig.state).toBe("connecting");
  });

  it("counts anew once a connection was open", async () => {
    const rig = makeRig();
    rig.client.connect();
    await fail(rig, 2);
    rig.socket.open();
    await fail(rig, 1);
    await fail(rig, 2);
    expect(rig.session.asked).toBe(0);
  });
});

describe("the network and the page", () => {
  it("offline pauses the backoff", async () => {
    const rig = makeRig();
    (await rig.open()).end(1006);
    rig.client.offline();
    expect(rig.client.status).toMatchObject({ state: "reconnecting", cause: "offline", retryAt: null });
    await rig.clock.advance(3_600_000);
    expect(rig.Socket.all).toHaveLength(1);
    expect(rig.clock.pending).toBe(0);
  });

  it("offline leaves an open socket alone, and waits when it is lost", async () => {
    const rig = makeRig();
    await rig.open();
    rig.client.offline();
    expect(rig.state).toBe("open");
    await rig.end(1006);
    expect(rig.client.status).toMatchObject({ state: "reconnecting", cause: "offline" });
  });

  it.each(["online", "wake"])("%s skips the wait, with small jitter", async (event) => {
    const delays = new Set();
    const random = seeded(3);
    for (let client = 0; client < 200; client++) {
      const rig = makeRig({ chance: () => (rig.state === "open" ? 1 : random()) });
      (await rig.open()).end(1006);
      rig.client[event]();
      delays.add(rig.client.status.retryAt - rig.clock.now());
    }
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThanOrEqual(300);
    expect(delays.size).toBeGreaterThan(50);
  });

  it("a wake never makes a wait longer, and opens nothing while offline", async () => {
    const rig = makeRig({ chance: 0.1 });
    (await rig.open()).end(1006);
    const { retryAt } = rig.client.status;
    rig.client.wake();
    expect(rig.client.status.retryAt).toBeLessThanOrEqual(retryAt);
    rig.client.offline();
    rig.client.wake();
    expect(rig.client.status.retryAt).toBeNull();
    rig.client.online();
    await rig.clock.advance(300);
    expect(rig.state).toBe("connecting");
  });

  it("suspend closes without a code, so that the server keeps what is missed; resume reopens", async () => {
    const rig = makeRig();
    await rig.open();
    rig.client.suspend();
    expect(rig.Socket.all[0].closedWith).toEqual([]);
    expect(rig.client.status).toMatchObject({ state: "idle", cause: "suspended" });
    await rig.clock.advance(3_600_000);
    expect(rig.Socket.all).toHaveLength(1);
    rig.client.resume();
    expect(rig.state).toBe("connecting");
  });

  it.each(["reconnecting", "refreshing", "connecting"])("suspend works while %s", async (state) => {
    const rig = makeRig();
    rig.session.outcomes = [new Promise(() => {})];
    await rig.open();
    if (state === "reconnecting") await rig.end(1006);
    if (state === "refreshing") await rig.end(1008, "Authentication expired");
    if (state === "connecting") {
      await rig.end(1006);
      await rig.clock.advance(500);
    }
    expect(rig.state).toBe(state);
    rig.client.suspend();
    expect(rig.state).toBe("idle");
    expect(rig.clock.pending).toBe(0);
  });

  it("resume opens nothing that was not suspended", async () => {
    const rig = makeRig();
    rig.client.resume();
    rig.client.connect();
    rig.client.close();
    rig.client.suspend();
    rig.client.resume();
    expect(rig.state).toBe("closed");
    expect(rig.Socket.all).toHaveLength(1);
  });
});

describe("the caller", () => {
  it("closes with 1000, and nothing follows", async () => {
    const rig = makeRig();
    await rig.open();
    rig.client.close();
    expect(rig.socket.closedWith).toEqual([1000]);
    expect(rig.client.status).toMatchObject({ state: "closed", cause: "asked" });
    expect(rig.clock.pending).toBe(0);
  });

  it("cuts the connection, which comes back", async () => {
    const rig = makeRig();
    await rig.open();
    rig.client.cut();
    expect(rig.socket.closedWith).toEqual([]);
    expect(rig.client.status).toMatchObject({ state: "reconnecting", cause: "cut" });
    await rig.clock.advance(500);
    expect(rig.state).toBe("connecting");
  });

  it("is told what to do where there is no WebSocket", () => {
    const client = new WsClient("ws://x.test/ws", { session: new FakeSession(), WebSocket: null });
    expect(() => client.connect()).toThrow(/pass one, as in new WsClient/);
    expect(client.status.state).toBe("idle");
  });

  it("connects once, however often it asks", async () => {
    const rig = makeRig();
    rig.client.connect();
    rig.client.connect();
    rig.socket.open();
    rig.client.connect();
    expect(rig.Socket.all).toHaveLength(1);
  });

  it("sees a frozen status, the same object until something changes", async () => {
    const rig = makeRig();
    await rig.open();
    const { status } = rig.client;
    rig.socket.receive("hello");
    expect(rig.client.status).toBe(status);
    expect(Object.isFrozen(status)).toBe(true);
  });

  it("hears nothing of a socket that was let go", async () => {
    const rig = makeRig();
    const old = await rig.open();
    rig.client.cut();
    old.receive({ event: "late", data: 1 });
    old.end(1000);
    expect(rig.heard.event).toEqual([]);
    expect(rig.state).toBe("reconnecting");
  });

  it("may close in a listener of any status", async () => {
    for (const wanted of ["connecting", "open", "reconnecting", "refreshing"]) {
      const rig = makeRig();
      rig.client.send("waits");
      rig.client.on("status", ({ state }) => state === wanted && rig.client.close());
      rig.client.connect();
      await settle();
      if (rig.state === "connecting") rig.socket.open();
      if (wanted === "reconnecting") await rig.end(1006);
      if (wanted === "refreshing") await rig.end(1008, "Authentication expired");
      await rig.clock.advance(60_000);
      expect(rig.state).toBe("closed");
      expect(rig.clock.pending).toBe(0);
    }
  });
});
