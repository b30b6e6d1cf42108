// What socket.io-parser makes of packets: one JSON document in, one out; called by test_socketio_parser.py.
//
//   in   {"decode": [[text, base64, ...], ...], "encode": [{type, nsp, id, data}, ...]}
//   out  {"decode": [{type, nsp, id, data} | {error} | {waiting}, ...], "encode": [[text, base64, ...], ...]}
//
// Bytes inside data are {"$bytes": base64}.
"use strict";

const { Decoder, Encoder } = require("socket.io-parser");

// Deeper than this, neither map, JSON.stringify nor Python could be sure of its stack.
const MAX_DEPTH = 300;

function map(data, leaf, depth = 0) {
  const changed = leaf(data);
  if (changed !== data || data === null || typeof data !== "object") return changed;
  if (depth > MAX_DEPTH) return "too deep to be written";
  if (Array.isArray(data)) return data.map((item) => map(item, leaf, depth + 1));
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, map(value, leaf, depth + 1)]));
}

const toBytes = (data) => (data && typeof data.$bytes === "string" ? Buffer.from(data.$bytes, "base64") : data);
const fromBytes = (data) => (Buffer.isBuffer(data) ? { $bytes: data.toString("base64") } : data);

function decode([text, ...attachments]) {
  const decoder = new Decoder();
  let result = { waiting: true };
  decoder.on("decoded", ({ type, nsp, id, data }) => {
    result = { type, nsp, id, data: map(data, fromBytes) };
  });
  try {
    decoder.add(text);
    for (const attachment of attachments) decoder.add(Buffer.from(attachment, "base64"));
  } catch (error) {
    result = { error: error.message };
  }
  return result;
}

function encode(packet) {
  const [text, ...attachments] = new Encoder().encode({ ...packet, data: map(packet.data, toBytes) });
  return [text, ...attachments.map((attachment) => attachment.toString("base64"))];
}

const work = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = { decode: work.decode.map(decode), encode: work.encode.map(encode) };
process.stdout.write(JSON.stringify(out));
