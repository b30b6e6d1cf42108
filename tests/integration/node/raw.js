// Engine.IO by hand, for what a stock client does not do.
"use strict";

const { once } = require("node:events");
const WebSocket = require("ws");

/** One session on long-polling. */
class Polling {
  constructor(url, headers) {
    this.url = `${url}/socket.io/?EIO=4&transport=polling`;
    this.headers = headers;
  }

  async open() {
    const { sid } = JSON.parse((await this.receive()).slice(1));
    this.url += `&sid=${sid}`;
  }

  /** A POST. */
  async send(body) {
    const answer = await fetch(this.url, { method: "POST", body, headers: this.headers });
    if ((await answer.text()) !== "ok") throw new Error(`the POST of ${body} got ${answer.status}`);
  }

  /** The body of the next GET. */
  async receive() {
    return (await this.get()).text();
  }

  get() {
    return fetch(this.url, { headers: this.headers });
  }
}

/** A session on a WebSocket, behind its open packet; `receive` gives one message after the other. */
async function openRaw(url, headers) {
  const address = `${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`;
  const socket = new WebSocket(address, { headers });
  const arrived = [];
  socket.on("message", (data) => arrived.push(String(data)));
  socket.receive = async () => {
    while (!arrived.length) await once(socket, "message");
    return arrived.shift();
  };
  await socket.receive();
  return socket;
}

module.exports = { openRaw, Polling };
