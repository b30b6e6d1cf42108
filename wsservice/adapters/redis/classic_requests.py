"""The requests of @socket.io/redis-adapter 8.3, from one node to all. SOCKETIO.md section 2.1.

    type                     who answers, and how (classic_responses)
    0 SOCKETS                every node but the asker: SocketsAnswer; sent by nodes of older versions only
    1 ALL_ROOMS              every node but the asker: RoomsAnswer
    2 JOIN, 3 LEAVE          nobody; the asker does it, too, when its own request comes back
    4 DISCONNECT             the same
      2, 3, 4 without opts   the node that has the connection, also the asker: OldDone; sent by older versions only
    5 FETCH                  every node but the asker: FetchAnswer
    6 SERVER_SIDE_EMIT       with a request id every node but the asker, once its app did: ServerSideAnswer
    7 BROADCAST              every node but the asker: ClientCount, even of 0, then a ClientAck for each client that did

The asker knows its own requests by their request id (types 0, 1, 5, 7) or by its uid (type 6). Who does not answer
lets the asker wait for its timeout. An answer goes to the common channel, never to the asker's own one, except where
the option `publishOnSpecificResponseChannel` is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wsservice.messages import Broadcast, Target


@dataclass(frozen=True, slots=True)
class Sockets:
    """Which ids are in these rooms? No room means all."""

    uid: str | None
    request_id: str
    rooms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AllRooms:
    """Which rooms are there, those of the connections' own ids included?"""

    uid: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class Join:
    """The target's connections enter rooms; without a uid it is an emitter's."""

    uid: str | None
    target: Target
    rooms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Leave:
    """The target's connections leave rooms."""

    uid: str | None
    target: Target
    rooms: frozenset[str]


@dataclass(frozen=True, slots=True)
class DisconnectSockets:
    """The target's connections leave the namespace; with `close` their whole sessions end.

    Attributes:
        code, reason: of the close frame; our own nodes tell them, and Node ignores them.
    """

    uid: str | None
    target: Target
    close: bool = False
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Describe the target's connections."""

    uid: str | None
    request_id: str
    target: Target


@dataclass(frozen=True, slots=True)
class ServerSideEmit:
    """An event for the other nodes' apps; with a request id they are to answer."""

    uid: str | None
    event: str
    args: tuple[Any, ...] = ()
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class CallClients:
    """A broadcast whose clients are to acknowledge within a time in milliseconds."""

    uid: str | None
    request_id: str
    broadcast: Broadcast
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class OldJoin:
    """One connection enters a room."""

    uid: str | None
    request_id: str | None
    sid: str
    room: str


@dataclass(frozen=True, slots=True)
class OldLeave:
    """One connection leaves a room."""

    uid: str | None
    request_id: str | None
    sid: str
    room: str


@dataclass(frozen=True, slots=True)
class OldDisconnect:
    """One connection leaves the namespace; with `close` its whole session ends."""

    uid: str | None
    request_id: str | None
    sid: str
    close: bool = False


Request = (
    Sockets
    | AllRooms
    | Join
    | Leave
    | DisconnectSockets
    | Fetch
    | ServerSideEmit
    | CallClients
    | OldJoin
    | OldLeave
    | OldDisconnect
)
