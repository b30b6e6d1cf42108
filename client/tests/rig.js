/** A client with everything around it faked, and the words in which the tests tell what happens. */

import { WsClient } from "../src/client.js";
import { FakeClock, fakeWebSocket, settle } from "./fakes.js";

export const URL_OF_WS = "ws://service.test/ws";

/** A session whose answers a test sets: a value, an error, or a promise of either. */
export class FakeSession {
  refreshes = [];
  asked = 0;
  learned = [];
  /** Each refresh takes the next of these; without any it succeeds. */
  outcomes = [];
  meOutcomes = [];

  refresh = async (options) => {
    this.refreshes.push(options);
    return give(this.outcomes.shift());
  };

  me = async () => {
    this.asked += 1;
    return give(this.meOutcomes.shift());
  };

  learn = (expiresAt) => void this.learned.push(expiresAt);
}

async function give(outcome) {
  const value = await outcome;
  if (value instanceof Error) throw value;
  return value ?? {};
}

/** An error as `HttpError` is. */
export function failure(status, message = "no") {
  return Object.assign(new Error(message), { status });
}

/** `chance` is what `random` says: a number, or a function. */
export function makeRig({ chance = 0.5, recover = true, url = URL_OF_WS, session = new FakeSession() } = {}) {
  const clock = new FakeClock();
  const Socket = fakeWebSocket();
  const random = typeof chance === "function" ? chance : () => chance;
  const client = new WsClient(url, { session, WebSocket: Socket, clock, random, recover });
  const heard = { status: [], message: [], event: [], welcome: [], dropped: [], waiting: [], frame: [] };
  for (const name of Object.keys(heard)) client.on(name, (value) => heard[name].push(value));
  return {
    client,
    clock,
    heard,
    session,
    Socket,
    get state() {
      return client.status.state;
    },
    get socket() {
      return Socket.last;
    },
    /** Connect, and let the server accept. */
    async open() {
      client.connect();
      await settle();
      return Socket.last.open();
    },
    /** The connection ends, and the promises that follow settle. */
    async end(code, reason) {
      Socket.last.end(code, reason);
      await settle();
    },
  };
}

/** What the server says first to a client that asks to recover. */
export function welcome(more = {}) {
  const data = { session: "s1", id: "c1", offset: "n.1", recovered: false, reason: null, expiresAt: 1_800_003_600 };
  return { event: "welcome", data: { ...data, ...more } };
}
