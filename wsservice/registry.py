"""Who is connected: by id, room, user and session; and the loop of a broadcast."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Hashable, Iterable, Iterator, Set
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from twisted.logger import Logger

from wsservice.auth.principal import Principal
from wsservice.counters import Counters, Totals
from wsservice.errors import RoomTaken
from wsservice.messages import Broadcast, Disconnect, Renew, Target
from wsservice.wire import Wire

if TYPE_CHECKING:
    from wsservice.recorded import Entry


class Member(Hashable, Protocol):
    """What the registry needs of a connection."""

    #: `join` puts a set here where there is none to change
    rooms: Set[str]

    @property
    def id(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def user(self) -> Principal: ...
    @property
    def wire(self) -> Wire: ...
    @property
    def direct(self) -> Callable[[bytes], int] | None: ...
    def write(self, data: bytes, volatile: bool = False) -> None: ...
    def disconnect(self, code: int, reason: str) -> None: ...
    def renew(self, expires_at: float) -> None: ...


log = Logger()

M = TypeVar("M", bound=Member)
C = TypeVar("C", contravariant=True)


class Observer(Protocol[C]):
    """Whoever is told of each change; what is to be done about it elsewhere must not delay it."""

    def added(self, connection: C) -> None:
        """A connection, with the rooms that it is in already."""

    def removed(self, connection: C) -> None:
        """A connection has ended, and left the rooms that it has."""

    def joined(self, connection: C, room: str) -> None:
        """A connection has entered a room."""

    def left(self, connection: C, room: str) -> None:
        """A connection has left a room, and is still here."""


K = TypeVar("K", bound=Hashable)

_wire_of: Callable[[Member], Wire] = attrgetter("wire")

#: those of one name, in the order of their arrival. Most users and sessions have one connection, and a tuple of one
#: costs 48 bytes where a set or a dict costs 220
Members = tuple[M] | dict[M, None]


class Registry(Generic[M]):
    """The connections of this process.

    A connection is added once it is authenticated and removed when it ends; in between `join` and
    `leave` move it through rooms. Rooms exist while somebody is in them.

    The room of a connection's id is its own: what is sent to it reaches this connection and nobody else.

    Attributes:
        away: ids of connections that broke and may come back; see `History`.
        sent: gets what broadcasts send, where somebody looks at it.
        observer: is told of changes, where the process is one of a cluster.
    """

    def __init__(self, counters: Counters) -> None:
        self.away: Container[str] = ()
        self.observer: Observer[M] | None = None
        self.sent: Totals | None = None
        self._counters = counters
        self._by_id: dict[str, M] = {}
        self._namespaces: dict[str, Members[M]] = {}
        self._rooms: dict[tuple[str, str], Members[M]] = {}
        self._users: dict[str, Members[M]] = {}
        self._sessions: dict[str, Members[M]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, connection_id: str) -> M | None:
        """The connection of that id, if it is here."""
        return self._by_id.get(connection_id)

    def of_user(self, user: str) -> Collection[M]:
        """A user's connections in all namespaces, the oldest first."""
        return self._users.get(user, ())

    def add(self, connection: M) -> None:
        """Take a new connection in; its rooms count from now on."""
        self._by_id[connection.id] = connection
        _put(self._namespaces, connection.namespace, connection)
        _put(self._users, connection.user.id, connection)
        _put(self._sessions, connection.user.session, connection)
        for room in connection.rooms:
            _put(self._rooms, (connection.namespace, room), connection)
        if self.observer is not None:
            self.observer.added(connection)

    def remove(self, connection: M) -> None:
        """Forget an ended connection; a second time does nothing. Its own `rooms` stay readable."""
        if self._by_id.get(connection.id) is not connection:  # its successor has its id
            return
        del self._by_id[connection.id]
        _drop(self._namespaces, connection.namespace, connection)
        _drop(self._users, connection.user.id, connection)
        _drop(self._sessions, connection.user.session, connection)
        for room in connection.rooms:
            _drop(self._rooms, (connection.namespace, room), connection)
        if self.observer is not None:
            self.observer.removed(connection)

    def join(self, connection: M, room: str) -> None:
        """Put a connection into a room; twice is once.

        Raises:
            RoomTaken: the room is another connection's id, whose messages this one would get.
        """
        if room != connection.id and (room in self._by_id or room in self.away):
            raise RoomTaken
        if room in connection.rooms:
            return
        if isinstance(connection.rooms, set):
            connection.rooms.add(room)
        else:
            connection.rooms = {room}
        if connection.id in self._by_id:
            _put(self._rooms, (connection.namespace, room), connection)
            if self.observer is not None:
                self.observer.joined(connection, room)

    def leave(self, connection: M, room: str) -> None:
        """Take a connection out of a room; if it is not there, nothing happens."""
        if isinstance(connection.rooms, set) and room in connection.rooms:
            connection.rooms.discard(room)
            _drop(self._rooms, (connection.namespace, room), connection)
            if self.observer is not None and connection.id in self._by_id:
                self.observer.left(connection, room)

    def select(self, target: Target) -> list[M]:
        """The connections that a target means, each once: a snapshot, safe against changes while it is walked."""
        namespace = target.namespace
        if not (target.rooms or target.users or target.sessions):
            chosen: Iterable[M] = self._namespaces.get(namespace, ())
        else:
            chosen = set().union(
                *(self._members(namespace, room) for room in target.rooms),
                *(_within(self._users.get(user, ()), namespace) for user in target.users),
                *(_within(self._sessions.get(session, ()), namespace) for session in target.sessions),
            )
        if target.except_rooms:
            chosen = set(chosen).difference(*(self._members(namespace, room) for room in target.except_rooms))
        if target.skip:
            return [connection for connection in chosen if connection.id not in target.skip]
        return list(chosen)

    @property
    def user_count(self) -> int:
        """How many users have connections."""
        return len(self._users)

    def __iter__(self) -> Iterator[M]:
        return iter(self._by_id.values())

    def namespaces(self) -> list[str]:
        """The namespaces that have connections."""
        return list(self._namespaces)

    def count(self, namespace: str) -> int:
        """How many connections a namespace has."""
        return len(self._namespaces.get(namespace, ()))

    @property
    def namespace_count(self) -> int:
        """How many namespaces have connections."""
        return len(self._namespaces)

    def has_namespace(self, namespace: str) -> bool:
        """Whether a namespace has connections."""
        return namespace in self._namespaces

    def rooms(self, namespace: str) -> set[str]:
        """The rooms of a namespace that have members, without those of connections' own ids."""
        return {room for of, room in self._rooms if of == namespace}

    def has_room(self, namespace: str, room: str) -> bool:
        """Whether a room has members here; the room of a connection's own id does."""
        return (namespace, room) in self._rooms or room in self._by_id

    def deliver(self, broadcast: Broadcast, entry: Entry | None = None) -> int:
        """Send one event to everybody it is for, encoded once a wire format; returns how many those are.

        Args:
            entry: the event in the history, where clients can recover.

        Raises:
            TypeError: the arguments are not JSON; nothing was sent.
        """
        recipients = self.select(broadcast.target)
        by_wire = _by_wire(recipients)
        if entry is None:
            frames = [wire.event(broadcast.event, broadcast.args) for wire in by_wire]
        else:
            frames = [wire.recoverable(entry) for wire in by_wire]
        for frame, connections in zip(frames, by_wire.values(), strict=True):
            self._deliver(frame, connections, volatile=broadcast.volatile)
        self._counters.add("deliveries", amount=len(recipients))
        return len(recipients)

    def _deliver(self, frame: bytes, connections: list[M], *, volatile: bool) -> None:
        """Nothing but the write for those whose socket is clear."""
        size, late_messages, late_bytes = len(frame), 0, 0
        for connection in connections:
            direct, rest = connection.direct, frame
            if direct is not None:
                try:
                    sent = direct(frame)
                except OSError:  # full, or broken: the transport finds out
                    sent = 0
                if sent == size:
                    continue
                rest = frame[sent:]
            late_messages += 1  # `write` counts them itself
            late_bytes += len(rest)
            try:
                connection.write(rest, volatile)
            except Exception:  # the others get it all the same
                log.failure("connection {connection_id} could not be written to", connection_id=connection.id)
                self._counters.add("internal_errors")
        if self.sent is not None:
            self.sent.messages += len(connections) - late_messages
            self.sent.bytes += size * len(connections) - late_bytes

    def disconnect(self, message: Disconnect) -> int:
        """Close the target's connections; returns how many those are."""
        chosen = self.select(message.target)
        for connection in chosen:
            connection.disconnect(message.code, message.reason)
        return len(chosen)

    def end_session(self, session: str, code: int, reason: str) -> int:
        """Close a session's connections in every namespace; returns how many those are."""
        chosen = list(self._sessions.get(session, ()))
        for connection in chosen:
            connection.disconnect(code, reason)
        return len(chosen)

    def end_user(self, user: str, code: int, reason: str, *, is_meant: Callable[[Principal], bool]) -> int:
        """Close a user's connections in every namespace, where their token is meant; returns how many those are."""
        chosen = [connection for connection in self.of_user(user) if is_meant(connection.user)]
        for connection in chosen:
            connection.disconnect(code, reason)
        return len(chosen)

    def renew(self, message: Renew) -> int:
        """Move the expiry of a session's connections, if they are that user's; returns how many."""
        chosen = [member for member in self._sessions.get(message.session, ()) if member.user.id == message.user]
        for connection in chosen:
            connection.renew(message.expires_at)
        return len(chosen)

    def _members(self, namespace: str, room: str) -> Iterable[M]:
        """A room's connections; in the room of a connection's id is that one, whoever else may have got there."""
        own = self._by_id.get(room)
        if own is None:
            return self._rooms.get((namespace, room), ())
        return (own,) if own.namespace == namespace else ()


def _by_wire(connections: list[M]) -> dict[Wire, list[M]]:
    """The connections of each wire format; most broadcasts have one."""
    wires: set[Wire] = set(map(_wire_of, connections))
    if len(wires) == 1:
        return {wires.pop(): connections}
    found: dict[Wire, list[M]] = {wire: [] for wire in wires}
    for connection in connections:
        found[connection.wire].append(connection)
    return found


def _within(connections: Iterable[M], namespace: str) -> list[M]:
    return [connection for connection in connections if connection.namespace == namespace]


def _put(table: dict[K, Members[M]], key: K, connection: M) -> None:
    members = table.get(key)
    if members is None:
        table[key] = (connection,)
    elif isinstance(members, dict):
        members[connection] = None
    elif connection not in members:
        table[key] = {members[0]: None, connection: None}


def _drop(table: dict[K, Members[M]], key: K, connection: M) -> None:
    members = table.get(key, ())
    if connection not in members:
        return
    if isinstance(members, dict):
        del members[connection]
    if not (isinstance(members, dict) and members):
        del table[key]
