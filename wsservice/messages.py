"""The values that cross the layers: frozen, slotted, and free of any transport."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

ROOT = "/"
#: characters of a namespace's name
MAX_NAMESPACE = 256
#: names that a Socket.IO client's own library emits; neither side may send them (`error` is not one of them)
RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"})


def check_name(event: str) -> None:
    """Raise TypeError or ValueError for what cannot be the name of an event, to clients of either protocol."""
    if not isinstance(event, str):
        raise TypeError(f"an event's name is a str, not {type(event).__name__}")
    if event in RESERVED or not event:
        raise ValueError(f"{event!r} cannot be emitted: Socket.IO keeps this name for itself")


def check_namespace(name: str) -> None:
    """Raise ValueError for what cannot be the name of a namespace."""
    if not isinstance(name, str) or not name.startswith("/") or "," in name or len(name) > MAX_NAMESPACE:
        raise ValueError(f'the name of a namespace begins with "/" and holds no comma: {name!r}')


class Event(msgspec.Struct, frozen=True, gc=False):  # a Struct is made in a fifth of a frozen dataclass's time
    """What a client sent: `args` go to the handler; with `ack_id` the client wants its result."""

    name: str
    args: tuple[Any, ...]
    ack_id: int | None = None


class Ack(msgspec.Struct, frozen=True, gc=False):
    """A client's answer to `connection.call`; `error` is set when it refused."""

    id: int
    args: tuple[Any, ...]
    error: Any = None


@dataclass(frozen=True, slots=True)
class Target:
    """Which connections of a namespace are meant.

    `rooms`, `users` and `sessions` add up (a union, each connection once); all three empty means
    everybody. A connection is always in the room of its own id. `skip` holds connection ids that are
    left out, `except_rooms` rooms whose members are.
    """

    namespace: str = ROOT
    rooms: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    except_rooms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One event for many; a `volatile` one may be dropped for a client that is behind.

    A `local` one is for this process's connections only.
    """

    event: str
    args: tuple[Any, ...]
    target: Target
    volatile: bool = False
    local: bool = False


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the target's connections with a close code and a fixed reason."""

    target: Target
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Join:
    """Let the target's connections enter rooms."""

    target: Target
    rooms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Leave:
    """Let the target's connections leave rooms."""

    target: Target
    rooms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Renew:
    """A session was refreshed: its connections live on until `expires_at` (POSIX seconds)."""

    session: str
    user: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class EndSession:
    """A user signed out: close the session's connections, and accept its tokens no more.

    Attributes:
        until: POSIX seconds; by then the session's last token has expired.
    """

    session: str
    until: float


@dataclass(frozen=True, slots=True)
class EndUser:
    """A user signed out everywhere: close all connections, and accept no token that is older.

    Attributes:
        before: POSIX seconds; tokens that were issued earlier are meant.
        until: POSIX seconds; by then the last of them has expired.
    """

    user: str
    before: float
    until: float
