/** The chat of one pane: what everybody wrote, and the line to write in. */

import { make, setText, within } from "./dom.js";
import { clockTime, hueOf } from "./words.js";

const MOST_MESSAGES = 500;
/** Nearer to the end than this (pixels), the list follows new messages. */
const FOLLOW_WITHIN = 80;

export class ChatView {
  #list;
  #empty;
  #input;
  #hint;
  #lastUser = "";
  /** Whether the reader is at the end, and not further up. */
  #follows = true;

  /**
   * @param {HTMLElement} root the pane
   * @param {(text: string) => void} send
   */
  constructor(root, send) {
    this.#list = within(root, ".messages", HTMLElement);
    this.#empty = within(root, ".empty", HTMLElement);
    this.#input = within(root, ".composer input", HTMLInputElement);
    this.#hint = within(root, ".hint", HTMLElement);
    within(root, ".composer", HTMLFormElement).addEventListener("submit", (event) => {
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
   * @param {{ ownId: string, nameOf: (id: string) => string, at: number }} context
   */
  add(data, { ownId, nameOf, at }) {
    const { user, message } = read(data);
    const own = user === ownId;
    this.#follows ||= own;
    const name = own ? "you" : nameOf(user) || "server";
    this.#list.append(row({ user, name, message, own, first: user !== this.#lastUser, at }));
    this.#lastUser = user;
    this.#empty.hidden = true;
    while (this.#list.childElementCount > MOST_MESSAGES) this.#list.firstElementChild?.remove();
    this.#follow();
  }

  /**
   * Some names are known only now: a message may be faster than the list of who is here.
   *
   * @param {(id: string) => string} nameOf
   */
  rename(nameOf) {
    for (const from of this.#list.querySelectorAll(".message:not(.own) .message-user")) {
      setText(from, nameOf(/** @type {HTMLElement} */ (from).title) || "server");
    }
  }

  #follow() {
    if (this.#follows) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

/** @param {{ user: string, name: string, message: string, own: boolean, first: boolean, at: number }} message */
function row({ user, name, message, own, first, at }) {
  const from = make("span", "message-user", name);
  from.title = user;
  const time = make("time", "message-time", clockTime(at));
  time.dateTime = new Date(at).toISOString();
  const text = make("p", "message-text", message);
  const item = make("li", `message hue-${hueOf(user)}`, make("p", "message-head", from, " ", time), text);
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
