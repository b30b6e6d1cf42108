import { describe, expect, it } from "vitest";

import { makeRig, URL_OF_WS, welcome } from "./rig.js";

/** Lose the connection and come back, accepted. */
async function comeBack(rig, code = 1006, reason = "") {
  await rig.end(code, reason);
  await rig.clock.advance(500);
  return rig.socket.open();
}

describe("recovery", () => {
  it("is asked for by the address, and with the session and offset after a break", async () => {
    const rig = makeRig();
    const socket = await rig.open();
    expect(socket.query).toEqual({ recover: "1" });
    socket.receive(welcome()).receive({ event: "news", data: 1, offset: "n.7" });
    expect((await comeBack(rig)).query).toEqual({ recover: "s1", offset: "n.7" });
  });

  it("keeps a query that the address has", async () => {
    const rig = makeRig({ url: `${URL_OF_WS}?room=a` });
    expect((await rig.open()).query).toEqual({ room: "a", recover: "1" });
  });

  it("tells the welcome, and no event of that name; later ones are the application's", async () => {
    const rig = makeRig();
    const socket = await rig.open();
    socket.receive(welcome({ recovered: true })).receive({ event: "welcome", data: "to the club" });
    expect(rig.heard.welcome).toEqual([welcome({ recovered: true }).data]);
    expect(rig.heard.event).toEqual([{ name: "welcome", data: "to the club" }]);
  });

  it("begins at the welcome's offset, also where nothing could be recovered", async () => {
    const rig = makeRig();
    (await rig.open()).receive(welcome());
    const again = await comeBack(rig);
    again.receive(welcome({ session: "s2", offset: "m.3", reason: "unknown" }));
    expect(rig.heard.welcome[1]).toMatchObject({ recovered: false, reason: "unknown" });
    expect((await comeBack(rig)).query).toEqual({ recover: "s2", offset: "m.3" });
  });

  it("counts an event as seen only after its listeners have run", async () => {
    const rig = makeRig();
    const socket = await rig.open();
    socket.receive(welcome());
    let during = null;
    rig.client.on("event", () => {
      rig.client.suspend();
      rig.client.resume();
      during = rig.socket.query;
    });
    socket.receive({ event: "news", data: 1, offset: "n.2" });
    expect(during).toEqual({ recover: "s1", offset: "n.1" });
    rig.client.cut();
    await rig.clock.advance(500);
    expect(rig.socket.query.offset).toBe("n.2");
  });

  it("gives the message and its bytes out of the envelope", async () => {
    const rig = makeRig();
    const socket = await rig.open();
    socket.receive(welcome());
    socket.receive({ event: "message", data: { user: "bob" }, offset: "n.2" });
    socket.receive({ event: "message", data: "AQL/", binary: true, offset: "n.3" });
    socket.receive({ event: "file", data: "AQ==", binary: true, offset: "n.4" });
    expect(rig.heard.message[0]).toEqual({ user: "bob" });
    expect([...new Uint8Array(rig.heard.message[1])]).toEqual([1, 2, 255]);
    expect(new Uint8Array(rig.heard.event[0].data)).toEqual(new Uint8Array([1]));
  });

  it("is not moved on by what has no offset", async () => {
    const rig = makeRig();
    (await rig.open()).receive(welcome()).receive({ event: "error", data: {} }).receive({ ack: 1, data: 1 });
    expect((await comeBack(rig)).query.offset).toBe("n.1");
  });

  it.each([
    [1001, "Server shutting down"],
    [1005, ""],
    [1006, ""],
    [1008, "Authentication expired"],
    [4408, "Client reads too slowly"],
  ])("is possible after %i %s", async (code, reason) => {
    const rig = makeRig();
    (await rig.open()).receive(welcome());
    expect((await comeBack(rig, code, reason)).query.recover).toBe("s1");
  });

  it("is possible after suspend() and resume(), and after cut()", async () => {
    const rig = makeRig();
    (await rig.open()).receive(welcome());
    rig.client.suspend();
    rig.client.resume();
    expect(rig.socket.query.recover).toBe("s1");
    rig.client.cut();
    await rig.clock.advance(500);
    expect(rig.socket.query.recover).toBe("s1");
  });

  it.each([
    ["close()", (rig) => rig.client.close()],
    ["a server's 1000", (rig) => rig.end(1000)],
    ["Signed out", (rig) => rig.end(1008, "Signed out")],
    ["a close() behind that", (rig) => rig.end(1008, "Signed out").then(() => rig.client.close("signed-out"))],
  ])("is over after %s", async (_, end) => {
    const rig = makeRig();
    (await rig.open()).receive(welcome());
    await end(rig);
    rig.client.connect();
    expect(rig.socket.query).toEqual({ recover: "1" });
  });

  it("is possible for who logs in again after the session expired", async () => {
    const rig = makeRig();
    (await rig.open()).receive(welcome());
    await rig.end(1008, "Authentication expired");
    await rig.end(1008, "Invalid authentication token");
    expect(rig.client.status.cause).toBe("expired");
    rig.client.close("expired");
    rig.client.connect();
    expect(rig.socket.query.recover).toBe("s1");
  });

  it("is possible for who logs in again after the page closed with `expired`, which says no goodbye", async () => {
    const rig = makeRig();
    const socket = (await rig.open()).receive(welcome());
    rig.client.close("expired");
    expect(socket.closedWith).toEqual([]);
    rig.client.connect();
    expect(rig.socket.query.recover).toBe("s1");
  });

  it("is over where another user logs in after that", async () => {
    const rig = makeRig();
    (await rig.open()).receive(welcome());
    rig.client.close("expired");
    rig.client.close(); // as an application does when the user changes
    rig.client.connect();
    expect(rig.socket.query).toEqual({ recover: "1" });
  });

  it("asks anew where the service has none", async () => {
    const rig = makeRig();
    const off = { session: null, offset: null, reason: "off" };
    (await rig.open()).receive(welcome(off)).receive({ event: "news", data: 1 });
    expect(rig.heard.event).toEqual([{ name: "news", data: 1 }]);
    expect((await comeBack(rig)).query).toEqual({ recover: "1" });
  });

  it("is off with `recover: false`: the plain wire, and `welcome` is an event", async () => {
    const rig = makeRig({ recover: false });
    const socket = await rig.open();
    expect(socket.url).toBe(URL_OF_WS);
    socket.receive(welcome());
    expect(rig.heard.event).toHaveLength(1);
    expect(rig.heard.welcome).toEqual([]);
  });

  it("tells the session when it ends, as the welcome says", async () => {
    const rig = makeRig();
    (await rig.open()).receive(welcome({ expiresAt: 1_800_000_600 }));
    expect(rig.session.learned).toEqual([1_800_000_600]);
    expect(rig.state).toBe("open");
  });
});
