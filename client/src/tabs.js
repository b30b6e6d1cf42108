/**
 * The tabs of one browser, which share a session: one at a time does what only one may, and all hear of it.
 * A browser may have neither locks (a page without TLS) nor channels; then each tab is on its own.
 *
 * @typedef {object} Channel what is used of a `BroadcastChannel`
 * @property {(name: "message", listener: (event: MessageEvent) => void) => void} addEventListener
 * @property {(message: unknown) => void} postMessage
 */

const LOCK = "wsservice.refresh";
/** Milliseconds. A tab that the browser has frozen may hold the lock for ever; a request takes 20 s at most. */
const LOCK_PATIENCE = 30_000;
/** The same where a person waits for it. */
export const SHORT_PATIENCE = 5_000;
const TAKEN = Symbol("taken");

export class Tabs {
  #locks;
  #channel;
  #clock;
  /** @type {Promise<unknown> | null} what this tab is at, where there are no locks */
  #turn = null;

  /**
   * @param {Pick<LockManager, "request"> | undefined} locks
   * @param {Channel | undefined} channel
   * @param {import("./clock.js").Clock} clock
   */
  constructor(locks, channel, clock) {
    this.#locks = locks;
    this.#channel = channel;
    this.#clock = clock;
  }

  /**
   * Do something while no other tab does; without locks, while this tab does nothing else of the kind.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @param {object} [options]
   * @param {() => Promise<T>} [options.afterWaiting] done instead, when another one was at it
   * @param {number} [options.patience] milliseconds: then go on without the lock
   * @returns {Promise<T>}
   */
  async alone(work, { afterWaiting = work, patience: most = LOCK_PATIENCE } = {}) {
    const locks = this.#locks;
    if (!locks) return this.#inTurn(work, afterWaiting);
    const first = await this.#locked(work, (run) =>
      locks.request(LOCK, { ifAvailable: true }, async (lock) => (lock ? run() : TAKEN)),
    );
    if (first !== TAKEN) return /** @type {T} */ (first);
    const patience = new AbortController();
    const timer = this.#clock.setTimeout(() => patience.abort(), most);
    const stop = () => this.#clock.clearTimeout(timer);
    const second = this.#locked(
      () => {
        stop();
        return afterWaiting();
      },
      (run) => locks.request(LOCK, { signal: patience.signal }, async () => run()),
    );
    return /** @type {Promise<T>} */ (second).finally(stop);
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @param {() => Promise<T>} afterWaiting
   * @returns {Promise<T>}
   */
  #inTurn(work, afterWaiting) {
    const running = this.#turn ? this.#turn.then(afterWaiting) : work();
    const turn = running.then(
      () => {},
      () => {},
    );
    this.#turn = turn;
    void turn.then(() => {
      if (this.#turn === turn) this.#turn = null;
    });
    return running;
  }

  /** @param {unknown} message */
  tell(message) {
    this.#channel?.postMessage(message);
  }

  /** @param {(message: any) => void} listener what the other tabs tell */
  hear(listener) {
    this.#channel?.addEventListener("message", (event) => listener(event.data));
  }

  /**
   * Ask for the lock. Where it is not had (waited too long, or a page that may not lock), go on without.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @param {(run: () => Promise<T>) => Promise<unknown>} request
   * @returns {Promise<T | typeof TAKEN>}
   */
  async #locked(work, request) {
    let isRunning = false;
    try {
      const result = await request(() => {
        isRunning = true;
        return work();
      });
      return /** @type {T | typeof TAKEN} */ (result);
    } catch (error) {
      if (isRunning) throw error;
      return work();
    }
  }
}
