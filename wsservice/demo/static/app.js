/** The page: it connects the clients to the views, and holds no state but who was here last. */

import { connectButtons } from "./actions.js";
import { AuthClient } from "./client/auth-client.js";
import { WsClient } from "./client/client.js";
import { systemClock } from "./client/clock.js";
import { findSession } from "./client/find-session.js";
import { followSession } from "./client/follow-session.js";
import { followPage } from "./client/page-life.js";
import { byId, setting } from "./dom.js";
import { FrameLog } from "./frame-log.js";
import { LoginView } from "./login-view.js";
import { Measurements } from "./measurements.js";
import { Pane } from "./pane.js";
import { SessionView } from "./session-view.js";
import { overSocketIo } from "./socketio-lite.js";
import { WhoView } from "./who-view.js";
import { returnWords, stateCause, stateLabel, waitLeft } from "./words.js";

const SHOW_EVERY = 500;

const auth = new AuthClient({ channel: new BroadcastChannel("wsservice.session") });
const log = new FrameLog();
const url = address(setting("ws-path"));
const raw = new WsClient(url, { session: auth });
const socketio = new WsClient(address(`${setting("socketio-path")}/`), {
  session: auth,
  WebSocket: overSocketIo({ onFrame: logPacket }),
  recover: false, // `overSocketIo` recovers as Socket.IO does
});
const clients = { raw, socketio };
const measurements = new Measurements(clients, systemClock);

const views = ["loading", "login", "room"].map((id) => byId(id, HTMLElement));
const header = [byId("me", HTMLElement), byId("sign-out", HTMLElement)];
const login = new LoginView(auth);
const sessionView = new SessionView();
const who = new WhoView();
const panes = [new Pane("raw", raw), new Pane("socketio", socketio)];
let userId = "";
/** Whose the messages are that are shown: who comes back after the session's end finds them. */
let lastId = "";

/** @param {string} path */
function address(path) {
  const url = new URL(path, window.location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** @param {"loading" | "login" | "room"} id */
function open(id) {
  for (const view of views) view.hidden = view.id !== id;
  for (const part of header) part.hidden = id !== "room";
}

function show() {
  const now = systemClock.now();
  for (const pane of panes) pane.show(now);
  sessionView.show(auth.state, now, auth.serverNow);
}

/** @param {import("./client/auth-client.js").AuthState} authState */
function onAuth({ status, session }) {
  show();
  if (session === null) {
    login.open(notice(status));
    open("login");
    login.focus();
    if (status !== "expired") lastId = "";
    userId = "";
    return;
  }
  if (session.user.id === userId) return;
  userId = session.user.id;
  if (userId !== lastId) {
    lastId = userId;
    for (const { chat } of panes) chat.clear();
    log.clear();
    measurements.clear();
  }
  open("room");
  panes[0]?.chat.focus();
}

/** @param {import("./client/auth-client.js").AuthState["status"]} status */
function notice(status) {
  if (status === "expired") return "Your session has ended. Log in again.";
  return userId === "" ? "" : "You are signed out.";
}

/** @param {Pane} pane */
function follow(pane) {
  const { client, chat } = pane;
  const id = /** @type {"raw" | "socketio"} */ (pane.id);
  client.on("status", (status) => {
    const now = systemClock.now();
    const words = [stateLabel(status), waitLeft(status, now)].filter(Boolean).join(" ");
    log.addState(id, [words, stateCause(status)].filter(Boolean).join(": "), now);
    show();
    if (status.state === "open") void askWho(client);
  });
  client.on("welcome", welcomed);
  client.on("message", (data) => {
    chat.add(data, { ownId: userId, nameOf: (user) => who.nameOf(user), at: systemClock.now() });
  });
  client.on("event", ({ name, data }) => {
    if (name === "presence") showWho(data);
    else if (name === "welcome") welcomed(/** @type {any} */ (data)); // `overSocketIo`'s
  });

  /** @param {import("./client/trail.js").Welcome} welcome */
  function welcomed(welcome) {
    const words = returnWords(welcome);
    pane.showReturn(words);
    if (words) log.addState(id, words, systemClock.now());
  }
}

/** @param {import("./client/client.js").WsClient} client */
async function askWho(client) {
  try {
    showWho(await client.call("who", null));
  } catch {
    // The connection ended, and the next one asks again; or the service runs an app of its own, which has no `who`.
  }
}

/** @param {unknown} users */
function showWho(users) {
  who.show(/** @type {import("./who-view.js").User[]} */ (users), userId);
  for (const { chat } of panes) chat.rename((id) => who.nameOf(id));
}

/**
 * @param {"in" | "out"} direction
 * @param {string | ArrayBuffer} data
 */
function logPacket(direction, data) {
  const size = typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
  log.addFrame("socketio", { direction, data, size, at: systemClock.now() });
}

/** @param {import("./client/http.js").HttpError | null} error why it is not known yet whether there is a session */
function onSearch(error) {
  if (error === null) return;
  if (error.status === 403) {
    login.open(error.message);
    open("login");
    login.focus();
  } else {
    byId("loading-words", HTMLElement).textContent = `${error.message} Trying again …`;
  }
}

auth.on("state", onAuth);
for (const pane of panes) {
  follow(pane);
  followSession(pane.client, auth);
  followPage(pane.client, auth);
}
raw.on("frame", (frame) => log.addFrame("raw", frame));
const told = (/** @type {string} */ words) => log.addState("raw", words, systemClock.now());
connectButtons({ auth, clients, measurements, url, told });
setInterval(show, SHOW_EVERY);
void findSession(auth, onSearch);
