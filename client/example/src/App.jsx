import { useAuth } from "@wsservice/client/react";
import { useState } from "react";
import { Login } from "./Login.jsx";
import { Room } from "./Room.jsx";
import { SERVICE } from "./service.js";
import { SessionMenu } from "./SessionMenu.jsx";

/** One of three views, by what is known of the session. */
export function App() {
  const { status, user, error } = useAuth();
  const [wasHere, setWasHere] = useState(false);
  if (user !== null && !wasHere) setWasHere(true);
  return (
    <>
      <header className="bar">
        <h1 className="brand">
          <span className="brand-mark" aria-hidden="true">
            ⇄
          </span>
          wsservice <span className="brand-more">example</span>
        </h1>
        {user && <SessionMenu />}
      </header>
      {status === "loading" && (
        <main className="center">
          <p role="status">
            {error ? `${error.message} ${error.status === 403 ? "" : "Trying again …"}` : "Looking for your session …"}
          </p>
          {error && <p className="muted">The service is expected at {SERVICE}.</p>}
        </main>
      )}
      {(status === "anonymous" || status === "expired") && <Login notice={noticeOf(status, wasHere)} />}
      {user && <Room key={user.id} user={user} />}
    </>
  );
}

/**
 * @param {"anonymous" | "expired"} status
 * @param {boolean} wasHere
 */
function noticeOf(status, wasHere) {
  if (status === "expired") return "Your session has ended. Log in again.";
  return wasHere ? "You are signed out." : "";
}
