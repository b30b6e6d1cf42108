import { useConnectionState, useEvent } from "@wsservice/client/react";
import { useEffect, useRef, useState } from "react";
import { Messages } from "./Messages.jsx";
import { StateBadge } from "./StateBadge.jsx";

/**
 * @typedef {import("./Messages.jsx").Message} Message
 * @typedef {Pick<ReturnType<typeof import("@wsservice/client/react").useWebSocket>,
 *   "emit" | "connect" | "lastError" | "connection"> & { client: { cut(): void } | null }} Socket
 */

const MOST_MESSAGES = 300;

/**
 * The room as one protocol sees it: the state of its connection, what was said, and a line to write in.
 *
 * @param {object} props
 * @param {string} props.id
 * @param {string} props.title
 * @param {string} props.path
 * @param {Socket} props.socket
 * @param {boolean} props.isShown on a narrow screen
 * @param {boolean} props.takesFocus when it appears
 * @param {string} props.ownId
 * @param {ReadonlyMap<string, string>} props.names
 */
export function Pane({ id, title, path, socket, isShown, takesFocus, ownId, names }) {
  const { emit, connect, lastError, connection, client } = socket;
  const status = useConnectionState(connection);
  const [messages, setMessages] = useState(/** @type {Message[]} */ ([]));
  const [waiting, setWaiting] = useState(0);
  const nextKey = useRef(0);

  useEffect(() => connection.on("waiting", setWaiting), [connection]);
  useEvent(
    "message",
    (data) => setMessages((before) => [...before, read(data, nextKey.current++)].slice(-MOST_MESSAGES)),
    connection,
  );

  /** @param {import("react").FormEvent<HTMLFormElement>} event */
  function submit(event) {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (event.currentTarget.elements.namedItem("text"));
    if (input.value.trim() === "") return;
    emit("message", input.value);
    input.value = "";
  }

  const isThere = status.state === "open" || status.state === "connecting";
  return (
    <section className={`card pane ${isShown ? "" : "put-away"}`} id={id} aria-labelledby={`${id}-title`}>
      <div className="pane-head">
        <h2 id={`${id}-title`}>
          {title} <code>{path}</code>
        </h2>
        <button type="button" className="small-button" onClick={() => (isThere ? client?.cut() : connect())}>
          {isThere ? "Cut" : "Connect"}
        </button>
      </div>
      <StateBadge status={status} error={lastError} />
      <Messages messages={messages} ownId={ownId} names={names} label={`Messages by ${title}`} />
      <form className="composer" onSubmit={submit}>
        <label className="visually-hidden" htmlFor={`${id}-text`}>
          Message by {title}
        </label>
        <input
          id={`${id}-text`}
          name="text"
          autoFocus={takesFocus}
          autoComplete="off"
          maxLength={2000}
          placeholder="Write a message"
          enterKeyHint="send"
        />
        <button type="submit" className="primary">
          Send
        </button>
      </form>
      <p className="hint muted small" role="status">
        {waiting > 0 && `${waiting === 1 ? "1 message waits" : `${waiting} messages wait`} for the connection.`}
      </p>
    </section>
  );
}

/**
 * @param {any} data `{"user", "message"}`; anything else is shown as the JSON that it is
 * @param {number} key
 * @returns {Message}
 */
function read(data, key) {
  const { user, message } = data ?? {};
  const text = typeof message === "string" ? message : JSON.stringify(message ?? data);
  return { key, user: typeof user === "string" ? user : "", text, at: Date.now() };
}
