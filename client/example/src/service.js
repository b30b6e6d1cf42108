/** Where the service is: one address, of which the others follow. */

const meta = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=service]"));

export const SERVICE = new URL(meta.content).origin;
export const AUTH = `${SERVICE}/auth`;
export const WEBSOCKET = `${SERVICE.replace(/^http/, "ws")}/ws`;
