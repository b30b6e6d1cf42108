// One scenario with npm's socket.io-client, against the service that a test has started; called by nodejs.py:
//
//   node harness.js FILE SCENARIO
//
// On stdin and stdout, one JSON document a line:
//
//   in    the settings, once: {url, cookie, ...}; then the answer to each question: {answer}
//   out   questions, {ask, args}, which the test answers by doing something; then {result} or {failed}
//
// A scenario is an exported async function; it gets the settings and the tools below as one object.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const readline = require("node:readline");
const { io } = require("socket.io-client");

// A bound for a machine that is busy, no figure that is expected.
const PATIENCE = 60_000;

const sockets = [];
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const write = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);

/** The arguments of the next event. */
function next(emitter, event) {
  const late = new Error(`"${event}" did not come`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late), PATIENCE);
    emitter.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

/** All arguments of an event from now on, as a growing list; `await list.until(5)` waits for so many. */
function listen(emitter, event) {
  const heard = [];
  emitter.on(event, (...args) => heard.push(args));
  heard.until = async (count) => {
    while (heard.length < count) await next(emitter, event);
    return heard;
  };
  return heard;
}

/** Wait until the socket is connected; fail if it is refused, or cannot reach the service. */
async function accepted(socket) {
  const described = ({ message, description }) => `${message} ${JSON.stringify(description ?? null)}`;
  const refused = new Promise((_, reject) => {
    socket.once("connect_error", (error) => reject(new Error(`connect_error: ${described(error)}`)));
  });
  await Promise.race([next(socket, "connect"), refused]);
  return socket;
}

/** Wait until the server refuses the socket; gives the error. */
async function refused(socket) {
  const [error] = await next(socket, "connect_error");
  assert.equal(socket.connected, false);
  return error;
}

/** Lose the connection, as by a cable that is pulled: at once, and without a word from Socket.IO. */
function breakTransport(socket) {
  const { transport } = socket.io.engine;
  if (transport.name === "websocket") transport.ws.terminate();
  else socket.io.engine.close();
}

/** Ask the test to do something; gives what it answers. */
async function ask(name, ...args) {
  write({ ask: name, args });
  return JSON.parse((await lines.next()).value).answer;
}

function makeTools(settings) {
  /** A new socket on a transport of its own, connecting; `cookie: null` is none. */
  function client(options = {}, namespace = "", url = settings.url) {
    const { cookie = settings.cookie, extraHeaders = {}, ...others } = options;
    const headers = cookie ? { ...extraHeaders, cookie } : extraHeaders;
    const socket = io(url + namespace, {
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 200,
      ...(settings.transports ? { transports: settings.transports } : {}),
      ...others,
      extraHeaders: headers,
    });
    sockets.push(socket);
    return socket;
  }

  /** The same, connected. */
  const connect = (...args) => accepted(client(...args));

  return { ...settings, accepted, ask, breakTransport, client, connect, listen, next, refused };
}

function failed(error) {
  write({ failed: error?.stack ?? String(error) });
  process.exitCode = 1;
  process.stdout.end(() => process.exit());
}

async function main([file, name]) {
  const settings = JSON.parse((await lines.next()).value);
  const result = await require(path.join(__dirname, file))[name](makeTools(settings));
  for (const socket of sockets) socket.disconnect();
  write({ result: result ?? null });
  process.stdout.end(() => process.exit());
}

process.on("uncaughtException", failed);
main(process.argv.slice(2)).catch(failed);
