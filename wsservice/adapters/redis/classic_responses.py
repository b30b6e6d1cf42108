"""The answers of @socket.io/redis-adapter 8.3 to the requests of other nodes. SOCKETIO.md section 2.1.

All nodes get all answers: the request id tells whose it is, and only four of them tell what they answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SocketsAnswer:
    """The ids of a node's connections."""

    request_id: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomsAnswer:
    """A node's rooms, those of its connections' own ids included."""

    request_id: str
    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteSocket:
    """A connection of another node.

    Attributes:
        handshake: to Node's apps an object with `headers`, `time`, `address`, `xdomain`, `secure`, `issued`, `url`,
            `query` and `auth`.
        data: what the app keeps with it.
    """

    id: str
    rooms: frozenset[str] = frozenset()
    handshake: dict[str, Any] = field(default_factory=dict)
    data: Any = None


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """A node's connections; also what stands for a SocketsAnswer without any, which looks the same."""

    request_id: str
    sockets: tuple[RemoteSocket, ...]


@dataclass(frozen=True, slots=True)
class ServerSideAnswer:
    """What a node's app answered to a ServerSideEmit."""

    request_id: str
    data: Any = None


@dataclass(frozen=True, slots=True)
class ClientCount:
    """How many of a node's clients a CallClients went to."""

    request_id: str
    count: int


@dataclass(frozen=True, slots=True)
class ClientAck:
    """The first argument of a client's acknowledgement."""

    request_id: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class OldDone:
    """An OldJoin, OldLeave or OldDisconnect was done."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ClientLost:
    """One of the clients of a ClientCount will not acknowledge: it left, or refused. Ours only; Node ignores it."""

    request_id: str


Response = SocketsAnswer | RoomsAnswer | FetchAnswer | ServerSideAnswer | ClientCount | ClientAck | ClientLost | OldDone
