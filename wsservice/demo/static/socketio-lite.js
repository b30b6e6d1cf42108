/**
 * Socket.IO v5 over Engine.IO v4, as a WebSocket that speaks the wire of `/ws`: give the class to `WsClient`,
 * and everything it knows (coming back, close codes, the session, calls) is true for Socket.IO, too.
 *
 *     const client = new WsClient(url, { session, WebSocket: overSocketIo() });
 *
 * Only the WebSocket transport and the main namespace; no third party's code. A front end of yours wants the
 * stock `socket.io-client`, which also knows long-polling.
 *
 *     page             here                        server
 *     (new)            WebSocket opens ----------->
 *                      <--------------------------- 0{"pingInterval", ...}
 *                      40{"pid", "offset"} -------> joins the main namespace
 *     onopen           <--------------------------- 40{"sid", "pid"}
 *     send(text)       42["message","text"] ------>
 *     onmessage        <--------------------------- 42["message",{...},"offset"]
 *     (nothing)        <-- 2, 3 ------------------> alive, or else it is closed
 */

import { systemClock } from "./client/clock.js";
import { ABNORMAL } from "./client/close-codes.js";
import { isOffset } from "./client/offsets.js";

/** `WebSocket.OPEN`. */
const OPEN = 1;
/** RFC 6455 section 7.4.1: a policy was not met; `close-codes.js` goes by the reason. */
const REFUSED = 1008;
/** The server wants this client gone. */
const NORMAL = 1000;

/** `<type><attachments>-<id><json>`, where all but the type may be missing (Socket.IO protocol, "Packet encoding"). */
const PACKET = /^([0-6])(?:(\d+)-)?(\d*)(.*)$/s;
const CONNECT = 0;
const DISCONNECT = 1;
const EVENT = 2;
const ACK = 3;
const CONNECT_ERROR = 4;
const BINARY_EVENT = 5;
const BINARY_ACK = 6;

/**
 * @typedef {object} Options
 * @property {new (url: string) => WebSocket} [WebSocket]
 * @property {import("./client/clock.js").Clock} [clock]
 * @property {(direction: "in" | "out", data: string | ArrayBuffer) => void} [onFrame] what really goes over the wire
 *
 * What the server gave to come back with, shared by the sockets that follow each other.
 * @typedef {{ pid: string | null, offset: string | null }} Memory
 */

/**
 * A class of sockets that follow each other: each recovers what the last one missed, if the service has `--recovery`.
 *
 * @param {Options} [options]
 * @returns {new (url: string) => WebSocket}
 */
export function overSocketIo({ WebSocket = globalThis.WebSocket, clock = systemClock, onFrame = () => {} } = {}) {
  /** @type {Memory} */
  const memory = { pid: null, offset: null };
  const Made = class extends SocketIoSocket {
    /** @param {string} url the service's, which ends in `/socket.io/` */
    constructor(url) {
      super(new WebSocket(`${url}?EIO=4&transport=websocket`), { clock, onFrame, memory });
    }
  };
  return /** @type {new (url: string) => any} the part of a WebSocket that WsClient uses */ (Made);
}

class SocketIoSocket {
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: { data: string }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */
  onclose = null;
  #socket;
  #clock;
  #onFrame;
  #memory;
  /** The server must be heard from within this, milliseconds. */
  #patience = 0;
  /** @type {any} */
  #timer = null;
  /** @type {{ type: number, id: string, args: unknown, wanted: number, parts: ArrayBuffer[] } | null} */
  #partial = null;

  /**
   * @param {WebSocket} socket
   * @param {Required<Omit<Options, "WebSocket">> & { memory: Memory }} options
   */
  constructor(socket, { clock, onFrame, memory }) {
    this.#socket = socket;
    this.#clock = clock;
    this.#onFrame = onFrame;
    this.#memory = memory;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#received(data);
    // A 1000 of the transport is a missed heartbeat here: only a DISCONNECT tells a client to stay away.
    socket.onclose = ({ code, reason }) => this.#ended(code === NORMAL ? ABNORMAL : code, reason);
  }

  get readyState() {
    return this.#socket.readyState;
  }

  /** @param {string} text a frame of the wire of `/ws` */
  send(text) {
    const { event, data, id, ack, error } = text.startsWith("{") ? JSON.parse(text) : { event: "message", data: text };
    if (ack === undefined) this.#write(`4${EVENT}${id ?? ""}${JSON.stringify([event, data])}`);
    else this.#write(`4${ACK}${ack}${JSON.stringify([error ? { error } : data])}`);
  }

  /** @param {number} [code] 1000: this client will not come back, and what it would have missed need not be kept */
  close(code) {
    if (code === NORMAL) {
      this.#write(`4${DISCONNECT}`);
      this.#memory.pid = this.#memory.offset = null;
    }
    this.#clock.clearTimeout(this.#timer);
    this.#socket.onmessage = null;
    this.#socket.close();
  }

  /** @param {string | ArrayBuffer} data one frame of the transport: an Engine.IO packet */
  #received(data) {
    this.#onFrame("in", data);
    this.#wait();
    if (typeof data !== "string") return this.#attached(data);
    const [type, content] = [data.charAt(0), data.slice(1)];
    if (type === "0") this.#opened(JSON.parse(content));
    else if (type === "1") this.#end(ABNORMAL, "");
    else if (type === "2") this.#write("3");
    else if (type === "4") this.#packet(content);
  }

  /** @param {{ pingInterval: number, pingTimeout: number }} handshake milliseconds */
  #opened({ pingInterval, pingTimeout }) {
    this.#patience = pingInterval + pingTimeout;
    this.#wait();
    const { pid, offset } = this.#memory;
    this.#write(`4${CONNECT}${pid === null ? "" : JSON.stringify({ pid, offset })}`);
  }

  /** The next sign of life is waited for from now. */
  #wait() {
    this.#clock.clearTimeout(this.#timer);
    if (this.#patience > 0) this.#timer = this.#clock.setTimeout(() => this.#end(ABNORMAL, ""), this.#patience);
  }

  /** @param {string} text */
  #packet(text) {
    const [, digit = "", attachments = "0", id = "", json = ""] = PACKET.exec(text) ?? [];
    const type = Number(digit);
    const value = json === "" ? undefined : JSON.parse(json);
    if (type === CONNECT) this.#connected(value);
    else if (type === DISCONNECT) this.#end(NORMAL, "Disconnected by the server");
    else if (type === CONNECT_ERROR) this.#end(REFUSED, value.message);
    else if (type === BINARY_EVENT || type === BINARY_ACK) {
      this.#partial = { type: type - BINARY_EVENT + EVENT, id, args: value, wanted: Number(attachments), parts: [] };
    } else this.#deliver(type, id, value);
  }

  /** @param {{ sid: string, pid?: string | null }} answer */
  #connected({ sid, pid = null }) {
    const memory = this.#memory;
    const recovered = pid !== null && pid === memory.pid;
    const reason = pid === null ? "off" : memory.pid === null || recovered ? null : "unknown";
    memory.pid = pid;
    if (!recovered) memory.offset = null;
    this.onopen?.();
    this.#hand({ event: "welcome", data: { session: pid, id: sid, offset: memory.offset, recovered, reason } });
  }

  /** @param {ArrayBuffer} part of a packet that came before it; bytes are base64 text, as they are on `/ws` */
  #attached(part) {
    const partial = this.#partial;
    if (partial === null || partial.parts.push(part) < partial.wanted) return;
    this.#partial = null;
    const filled = JSON.stringify(partial.args, (_, value) =>
      value?._placeholder ? base64(partial.parts[value.num] ?? new ArrayBuffer(0)) : value,
    );
    this.#deliver(partial.type, partial.id, JSON.parse(filled));
  }

  /**
   * @param {number} type
   * @param {string} id
   * @param {any[]} args
   */
  #deliver(type, id, args) {
    if (type === ACK) {
      const [data] = args;
      this.#hand(data?.error?.code ? { ack: Number(id), error: data.error } : { ack: Number(id), data });
      return;
    }
    const [event, data] = args;
    const last = args.at(-1);
    this.#hand({ event, data, ...(id === "" ? {} : { id: Number(id) }) });
    // What is to be acknowledged has none, and may end in a text of its own.
    if (this.#memory.pid !== null && id === "" && isOffset(last)) this.#memory.offset = last;
  }

  /** @param {unknown} frame of the wire of `/ws` */
  #hand(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** @param {string} packet */
  #write(packet) {
    if (this.#socket.readyState !== OPEN) return;
    this.#socket.send(packet);
    this.#onFrame("out", packet);
  }

  /**
   * The session is over, whatever the transport says of it later.
   *
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    this.#socket.onclose = null;
    this.close();
    this.#ended(code, reason);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #ended(code, reason) {
    this.#clock.clearTimeout(this.#timer);
    this.onclose?.({ code, reason });
  }
}

/** @param {ArrayBuffer} bytes */
function base64(bytes) {
  return btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(""));
}
