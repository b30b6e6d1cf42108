/** JSON over HTTP, with a deadline, and every failure as one kind of error. */

const GET_TIMEOUT = 10_000;
/** A login, a refresh and a logout wait for the identity provider, to which the server gives 15 s. */
const POST_TIMEOUT = 20_000;

/** A request that failed. Its message is made for people. */
export class HttpError extends Error {
  /**
   * @param {number} status HTTP, or 0 when no answer came
   * @param {{ error?: string, message?: string, requestId?: string }} body
   */
  constructor(status, { error = "unknown", message = `The server answered ${status}.`, requestId = "" }) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.word = error;
    this.requestId = requestId;
  }
}

export class Http {
  #baseUrl;
  #fetch;
  #clock;
  /** How far the server's clock is ahead of this one, milliseconds, as its `Date` tells; where it is hidden, 0. */
  skew = 0;

  /**
   * @param {string} baseUrl
   * @param {(url: string, init: RequestInit) => Promise<Response>} fetch
   * @param {import("./clock.js").Clock} clock
   */
  constructor(baseUrl, fetch, clock) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#fetch = fetch;
    this.#clock = clock;
  }

  /**
   * @param {string} path
   * @returns {Promise<any>} the answer's body; rejects with an `HttpError`
   */
  get(path) {
    return this.#request(path, { method: "GET" }, GET_TIMEOUT);
  }

  /**
   * @param {string} path
   * @param {unknown} body
   * @returns {Promise<any>} the answer's body, null for 204; rejects with an `HttpError`
   */
  post(path, body) {
    return this.#request(path, { method: "POST", body: JSON.stringify(body) }, POST_TIMEOUT);
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @param {number} timeout milliseconds
   */
  async #request(path, init, timeout) {
    const abort = new AbortController();
    const timer = this.#clock.setTimeout(() => abort.abort(), timeout);
    try {
      const response = await this.#fetch(this.#baseUrl + path, {
        ...init,
        credentials: "include", // the service may have another origin than the page
        cache: "no-store",
        ...(init.body === undefined ? {} : { headers: { "Content-Type": "application/json" } }),
        signal: abort.signal,
      });
      const date = Date.parse(response.headers.get("Date") ?? "");
      if (!Number.isNaN(date)) this.skew = date - this.#clock.now();
      return await bodyOf(response);
    } catch (error) {
      if (error instanceof HttpError) throw error;
      throw new HttpError(0, { error: "unreachable", message: "The server cannot be reached." });
    } finally {
      this.#clock.clearTimeout(timer);
    }
  }
}

/** @param {Response} response */
async function bodyOf(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const body = await response.json().catch(() => null); // a proxy's page, perhaps
  throw new HttpError(response.status, body ?? {});
}
