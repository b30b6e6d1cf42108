/**
 * What each challenge of the identity provider asks of a person: words, and fields whose names are those
 * of the answer. Pure; the counterpart of `wsservice/auth/providers/cognito_challenges.py`.
 *
 * @typedef {import("./auth-client.js").Challenge} Challenge
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "password" | "code"} type
 * @property {string} autocomplete
 * @property {{ value: string, label: string }[]} [options] to choose from, in place of a text
 *
 * @typedef {{ words: string, action: string, fields: Field[] }} Step
 */

/** A field that only guards against a slip, and is no part of the answer. */
export const REPEATED = "repeated";

const MFA_NAMES = Object.freeze({
  SMS_MFA: "Text message",
  SOFTWARE_TOKEN_MFA: "Authenticator app",
  EMAIL_OTP: "Email",
});

/** @type {Readonly<Record<string, (parameters: Record<string, string>) => Step>>} */
const STEPS = {
  NEW_PASSWORD_REQUIRED: newPassword,
  SOFTWARE_TOKEN_MFA: () => code("SOFTWARE_TOKEN_MFA_CODE", "Enter the code of your authenticator app."),
  SMS_MFA: (parameters) => code("SMS_MFA_CODE", sentTo(parameters, "your phone")),
  SMS_OTP: (parameters) => code("SMS_OTP_CODE", sentTo(parameters, "your phone")),
  EMAIL_OTP: (parameters) => code("EMAIL_OTP_CODE", sentTo(parameters, "your email address")),
  SELECT_MFA_TYPE: selectMfa,
  SELECT_CHALLENGE: () => ({
    words: "Enter your password once more.",
    action: "Continue",
    fields: [{ name: "PASSWORD", label: "Password", type: "password", autocomplete: "current-password" }],
  }),
};

/**
 * @param {Challenge} challenge
 * @returns {Step | null} null for a challenge that this page does not know
 */
export function stepOf({ challenge, parameters }) {
  return STEPS[challenge]?.(parameters ?? {}) ?? null;
}

/**
 * @param {Record<string, string>} parameters
 * @returns {Step}
 */
function newPassword({ requiredAttributes }) {
  const attributes = list(requiredAttributes).map((name) => name.replace(/^userAttributes\./, ""));
  return {
    words: "Your password was set by somebody else. Choose one of your own.",
    action: "Set the password",
    fields: [
      { name: "NEW_PASSWORD", label: "New password", type: "password", autocomplete: "new-password" },
      { name: REPEATED, label: "The same again", type: "password", autocomplete: "new-password" },
      ...attributes.map(attributeField),
    ],
  };
}

/**
 * @param {string} name
 * @returns {Field}
 */
function attributeField(name) {
  const words = name.replace(/^custom:/, "").replaceAll("_", " ");
  const label = words.charAt(0).toUpperCase() + words.slice(1);
  return { name: `userAttributes.${name}`, label, type: "text", autocomplete: "on" };
}

/**
 * @param {string} name
 * @param {string} words
 * @returns {Step}
 */
function code(name, words) {
  return { words, action: "Continue", fields: [{ name, label: "Code", type: "code", autocomplete: "one-time-code" }] };
}

/**
 * @param {Record<string, string>} parameters
 * @param {string} fallback
 */
function sentTo({ CODE_DELIVERY_DESTINATION: destination }, fallback) {
  return `Enter the code that was sent to ${destination ?? fallback}.`;
}

/**
 * @param {Record<string, string>} parameters
 * @returns {Step}
 */
function selectMfa({ MFAS_CAN_CHOOSE: choices }) {
  const options = list(choices).map((value) => ({
    value,
    label: /** @type {Record<string, string>} */ (MFA_NAMES)[value] ?? value,
  }));
  const field = {
    name: "ANSWER",
    label: "Confirm by",
    type: /** @type {const} */ ("text"),
    autocomplete: "off",
    options,
  };
  return { words: "Choose how to confirm that it is you.", action: "Continue", fields: [field] };
}

/**
 * A list of strings that came as JSON in a string, as Cognito sends them.
 *
 * @param {string | undefined} json
 * @returns {string[]}
 */
function list(json) {
  try {
    const value = JSON.parse(json ?? "[]");
    return Array.isArray(value) ? value.map(String) : [];
  } catch {
    return []; // no list after all: the provider will say what is missing
  }
}
