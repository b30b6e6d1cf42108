/** The page: it connects the clients to the views, and holds no state but who was here last. */

import { AuthClient } from "./client/auth-client.js";
import { Backoff } from "./client/backoff.js";
import { ChatView } from "./chat-view.js";
import { systemClock } from "./client/clock.js";
import { byId } from "./dom.js";
import { encodeMessage, messageOf } from "./client/envelope.js";
import { FrameLog } from "./frame-log.js";
import { HttpError } from "./client/http.js";
import { LoginView } from "./login-view.js";
import { followPage } from "./client/page-life.js";
import { StateView } from "./state-view.js";
import { stateCause, stateLabel, waitLeft } from "./words.js";
import { WsClient } from "./client/client.js";

const SHOW_EVERY = 500;

const path = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=ws-path]")).content;
const url = new URL(path, window.location.href);
url.protocol = url.protocol.replace("http", "ws");
const auth = new AuthClient({ channel: new BroadcastChannel("wsservice.session") });
const client = new WsClient(url.href, { session: auth });

const views = ["loading", "login", "room"].map((id) => byId(id, HTMLElement));
const signOut = byId("sign-out", HTMLButtonElement);
const actionWords = byId("action-words", HTMLElement);
const login = new LoginView(auth);
const chat = new ChatView((text) => client.send(encodeMessage(text)));
const log = new FrameLog();
const stateView = new StateView();
let userId = "";

/** @param {"loading" | "login" | "room"} id */
function open(id) {
  for (const view of views) view.hidden = view.id !== id;
  signOut.hidden = id !== "room";
}

function show() {
  stateView.show({ status: client.status, auth: auth.state, now: systemClock.now(), serverNow: auth.serverNow });
}

/** @param {import("./client/auth-client.js").AuthState} authState */
function onAuth({ status, session }) {
  show();
  if (session === null) {
    client.close(status === "expired" ? "expired" : "signed-out");
    login.open(notice(status));
    open("login");
    login.focus();
    userId = "";
    return;
  }
  if (session.user.id === userId) return;
  client.close();
  chat.clear();
  log.clear();
  userId = session.user.id;
  open("room");
  chat.focus();
  client.connect();
}

/** @param {import("./client/auth-client.js").AuthState["status"]} status */
function notice(status) {
  if (status === "expired") return "Your session has ended. Log in again.";
  return userId === "" ? "" : "You are signed out.";
}

/** @param {import("./client/client.js").Status} status */
function onStatus(status) {
  const now = systemClock.now();
  const words = [stateLabel(status), waitLeft(status, now)].filter(Boolean).join(" ");
  log.addState([words, stateCause(status)].filter(Boolean).join(": "), now);
  show();
  if (status.state !== "closed") return;
  if (status.cause === "expired") auth.forget("expired");
  if (status.cause === "signed-out") auth.forget("anonymous");
}

async function ping() {
  const start = performance.now();
  try {
    await client.call("customEvent", { sentAt: systemClock.now() });
    stateView.showRoundTrip(performance.now() - start);
  } catch (error) {
    stateView.showRoundTripFailure(/** @type {Error} */ (error).message);
  }
}

function cutOrConnect() {
  const { state } = client.status;
  if (state === "open") client.cut();
  else if (state === "reconnecting") client.wake();
  else client.connect();
}

/**
 * Run what a button does, and say how it went.
 *
 * @param {() => Promise<unknown>} action
 * @param {string} done
 */
async function act(action, done) {
  try {
    await action();
    actionWords.textContent = done;
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    actionWords.textContent = error.message;
  }
}

/** Find the session; a server that is just starting may not know it yet. */
async function start() {
  const backoff = new Backoff();
  for (;;) {
    try {
      await auth.restore();
      return;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      if (error.status === 403) {
        login.open(error.message);
        open("login");
        login.focus();
        return;
      }
      byId("loading-words", HTMLElement).textContent = `${error.message} Trying again …`;
      await new Promise((resolve) => setTimeout(resolve, backoff.next()));
    }
  }
}

auth.on("state", onAuth);
client.on("status", onStatus);
client.on("message", (data) => chat.add(data, userId, systemClock.now()));
client.on("frame", (frame) => log.addFrame(frame));
client.on("waiting", (count) => chat.setWaiting(count));
client.on("dropped", (frame) => chat.setDropped(messageOf(frame)));
byId("ping", HTMLButtonElement).addEventListener("click", () => void ping());
byId("cut", HTMLButtonElement).addEventListener("click", cutOrConnect);
byId("refresh", HTMLButtonElement).addEventListener(
  "click",
  () => void act(() => auth.refresh(), "The session was refreshed; the connection lives on."),
);
signOut.addEventListener("click", () => void act(() => auth.logout(), ""));
followPage(client, auth);
setInterval(show, SHOW_EVERY);
void start();
