/**
 * The codec of the raw WebSocket, the counterpart of `wsservice/envelope.py`.
 *
 * @typedef {{ code: string, message: string, data?: unknown }} RemoteError
 * @typedef {{ kind: "message", data: unknown }
 *   | { kind: "event", name: string, data: unknown, id?: number }
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
 * The event `message` with exactly this text: bare, unless an object in it could be taken for an envelope.
 *
 * @param {string} text
 * @returns {string}
 */
export function encodeMessage(text) {
  return text.trimStart().startsWith("{") ? encodeEvent("message", text) : text;
}

/**
 * The text of which `encodeMessage` made a frame.
 *
 * @param {string} frame
 * @returns {string}
 */
export function messageOf(frame) {
  return frame.startsWith("{") ? JSON.parse(frame).data : frame;
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
    if (value.event === "message") return { kind: "message", data: value.data };
    if (typeof value.event === "string") {
      return { kind: "event", name: value.event, data: value.data, id: /** @type {number} */ (value.id) };
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
