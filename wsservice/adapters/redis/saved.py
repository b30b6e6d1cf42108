"""The connections of all nodes, saved in Redis while they are open: a node that is killed cannot say goodbye.

Written when a connection opens, and in the turn in which its rooms change; the application's notes
(`connection.data`) within a second of their change, since nobody tells of that. An entry ends by itself unless its
node lives and prolongs it.

A client that comes back takes its entry away, and tells the node that it had been on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.script import Script
from wsservice.adapters.redis.shared_history import parse_position, write_position
from wsservice.history import Saved

if TYPE_CHECKING:
    from wsservice.connection import Connection

log = Logger()

#: seconds between two looks at the applications' notes
_LOOK = 1.0

#: KEYS: the entry. ARGV: whose it must be. Gives the entry, once.
_TAKE = Script(
    """
local entry = redis.call('GET', KEYS[1])
if not entry or string.sub(entry, 1, #ARGV[1]) ~= ARGV[1] then return false end
redis.call('DEL', KEYS[1])
return entry
"""
)


class _State(msgspec.Struct, array_like=True, gc=False):
    """An entry, behind whose it is; a place is never given to another field."""

    id: str
    session: str
    rooms: list[str]
    position: str
    node: str
    data: msgspec.Raw


class _Open(msgspec.Struct, gc=False):
    """A connection that is open here."""

    connection: Connection
    position: int
    written: bytes = b""


_decode = msgspec.msgpack.Decoder(_State).decode
_encode = msgspec.msgpack.Encoder().encode


class SavedConnections:
    """See the module's docstring, and `shared_history.Elsewhere`.

    Args:
        node: this node's id.
        window: seconds for which a client may come back.
        barrier: fires once everything that was recorded before is here.
        take: tells the other nodes that a client came back here.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        clock: IReactorTime,
        *,
        node: str,
        window: float,
        barrier: Callable[[], Deferred[None]],
        take: Callable[[str], None],
    ) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._node = node
        self._window = window
        self._barrier = barrier
        self._take = take
        self._open: dict[str, _Open] = {}
        self._pids: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        self._looking = LoopingCall(self._look)
        self._prolonging = LoopingCall(self._prolong)
        self._looking.clock = self._prolonging.clock = clock
        link.on_up.append(self._again)

    def start(self) -> None:
        """Begin to look and to prolong."""
        self._looking.start(_LOOK, now=False)
        self._prolonging.start(max(_LOOK, self._window / 3), now=False)

    def stop(self) -> None:
        """Write what has changed, and end."""
        for loop in (self._looking, self._prolonging):
            if loop.running:
                loop.stop()
        self._write_changed()

    # What the history tells

    def opened(self, pid: str, connection: Connection, position: int) -> None:
        """A connection opened here."""
        self._open[pid] = _Open(connection, position)
        self._pids[connection.id] = pid
        self._mark(pid)

    def closed(self, pid: str) -> None:
        """Nobody comes back to it."""
        self._forget(pid)
        self._link.tell(b"DEL", self._keys.saved(pid))

    def save(self, saved: Saved) -> None:
        """It broke."""
        self._forget(saved.pid)
        self._write(saved)

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[Saved | None] | None:
        """The connection that its user comes back to; fails while Redis is away in mid-question."""
        return Deferred.fromCoroutine(self._seek(pid, user, namespace)) if self._link.is_up else None

    # What the registry tells

    def rooms_changed(self, connection: Connection) -> None:
        """It entered or left a room."""
        pid = self._pids.get(connection.id)
        if pid is not None:
            self._mark(pid)

    async def _seek(self, pid: str, user: str, namespace: str) -> Saved | None:
        self._write_changed()
        owner = _owner(user, namespace)
        asking = self._link.script(_TAKE, [self._keys.saved(pid)], [owner])
        arrived = self._barrier()
        try:
            entry = await asking
        finally:
            await arrived
        if entry is None:
            return None
        self._take(pid)
        try:
            state = _decode(entry[len(owner) :])
            data = msgspec.msgpack.decode(state.data)
        except (msgspec.DecodeError, RecursionError, ValueError):  # of another version
            return None
        position = parse_position(state.position)
        if position is None or type(data) is not dict:
            return None
        return Saved(
            id=state.id,
            pid=pid,
            namespace=namespace,
            user=user,
            session=state.session,
            rooms=frozenset(state.rooms),
            data=data,
            position=position,
            node=state.node,
        )

    def _forget(self, pid: str) -> None:
        opened = self._open.pop(pid, None)
        self._changed.pop(pid, None)
        if opened is not None:
            self._pids.pop(opened.connection.id, None)

    def _mark(self, pid: str) -> None:
        if not self._changed:
            self._clock.callLater(0, self._write_changed)
        self._changed[pid] = None

    def _write_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for pid in changed:
            opened = self._open.get(pid)
            if opened is not None:
                opened.written = self._write(self._saved(pid, opened))

    def _saved(self, pid: str, opened: _Open) -> Saved:
        connection = opened.connection
        return Saved(
            id=connection.id,
            pid=pid,
            namespace=connection.namespace,
            user=connection.user.id,
            session=connection.user.session,
            rooms=frozenset(connection.rooms),
            data=connection.saved_data,
            position=opened.position,
            node=self._node,
        )

    def _write(self, saved: Saved) -> bytes:
        """Write an entry; returns the notes in it."""
        notes = _encode_notes(saved.data)
        state = _State(
            saved.id, saved.session, list(saved.rooms), write_position(saved.position), self._node, msgspec.Raw(notes)
        )
        entry = _owner(saved.user, saved.namespace) + _encode(state)
        self._link.tell(b"SET", self._keys.saved(saved.pid), entry, b"PX", int(self._window * 1000))
        return notes

    def _look(self) -> None:
        """Write the connections whose notes have changed."""
        for pid, opened in self._open.items():
            data = opened.connection.saved_data
            if (data or opened.written not in (b"", _NOTHING)) and _encode_notes(data) != opened.written:
                self._mark(pid)

    def _prolong(self) -> None:
        for pid in self._open:
            self._link.tell(b"PEXPIRE", self._keys.saved(pid), int(self._window * 1000))

    def _again(self) -> None:
        """Redis was away, or has forgotten everything."""
        for pid in self._open:
            self._mark(pid)


_NOTHING = _encode({})


def _encode_notes(data: dict[str, object]) -> bytes:
    """The application's notes; those that cannot be written are left out."""
    if not data:
        return _NOTHING
    try:
        return _encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _encode({name: value for name, value in data.items() if _can_be_written(value)})


def _can_be_written(value: object) -> bool:
    try:
        _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


def _owner(user: str, namespace: str) -> bytes:
    """Whose an entry is, as it begins: the lengths keep the two apart."""
    return f"{len(user)}:{user}{len(namespace)}:{namespace}".encode("utf-8", "surrogatepass")
