import { useEffect, useState } from "react";
import { labelOf, serverWords, waitLeft } from "./words.js";

/** Often enough for a countdown of seconds. */
const EVERY = 250;

/**
 * The state of a connection with its cause in words.
 *
 * @param {object} props
 * @param {ReturnType<typeof import("@wsservice/client/react").useConnectionState>} props.status
 * @param {Error | null} props.error why there is no connection
 */
export function StateBadge({ status, error }) {
  const [now, setNow] = useState(() => Date.now());
  const { retryAt } = status;

  useEffect(() => {
    if (retryAt === null) return;
    const timer = setInterval(() => setNow(Date.now()), EVERY);
    return () => clearInterval(timer);
  }, [retryAt]);

  return (
    <p className="badge" data-state={status.state}>
      <span className="badge-dot" aria-hidden="true" />
      <span className="badge-label" role="status">
        {labelOf(status)}
      </span>
      <span className="badge-wait">{waitLeft(status, now)}</span>
      <span className="badge-cause">{error && `${error.message} ${serverWords(status)}`}</span>
    </p>
  );
}
