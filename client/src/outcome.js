/**
 * How a request of the session went.
 *
 * @typedef {{ status: number, message: string }} Failure HTTP's status, 0 when no answer came
 */

/**
 * @param {Promise<unknown>} promise
 * @returns {Promise<Failure | null>} null when it succeeded
 */
export async function outcome(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    const { status = 0, message = "" } = /** @type {Partial<Failure>} */ (error);
    return { status, message };
  }
}

/**
 * Whether asking again is of no use: every 4xx but "too slow" and "too often".
 *
 * @param {Failure} failure
 */
export function isFinal({ status }) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
