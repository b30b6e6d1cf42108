"""The connections of all nodes, saved in Redis while they are open: a node that is killed cannot say goodbye.

Written when a connection opens, and in the turn in which its rooms change; the application's notes
(`connection.data`) within a second of their change, since nobody tells of that. An entry ends by itself unless its
node lives and prolongs it; how far the client has come is written then: a quiet one has not missed what is long gone.

A client that comes back makes its entry that node's, which tells the node that it had been on. No other node writes
or removes it from then on: who tries, learns that the client is no longer its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.pacing import Pacing
from wsservice.adapters.redis.positions import entry_of, parse_position, write_position
from wsservice.adapters.redis.script import Script
from wsservice.errors import RedisUnavailable
from wsservice.history import Saved

if TYPE_CHECKING:
    from wsservice.connection import Connection

#: seconds between two looks at the applications' notes
_LOOK = 1.0
#: entries that are written in one turn
_SLICE = 200
#: seconds for which a client that comes back waits for a Redis that was there lately, or may be soon; and at all
_SOON, _PATIENCE = 3.0, 10.0

#: KEYS: the entry. ARGV: the node, how long it is kept (ms), the entry without its node. Gives whether it was written:
#: not where the client has come back to another node.
_WRITE = Script(
    """
local entry = redis.call('GET', KEYS[1])
if entry and string.sub(entry, 1, 12) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[3], 'PX', ARGV[2])
return 1
"""
)
#: KEYS: the entry. ARGV: the node, how long it is kept (ms), whose it must be. Gives the entry, which is this node's
#: from now on: should it not get to open it, the client finds it at the next node.
_TAKE = Script(
    """
local entry = redis.call('GET', KEYS[1])
if not entry or string.sub(entry, 13, 12 + #ARGV[3]) ~= ARGV[3] then return false end
redis.call('SET', KEYS[1], ARGV[1] .. string.sub(entry, 13), 'PX', ARGV[2])
return entry
"""
)
#: KEYS: the entry. ARGV: the node. Removes it, if it is that node's.
_REMOVE = Script(
    """
local entry = redis.call('GET', KEYS[1])
if entry and string.sub(entry, 1, 12) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
)


class _State(msgspec.Struct, array_like=True, gc=False):
    """An entry, behind its node and whose it is; a place is never given to another field."""

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
    written_position: int = -1


_decode = msgspec.msgpack.Decoder(_State).decode
_encode = msgspec.msgpack.Encoder().encode


class SavedConnections:
    """See the module's docstring, and `shared_history.Elsewhere`.

    Args:
        node: this node's id, of 12 characters.
        window: seconds for which a client may come back.
        barrier: fires once everything that was recorded before is here.
        take: tells the other nodes that a client came back here.
        taken: is told that a client came back to another node, which this one has not heard.
        broken: the connections that broke here.
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
        taken: Callable[[str], None],
        broken: Callable[[], list[Saved]],
    ) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._node = node
        self._window = window
        self._barrier = barrier
        self._take = take
        self._taken = taken
        self._broken = broken
        self._open: dict[str, _Open] = {}
        self._pids: dict[str, str] = {}
        #: what is to be written: those that are open, and those that broke
        self._changed: dict[str, Saved | None] = {}
        #: whether a slice is written, and the next one follows
        self._is_writing = False
        self._pacing = Pacing(link)
        #: who waits for Redis; and since when it is away
        self._waiting: list[Deferred[None]] = []
        self._away_since: float | None = clock.seconds()
        self._looking = LoopingCall(self._look)
        self._prolonging = LoopingCall(self._prolong)
        self._looking.clock = self._prolonging.clock = clock
        link.on_up.append(self._again)
        link.on_down.append(self._down)

    def start(self) -> None:
        """Begin to look and to prolong."""
        self._away_since = self._clock.seconds()
        self._looking.start(_LOOK, now=False)
        self._prolonging.start(max(_LOOK, self._window / 3), now=False)

    def stop(self) -> None:
        """Write what has changed, and end."""
        for loop in (self._looking, self._prolonging):
            if loop.running:
                loop.stop()
        self._pacing.stop()
        self._write_changed()
        self._go_on()

    # What the history tells

    def opened(self, pid: str, connection: Connection, position: int) -> None:
        """A connection opened here."""
        self._open[pid] = _Open(connection, position)
        self._pids[connection.id] = pid
        self._mark(pid)

    def marked(self, pid: str, position: int) -> None:
        """Its client has come so far; written when the entry is prolonged."""
        opened = self._open.get(pid)
        if opened is not None:
            opened.position = position

    def begun(self, pid: str, position: int) -> None:
        """It opened before this node had Redis; written at once."""
        opened = self._open.get(pid)
        if opened is not None and not entry_of(opened.position):
            opened.position = position
            self._mark(pid)

    def closed(self, pid: str) -> None:
        """Nobody comes back to it."""
        self._forget(pid)
        self._run(_REMOVE, pid, [self._node])

    def save(self, saved: Saved) -> None:
        """It broke."""
        self._forget(saved.pid)
        self._write(saved, int(self._window * 1000))

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[Saved | None] | None:
        """The connection that its user comes back to; fails while Redis is away in mid-question."""
        if not self._link.is_up and not self._is_soon_back():
            return None
        seeking = Deferred.fromCoroutine(self._seek(pid, user, namespace))
        return seeking.addTimeout(_PATIENCE, self._clock, _too_late)

    def check(self, pid: str) -> None:
        """Another node says that a client came back to it; it may have come here again since."""
        asking = self._link.command(b"GETRANGE", self._keys.saved(pid), 0, _NODE - 1)
        asking.addCallback(lambda node: self._written(node == self._node.encode(), pid)).addErrback(_ignore)

    # What the registry tells

    def rooms_changed(self, connection: Connection) -> None:
        """It entered or left a room."""
        pid = self._pids.get(connection.id)
        if pid is not None:
            self._mark(pid)

    async def _seek(self, pid: str, user: str, namespace: str) -> Saved | None:
        if not self._link.is_up:
            await self._wait()
            if not self._link.is_up:
                return None
        self._write_changed()
        owner = _owner(user, namespace)
        entry = await self._link.script(_TAKE, [self._keys.saved(pid)], [self._node, self._lifetime, owner])
        if entry is not None and entry[:_NODE] != self._node.encode():
            self._take(pid)
        await self._barrier()  # what others have recorded by now, the client may have seen there
        return None if entry is None else self._read(pid, user, namespace, entry)

    def _read(self, pid: str, user: str, namespace: str, entry: bytes) -> Saved | None:
        owner = _owner(user, namespace)
        try:
            state = _decode(entry[_NODE + len(owner) :])
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

    def _is_soon_back(self) -> bool:
        return self._away_since is not None and self._clock.seconds() - self._away_since < _SOON

    def _wait(self) -> Deferred[None]:
        assert self._away_since is not None
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._clock.callLater(max(0.0, self._away_since + _SOON - self._clock.seconds()), self._give_up, waiting)
        return waiting

    def _give_up(self, waiting: Deferred[None]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            waiting.callback(None)

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def _forget(self, pid: str) -> None:
        opened = self._open.pop(pid, None)
        self._changed.pop(pid, None)
        if opened is not None:
            self._pids.pop(opened.connection.id, None)

    def _mark(self, pid: str, saved: Saved | None = None) -> None:
        if not self._changed and not self._is_writing:
            self._clock.callLater(0, self._write_changed)
        self._changed.setdefault(pid, saved)

    def _write_changed(self) -> None:
        """Write what has changed; of much, a slice when the one before is answered, so that the link has room."""
        changed = list(islice(self._changed, _SLICE))
        for pid in changed:
            broken = self._changed.pop(pid)
            opened = self._open.get(pid)
            if opened is not None:
                opened.written_position = opened.position
                opened.written = self._write(self._saved(pid, opened), self._lifetime)
            elif broken is not None:
                self._write(broken, int(self._window * 1000))
        if self._changed and not self._is_writing and self._link.is_up:
            self._is_writing = True
            self._link.send(b"PING").addBoth(self._write_more)

    def _write_more(self, answer: object) -> None:
        self._is_writing = False
        if not isinstance(answer, Failure):  # else the connection is gone, and all is written when there is another one
            self._write_changed()

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

    def _write(self, saved: Saved, lifetime: int) -> bytes:
        """Write an entry; returns the notes in it."""
        notes = _encode_notes(saved.data)
        rooms = [room for room in saved.rooms if _can_be_written(room)]
        state = _State(saved.id, saved.session, rooms, write_position(saved.position), saved.node, msgspec.Raw(notes))
        entry = _owner(saved.user, saved.namespace) + _encode(state)
        self._run(_WRITE, saved.pid, [self._node, lifetime, entry])
        return notes

    def _run(self, script: Script, pid: str, args: list[Any]) -> None:
        if self._link.is_up:
            running = self._link.send_script(script, [self._keys.saved(pid)], args)
            if script is _WRITE:
                running.addCallback(self._written, pid)
                running.addErrback(self._unwritten, pid)
            running.addErrback(_ignore)

    def _written(self, is_mine: bool, pid: str) -> None:
        if not is_mine:
            self._forget(pid)
            self._taken(pid)

    def _unwritten(self, failure: Failure, pid: str) -> None:
        """Refused, or dropped: it is written when it would be prolonged."""
        opened = self._open.get(pid)
        if opened is not None:
            opened.written_position = -1

    @property
    def _lifetime(self) -> int:
        """Milliseconds: the window, and the time until it is prolonged."""
        return int((self._window + max(_LOOK, self._window / 3)) * 1000)

    def _look(self) -> None:
        """Write the connections whose notes have changed, and what is left where Redis did not answer."""
        if self._changed and not self._is_writing:
            self._write_changed()
        for pid, opened in self._open.items():
            data = opened.connection.saved_data
            if (data or opened.written not in (b"", _NOTHING)) and _encode_notes(data) != opened.written:
                self._mark(pid)

    def _prolong(self) -> None:
        self._pacing.begin(self._prolong_all())

    def _prolong_all(self) -> Iterator[int]:
        for pid, opened in list(self._open.items()):
            if self._open.get(pid) is not opened:
                continue
            if opened.position == opened.written_position:
                self._link.tell(b"PEXPIRE", self._keys.saved(pid), self._lifetime)
                yield 1
            else:
                self._mark(pid)

    def _down(self) -> None:
        self._away_since = self._clock.seconds()

    def _again(self) -> None:
        """Redis was away, or has forgotten everything."""
        self._away_since = None
        self._changed.clear()
        for pid in self._open:
            self._mark(pid)
        for saved in self._broken():
            if saved.pid not in self._open and saved.node == self._node:
                self._mark(saved.pid, saved)
        self._go_on()


_NOTHING = _encode({})
_NODE = 12


def _too_late(_result: object, timeout: float) -> Any:
    raise RedisUnavailable(f"not all that was recorded before was here in {timeout:g} s")


def _ignore(_: Failure) -> None:
    """It is written anew when Redis is back."""


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
