/**
 * A worker that does not read: it opens a connection of its own, asks for a flood and then stands still. No page can
 * pause a WebSocket, but a thread that is busy takes nothing from it, and nobody else stands still with it.
 */

import { encodeEvent } from "./client/envelope.js";

/** More than the system's buffers take, and the server's queue for one client: 16 MiB. */
const FLOOD = Object.freeze({ count: 2000, size: 8192 });
/** Milliseconds: less than what the server waits for a client to take its close (`--unread-timeout`). */
const STANDS_STILL = 2_000;

self.onmessage = (event) => {
  const socket = new WebSocket(event.data);
  let bytes = 0;
  socket.onopen = () => {
    socket.send(encodeEvent("flood", FLOOD, 1));
    const until = Date.now() + STANDS_STILL;
    while (Date.now() < until); // this is the point of it
  };
  socket.onmessage = ({ data }) => {
    bytes += data.length;
    if (typeof data === "string" && data.startsWith('{"ack":')) socket.close(1000);
  };
  socket.onclose = ({ code, reason }) => self.postMessage({ code, reason, bytes });
};
