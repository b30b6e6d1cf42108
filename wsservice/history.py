"""Connection state recovery: what was sent lately, and who lost the connection.

A client that lost its connection comes back with its private session id and the offset of the last event
that it has seen; it gets its id, rooms and data back, and what it missed. Kept is what a window of time
and a bound of bytes allow, in this process's memory (in a cluster, each process has the events of all:
`adapters.redis.shared_history`):

    add         each event that may be replayed, with its offset as one more argument, already encoded
    save        the state of a connection that broke
    take        that state, once: a second client with the same id gets nothing
    missed      the events since an offset that were for that state
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from wsservice.counters import Counters
from wsservice.messages import Broadcast, Target
from wsservice.recorded import Entry
from wsservice.socketio.packet import encode_event

if TYPE_CHECKING:
    from wsservice.connection import Connection

#: events that are kept: each client that comes back looks at all that it may have missed, some 5 ms for so many;
#: precedent: the streams adapter of socket.io trims at about 10,000
MAX_EVENTS = 20_000
#: what an entry costs beside its bytes
_OVERHEAD = 200


@dataclass(frozen=True, slots=True)
class Saved:
    """A connection that broke, as it comes back.

    Attributes:
        position: up to which it has every event, whatever offset it knows of: from there on it missed them.
        node: of the cluster, where it was connected; empty for a process that is alone.
        until: when it is forgotten, in the history's clock; set by `save`.
    """

    id: str
    pid: str
    namespace: str
    user: str
    session: str
    rooms: frozenset[str]
    data: dict[str, Any]
    position: int
    node: str = ""
    until: float = 0.0


class History:
    """The events of the last `window` seconds, at most `max_bytes` of them, and the connections that broke.

    Args:
        now: a monotonic clock.
        max_sessions: broken connections that are kept; past it the oldest is dropped.
    """

    def __init__(
        self,
        now: Callable[[], float],
        counters: Counters,
        *,
        window: float = 120.0,
        max_bytes: int = 16 * 1024 * 1024,
        max_sessions: int = 10_000,
    ) -> None:
        self.window = window
        self._now = now
        self._counters = counters
        self._max_bytes = max_bytes
        self._max_sessions = max_sessions
        self._prefix = secrets.token_urlsafe(6)
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._number = 0
        #: the position of the last event that is no longer kept
        self._floor = 0
        self._saved: OrderedDict[str, Saved] = OrderedDict()
        #: connections that are open, by their private session id
        self.live: dict[str, Connection] = {}
        #: this node of a cluster
        self.node = ""
        #: the ids of those that broke: they may come back, and their rooms are nobody else's
        self.away: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    @property
    def position(self) -> int:
        """The number of the last event."""
        return self._number

    def offset(self, number: int) -> str:
        """A position as clients carry it: opaque, and unknown to other processes."""
        return f"{self._prefix}.{number}"

    def parse(self, offset: object) -> int | None:
        """The position of an offset that a client brings, or None if it is none of ours."""
        if not isinstance(offset, str):
            return None
        prefix, _, digits = offset.rpartition(".")
        if prefix != self._prefix or not (digits.isascii() and digits.isdigit() and len(digits) < 16):
            return None
        number = int(digits)
        return number if number <= self._number else None

    def add(self, broadcast: Broadcast) -> Entry:
        """Give an event its offset and keep it; a volatile one gets the last offset and is not kept.

        Raises:
            TypeError: the arguments are not JSON.
        """
        return self._add(broadcast, self._number if broadcast.volatile else self._next())

    def missed(self, saved: Saved, position: int) -> list[Entry] | None:
        """The events behind a position that were for that connection; None if some are no longer kept."""
        self._expire(self._now())
        if position < self._floor:
            return None
        first = bisect_right(self._entries, position, key=_number)
        return [entry for entry in islice(self._entries, first, None) if self._was_missed(saved, position, entry)]

    def save(self, saved: Saved) -> None:
        """Keep what a broken connection needs to come back, for the window."""
        now = self._now()
        self._expire(now)
        self._saved[saved.pid] = replace(saved, until=now + self.window)
        self.away.add(saved.id)
        if len(self._saved) > self._max_sessions:
            self._counters.add("history_dropped", "sessions")
            self._drop(next(iter(self._saved)))

    def opened(self, pid: str, connection: Connection, position: int) -> None:
        """A connection that can be recovered is open, and its client has every event up to that position."""
        self.live[pid] = connection

    def marked(self, pid: str, position: int) -> None:
        """Its client has every event up to that position by now."""

    def closed(self, pid: str) -> None:
        """It is no longer open; what else is to be kept of it is saved."""
        self.live.pop(pid, None)

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[None] | None:
        """Look elsewhere for a user's connection with that private id, before `take`; None: there is nowhere else."""
        return None

    def take(self, pid: str) -> Saved | None:
        """What was saved under a private session id, once."""
        now = self._now()
        self._expire(now)
        saved = self._drop(pid) if pid in self._saved else None
        return saved if saved is not None and saved.until > now else None  # one given back may hide older ones

    def forget(self, session: str) -> None:
        """A session was signed out: nobody comes back to it."""
        for pid in [pid for pid, saved in self._saved.items() if saved.session == session]:
            self._drop(pid)

    def forget_user(self, user: str) -> None:
        """A user signed out everywhere: nobody comes back to a connection of theirs."""
        for saved in [saved for saved in self._saved.values() if saved.user == user]:
            self._drop(saved.pid)
            self.closed(saved.pid)

    def give_back(self, saved: Saved) -> None:
        """What was taken by somebody whom it does not belong to."""
        self._saved[saved.pid] = saved
        self._saved.move_to_end(saved.pid, last=False)
        self.away.add(saved.id)

    def _next(self) -> int:
        """The position of an event that is for this process only."""
        return self._number + 1

    def _add(
        self, broadcast: Broadcast, number: int, *, origin: tuple[str, int] | None = None, early: int = 0
    ) -> Entry:
        offset = self.offset(number)
        encoded = encode_event(broadcast.target.namespace, broadcast.event, (*broadcast.args, offset))
        now = self._now()
        size = len(encoded.text) + sum(map(len, encoded.attachments)) + _OVERHEAD
        entry = Entry(number, broadcast, offset, encoded, size, now + self.window, origin, early)
        self._expire(now)
        if not broadcast.volatile:
            self._number = number
            self._entries.append(entry)
            self._bytes += size
            while self._bytes > self._max_bytes or len(self._entries) > MAX_EVENTS:
                self._counters.add("history_dropped", "bytes" if self._bytes > self._max_bytes else "events")
                self._drop_first()
        return entry

    def _was_missed(self, saved: Saved, position: int, entry: Entry) -> bool:
        """Whether an event behind a position is new to the connection that was there."""
        return _is_for(saved, entry.broadcast.target)

    def _expire(self, now: float) -> None:
        while self._entries and self._entries[0].until <= now:
            self._drop_first()
        for pid in list(_overdue(self._saved, now)):
            self._drop(pid)

    def _drop(self, pid: str) -> Saved:
        saved = self._saved.pop(pid)
        self.away.discard(saved.id)
        return saved

    def _drop_first(self) -> None:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        self._floor = entry.number


def _overdue(saved: OrderedDict[str, Saved], now: float) -> Iterator[str]:
    for pid, one in saved.items():
        if one.until > now:
            return
        yield pid


def _number(entry: Entry) -> int:
    return entry.number


def _is_for(saved: Saved, target: Target) -> bool:
    """Whether the registry would have chosen this connection."""
    if target.namespace != saved.namespace or saved.id in target.skip:
        return False
    if not target.except_rooms.isdisjoint(saved.rooms) or saved.id in target.except_rooms:
        return False
    if not (target.rooms or target.users or target.sessions):
        return True
    return (
        not target.rooms.isdisjoint(saved.rooms)
        or saved.id in target.rooms
        or saved.user in target.users
        or saved.session in target.sessions
    )
