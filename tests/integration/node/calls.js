// A program that a test runs for as long as it wants, and calls the functions of; see ../node_program.py.
//
// On stdin and stdout, one JSON document a line:
//
//   in    {id, name, args}: a call
//   out   {id, result} or {id, failed}: its end; {tell: [...]}: what happened
//
// Bytes are {"$bytes": base64} on the way in, and base64 on the way out.
"use strict";

const readline = require("node:readline");

const write = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);

function revive(_, value) {
  return typeof value?.$bytes === "string" ? Buffer.from(value.$bytes, "base64") : value;
}

/** Plain JSON of what a client or a server got: bytes as base64. */
function plain(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Set) return [...value].sort();
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
  }
  return value;
}

/** Tell the test. */
const tell = (...what) => write({ tell: plain(what) });

/** Serve the functions of a table, until stdin ends. */
function serve(functions) {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, name, args } = JSON.parse(line, revive);
    try {
      write({ id, result: plain((await functions[name](...args)) ?? null) });
    } catch (error) {
      write({ id, failed: error?.stack ?? String(error) });
    }
  });
  lines.on("close", () => process.exit());
}

module.exports = { plain, serve, tell };
