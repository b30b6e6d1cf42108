/** A page for the tests of the hooks: a fake clock, network and service, and the providers around what is tested. */

import { act, cleanup, render } from "@testing-library/react";
import { vi } from "vitest";
import { AuthProvider, SocketProvider, useAuth, useConnectionState, useWebSocket } from "../../src/react/index.js";
import { fakeWebSocket, FakeServer } from "../fakes.js";

export const URL_OF_SOCKET = "ws://service.test/ws";

const clock = { now: () => Date.now() };

/** The answer of `/auth` to whoever is logged in. */
export function session(id = "1", username = "alice", seconds = 3600) {
  return { user: { id, username, roles: [] }, expiresAt: Math.floor(Date.now() / 1000) + seconds };
}

/** A channel of which the test sees what is open. */
function fakeBroadcastChannel() {
  return class FakeBroadcastChannel {
    static open = [];
    listeners = [];

    constructor(name) {
      this.name = name;
      this.constructor.open.push(this);
    }

    addEventListener(_, listener) {
      this.listeners.push(listener);
    }

    postMessage(data) {
      for (const other of this.constructor.open) if (other !== this) other.hear(data);
    }

    hear(data) {
      for (const listener of this.listeners) listener({ data });
    }

    close() {
      this.constructor.open.splice(this.constructor.open.indexOf(this), 1);
    }
  };
}

export class Page {
  sockets = fakeWebSocket();
  channels = fakeBroadcastChannel();
  server = new FakeServer(clock, {});

  constructor() {
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", this.sockets);
    vi.stubGlobal("BroadcastChannel", this.channels);
    vi.stubGlobal("fetch", (url, init) => this.server.fetch(url, init));
    this.nobody();
  }

  close() {
    cleanup();
    vi.unstubAllGlobals();
    vi.useRealTimers();
  }

  /** The service says: nobody is logged in. */
  nobody() {
    const missing = [401, { error: "missing", message: "Log in." }];
    Object.assign(this.server.answers, { "GET /auth/me": missing, "POST /auth/refresh": missing });
  }

  /** The service says: this one is. */
  user(...args) {
    const known = () => [200, session(...args)];
    const answers = { "GET /auth/me": known, "POST /auth/refresh": known, "POST /auth/login": known };
    Object.assign(this.server.answers, answers, { "POST /auth/logout": [204] });
  }

  /** Render below both providers, and let everything settle that takes no time. */
  async show(children, options) {
    const tree = (inner) => (
      <AuthProvider baseUrl="http://service.test/auth">
        <SocketProvider url={URL_OF_SOCKET}>{inner}</SocketProvider>
      </AuthProvider>
    );
    const shown = render(tree(children), options);
    await this.pass(1);
    return { ...shown, rerender: (inner) => shown.rerender(tree(inner)) };
  }

  /** Let time pass, and React follow. */
  pass(milliseconds) {
    return act(() => vi.advanceTimersByTimeAsync(milliseconds));
  }

  /** Let a fake do something, and React follow. */
  async does(action) {
    await act(async () => action());
    await this.pass(0);
  }

  /** The sockets that nobody closed. */
  get open() {
    return this.sockets.all.filter((socket) => socket.closedWith === null);
  }
}

/** Shows what the hooks say, and keeps it. */
export function Probe({ into }) {
  const socket = useWebSocket();
  Object.assign(into, { socket, status: useConnectionState(), auth: useAuth(), renders: (into.renders ?? 0) + 1 });
  return <p>{socket.state}</p>;
}
