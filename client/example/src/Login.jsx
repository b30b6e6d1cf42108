import { REPEATED, stepOf } from "@wsservice/client";
import { HttpError, useAuth } from "@wsservice/client/react";
import { useState } from "react";
import { Form } from "./Form.jsx";

/**
 * @typedef {import("@wsservice/client").Challenge} Challenge
 * @typedef {import("./Form.jsx").Field} Field
 */

/** @type {Field[]} */
const FIELDS = [
  { name: "username", label: "User name or email", type: "text", autocomplete: "username" },
  { name: "password", label: "Password", type: "password", autocomplete: "current-password" },
];

/**
 * The login, and the steps that the identity provider may add, such as a new password.
 *
 * @param {{ notice: string }} props
 */
export function Login({ notice }) {
  const { login, answer } = useAuth();
  const [challenge, setChallenge] = useState(/** @type {Challenge | null} */ (null));
  const [error, setError] = useState("");
  const step = challenge && stepOf(challenge);

  /** @param {Challenge | null} next null: this component will be gone in a moment */
  function proceed(next) {
    if (next && stepOf(next) === null) throw new HttpError(0, { message: "This page does not know that login step." });
    setChallenge(next);
  }

  /** @param {Record<string, string>} fields */
  async function submitStep({ [REPEATED]: repeated, ...responses }) {
    if (challenge === null) return;
    if (repeated !== undefined && repeated !== responses.NEW_PASSWORD) {
      throw new HttpError(0, { message: "The two passwords differ." });
    }
    try {
      proceed(await answer(challenge, responses));
    } catch (failure) {
      // The provider's handle was good for this try only: begin anew.
      if (failure instanceof HttpError && failure.word === "challenge_failed") setChallenge(null);
      throw failure;
    }
  }

  /**
   * @param {(fields: Record<string, string>) => Promise<void>} action
   * @returns {(fields: Record<string, string>) => Promise<void>}
   */
  const telling = (action) => async (fields) => {
    setError("");
    try {
      await action(fields);
    } catch (failure) {
      if (!(failure instanceof HttpError)) throw failure;
      setError(failure.message);
    }
  };

  return (
    <main className="center">
      <section className="card login" aria-labelledby="login-title">
        <h2 id="login-title">{step ? "One more step" : "Log in"}</h2>
        {step ? (
          <p>{step.words}</p>
        ) : (
          <p className="muted">Then chat by raw WebSocket and by Socket.IO, side by side.</p>
        )}
        <p className="error" id="login-error" role="alert">
          {error || (step ? "" : notice)}
        </p>
        {step ? (
          <Form
            key={challenge.session}
            id="step-form"
            fields={step.fields}
            action={step.action}
            onSubmit={telling(submitStep)}
          >
            <button type="button" className="quiet" onClick={() => setChallenge(null)}>
              Back
            </button>
          </Form>
        ) : (
          <Form
            key="login"
            id="login-form"
            fields={FIELDS}
            action="Log in"
            onSubmit={telling(async ({ username = "", password = "" }) => proceed(await login(username, password)))}
          />
        )}
        {!step && (
          <p className="muted small">
            A service that was started with <code>--dev</code> prints its users and passwords.
          </p>
        )}
      </section>
    </main>
  );
}
