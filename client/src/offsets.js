/**
 * The offset that a recoverable event of Socket.IO has behind its arguments: `<prefix>.<number>` where a process is
 * alone (`wsservice/history.py`), a position of the stream in a cluster (`wsservice/adapters/redis/positions.py`).
 */
const OFFSET = /^(?:[\w-]+\.\d+|\d{13,}-\d+|\d+-\d+\.\d+\.\d+\.[\da-f]{12})$/;

/**
 * @param {unknown} argument the last one of an event
 * @returns {argument is string}
 */
export function isOffset(argument) {
  return typeof argument === "string" && OFFSET.test(argument);
}
