import { describe, expect, it, vi } from "vitest";

import { followPage } from "../src/page-life.js";
import { makeRig } from "./rig.js";

/** As much of a window as is followed. */
function makeWindow({ onLine = true } = {}) {
  const window = new EventTarget();
  window.document = new EventTarget();
  window.document.visibilityState = "visible";
  window.navigator = { onLine };
  window.say = (name, more) => window.dispatchEvent(Object.assign(new Event(name), more));
  window.show = (visibilityState) => {
    window.document.visibilityState = visibilityState;
    window.document.dispatchEvent(new Event("visibilitychange"));
  };
  return window;
}

async function makePage(options) {
  const rig = makeRig();
  const window = makeWindow(options);
  const auth = { wake: vi.fn() };
  const stop = followPage(rig.client, auth, window);
  await rig.open();
  return { ...rig, rig, window, auth, stop };
}

describe("the page", () => {
  it("pagehide closes without a code, pageshow reopens", async () => {
    const { rig, window, Socket } = await makePage();
    window.say("pagehide");
    expect(Socket.last.closedWith).toEqual([]);
    expect(rig.state).toBe("idle");
    window.say("pageshow");
    expect(rig.state).toBe("connecting");
    expect(Socket.all).toHaveLength(2);
  });

  it("that comes out of the cache wakes the session", async () => {
    const { window, auth } = await makePage();
    window.say("pagehide");
    window.say("pageshow", { persisted: true });
    expect(auth.wake).toHaveBeenCalledOnce();
  });

  it("pageshow at the first load opens nothing, and asks nothing", () => {
    const rig = makeRig();
    const window = makeWindow();
    const auth = { wake: vi.fn() };
    followPage(rig.client, auth, window);
    window.say("pageshow", { persisted: false });
    expect(rig.Socket.all).toEqual([]);
    expect(auth.wake).not.toHaveBeenCalled();
  });

  it("offline pauses the backoff, online skips the rest of it", async () => {
    const { rig, window, clock } = await makePage();
    await rig.end(1006);
    window.say("offline");
    await clock.advance(600_000);
    expect(rig.client.status).toMatchObject({ cause: "offline" });
    window.say("online");
    await clock.advance(300);
    expect(rig.state).toBe("connecting");
  });

  it("that becomes visible skips the wait, and wakes the session; one that is hidden does not", async () => {
    const { rig, window, auth } = await makePage();
    await rig.end(1006);
    const { status } = rig.client;
    window.show("hidden");
    expect(rig.client.status).toBe(status);
    expect(auth.wake).not.toHaveBeenCalled();
    window.show("visible");
    expect(rig.client.status.retryAt - rig.clock.now()).toBeLessThanOrEqual(300);
    expect(auth.wake).toHaveBeenCalledOnce();
  });

  it("that begins offline waits for the network after the first failure", async () => {
    const { rig } = await makePage({ onLine: false });
    await rig.end(1006);
    expect(rig.client.status.cause).toBe("offline");
  });

  it("is followed no more once that is stopped", async () => {
    const { rig, window, stop } = await makePage();
    stop();
    window.say("pagehide");
    expect(rig.state).toBe("open");
  });
});
