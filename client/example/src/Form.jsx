import { useEffect, useRef, useState } from "react";

/** @typedef {NonNullable<ReturnType<typeof import("@wsservice/client").stepOf>>["fields"][number]} Field */

/**
 * Labelled fields and a button. It is locked while the action runs; then the cursor stands where one goes on.
 *
 * @param {object} props
 * @param {string} props.id
 * @param {Field[]} props.fields
 * @param {string} props.action words on the button
 * @param {(fields: Record<string, string>) => Promise<void>} props.onSubmit
 * @param {import("react").ReactNode} [props.children] more buttons
 */
export function Form({ id, fields, action, onSubmit, children }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [attempts, setAttempts] = useState(0);
  const [isBusy, setIsBusy] = useState(false);

  useEffect(() => {
    const first = attempts === 0 ? "input, select" : "input[type=password], input, select";
    const field = form.current?.querySelector(first);
    if (field instanceof HTMLElement) field.focus();
    if (attempts > 0 && field instanceof HTMLInputElement) field.select();
  }, [attempts]);

  /** @param {import("react").FormEvent<HTMLFormElement>} event */
  async function submit(event) {
    event.preventDefault();
    const entries = [...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]);
    setIsBusy(true);
    await onSubmit(Object.fromEntries(entries));
    setIsBusy(false);
    setAttempts((count) => count + 1);
  }

  return (
    <form id={id} ref={form} onSubmit={submit}>
      <fieldset disabled={isBusy}>
        {fields.map((field) => (
          <label className="field" key={field.name}>
            <span>{field.label}</span>
            <Control {...field} />
          </label>
        ))}
        <div className="buttons">
          <button type="submit" className="primary">
            {action}
          </button>
          {children}
        </div>
      </fieldset>
    </form>
  );
}

/** @param {Field} field */
function Control({ name, type, autocomplete, options }) {
  if (options) {
    return (
      <select name={name} required>
        {options.map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    );
  }
  return (
    <input
      name={name}
      required
      type={type === "password" ? "password" : "text"}
      inputMode={type === "code" ? "numeric" : undefined}
      autoComplete={autocomplete}
      autoCapitalize="none"
      spellCheck={false}
    />
  );
}
