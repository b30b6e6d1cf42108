/** The few things that the views need of the DOM. Text goes in as text, never as markup. */

/**
 * @template {Element} Kind
 * @param {string} id
 * @param {new () => Kind} kind the element's class, checked
 * @returns {Kind}
 */
export function byId(id, kind) {
  return check(document.getElementById(id), kind, `#${id}`);
}

/**
 * @template {Element} Kind
 * @param {Element} root
 * @param {string} selector of an element within it
 * @param {new () => Kind} kind the element's class, checked
 * @returns {Kind}
 */
export function within(root, selector, kind) {
  return check(root.querySelector(selector), kind, `#${root.id} ${selector}`);
}

/**
 * The value of a meta element, by which the server tells the page of its settings.
 *
 * @param {string} name
 */
export function setting(name) {
  return check(document.querySelector(`meta[name=${name}]`), HTMLMetaElement, `meta ${name}`).content;
}

/**
 * @template {Element} Kind
 * @param {Element | null} element
 * @param {new () => Kind} kind
 * @param {string} what
 */
function check(element, kind, what) {
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} ${what}`);
  return element;
}

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * Set a text only when it changed: a live region would be read anew.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
