"""A broadcast's target as the `opts` of the classic cluster. Pure; SOCKETIO.md section 2.1.

    {"rooms": [...], "except": [...], "flags": {...}}

Node knows neither users nor sessions, and only one way to leave somebody out. Ours travel as more members: `users`,
`sessions` and `skip`, which Node ignores. A target of users or sessions without a room names the room NOBODY, since no
room means everybody to Node.
"""

from __future__ import annotations

from typing import Any

from wsservice.adapters.redis.channels import NOBODY
from wsservice.adapters.redis.foreign import ForeignMessage
from wsservice.adapters.redis.values import is_number, js_text
from wsservice.messages import Target

_NOBODY = frozenset({NOBODY})
_NONE: frozenset[str] = frozenset()


def encode_target(target: Target) -> dict[str, Any]:
    """The `opts` without flags: the caller adds them."""
    out = target.skip | target.except_rooms if target.skip else target.except_rooms
    opts: dict[str, Any] = {"rooms": target.rooms, "except": out}
    if target.users or target.sessions:
        opts["rooms"] = target.rooms or _NOBODY
        opts["users"] = target.users
        opts["sessions"] = target.sessions
    if target.skip:
        opts["skip"] = target.skip
    return opts


def one_room(target: Target) -> str | None:
    """The room whose channel a broadcast takes: where it is for one room and nobody else, as in Node."""
    if target.users or target.sessions:
        return None if target.rooms else NOBODY
    if len(target.rooms) == 1:
        (room,) = target.rooms
        return room
    return None


def to_target(
    namespace: str,
    *,
    rooms: frozenset[str],
    out: frozenset[str],
    users: frozenset[str] = _NONE,
    sessions: frozenset[str] = _NONE,
    skip: frozenset[str] = _NONE,
) -> Target:
    """A target of the members of `opts`; `out` is what `except` has."""
    if users or sessions:
        rooms -= _NOBODY
    if skip:
        out -= skip
    return Target(namespace, rooms, users, sessions, skip, out)


def decode_target(opts: Any, namespace: str) -> Target:
    """A target of any `opts`, whoever wrote them.

    Raises:
        ForeignMessage: they are none.
    """
    if type(opts) is not dict:
        raise ForeignMessage("ill-typed")
    return to_target(
        namespace,
        rooms=rooms_of(opts.get("rooms")),
        out=names_of(opts.get("except")),
        users=names_of(opts.get("users")),
        sessions=names_of(opts.get("sessions")),
        skip=names_of(opts.get("skip")),
    )


def rooms_of(value: Any) -> frozenset[str]:
    """The rooms of a target.

    `io.to(undefined)` is an easy mistake, and reaches nobody in Node: so a list of nothing but such names becomes the
    room NOBODY, never no room, which would be everybody.
    """
    names = names_of(value)
    return _NOBODY if value and not names else names


def names_of(value: Any) -> frozenset[str]:
    """A list of names, of which some may be numbers to Node; what can be no name is left out.

    Raises:
        ForeignMessage: it is no list.
    """
    if value is None:
        return _NONE
    if type(value) is not list:
        raise ForeignMessage("ill-typed")
    return frozenset(name for name in map(name_of, value) if name is not None)


def name_of(value: Any) -> str | None:
    """A room's name; None for what can be none."""
    if type(value) is str:
        return value
    return js_text(value) if is_number(value) else None
