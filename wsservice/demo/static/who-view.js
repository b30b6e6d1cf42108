/** Who is here: the list, and the names by which the chat calls people. */

import { byId, make } from "./dom.js";
import { hueOf, shortId } from "./words.js";

/** The server tells no more. */
const MOST_USERS = 100;

/** @typedef {{ id: string, username: string, connections: number }} User */

export class WhoView {
  #list = byId("who", HTMLElement);
  #count = byId("who-count", HTMLElement);
  /** @type {Map<string, string>} of everybody who was here since the page was loaded */
  #names = new Map();

  /**
   * @param {User[]} users sorted by name
   * @param {string} ownId
   */
  show(users, ownId) {
    for (const { id, username } of users) this.#names.set(id, username);
    this.#list.replaceChildren(...users.map((user) => row(user, user.id === ownId)));
    const more = users.length < MOST_USERS ? "" : " or more";
    this.#count.textContent = users.length === 1 ? "1 person" : `${users.length}${more} people`;
  }

  /**
   * The name of a user; of one who was not seen here, the beginning of the id.
   *
   * @param {string} id
   */
  nameOf(id) {
    return this.#names.get(id) ?? shortId(id);
  }
}

/**
 * @param {User} user
 * @param {boolean} own
 */
function row({ id, username, connections }, own) {
  const name = make("span", "who-name", username, ...(own ? [make("span", "muted", " (you)")] : []));
  const count = make("span", "muted small", connections === 1 ? "1 connection" : `${connections} connections`);
  return make("li", `hue-${hueOf(id)}`, make("span", "who-dot"), name, count);
}
