import { StrictMode, useEffect } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WsClient } from "../../src/client.js";
import { AuthProvider, SocketProvider, useWebSocket } from "../../src/react/index.js";
import { render } from "@testing-library/react";
import { Page, Probe, session, URL_OF_SOCKET } from "./page.jsx";

let page;
beforeEach(() => void (page = new Page()));
afterEach(() => page.close());

describe("the socket follows the session", () => {
  test("it opens only when somebody is logged in, and closes at the logout", async () => {
    const seen = {};
    await page.show(<Probe into={seen} />);
    expect([page.sockets.all.length, seen.socket.state]).toEqual([0, "idle"]);
    page.user();
    await page.does(() => seen.auth.login("alice", "password"));
    expect([page.sockets.all.length, seen.socket.state]).toEqual([1, "connecting"]);
    expect(page.sockets.last.url).toContain(URL_OF_SOCKET);
    await page.does(() => page.sockets.last.open());
    expect(seen.socket.state).toBe("open");
    await page.does(() => seen.auth.logout());
    expect([page.open.length, seen.socket.state, seen.status.cause]).toEqual([0, "closed", "signed-out"]);
    expect(seen.socket.lastError).toBeNull();
  });

  test("a socket that was told of the logout tells the page", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => page.sockets.last.open().end(1008, "Signed out"));
    expect([seen.auth.status, seen.socket.state]).toEqual(["anonymous", "closed"]);
  });

  test("a socket that is refused for its session, and again, shows the login", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => page.sockets.last.open().end(1008, "Invalid authentication token"));
    await page.does(() => page.sockets.last.open().end(1008, "Invalid authentication token"));
    expect(page.server.count("POST /auth/refresh")).toBe(1);
    expect([seen.auth.status, seen.socket.state]).toEqual(["expired", "closed"]);
    expect(seen.socket.lastError.message).toBe("The session has ended.");
    await page.does(() => seen.auth.login("alice", "password"));
    expect(seen.socket.state).toBe("connecting");
  });

  test("another user gets another socket, and nothing that waited", async () => {
    page.user("1", "alice");
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => seen.socket.send("of alice"));
    await page.does(() => page.channels.open[0].hear(session("2", "bob")));
    expect([page.sockets.all.length, page.open.length]).toEqual([2, 1]);
    await page.does(() => page.sockets.last.open());
    expect(page.sockets.last.sent).toEqual([]);
  });

  test("a refresh leaves a socket that the server refused for good where it is", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => page.sockets.last.open().end(4409, "Replaced by a newer connection"));
    await page.does(() => seen.auth.refresh());
    expect([page.sockets.all.length, seen.socket.state]).toEqual([1, "closed"]);
    expect(seen.socket.lastError).toMatchObject({ cause: "refused", code: 4409, name: "ConnectionError" });
    await page.does(() => seen.socket.connect());
    expect(seen.socket.state).toBe("connecting");
  });
});

describe("StrictMode and unmounting", () => {
  test("mount, unmount, mount opens one socket, and looks for the session once", async () => {
    page.user();
    const seen = {};
    await page.show(
      <StrictMode>
        <Probe into={seen} />
      </StrictMode>,
    );
    expect([page.sockets.all.length, page.open.length]).toEqual([1, 1]);
    page.close();
    page = new Page();
    page.user();
    render(
      <StrictMode>
        <AuthProvider baseUrl="http://service.test/auth">
          <SocketProvider url={URL_OF_SOCKET}>
            <Probe into={seen} />
          </SocketProvider>
        </AuthProvider>
      </StrictMode>,
    );
    await page.pass(10);
    expect([page.sockets.all.length, page.open.length]).toEqual([1, 1]);
    expect(page.server.requests).toEqual(["GET /auth/me"]);
    expect(page.channels.open).toHaveLength(1);
  });

  test("an unmounted provider closes its socket a moment later, and comes back to nothing", async () => {
    page.user();
    const { unmount } = await page.show(<Probe into={{}} />);
    await page.does(() => page.sockets.last.open());
    unmount();
    expect(page.open).toHaveLength(1);
    await page.pass(1);
    expect(page.open).toHaveLength(0);
    await page.pass(100_000);
    expect([page.sockets.all.length, vi.getTimerCount()]).toEqual([1, 0]);
  });

  test("another address is another socket; the same one again is none", async () => {
    page.user();
    const tree = (url) => (
      <AuthProvider baseUrl="http://service.test/auth">
        <SocketProvider url={url}>
          <Probe into={{}} />
        </SocketProvider>
      </AuthProvider>
    );
    const { rerender } = render(tree("ws://one.test/ws"));
    await page.pass(1);
    rerender(tree("ws://one.test/ws"));
    await page.pass(1);
    expect(page.sockets.all).toHaveLength(1);
    rerender(tree("ws://two.test/ws"));
    await page.pass(1);
    expect(page.open.map(({ url }) => new URL(url).host)).toEqual(["two.test"]);
  });

  test("a client of one's own can be handed in", async () => {
    page.user();
    const client = new WsClient("ws://own.test/ws", { session: { refresh: async () => {}, me: async () => {} } });
    const seen = {};
    render(
      <AuthProvider baseUrl="http://service.test/auth">
        <SocketProvider client={client}>
          <Probe into={seen} />
        </SocketProvider>
      </AuthProvider>,
    );
    await page.pass(1);
    expect(seen.socket.client).toBe(client);
    expect(client.status.state).toBe("connecting");
  });
});

describe("useWebSocket", () => {
  test("messages render nothing; changes of the state do", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => page.sockets.last.open());
    const { renders } = seen;
    await page.does(() => {
      for (let n = 0; n < 100; n++) page.sockets.last.receive({ event: "message", data: n });
    });
    expect(seen.renders).toBe(renders);
    await page.does(() => page.sockets.last.end());
    expect(seen.renders).toBeGreaterThan(renders);
  });

  test("the functions are the same ones through every state", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    const { send, emit, call, connect } = seen.socket;
    await page.does(() => page.sockets.last.open());
    await page.does(() => page.sockets.last.end());
    expect(seen.socket).toMatchObject({ send, emit, call, connect });
  });

  test("what is sent before the connection is there arrives when it is, from a child's first effect, too", async () => {
    page.user();
    function Early() {
      const { send, emit } = useWebSocket();
      useEffect(() => {
        send("first");
        emit("news", { week: 47 });
      }, [send, emit]);
      return null;
    }
    await page.show(<Early />);
    await page.does(() => page.sockets.last.open());
    expect(page.sockets.last.sent.map((text) => (text === "first" ? text : JSON.parse(text)))).toEqual([
      "first",
      { event: "news", data: { week: 47 } },
    ]);
  });

  test("a call is answered, and one without a connection rejects", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    await expect(seen.socket.call("who")).rejects.toMatchObject({ name: "CallError", code: "closed" });
    await page.does(() => page.sockets.last.open());
    const answer = seen.socket.call("who", null);
    const { id } = JSON.parse(page.sockets.last.sent.at(-1));
    page.sockets.last.receive({ ack: id, data: ["alice"] });
    await expect(answer).resolves.toEqual(["alice"]);
  });

  test("a call from a first effect rejects rather than waits", async () => {
    page.user();
    const said = [];
    function Early() {
      const { call } = useWebSocket();
      useEffect(() => void call("who").catch((error) => said.push(error.code)), [call]);
      return null;
    }
    await page.show(<Early />);
    expect(said).toEqual(["closed"]);
  });

  test("the last error says why there is no connection, until there is one", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    expect(seen.socket.lastError).toBeNull();
    await page.does(() => page.sockets.last.open().end(1001, "Server shutting down"));
    expect(seen.socket.lastError).toMatchObject({
      message: "The server is restarting.",
      code: 1001,
      reason: "Server shutting down",
      state: "reconnecting",
    });
    await page.pass(600);
    expect([seen.socket.state, seen.socket.lastError.code]).toEqual(["connecting", 1001]);
    await page.does(() => page.sockets.last.open());
    expect(seen.socket.lastError).toBeNull();
  });

  test("connecting by hand cuts a wait short, and does nothing while nobody is logged in", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.9);
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => seen.socket.connect());
    expect(page.sockets.all).toHaveLength(0);
    page.user();
    await page.does(() => seen.auth.login("alice", "password"));
    for (let n = 0; n < 8; n++) {
      await page.does(() => page.sockets.last.open().end(1011, ""));
      if (n < 7) await page.pass(31_000);
    }
    expect(seen.status.retryAt - Date.now()).toBeGreaterThan(5000);
    await page.does(() => seen.socket.connect());
    expect(seen.status.retryAt - Date.now()).toBeLessThan(301);
    vi.restoreAllMocks();
  });
});

describe("the page and the network", () => {
  test("offline is a cause, and online comes back", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => page.sockets.last.open());
    await page.does(() => window.dispatchEvent(new Event("offline")));
    await page.does(() => page.sockets.last.end());
    expect([seen.status.cause, seen.socket.lastError.message]).toEqual(["offline", "This device is offline."]);
    await page.does(() => window.dispatchEvent(new Event("online")));
    await page.pass(301);
    expect(seen.socket.state).toBe("connecting");
  });

  test("a hidden page closes its socket, and a shown one opens it", async () => {
    page.user();
    const seen = {};
    await page.show(<Probe into={seen} />);
    await page.does(() => page.sockets.last.open());
    await page.does(() => window.dispatchEvent(new Event("pagehide")));
    expect([page.open.length, seen.socket.state]).toEqual([0, "idle"]);
    await page.does(() => window.dispatchEvent(new Event("pageshow")));
    expect([page.open.length, seen.socket.state]).toEqual([1, "connecting"]);
  });

  test("an unmounted provider hears nothing more of the page", async () => {
    page.user();
    const { unmount } = await page.show(<Probe into={{}} />);
    unmount();
    await page.pass(1);
    await page.does(() => ["pagehide", "pageshow", "online"].forEach((name) => window.dispatchEvent(new Event(name))));
    await page.pass(1000);
    expect(page.sockets.all).toHaveLength(1);
  });
});
