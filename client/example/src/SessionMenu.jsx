import { HttpError, useAuth } from "@wsservice/client/react";
import { useState } from "react";

/** Who is logged in, and the ways out. */
export function SessionMenu() {
  const { user, refresh, logout } = useAuth();
  const [words, setWords] = useState("");

  /**
   * @param {() => Promise<unknown>} action
   * @param {string} done
   */
  async function act(action, done) {
    try {
      await action();
      setWords(done);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      setWords(error.message);
    }
  }

  return (
    <div className="session">
      <p className="session-user">
        <span className="muted">Logged in as</span> <strong id="user-name">{user?.username}</strong>
      </p>
      <p className="session-words muted" role="status">
        {words}
      </p>
      <button type="button" id="refresh" onClick={() => act(refresh, "Session refreshed.")}>
        Refresh
      </button>
      <button type="button" id="sign-out-everywhere" onClick={() => act(() => logout({ everywhere: true }), "")}>
        Sign out everywhere
      </button>
      <button type="button" id="sign-out" onClick={() => act(() => logout(), "")}>
        Sign out
      </button>
    </div>
  );
}
