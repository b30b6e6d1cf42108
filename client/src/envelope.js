/**
 * The codec of the raw WebSocket, the counterpart of `wsservice/envelope.py`.
 *
 * @typedef {{ code: string, message: string, data?: unknown }} RemoteError
 * @typedef {{ kind: "message", data: unknown }
 *   | { kind: "event", name: string, data: unknown, id?: number, offset?: string }
 *   | { kind: "ack", id: number, data: unknown, error?: RemoteError }} Incoming
 */

/**
 * A named event; with an `id`, the server acknowledges it.
 *
 * @param {string} name
 * @param {unknown} data
 * @param {number} [id]
 * @returns {string}
 */
export function encodeEvent(name, data, id) {
  return JSON.stringify({ event: name, data, id });
}

/**
 * The answer to the server's `connection.call`.
 *
 * @param {number} id
 * @param {{ data: unknown } | { error: RemoteError }} answer
 * @returns {string}
 */
export function encodeAck(id, answer) {
  return JSON.stringify({ ack: id, ...answer });
}

/**
 * The event `message` with exactly this text: bare, unless an object in it could be taken for an envelope.
 *
 * @param {string} text
 * @returns {string}
 */
export function encodeMessage(text) {
  return text.trimStart().startsWith("{") ? encodeEvent("message", text) : text;
}

/**
 * The text of which `encodeMessage` made a frame; of a binary one there is none.
 *
 * @param {unknown} frame
 * @returns {string}
 */
export function messageOf(frame) {
  if (typeof frame !== "string") return "";
  return frame.startsWith("{") ? JSON.parse(frame).data : frame;
}

/**
 * How many bytes of payload a frame has.
 *
 * @param {string | ArrayBuffer | Uint8Array} frame
 */
export function sizeOf(frame) {
  return typeof frame === "string" ? new TextEncoder().encode(frame).length : frame.byteLength;
}

/**
 * Tell what a frame is. What bears no envelope is the event `message`, bare.
 *
 * @param {string | ArrayBuffer} frame
 * @returns {Incoming}
 */
export function decode(frame) {
  const value = typeof frame === "string" ? parse(frame) : frame;
  if (isRecord(value)) {
    if (typeof value.ack === "number") {
      return { kind: "ack", id: value.ack, data: value.data, error: /** @type {RemoteError} */ (value.error) };
    }
    if (typeof value.event === "string") {
      const { event: name, id, offset } = /** @type {{ event: string, id?: number, offset?: string }} */ (value);
      const data = value.binary === true ? bytesOf(/** @type {string} */ (value.data)) : value.data;
      return { kind: "event", name, data, id, offset };
    }
  }
  return { kind: "message", data: value };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isRecord(value) {
  return typeof value === "object" && value !== null && !(value instanceof ArrayBuffer) && !Array.isArray(value);
}

/** @param {string} text */
function parse(text) {
  try {
    return /** @type {unknown} */ (JSON.parse(text));
  } catch {
    return text; // a text that is no JSON is a message, too
  }
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer;
}
