/** The chat: what everybody wrote, and the line to write in. */

import { byId, make } from "./dom.js";
import { clockTime, hueOf, shortId } from "./words.js";

const MOST_MESSAGES = 500;
/** Nearer to the end than this (pixels), the list follows new messages. */
const FOLLOW_WITHIN = 80;

export class ChatView {
  #list = byId("messages", HTMLElement);
  #empty = byId("messages-empty", HTMLElement);
  #form = byId("chat-form", HTMLFormElement);
  #input = byId("chat-input", HTMLInputElement);
  #hint = byId("chat-hint", HTMLElement);
  #lastUser = "";

  /** @param {(text: string) => void} send */
  constructor(send) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#input.value.trim() === "") return;
      send(this.#input.value);
      this.#input.value = "";
    });
  }

  /** Empty the list: somebody else is here. */
  clear() {
    this.#list.replaceChildren();
    this.#empty.hidden = false;
    this.#lastUser = "";
    this.#hint.textContent = "";
  }

  focus() {
    this.#input.focus();
  }

  /** @param {number} count how many messages wait for the connection */
  setWaiting(count) {
    const words = count === 1 ? "1 message waits" : `${count} messages wait`;
    this.#hint.textContent = count === 0 ? "" : `${words} for the connection.`;
  }

  /** @param {string} text a message that waited too long in line */
  setDropped(text) {
    this.#hint.textContent = `Too many messages wait; the oldest was dropped: ${text.slice(0, 60)}`;
  }

  /**
   * @param {unknown} data `{"user", "message"}`; anything else is shown as the JSON that it is
   * @param {string} ownId
   * @param {number} at
   */
  add(data, ownId, at) {
    const { user, message } = read(data);
    const follow = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < FOLLOW_WITHIN;
    this.#list.append(row({ user, message, own: user === ownId, first: user !== this.#lastUser, at }));
    this.#lastUser = user;
    this.#empty.hidden = true;
    while (this.#list.childElementCount > MOST_MESSAGES) this.#list.firstElementChild?.remove();
    if (follow) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

/** @param {{ user: string, message: string, own: boolean, first: boolean, at: number }} message */
function row({ user, message, own, first, at }) {
  const name = make("span", "message-user", own ? "you" : shortId(user) || "server");
  name.title = user;
  const time = make("time", "message-time", clockTime(at));
  time.dateTime = new Date(at).toISOString();
  const text = make("p", "message-text", message);
  const item = make("li", `message hue-${hueOf(user)}`, make("p", "message-head", name, " ", time), text);
  item.classList.toggle("own", own);
  item.classList.toggle("first", first);
  return item;
}

/** @param {unknown} data */
function read(data) {
  if (data instanceof ArrayBuffer) return { user: "", message: `${data.byteLength} bytes` };
  const { user, message } = /** @type {{ user?: unknown, message?: unknown }} */ (data ?? {});
  if (typeof user === "string" && typeof message === "string") return { user, message };
  return { user: typeof user === "string" ? user : "", message: JSON.stringify(message ?? data) };
}
