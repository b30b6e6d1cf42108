"""Messages as a backend writes them in JSON: what is to be sent to whom. Pure.

    {"event": "news", "data": {...}, "room": "lobby"}            or "args": [...] where there are several
    {"user": ["ann", "bob"], "reason": "The account is closed"}  to be disconnected

Members are checked strictly, since what is overlooked here reaches the wrong people: an unknown one, or a `room` that
is null or empty because some variable was, is no message to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsservice.close_codes import CloseCode, check_code
from wsservice.messages import ROOT, Broadcast, Disconnect, check_name, check_namespace
from wsservice.targets import make_targets

#: of a room, a user, a session: characters, since a session's id comes out of a token
MAX_NAME = 4096
#: characters of an event's name
MAX_EVENT = 1024
#: levels of objects and lists; precedent: socketio.decoder
MAX_DEPTH = 200
#: the names that say whom
WHOM = ("room", "user", "session", "except_room")

_EMIT = ("event", "args", "data", *WHOM, "namespace", "volatile")
_DISCONNECT = (*WHOM, "everybody", "namespace", "code", "reason")


class NotAnEmission(ValueError):
    """The text names the member that is wrong, and says what it must be."""


def read_broadcast(body: Any) -> Broadcast | None:
    """What is to be sent; None where an empty list says that nobody is meant.

    Raises:
        NotAnEmission: it cannot be that.
    """
    members = _members(body, _EMIT)
    event = members.get("event")
    if type(event) is not str or not 0 < len(event) <= MAX_EVENT:
        raise NotAnEmission(f"event must be a text of 1 to {MAX_EVENT} characters")
    try:
        check_name(event)
    except ValueError:
        raise NotAnEmission("event is a name that Socket.IO keeps for itself: choose another") from None
    if "args" in members and "data" in members:
        raise NotAnEmission("args and data cannot both be there: data is the one argument, args a list of all")
    args = members.get("args", [members["data"]] if "data" in members else [])
    if type(args) is not list:
        raise NotAnEmission("args must be a list; one argument can stand in data")
    volatile = _flag(members, "volatile")
    targets = make_targets([_namespace(members)], **_whom(members))
    return Broadcast(event, tuple(args), targets[0], volatile) if targets else None


def read_disconnect(body: Any) -> Disconnect | None:
    """Who is to be disconnected; None where an empty list says that nobody is.

    Raises:
        NotAnEmission: it cannot be that.
    """
    members = _members(body, _DISCONNECT)
    whom = _whom(members)
    if not whom.keys() - {"except_room"} and not _flag(members, "everybody"):
        raise NotAnEmission("user, session or room must say whom, or everybody must be true")
    code, reason = members.get("code", int(CloseCode.NORMAL)), members.get("reason", "Disconnected by the server")
    if type(code) is not int:
        raise NotAnEmission("code must be a whole number")
    try:
        check_code(code)
    except ValueError:
        raise NotAnEmission("code must be one that a server may send: 1000, or 3000 to 4999") from None
    if type(reason) is not str or len(reason.encode()) > 123:
        raise NotAnEmission("reason must be a text of at most 123 bytes")
    targets = make_targets([_namespace(members)], **whom)
    return Disconnect(targets[0], code, reason) if targets else None


def _members(body: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    if type(body) is not dict:
        raise NotAnEmission("a message must be a JSON object")
    for name in body:
        if name not in known:
            raise NotAnEmission(f"{ascii(name)[:40]} is no member of a message: {', '.join(known)} are")
    return body


def _whom(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _names(name, members[name]) for name in WHOM if name in members}


def _names(member: str, value: Any) -> list[str]:
    names = value if type(value) is list else [value]
    if not all(type(name) is str and 0 < len(name) <= MAX_NAME for name in names):
        raise NotAnEmission(
            f"{member} must be a text of 1 to {MAX_NAME} characters, or a list of such; without it all are meant"
        )
    return names


def _namespace(members: Mapping[str, Any]) -> str:
    name = members.get("namespace", ROOT)
    try:
        check_namespace(name)
    except ValueError:
        raise NotAnEmission("namespace must be a text that begins with / and holds no comma") from None
    return str(name)


def _flag(members: Mapping[str, Any], name: str) -> bool:
    value = members.get(name, False)
    if type(value) is not bool:
        raise NotAnEmission(f"{name} must be true or false")
    return value
