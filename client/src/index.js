/**
 * The core: what works without React, and touches no page until it is asked to.
 *
 * @typedef {import("./session.js").User} User
 * @typedef {import("./session.js").Session} Session
 * @typedef {import("./session.js").Challenge} Challenge
 * @typedef {import("./session.js").AuthState} AuthState
 * @typedef {import("./states.js").State} State
 * @typedef {import("./states.js").Cause} Cause
 * @typedef {import("./states.js").Status} Status
 * @typedef {import("./trail.js").Welcome} Welcome
 * @typedef {import("./client.js").Frame} Frame
 * @typedef {import("./client.js").Payload} Payload
 * @typedef {import("./handlers.js").Handler} Handler
 * @typedef {import("./clock.js").Clock} Clock
 * @typedef {import("./close-codes.js").Advice} Advice
 */

export { AuthClient } from "./auth-client.js";
export { Backoff } from "./backoff.js";
export { CallError } from "./calls.js";
export { REPEATED, stepOf } from "./challenges.js";
export { WsClient } from "./client.js";
export { systemClock } from "./clock.js";
export { ADVICE, adviceFor } from "./close-codes.js";
export { encodeMessage, messageOf } from "./envelope.js";
export { findSession } from "./find-session.js";
export { followSession } from "./follow-session.js";
export { HttpError } from "./http.js";
export { followPage } from "./page-life.js";
export { SocketIoClient } from "./socketio.js";
