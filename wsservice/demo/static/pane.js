/** One of the two panes: a client of one protocol, its state in words, its chat, and the button that cuts it. */

import { ChatView } from "./chat-view.js";
import { byId, setText, within } from "./dom.js";
import { encodeMessage, messageOf } from "./client/envelope.js";
import { stateCause, stateLabel, waitLeft } from "./words.js";

/**
 * What the button does where there is nothing to cut.
 *
 * @type {Partial<Record<import("./client/client.js").State, string>>}
 */
const BUTTON = Object.freeze({ idle: "Connect", closed: "Connect", reconnecting: "Reconnect now" });

export class Pane {
  #badge;
  #label;
  #wait;
  #cause;
  #cut;
  /** What the server said of the last return, until the connection is lost again. */
  #return = "";

  /**
   * @param {string} id of its section
   * @param {import("./client/client.js").WsClient} client
   */
  constructor(id, client) {
    const root = byId(id, HTMLElement);
    this.id = id;
    this.client = client;
    this.chat = new ChatView(root, (text) => client.send(encodeMessage(text)));
    this.#badge = within(root, ".badge", HTMLElement);
    this.#label = within(root, ".badge-label", HTMLElement);
    this.#wait = within(root, ".badge-wait", HTMLElement);
    this.#cause = within(root, ".badge-cause", HTMLElement);
    this.#cut = within(root, ".cut", HTMLButtonElement);
    this.#cut.addEventListener("click", () => this.#cutOrConnect());
    client.on("waiting", (count) => this.chat.setWaiting(count));
    client.on("dropped", (frame) => this.chat.setDropped(typeof frame === "string" ? messageOf(frame) : "bytes"));
  }

  /**
   * Show the state; called on every change and twice a second.
   *
   * @param {number} now milliseconds since 1970
   */
  show(now) {
    const { status } = this.client;
    if (status.state !== "open" && status.state !== "connecting") this.#return = "";
    this.#badge.dataset.state = status.state;
    this.#badge.dataset.cause = status.cause;
    setText(this.#label, stateLabel(status));
    setText(this.#wait, waitLeft(status, now));
    setText(this.#cause, stateCause(status) || this.#return);
    setText(this.#cut, BUTTON[status.state] ?? "Cut");
    this.#cut.disabled = status.state === "refreshing"; // it comes back, or asks for a login, by itself
  }

  /**
   * The server told what became of the connection before this one.
   *
   * @param {string} words may be empty
   */
  showReturn(words) {
    this.#return = words;
    setText(this.#cause, words);
  }

  #cutOrConnect() {
    const { state } = this.client.status;
    if (state === "open" || state === "connecting") this.client.cut();
    else if (state === "reconnecting") this.client.wake();
    else this.client.connect();
  }
}
