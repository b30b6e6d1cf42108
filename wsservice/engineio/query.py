"""The query of an Engine.IO request: which session it is for, and whether it may begin one. Pure; SOCKETIO.md 1.3.

The order of the checks is the reference's, so that a client sees the same code for the same fault. Better than there,
all of them come before the WebSocket's 101.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from wsservice.engineio.settings import Settings

PROTOCOL = "4"


class RequestError(Exception):
    """A request that is refused: answer with `http_status` and `{"code": code, "message": message}`.

    `word` is the reason by which it is counted.
    """

    code: ClassVar[int] = 3
    message: ClassVar[str] = "Bad request"
    http_status: ClassVar[int] = 400
    word: ClassVar[str] = "bad_request"


class TransportUnknown(RequestError):
    """`transport` is missing, or names none that is enabled."""

    code = 0
    message = "Transport unknown"
    word = "transport_unknown"


class UnknownSid(RequestError):
    """There is no such session."""

    code = 1
    message = "Session ID unknown"
    word = "session_unknown"


class BadHandshakeMethod(RequestError):
    """A session begins with a GET."""

    code = 2
    message = "Bad handshake method"
    word = "bad_handshake_method"


class BadRequest(RequestError):
    """The parts of the request contradict each other."""


class Forbidden(RequestError):
    """The page that asks is not allowed to."""

    code = 4
    message = "Forbidden"
    http_status = 403
    word = "origin_not_allowed"


class UnsupportedVersion(RequestError):
    """`EIO` is missing or not 4."""

    code = 5
    message = "Unsupported protocol version"
    word = "unsupported_version"


@dataclass(frozen=True, slots=True)
class Query:
    """A good query: `sid` is empty where a session begins."""

    transport: Literal["polling", "websocket"]
    sid: str


def read_query(
    query: Mapping[str, str], settings: Settings, *, method: str, is_upgrade: bool, knows: Container[str]
) -> Query:
    """Check the query of a request.

    Args:
        query: decoded; of a repeated parameter the last.
        is_upgrade: whether it is a WebSocket upgrade.
        knows: has the sids of the sessions that live (`in` is asked).

    Raises:
        RequestError: see the classes.
    """
    transport = query.get("transport", "")
    if transport == "polling" and settings.polling:
        kind: Literal["polling", "websocket"] = "polling"
    elif transport == "websocket" and settings.websocket:
        kind = "websocket"
    else:
        raise TransportUnknown
    sid = query.get("sid", "")
    if sid:
        if sid not in knows:
            raise UnknownSid
    elif method != "GET":
        raise BadHandshakeMethod
    if (kind == "websocket") != is_upgrade or "j" in query:  # JSONP is no longer spoken
        raise BadRequest
    if query.get("EIO") != PROTOCOL:
        raise BadRequest if sid else UnsupportedVersion
    return Query(kind, sid)
