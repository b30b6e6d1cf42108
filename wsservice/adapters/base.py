"""What carries an application's messages to the other processes of a cluster.

A process alone has none: `Hub.adapter` is None, and every message stays here. With one, whatever reaches clients goes
through it, in both directions:

    the hub          asks it to carry broadcasts, and what else is done to clients elsewhere
    the registry     tells it who is here (`registry.Observer`)
    it               does what others ask for through `local.Local`

No method blocks or raises for an engine that is away: what is done to this process's connections is done in any case.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from wsservice.auth.providers.base import Readiness
from wsservice.messages import Broadcast, Disconnect, EndSession, EndUser, Join, Leave, Renew, Target
from wsservice.peers.nodes import Nodes

if TYPE_CHECKING:
    from wsservice.adapters.local import Local
    from wsservice.connection import Connection


@dataclass(frozen=True, slots=True)
class RemoteConnection:
    """A connection of whatever process, as `fetch` finds it: a copy, which does not change any more.

    Attributes:
        rooms: without the room of its own id.
        data: the application's notes on it.
        handshake: what the other process tells of its handshake; of Node: headers, query, auth, address, time.
        user: the id of its user; None where the process does not tell, as Node's.
    """

    id: str
    namespace: str
    rooms: frozenset[str] = frozenset()
    data: Any = None
    handshake: dict[str, Any] = field(default_factory=dict)
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody in a room: one connection, of whatever process."""

    connection: str
    user: str


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is in a room; `complete` is False where the engine is away and only this process's are known."""

    members: tuple[Present, ...]
    complete: bool = True

    @property
    def users(self) -> frozenset[str]:
        """The ids of the users, each once however many connections it has."""
        return frozenset(one.user for one in self.members)


@dataclass(frozen=True, slots=True)
class Load:
    """How an adapter keeps up.

    Attributes:
        queued, queued_bytes: messages and commands that wait for the engine, and their bytes.
        lags: seconds that the engine takes to answer, behind what it was asked before; by a fixed word for each
            connection that is up.
    """

    queued: int = 0
    queued_bytes: int = 0
    lags: Mapping[str, float] = field(default_factory=dict)


class Adapter(ABC):
    """One engine, such as Redis. Make one for each scheme of `--adapter`; the service calls `start` and `stop`.

    Attributes:
        nodes: who is in the cluster; known once `serve` was called.
    """

    nodes: Nodes

    @abstractmethod
    def serve(self, local: Local) -> None:
        """Take the connections of this process, and be the observer of its registry; called once, before `start`."""

    @abstractmethod
    def start(self) -> None:
        """Begin to connect, in the background."""

    @abstractmethod
    def stop(self) -> Deferred[None]:
        """Send what waits, if that is soon done, and end; fires when no connection and no timer is left."""

    @abstractmethod
    def readiness(self) -> Readiness:
        """Whether others can be reached; answered from memory."""

    @abstractmethod
    def load(self) -> Load:
        """How it keeps up; answered from memory."""

    # What reaches clients here and elsewhere

    @abstractmethod
    def broadcast(self, broadcast: Broadcast) -> None:
        """Deliver to everybody it is for, here and elsewhere.

        Raises as `Hub.deliver` does; then nothing is sent.
        """

    @abstractmethod
    def call(self, broadcast: Broadcast, timeout: float, answered: Callable[[Any], None]) -> Deferred[None]:
        """Ask clients elsewhere for their acknowledgement; those here are asked by the caller.

        Args:
            answered: gets each answer, its first argument.

        Fires when all have answered; fails with CallTimeout.
        """

    # What is done elsewhere to others; the caller has done it here

    @abstractmethod
    def join(self, message: Join) -> None:
        """Let connections elsewhere enter rooms."""

    @abstractmethod
    def leave(self, message: Leave) -> None:
        """Let connections elsewhere leave rooms."""

    @abstractmethod
    def disconnect(self, message: Disconnect) -> None:
        """Close connections elsewhere."""

    @abstractmethod
    def renew(self, message: Renew) -> None:
        """A session was refreshed."""

    @abstractmethod
    def end_session(self, message: EndSession) -> None:
        """A session was signed out."""

    @abstractmethod
    def end_user(self, message: EndUser) -> None:
        """A user signed out everywhere."""

    # Questions

    @abstractmethod
    def fetch(self, target: Target, timeout: float) -> Deferred[list[RemoteConnection]]:
        """The connections elsewhere that a target means.

        Fails with CallTimeout, whose `answers` are those that came.
        """

    @abstractmethod
    def rooms(self, namespace: str, timeout: float) -> Deferred[set[str]]:
        """The rooms elsewhere, those of connections' ids among them."""

    @abstractmethod
    def presence(self, namespace: str, room: str | None) -> Deferred[Presence]:
        """Who is in a room, or in the namespace, here and elsewhere."""

    # Between servers

    @abstractmethod
    def server_emit(self, namespace: str, event: str, args: tuple[Any, ...]) -> None:
        """Send an event to the application of every other process."""

    @abstractmethod
    def server_call(self, namespace: str, event: str, args: tuple[Any, ...], timeout: float) -> Deferred[list[Any]]:
        """Ask the application of every other process; fails with CallTimeout."""

    # How many a user has

    @abstractmethod
    def admit(self, connection: Connection) -> Deferred[bool] | None:
        """Whether one more connection of its user may open; None: only this process's count, and that was looked at."""
