import { useSocket, useWebSocket } from "@wsservice/client/react";
import { useState } from "react";
import { Pane } from "./Pane.jsx";
import { People } from "./People.jsx";
import { SERVICE } from "./service.js";
import { usePresence } from "./use-presence.js";

/**
 * One room, by both protocols side by side; on a phone one at a time.
 *
 * @param {{ user: { id: string, username: string } }} props
 */
export function Room({ user }) {
  const raw = useWebSocket();
  const socketio = useSocket(SERVICE);
  const { people, names } = usePresence(raw);
  const [shown, setShown] = useState("raw");
  const panes = [
    { id: "raw", title: "Raw WebSocket", path: "/ws", socket: raw },
    { id: "socketio", title: "Socket.IO", path: "/socket.io/", socket: socketio },
  ];
  return (
    <main className="room">
      <div className="switch" role="group" aria-label="Protocol">
        {panes.map(({ id, title }) => (
          <button key={id} type="button" aria-pressed={id === shown} onClick={() => setShown(id)}>
            {title}
          </button>
        ))}
      </div>
      {panes.map((pane) => (
        <Pane
          key={pane.id}
          {...pane}
          isShown={pane.id === shown}
          takesFocus={pane.id === "raw"}
          ownId={user.id}
          names={names}
        />
      ))}
      <People people={people} ownId={user.id} />
    </main>
  );
}
