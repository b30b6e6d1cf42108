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
  /** Whether the reader is at the end, and not further up. */
  #follows = true;

  /** @param {(text: string) => void} send */
  constructor(send) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#input.value.trim() === "") return;
      send(this.#input.value);
      this.#input.value = "";
    });
    this.#list.addEventListener("scroll", () => {
      const below = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight;
      this.#follows = below < FOLLOW_WITHIN;
    });
    // A phone's keyboard or a turned phone changes the height.
    new ResizeObserver(() => this.#follow()).observe(this.#list);
  }

  /** Empty the list: somebody else is here. */
  clear() {
    this.#list.replaceChildren();
    this.#empty.hidden = false;
    this.#lastUser = "";
    this.#follows = true;
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
    const own = user === ownId;
    this.#follows ||= own;
    this.#list.append(row({ user, message, own, first: user !== this.#lastUser, at }));
    this.#lastUser = user;
    this.#empty.hidden = true;
    while (this.#list.childElementCount > MOST_MESSAGES) this.#list.firstElementChild?.remove();
    this.#follow();
  }

  #follow() {
    if (this.#follows) this.#list.scrollTop = this.#list.scrollHeight;
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
