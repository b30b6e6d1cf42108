"""The close codes of both protocols' WebSockets: what each means, and whether a client should come back.

RFC 6455 section 7.4 defines 1000 to 1015; 4000 to 4999 are ours. The rule for clients is in
`CloseCode.advice`; the front end's table is generated from this file.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Advice(StrEnum):
    """What a client does after a close."""

    #: do not come back by itself
    STOP = "stop"
    #: come back after an exponential backoff with jitter
    BACKOFF = "backoff"
    #: refresh the session once (`POST /auth/refresh`), then come back at once; else show the login
    REFRESH = "refresh"


class CloseCode(IntEnum):
    """A close code that the service sends, or sees."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    #: never sent: what a peer reports when no close frame came
    ABNORMAL = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    #: the client did not read what it was sent; precedent: Centrifugo's 3008 `slow`
    SLOW_CONSUMER = 4408
    #: the user opened one connection too many, and this one was the oldest
    REPLACED = 4409
    #: too many connections of this user, or the client sent too much for too long
    TOO_MANY = 4429

    @property
    def advice(self) -> Advice:
        """What a client should do, unless the close reason is in `STOP_REASONS`."""
        return _ADVICE.get(self, Advice.BACKOFF)


_KNOWN = frozenset(CloseCode)
#: an application's own close codes (RFC 6455 section 7.4.2) begin here
_OWN_CODES = 3000


def may_be_sent(code: int) -> bool:
    """Whether a server may send a code (RFC 6455 section 7.4)."""
    return _OWN_CODES <= code <= 4999 or code in _SENT


def check_code(code: int) -> None:
    """Raise ValueError for a code that no server may send."""
    if not may_be_sent(code):
        raise ValueError(f"the close code {code} cannot be sent: give 1000, 3000 to 4999, or one of CloseCode")


def is_farewell(code: int) -> bool:
    """Whether a server that closes with a code wants the client to stay away, and not to come back to where it was."""
    return code == CloseCode.NORMAL or (code >= _OWN_CODES and code != CloseCode.SLOW_CONSUMER)


def label(code: int | None) -> str:
    """A close code as a counter's label; applications and clients may send any of three thousand: those are `0`."""
    return str(int(CloseCode.ABNORMAL) if code is None else int(code) if code in _KNOWN else 0)


def fit_reason(reason: str) -> str:
    """As much of a close reason as a close frame holds: 123 bytes of UTF-8 (RFC 6455 section 5.5), whole characters."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")


_SENT = frozenset(CloseCode) - {CloseCode.ABNORMAL}

_ADVICE = {
    CloseCode.NORMAL: Advice.STOP,
    CloseCode.PROTOCOL_ERROR: Advice.STOP,
    CloseCode.UNSUPPORTED_DATA: Advice.STOP,
    CloseCode.INVALID_PAYLOAD: Advice.STOP,
    CloseCode.MESSAGE_TOO_BIG: Advice.STOP,
    CloseCode.POLICY_VIOLATION: Advice.REFRESH,
    CloseCode.REPLACED: Advice.STOP,
}

#: close reasons, fixed strings of at most 123 bytes (RFC 6455 section 5.5)
EXPIRED = "Authentication expired"
SIGNED_OUT = "Signed out"
SHUTTING_DOWN = "Server shutting down"
SLOW = "Client reads too slowly"
INTERNAL = "Internal error"
STUCK = "Messages wait too long"
REPLACED = "Replaced by a newer connection"
TOO_MANY_CONNECTIONS = "Too many connections"
TOO_MUCH = "Too many messages"
TAKEN_OVER = "Continued on another connection"

#: ends of a connection after which its client may come back to its rooms and what it missed (SOCKETIO.md 1.17)
RECOVERABLE = frozenset(
    {"ping timeout", "transport close", "transport error", EXPIRED, SLOW, STUCK, SHUTTING_DOWN, TAKEN_OVER}
)

#: reasons after which a client must not refresh or come back, whatever the code: it signed out, or is back already
STOP_REASONS = frozenset({SIGNED_OUT, TAKEN_OVER})
