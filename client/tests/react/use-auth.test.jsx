import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AuthClient } from "../../src/auth-client.js";
import { AuthProvider, HttpError, useAuth } from "../../src/react/index.js";
import { SessionStore } from "../../src/react/session-store.js";
import { Page, session } from "./page.jsx";

let page;
beforeEach(() => void (page = new Page()));
afterEach(() => page.close());

async function useIt(props = { baseUrl: "http://service.test/auth" }) {
  const wrapper = ({ children }) => <AuthProvider {...props}>{children}</AuthProvider>;
  const hook = renderHook(() => useAuth(), { wrapper });
  const first = hook.result.current;
  await page.pass(1);
  return { ...hook, first };
}

describe("useAuth", () => {
  test("it is loading until the service has said who is logged in", async () => {
    page.user("1", "alice");
    const { first, result } = await useIt();
    expect([first.status, first.user]).toEqual(["loading", null]);
    expect([result.current.status, result.current.user.username]).toEqual(["authenticated", "alice"]);
    expect(result.current.expiresAt).toBeGreaterThan(Date.now() / 1000);
    expect(page.server.requests).toEqual(["GET /auth/me"]);
  });

  test("nobody is logged in: anonymous", async () => {
    const { result } = await useIt();
    expect(result.current.status).toBe("anonymous");
  });

  test("a session whose token ended is revived", async () => {
    page.user();
    page.server.answers["GET /auth/me"] = [401, { error: "expired", message: "It ended." }];
    const { result } = await useIt();
    expect(result.current.status).toBe("authenticated");
  });

  test("a login asks for what the provider asks for, and then there is a user", async () => {
    const { result } = await useIt();
    const asked = { challenge: "NEW_PASSWORD_REQUIRED", session: "s", username: "newuser", parameters: {} };
    page.server.answers["POST /auth/login"] = [200, asked];
    page.server.answers["POST /auth/challenge"] = () => [200, session("7", "newuser")];
    let challenge;
    await page.does(async () => (challenge = await result.current.login("newuser", "once")));
    expect(challenge).toMatchObject({ challenge: "NEW_PASSWORD_REQUIRED" });
    expect(result.current.status).toBe("anonymous");
    await page.does(async () => (challenge = await result.current.answer(challenge, { NEW_PASSWORD: "mine" })));
    expect(challenge).toBeNull();
    expect(result.current.user.username).toBe("newuser");
  });

  test("a wrong password rejects in words, and nothing renders", async () => {
    const { result } = await useIt();
    const before = result.current;
    page.server.answers["POST /auth/login"] = [401, { error: "invalid_credentials", message: "Wrong." }];
    const failure = await act(() => result.current.login("alice", "no").catch((error) => error));
    expect(failure).toBeInstanceOf(HttpError);
    expect([failure.message, failure.word]).toEqual(["Wrong.", "invalid_credentials"]);
    expect(result.current).toBe(before);
  });

  test("a logout, here or everywhere", async () => {
    page.user();
    const { result } = await useIt();
    await page.does(() => result.current.logout());
    expect([result.current.status, result.current.user]).toEqual(["anonymous", null]);
    await page.does(() => result.current.login("alice", "password"));
    await page.does(() => result.current.logout({ everywhere: true }));
    expect(JSON.parse(page.server.inits.at(-1).body)).toEqual({ everywhere: true });
    expect(result.current.status).toBe("anonymous");
  });

  test("the other tabs hear of a login and of a logout", async () => {
    const { result } = await useIt();
    await page.does(() => page.channels.open[0].hear(session("3", "bob")));
    expect(result.current.user.username).toBe("bob");
    await page.does(() => page.channels.open[0].hear(null));
    expect(result.current.status).toBe("anonymous");
  });

  test("the session is refreshed ahead of its end, and the functions stay the same", async () => {
    page.user("1", "alice", 100);
    const { result } = await useIt();
    const { login, logout, refresh, answer, expiresAt } = result.current;
    await page.pass(81_000);
    expect(page.server.count("POST /auth/refresh")).toBe(1);
    expect(result.current).toMatchObject({ login, logout, refresh, answer });
    expect(result.current.expiresAt).toBeGreaterThan(expiresAt);
  });

  test("a session that cannot be refreshed has expired", async () => {
    page.user("1", "alice", 100);
    const { result } = await useIt();
    page.server.answers["POST /auth/refresh"] = [401, { error: "session_expired", message: "Log in again." }];
    await page.does(() => result.current.refresh().catch(() => {}));
    expect([result.current.status, result.current.user]).toEqual(["expired", null]);
  });

  test("a server that is away is asked again, and the error says why it is still loading", async () => {
    page.server.answers["GET /auth/me"] = [0];
    const { result } = await useIt();
    expect(result.current.status).toBe("loading");
    expect(result.current.error.message).toBe("The server cannot be reached.");
    page.user();
    await page.pass(30_000);
    expect([result.current.status, result.current.error]).toEqual(["authenticated", null]);
  });

  test("it is asked at once when the network is back", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.99);
    page.server.answers["GET /auth/me"] = [0];
    const { result } = await useIt();
    page.user();
    await page.does(() => window.dispatchEvent(new Event("online")));
    expect(result.current.status).toBe("authenticated");
    vi.restoreAllMocks();
  });

  test("a page whose origin is refused is told so, once", async () => {
    page.server.answers["GET /auth/me"] = [403, { error: "origin", message: "Add it to CORS_ORIGIN." }];
    const { result } = await useIt();
    await page.pass(60_000);
    expect(result.current.error.message).toBe("Add it to CORS_ORIGIN.");
    expect(page.server.requests).toHaveLength(1);
  });

  test("a page in front again refreshes what is due", async () => {
    page.user("1", "alice", 100);
    await useIt();
    vi.setSystemTime(Date.now() + 90_000); // timers slept, time did not
    await page.does(() => document.dispatchEvent(new Event("visibilitychange")));
    expect(page.server.count("POST /auth/refresh")).toBe(1);
  });

  test("an unmounted provider asks nothing more, and leaves no channel open", async () => {
    page.user("1", "alice", 100);
    const { unmount } = await useIt();
    unmount();
    await page.pass(200_000);
    expect(page.server.requests).toEqual(["GET /auth/me"]);
    expect(page.channels.open).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("an unmounted provider gives up looking for a server that is away", async () => {
    page.server.answers["GET /auth/me"] = [0];
    const { unmount } = await useIt();
    const { length } = page.server.requests;
    unmount();
    await page.pass(200_000);
    expect(page.server.requests).toHaveLength(length);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a provider that is hidden and shown again has one client that hears of the session, not two", async () => {
    page.user();
    const store = new SessionStore({ baseUrl: "http://service.test/auth" });
    const former = store.client;
    store.retain()();
    await page.pass(1);
    store.retain();
    await page.pass(1);
    await page.does(() => page.channels.open[0].hear(session()));
    expect([former.state.status, store.client.state.status]).toEqual(["anonymous", "authenticated"]);
    expect(vi.getTimerCount()).toBe(1);
  });

  test("a client of one's own lives on", async () => {
    page.user();
    const client = new AuthClient({ baseUrl: "http://service.test/auth" });
    const { result, unmount } = await useIt({ client });
    expect(result.current.status).toBe("authenticated");
    unmount();
    await page.pass(1);
    expect(client.state.status).toBe("authenticated");
    expect(page.channels.open).toEqual([]);
  });
});
