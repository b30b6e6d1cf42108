/**
 * What the core gets as arguments, for tests: time that a test moves, chance that it says, a network and
 * a server that do what it tells them, and tabs of one browser.
 */

/** A clock that stands still until a test lets time pass. */
export class FakeClock {
  #now = 1_800_000_000_000;
  #timers = new Map();
  #next = 1;

  now = () => this.#now;
  setTimeout = (callback, milliseconds) => {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#now + Math.max(0, milliseconds), callback });
    return id;
  };
  clearTimeout = (id) => void this.#timers.delete(id);

  /** How many timers run: none may be left when a client is closed. */
  get pending() {
    return this.#timers.size;
  }

  /** When the next timer is due, milliseconds from now; null without any. */
  get nextIn() {
    const times = [...this.#timers.values()].map(({ at }) => at - this.#now);
    return times.length ? Math.min(...times) : null;
  }

  /** The machine sleeps: time passes, and no timer runs. */
  sleep(milliseconds) {
    this.#now += milliseconds;
  }

  /** Let time pass: every timer that is due runs at its time, in order, and promises settle in between. */
  async advance(milliseconds) {
    const end = this.#now + milliseconds;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (!due) break;
      const [id, { at, callback }] = due;
      this.#timers.delete(id);
      this.#now = at;
      callback();
      await settle();
    }
    this.#now = end;
  }
}

/** Let everything that is ready run: promises of promises, and the bodies of answers, too. */
export async function settle() {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Chance with a seed (mulberry32): the same draws on every machine. */
export function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * A class in the place of WebSocket, of which every instance is kept in `.all`, oldest first.
 * A test plays the server: `open()`, `receive(text)`, `end(code, reason)`.
 */
export function fakeWebSocket() {
  return class FakeWebSocket {
    static all = [];
    static get last() {
      return this.all.at(-1);
    }

    onopen = null;
    onmessage = null;
    onclose = null;
    binaryType = "blob";
    readyState = 0;
    /** What the client sent. */
    sent = [];
    /** Arguments of the client's own `close()`; null until then. */
    closedWith = null;

    constructor(url) {
      this.url = url;
      this.constructor.all.push(this);
    }

    get query() {
      return Object.fromEntries(new URL(this.url).searchParams);
    }

    send(data) {
      this.sent.push(data);
    }

    close(...args) {
      this.closedWith ??= args;
    }

    open() {
      this.readyState = 1;
      this.onopen?.({});
      return this;
    }

    receive(data) {
      this.onmessage?.({ data: typeof data === "string" || data instanceof ArrayBuffer ? data : JSON.stringify(data) });
      return this;
    }

    end(code = 1006, reason = "") {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
  };
}

/** The locks of a browser, shared by its tabs: one holder a name, the others in line. */
export class FakeLocks {
  /** name -> who waits; without an entry it is free */
  #lines = new Map();

  async request(name, options, callback) {
    const line = this.#lines.get(name);
    if (line && options.ifAvailable) return callback(null);
    if (line) await this.#wait(line, options.signal);
    else this.#lines.set(name, []);
    try {
      return await callback({ name });
    } finally {
      const next = this.#lines.get(name).shift();
      if (next) next();
      else this.#lines.delete(name);
    }
  }

  #wait(line, signal) {
    return new Promise((resolve, reject) => {
      line.push(resolve);
      signal?.addEventListener("abort", () => {
        line.splice(line.indexOf(resolve), 1);
        reject(signal.reason);
      });
    });
  }
}

/** BroadcastChannels of one name: what one posts, the others hear. */
export class FakeChannels {
  #channels = [];

  open() {
    const listeners = [];
    const channel = {
      posted: [],
      addEventListener: (_, listener) => void listeners.push(listener),
      postMessage: (data) => {
        channel.posted.push(data);
        for (const other of this.#channels) {
          if (other !== channel) for (const listener of other.listeners) listener({ data: structuredClone(data) });
        }
      },
      listeners,
    };
    this.#channels.push(channel);
    return channel;
  }
}

/**
 * `/auth` of a service, as `fetch`. `answers` says what each path answers: `[status, body]`, or a function
 * that gives it, or "down". `requests` has what was asked: "POST /auth/refresh".
 */
export class FakeServer {
  requests = [];
  inits = [];

  constructor(clock, answers = {}) {
    this.clock = clock;
    this.answers = answers;
  }

  count(request) {
    return this.requests.filter((one) => one === request).length;
  }

  fetch = async (url, init) => {
    const path = url.replace(/^https?:\/\/[^/]+/, "");
    const request = `${init.method} ${path}`;
    this.requests.push(request);
    this.inits.push({ url, ...init });
    const answer = this.answers[request];
    const [status, body, headers = {}] = (typeof answer === "function" ? await answer(init) : answer) ?? [404, {}];
    if (status === 0) throw new TypeError("Failed to fetch");
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
  };
}

/** A session that lives for so many seconds from now, as `/auth` tells it. */
export function sessionFor(clock, seconds = 3600, id = "1") {
  return {
    user: { id, username: "alice", roles: [] },
    expiresAt: Math.floor(clock.now() / 1000) + seconds,
  };
}
