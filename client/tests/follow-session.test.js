import { describe, expect, it } from "vitest";

import { AuthClient } from "../src/auth-client.js";
import { followSession } from "../src/index.js";
import { FakeServer, sessionFor } from "./fakes.js";
import { makeRig, welcome } from "./rig.js";

/** A connection that follows a session; `user` logs somebody in. */
function makePage() {
  const rig = makeRig({ session: undefined });
  const server = new FakeServer(rig.clock, { "POST /auth/logout": [204, null] });
  const auth = new AuthClient({ clock: rig.clock, fetch: server.fetch, locks: null });
  const stop = followSession(rig.client, auth);
  const user = (id) => {
    server.answers["POST /auth/login"] = [200, sessionFor(rig.clock, 3600, id)];
    return auth.login("somebody", "secret");
  };
  return { rig, auth, user, stop };
}

describe("a connection that follows the session", () => {
  it("waits until somebody is logged in, and closes at the logout", async () => {
    const { rig, auth, user } = makePage();
    expect(rig.state).toBe("idle");
    await user("1");
    expect(rig.state).toBe("connecting");
    await user("1"); // the same one once more
    expect(rig.Socket.all).toHaveLength(1);
    await auth.logout();
    expect(rig.client.status).toMatchObject({ state: "closed", cause: "signed-out" });
  });

  it("is a new one when somebody else is logged in", async () => {
    const { rig, user } = makePage();
    await user("1");
    rig.socket.open().receive(welcome());
    await user("2");
    expect(rig.Socket.all.map(({ closedWith }) => closedWith)).toEqual([[1000], null]);
    expect(rig.socket.query).toEqual({ recover: "1" });
  });

  it("is continued by the same user after the session ended by itself, and not by another one", async () => {
    for (const [next, query] of [
      ["1", { recover: "s1", offset: "n.1" }],
      ["2", { recover: "1" }],
    ]) {
      const { rig, auth, user } = makePage();
      await user("1");
      rig.socket.open().receive(welcome());
      auth.forget("expired");
      expect(rig.client.status).toMatchObject({ state: "closed", cause: "expired" });
      await user(next);
      expect(rig.socket.query).toEqual(query);
    }
  });

  it("tells how the session ended, as it learned it", async () => {
    const { rig, auth, user } = makePage();
    await user("1");
    rig.socket.open();
    await rig.end(1008, "Signed out");
    expect(auth.state.status).toBe("anonymous");
    await user("1");
    expect(rig.state).toBe("connecting");
  });

  it("follows no more when it is told so", async () => {
    const { rig, user, stop } = makePage();
    stop();
    await user("1");
    expect(rig.state).toBe("idle");
  });
});
