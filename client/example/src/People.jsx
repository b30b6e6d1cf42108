import { hueOf } from "./words.js";

/** @typedef {import("./use-presence.js").Person} Person */

/** @param {{ people: Person[], ownId: string }} props */
export function People({ people, ownId }) {
  return (
    <section className="card people" aria-labelledby="people-title">
      <h2 id="people-title">
        Who is here <span className="count">{people.length}</span>
      </h2>
      <ul id="people">
        {people.map(({ id, username, connections }) => (
          <li key={id} className={`person hue-${hueOf(id)}`}>
            <span className="avatar" aria-hidden="true">
              {username.charAt(0).toUpperCase()}
            </span>
            <span className="person-name">
              {username}
              {id === ownId && <span className="muted"> (you)</span>}
            </span>
            <span className="muted small">{connections === 1 ? "1 connection" : `${connections} connections`}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
