"""`make docs`: client/src/close-codes.js, from wsservice/close_codes.py."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from wsservice import close_codes
from wsservice.close_codes import Advice, CloseCode
from wsservice.errors import InvalidToken, KeysUnavailable, MissingToken

MODULE = Path(__file__).resolve().parents[1] / "client" / "src" / "close-codes.js"

#: the reasons that the client names: name in JavaScript -> text
REASONS = {
    "EXPIRED": close_codes.EXPIRED,
    "SIGNED_OUT": close_codes.SIGNED_OUT,
    "TAKEN_OVER": close_codes.TAKEN_OVER,
    "MISSING_TOKEN": MissingToken.message,
    "INVALID_TOKEN": InvalidToken.message,
    "KEYS_UNAVAILABLE": KeysUnavailable.message,
}
_HANDSHAKE = (MissingToken.message, InvalidToken.message, KeysUnavailable.message)
_SESSION = (MissingToken.message, InvalidToken.message, close_codes.EXPIRED)

_TEMPLATE = """\
/**
 * What a client does after a close. Made by `make docs` from wsservice/close_codes.py; change it there.
 *
 * - `stop`: do not come back by itself.
 * - `backoff`: come back after a jittered delay.
 * - `refresh`: refresh the session once, then come back at once; else show the login.
 *
 * @typedef {"stop" | "backoff" | "refresh"} Advice
 */

/** No close frame came: what a browser reports for a lost connection and for a refused handshake alike. */
export const ABNORMAL = %(abnormal)d;

/** @type {Readonly<Record<number, Advice>>} every code that is not here means `backoff` */
export const ADVICE = Object.freeze({
%(advice)s
});

%(reasons)s

/** Reasons after which a client stays away, whatever the code. */
export const STOP_REASONS = Object.freeze([%(stop)s]);

/** Reasons of a 1008 that speak of the session; any other is the application's own refusal. */
export const SESSION_REASONS = Object.freeze([%(session)s]);

/** Reasons of a handshake that was refused: nothing that the client sent meanwhile was handled. */
export const HANDSHAKE_REASONS = Object.freeze([%(handshake)s]);

/**
 * @param {number} code
 * @param {string} reason
 * @returns {Advice}
 */
export function adviceFor(code, reason) {
  return STOP_REASONS.includes(reason) ? "stop" : (ADVICE[code] ?? "backoff");
}
"""


def make_module() -> str:
    """The whole module."""
    advice = {code: code.advice for code in CloseCode if code.advice is not Advice.BACKOFF}
    return _TEMPLATE % {
        "abnormal": CloseCode.ABNORMAL,
        "advice": "\n".join(f"  {int(code)}: {json.dumps(advice[code])}," for code in sorted(advice)),
        "reasons": "\n".join(f"export const {name} = {json.dumps(text)};" for name, text in REASONS.items()),
        "stop": _names(close_codes.STOP_REASONS),
        "session": _names(_SESSION),
        "handshake": _names(_HANDSHAKE),
    }


def _names(texts: Iterable[str]) -> str:
    wanted = set(texts)
    unnamed = wanted - set(REASONS.values())
    if unnamed:
        raise ValueError(f"add to REASONS in {__file__}: {', '.join(sorted(unnamed))}")
    return ", ".join(name for name, text in REASONS.items() if text in wanted)


if __name__ == "__main__":
    MODULE.write_text(make_module())
