import { Component, StrictMode } from "react";
import { render } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AuthProvider, useAuth, useConnectionState, useEvent, useSocket } from "../../src/react/index.js";
import { Page } from "./page.jsx";

const URL_OF_SERVICE = "http://service.test";

/** A class in the place of the stock client's sockets: a test plays the server. */
function fakeIo() {
  const made = [];
  const io = (url, options) => {
    const listeners = new Map();
    const any = [];
    const socket = {
      url,
      options,
      id: "c1",
      recovered: false,
      sent: [],
      connects: 0,
      closes: 0,
      io: { _close: () => void (socket.closes += 1) },
      connect: () => void (socket.connects += 1),
      disconnect: () => void (socket.closes += 1),
      emit: (...args) => void socket.sent.push(args),
      on: (name, listener) => void listeners.set(name, listener),
      onAny: (listener) => void any.push(listener),
      tell: (name, ...args) => listeners.get(name)?.(...args),
      receive: (...args) => any.forEach((listener) => listener(...args)),
    };
    made.push(socket);
    return socket;
  };
  io.made = made;
  return Object.defineProperty(io, "last", { get: () => made.at(-1) });
}

const stock = vi.hoisted(() => ({ io: null, isMissing: false }));
vi.mock("socket.io-client", () => ({
  get io() {
    if (stock.isMissing) throw new Error("Cannot find package 'socket.io-client'");
    return stock.io;
  },
}));

let page;
let io;
beforeEach(() => {
  page = new Page();
  stock.io = io = fakeIo();
  stock.isMissing = false;
});
afterEach(() => page.close());

function Probe({ into, url = URL_OF_SERVICE, options }) {
  const socket = useSocket(url, options);
  Object.assign(into, { socket, auth: useAuth(), renders: (into.renders ?? 0) + 1 });
  into.status = useConnectionState(socket.connection);
  useEvent("message", (data) => (into.messages ??= []).push(data), socket.connection);
  return null;
}

const within = (inner) => <AuthProvider baseUrl="http://service.test/auth">{inner}</AuthProvider>;

async function show(inner) {
  const shown = render(within(inner));
  // A module is loaded by the machine's own time.
  await vi.waitFor(() => expect(io.made.length + stock.isMissing).toBeGreaterThan(0));
  await page.pass(1);
  return shown;
}

describe("useSocket", () => {
  test("the stock client is loaded when it is needed, and connects when somebody is logged in", async () => {
    const seen = {};
    const { rerender } = await show(<Probe into={seen} />);
    expect([io.last.url, io.last.connects, seen.socket.isConnected]).toEqual([URL_OF_SERVICE, 0, false]);
    expect(io.last.options).toMatchObject({ withCredentials: true });
    page.user();
    await page.does(() => seen.auth.login("alice", "password"));
    expect([io.last.connects, seen.socket.state]).toEqual([1, "connecting"]);
    await page.does(() => io.last.tell("connect"));
    expect([seen.socket.isConnected, seen.status.state, seen.socket.socket]).toEqual([true, "open", io.last]);
    await page.does(() => seen.auth.logout());
    expect([io.last.closes, seen.socket.isConnected, seen.status.cause]).toEqual([1, false, "signed-out"]);
    rerender(within(null));
  });

  test("one that is loaded already can be passed in, with options of the stock client", async () => {
    page.user();
    const own = fakeIo();
    const seen = {};
    render(within(<Probe into={seen} options={{ io: own, options: { path: "/realtime" } }} />));
    await page.pass(1);
    expect([own.made.length, io.made.length, own.last.options.path]).toEqual([1, 0, "/realtime"]);
  });

  test("components that name one address share one connection; another one has its own", async () => {
    page.user();
    const seen = [{}, {}, {}];
    const options = { io };
    await show(
      <>
        <Probe into={seen[0]} options={options} />
        <Probe into={seen[1]} options={options} />
        <Probe into={seen[2]} options={options} url="http://service.test/news" />
      </>,
    );
    expect(io.made.map(({ url }) => url)).toEqual([URL_OF_SERVICE, "http://service.test/news"]);
    expect(seen[0].socket.connection).toBe(seen[1].socket.connection);
  });

  test("StrictMode opens one socket, which closes when the last component has gone", async () => {
    page.user();
    const seen = [{}, {}];
    const two = (
      <StrictMode>
        <Probe into={seen[0]} />
        <Probe into={seen[1]} />
      </StrictMode>
    );
    const { rerender } = await show(two);
    expect([io.made.length, io.last.connects]).toEqual([1, 1]);
    await page.does(() => io.last.tell("connect"));
    rerender(
      within(
        <StrictMode>
          <Probe into={seen[0]} />
        </StrictMode>,
      ),
    );
    await page.pass(1);
    expect(io.last.closes).toBe(0);
    rerender(within(null));
    await page.pass(1);
    expect(io.last.closes).toBe(1);
    await page.pass(100_000);
    expect([io.made.length, io.last.connects]).toEqual([1, 1]);
  });

  test("messages go to callbacks and render nothing; what is sent early waits", async () => {
    page.user();
    const seen = {};
    await show(<Probe into={seen} />);
    seen.socket.emit("message", "early");
    await page.does(() => io.last.tell("connect"));
    expect(io.last.sent).toEqual([["message", "early"]]);
    const { renders } = seen;
    await page.does(() => io.last.receive("message", { user: "2", message: "Hello" }));
    expect([seen.messages, seen.renders]).toEqual([[{ user: "2", message: "Hello" }], renders]);
  });

  test("without the package the nearest error boundary is told how to get it", async () => {
    stock.isMissing = true;
    class Boundary extends Component {
      state = { error: null };
      static getDerivedStateFromError = (error) => ({ error });
      render() {
        return this.state.error ? <p>{this.state.error.message}</p> : this.props.children;
      }
    }
    vi.spyOn(console, "error").mockImplementation(() => {}); // React tells of the error, too
    const { container } = await show(
      <Boundary>
        <Probe into={{}} />
      </Boundary>,
    );
    await vi.waitFor(() => expect(container.textContent).toContain("npm install socket.io-client"));
    vi.restoreAllMocks();
  });
});
