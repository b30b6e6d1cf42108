import { useEvent } from "@wsservice/client/react";
import { useEffect, useState } from "react";

/**
 * @typedef {{ id: string, username: string, connections: number }} Person
 * @typedef {Pick<ReturnType<typeof import("@wsservice/client/react").useWebSocket>, "state" | "call" | "connection">} Socket
 */

/**
 * Who is here: asked for whenever the connection opens, and told from then on.
 *
 * @param {Socket} socket
 * @returns {{ people: Person[], names: ReadonlyMap<string, string> }} `names`: of all who were here, by their ids
 */
export function usePresence({ state, call, connection }) {
  const [people, setPeople] = useState(/** @type {Person[]} */ ([]));
  const [names, setNames] = useState(/** @type {ReadonlyMap<string, string>} */ (new Map()));

  /** @param {Person[]} present */
  function show(present) {
    setPeople(present);
    setNames(
      (known) => new Map([...known, ...present.map(({ id, username }) => /** @type {const} */ ([id, username]))]),
    );
  }

  useEvent("presence", show, connection);
  useEffect(() => {
    if (state !== "open") return;
    call("who").then(
      (present) => show(/** @type {Person[]} */ (present)),
      () => {}, // the connection ended before the answer: it is asked for again with the next one
    );
  }, [state, call]);
  return { people, names };
}
