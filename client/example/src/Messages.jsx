import { useEffect, useRef } from "react";
import { clockTime, hueOf } from "./words.js";

/** @typedef {{ key: number, user: string, text: string, at: number }} Message */

/** Nearer to the end than this (pixels), the list follows new messages. */
const FOLLOW_WITHIN = 80;

/** @param {{ messages: Message[], ownId: string, names: ReadonlyMap<string, string>, label: string }} props */
export function Messages({ messages, ownId, names, label }) {
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  const follows = useRef(true);

  useEffect(() => {
    const element = list.current;
    if (element && follows.current) element.scrollTop = element.scrollHeight;
  }, [messages]);

  /** @param {import("react").UIEvent<HTMLDivElement>} event */
  function scrolled({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) {
    follows.current = scrollHeight - scrollTop - clientHeight < FOLLOW_WITHIN;
  }

  return (
    <div className="messages-frame">
      {messages.length === 0 && (
        <p className="empty muted">Nothing was said yet. What you write arrives in both panes.</p>
      )}
      <div ref={list} className="messages" role="log" aria-label={label} tabIndex={0} onScroll={scrolled}>
        <ol>
          {messages.map(({ key, ...message }, index) => (
            <Row
              key={key}
              {...message}
              isFirst={messages[index - 1]?.user !== message.user}
              isOwn={message.user === ownId}
              name={names.get(message.user)}
            />
          ))}
        </ol>
      </div>
    </div>
  );
}

/** @param {Omit<Message, "key"> & { isFirst: boolean, isOwn: boolean, name: string | undefined }} props */
function Row({ user, text, at, isFirst, isOwn, name }) {
  return (
    <li className={`message hue-${hueOf(user)} ${isOwn ? "own" : ""} ${isFirst ? "first" : ""}`}>
      <p className={isFirst ? "message-head" : "visually-hidden"}>
        <span className="message-user">{isOwn ? "you" : (name ?? (user.slice(0, 8) || "server"))}</span>{" "}
        <time dateTime={new Date(at).toISOString()}>{clockTime(at)}</time>
      </p>
      <p className="message-text">{text}</p>
    </li>
  );
}
