/** The login card: the form, and a second one for the steps that the identity provider may add. */

import { REPEATED, stepOf } from "./client/challenges.js";
import { byId, make } from "./dom.js";
import { HttpError } from "./client/http.js";

/** @typedef {import("./client/auth-client.js").Challenge} Challenge */

export class LoginView {
  #auth;
  #login = byId("login-form", HTMLFormElement);
  #step = byId("step-form", HTMLFormElement);
  #words = byId("step-words", HTMLElement);
  #fields = byId("step-fields", HTMLElement);
  #action = byId("step-action", HTMLElement);
  #error = byId("login-error", HTMLElement);
  /** @type {Challenge | null} */
  #challenge = null;

  /** @param {import("./client/auth-client.js").AuthClient} auth */
  constructor(auth) {
    this.#auth = auth;
    onSubmit(this.#login, this.#error, (fields) => this.#submitLogin(fields));
    onSubmit(this.#step, this.#error, (fields) => this.#submitStep(fields));
    this.#step.addEventListener("reset", () => this.open(""));
  }

  /**
   * Begin anew, with a notice in words (may be empty).
   *
   * @param {string} notice
   */
  open(notice) {
    this.#show(null);
    this.#error.textContent = notice;
  }

  /** Put the cursor where a person goes on; the card must be visible. */
  focus() {
    (this.#challenge ? this.#step : this.#login).querySelector("input")?.focus();
  }

  /** @param {Record<string, string>} fields */
  async #submitLogin({ username = "", password = "" }) {
    this.#show(await this.#auth.login(username, password));
  }

  /** @param {Record<string, string>} fields */
  async #submitStep({ [REPEATED]: repeated, ...responses }) {
    if (this.#challenge === null) return;
    if (repeated !== undefined && repeated !== responses.NEW_PASSWORD) {
      throw new HttpError(0, { message: "The two passwords differ." });
    }
    try {
      this.#show(await this.#auth.answer(this.#challenge, responses));
    } catch (error) {
      // The provider's handle was good for this try only: begin anew.
      if (error instanceof HttpError && error.word === "challenge_failed") this.#show(null);
      throw error;
    }
  }

  /** @param {Challenge | null} challenge null: the login form, or nothing more to do */
  #show(challenge) {
    const step = challenge && stepOf(challenge);
    this.#challenge = step ? challenge : null;
    this.#login.hidden = step !== null;
    this.#step.hidden = step === null;
    for (const input of this.#login.querySelectorAll("input")) if (input.type === "password") input.value = "";
    this.#words.textContent = step?.words ?? "";
    this.#action.textContent = step?.action ?? "";
    this.#fields.replaceChildren(...(step?.fields ?? []).map(makeField));
    if (challenge && step === null) {
      throw new HttpError(0, { message: "This account needs a login step that this page does not know." });
    }
  }
}

/**
 * Run an action on submit: the form is locked meanwhile, and a failure is told in words.
 *
 * @param {HTMLFormElement} form
 * @param {HTMLElement} errorElement
 * @param {(fields: Record<string, string>) => Promise<void>} action
 */
function onSubmit(form, errorElement, action) {
  const fieldset = form.querySelector("fieldset");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    errorElement.textContent = "";
    if (fieldset) fieldset.disabled = true;
    try {
      await action(fields);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const id = error.status >= 500 && error.requestId ? ` (request ${error.requestId})` : "";
      errorElement.textContent = error.message + id;
    } finally {
      if (fieldset) fieldset.disabled = false;
    }
    focusNext(form.closest("section"));
  });
}

/**
 * The cursor goes where the person goes on: into the form that is shown now, to what is to be typed anew.
 *
 * @param {Element | null} card
 */
function focusNext(card) {
  const form = card?.querySelector("form:not([hidden])");
  const field = form?.querySelector("input[type=password]") ?? form?.querySelector("input, select");
  if (field instanceof HTMLElement) field.focus();
  if (field instanceof HTMLInputElement) field.select();
}

/** @param {import("./client/challenges.js").Field} field */
function makeField({ name, label, type, autocomplete, options }) {
  const control = options ? make("select", "") : make("input", "");
  control.name = name;
  control.required = true;
  control.autocomplete = /** @type {AutoFill} */ (autocomplete);
  if (control instanceof HTMLInputElement) {
    control.type = type === "password" ? "password" : "text";
    if (type === "code") control.inputMode = "numeric";
    control.spellcheck = false;
  } else {
    control.append(...(options ?? []).map((option) => new Option(option.label, option.value)));
  }
  return make("label", "field", make("span", "", label), control);
}
