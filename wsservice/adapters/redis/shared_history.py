"""The history of a cluster: every node has the events of all, by their positions in one Redis stream (`positions`).

What a node delivers without the stream has a mark in its position, and so has all that it delivers until the stream
has it, too. A client that comes to another node brings the mark in its offset: there it does not get again what it
has, neither of the past nor when it is recorded at last.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred

from wsservice.adapters.redis.positions import Mark, entry_of, mark_of, parse_position, with_mark, write_position
from wsservice.adapters.redis.serials import Serials
from wsservice.history import History, Saved
from wsservice.messages import Broadcast
from wsservice.recorded import Entry
from wsservice.socketio.packet import encode_event

if TYPE_CHECKING:
    from wsservice.connection import Connection

#: private ids that came back elsewhere, or sessions that ended, which are remembered; and connections ahead
_MOST = 10_000
_NONE: frozenset[str] = frozenset()


class Elsewhere(Protocol):
    """Where the connections of all nodes are saved."""

    def opened(self, pid: str, connection: Connection, position: int) -> None:
        """A connection opened here, with everything up to that position."""

    def marked(self, pid: str, position: int) -> None:
        """Its client has everything up to that position by now."""

    def begun(self, pid: str, position: int) -> None:
        """This node has begun to read the stream there: who was here before is no farther back."""

    def closed(self, pid: str) -> None:
        """It ended, and nobody comes back to it."""

    def save(self, saved: Saved) -> None:
        """It broke."""

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[Saved | None] | None:
        """The connection that its user comes back to, which is this node's from now on; None: it cannot be asked."""


class SharedHistory(History):
    """See the module's docstring.

    Attributes:
        node: this node's id, 12 hexadecimal digits.
        elsewhere: set when the adapter is there.
        serials: which events of each node have come.
    """

    def __init__(self, *args: Any, **limits: Any) -> None:
        super().__init__(*args, **limits)
        self.node = ""
        self.elsewhere: Elsewhere | None = None
        self.serials = Serials()
        self._recorded = self._beginning = 0
        #: the last of this node's events that is delivered and not recorded; 0 for none
        self._early = 0
        self._early_positions: dict[int, int] = {}
        #: of clients that come from other nodes, which may have more than this one
        self._others_floor = 0
        #: connections that came with events of a node that have not come here, by that node: the number of the last
        self._ahead: dict[str, dict[str, int]] = {}
        self._taken: dict[str, None] = {}
        self._ended: dict[str, None] = {}

    @property
    def recorded(self) -> int:
        """The position of the last entry of the stream that is here."""
        return self._recorded

    def begin(self, position: int) -> None:
        """Nothing before this position is known here."""
        self._recorded = max(self._recorded, entry_of(position))
        self._number = max(self._number, self._marked(position))
        self._floor = max(self._floor, position)
        self._beginning = position
        if self.elsewhere is not None:
            for pid in self.live:  # who was here before Redis gets all that is read now
                self.elsewhere.begun(pid, position)

    def lose(self, position: int, elsewhere: int) -> None:
        """What was recorded behind the last entry that is here, up to this position, is lost.

        Args:
            elsewhere: before this position, who was at another node may have missed some of that.
        """
        if position > self._recorded:
            self.pass_by(position)
        else:
            self._number = self._next()
        self._floor = max(self._floor, self._number)
        self._others_floor = elsewhere

    def count_gap(self) -> None:
        """Something was lost; how much is counted where it is known."""
        self._counters.add("cluster_gaps")

    def pass_by(self, position: int) -> None:
        """An entry of the stream is for nobody here."""
        self._recorded = position
        self._number = max(self._number, self._marked(position))

    def record(
        self, broadcast: Broadcast, position: int, origin: tuple[str, int] | None = None, early: int = 0
    ) -> Entry:
        """Keep an entry of the stream; entries come in order.

        Args:
            origin: the node that sent it, and its number there.
            early: where it was delivered before, if that is not known here.

        Raises:
            TypeError, ValueError: no client could be sent it; it counts as recorded.
        """
        self._recorded = position
        if origin is not None and origin[0] == self.node:
            early = early or self._early_positions.pop(origin[1], 0)
            if origin[1] >= self._early:
                self._early = 0
                self._early_positions.clear()
        self._number = self._marked(position)
        return self._add(broadcast, self._number, origin=origin, early=early)

    def add_early(self, broadcast: Broadcast, serial: int) -> Entry:
        """Keep an event of this node that is delivered before it is recorded; they come in order."""
        number = with_mark(self._number, Mark(self.node, serial))
        entry = self._add(broadcast, number, origin=(self.node, serial))
        self._early = serial
        self._early_positions[serial] = number
        return entry

    def ahead(self, origin: tuple[str, int]) -> Set[str]:
        """The connections that have this event from another node."""
        of_node = self._ahead.get(origin[0])
        if of_node is None:
            return _NONE
        serial = origin[1]
        found = frozenset(connection for connection, last in of_node.items() if last >= serial)
        for connection in [connection for connection, last in of_node.items() if last <= serial]:
            del of_node[connection]
        if not of_node:
            del self._ahead[origin[0]]
        return found

    def offset(self, number: int) -> str:
        """A position as clients carry it."""
        return write_position(number)

    def parse(self, offset: object) -> int | None:
        """The position of an offset, which may bear another node's mark."""
        number = parse_position(offset) if isinstance(offset, str) else None
        return number if number is not None and entry_of(number) <= entry_of(self._number) else None

    def missed(self, saved: Saved, position: int) -> list[Entry] | None:
        """As `History.missed`, and nothing that the client got before it was recorded."""
        if saved.node != self.node and position < self._others_floor:
            return None
        marks = tuple(mark for mark in (mark_of(position), mark_of(saved.position)) if mark is not None)
        is_own = not marks or mark_of(position) is None or marks[0].node == self.node
        start = position if is_own else entry_of(position)  # another node's mark has no place among those here
        missed = super().missed(saved, start)
        if missed is None:
            return None
        if self._early and saved.node != self.node:
            missed = self._early_missed(saved, position) + missed
        for mark in marks:
            if mark.node != self.node and mark.serial > self.serials.last(mark.node):
                self._note_ahead(mark, saved.id)
        return [entry for entry in missed if not _has(marks, entry.origin)]

    # Connections

    def opened(self, pid: str, connection: Connection, position: int) -> None:
        """A connection that can be recovered, on whatever node."""
        super().opened(pid, connection, position)
        self._taken.pop(pid, None)
        if self.elsewhere is not None:
            self.elsewhere.opened(pid, connection, position)

    def marked(self, pid: str, position: int) -> None:
        """How far its client has come is to be known if this node is killed, too."""
        if self.elsewhere is not None:
            self.elsewhere.marked(pid, position)

    def closed(self, pid: str) -> None:
        """It ended."""
        super().closed(pid)
        if self.elsewhere is not None and pid not in self._taken:
            self.elsewhere.closed(pid)

    def save(self, saved: Saved) -> None:
        """Keep it, here and for all nodes; unless its client came back elsewhere."""
        if saved.pid in self._taken:
            return
        if not entry_of(saved.position):
            saved = replace(saved, position=self._beginning)
        super().save(saved)
        if self.elsewhere is not None:
            self.elsewhere.save(saved)

    def knows(self, pid: str) -> bool:
        """Whether a connection is open or saved here."""
        return pid in self.live or pid in self._saved

    def taken(self, pid: str) -> Connection | None:
        """A client came back elsewhere: what is left of its connection here, to be ended."""
        _remember(self._taken, pid)
        if pid in self._saved:
            self._drop(pid)
        return self.live.get(pid)

    def give_back(self, saved: Saved) -> None:
        """What was taken by somebody whom it does not belong to, or who has not got it."""
        super().give_back(saved)
        if self.elsewhere is not None:
            self.elsewhere.save(saved)

    def forget(self, session: str) -> None:
        """A session was signed out: nobody comes back to its connections, wherever they are saved."""
        super().forget(session)
        _remember(self._ended, session)

    def saved(self) -> list[Saved]:
        """The connections that broke here, or were brought here."""
        self._expire(self._now())
        return list(self._saved.values())

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[None] | None:
        """Bring here what was saved under a private id, from whatever node."""
        seeking = None if self.elsewhere is None else self.elsewhere.seek(pid, user, namespace)
        return None if seeking is None else seeking.addCallback(self._found, pid)

    def _found(self, saved: Saved | None, pid: str) -> None:
        if pid in self.live or saved is None:  # it still looks alive here, or Redis knows of none: this node knows best
            return
        if pid in self._saved:
            if saved.node == self.node:
                return
            self._drop(pid)
        if saved.session not in self._ended:
            self._taken.pop(pid, None)
            super().save(saved)

    def _marked(self, position: int) -> int:
        return with_mark(position, Mark(self.node, self._early) if self._early else None)

    def _next(self) -> int:
        mark = mark_of(self._number) or Mark(self.node, self._early)
        return with_mark(self._number, mark._replace(local=mark.local + 1))

    def _note_ahead(self, mark: Mark, connection: str) -> None:
        if mark.node not in self._ahead and len(self._ahead) >= _MOST:
            del self._ahead[next(iter(self._ahead))]
        of_node = self._ahead.setdefault(mark.node, {})
        of_node[connection] = max(mark.serial, of_node.get(connection, 0))
        if len(of_node) > _MOST:
            del of_node[next(iter(of_node))]

    def _was_missed(self, saved: Saved, position: int, entry: Entry) -> bool:
        is_here = saved.node == self.node
        mark = mark_of(entry.number)
        if mark is not None and mark.local:
            if not is_here:
                return False  # for this node's clients only
        elif _is_early(entry):
            if not is_here:
                return False  # see `_early_missed`
        elif entry_of(entry.number) <= position or (is_here and entry.early > position):
            return False  # the client has the entry; or it is in the list as it was delivered then
        return super()._was_missed(saved, position, entry)

    def _early_missed(self, saved: Saved, position: int) -> list[Entry]:
        """What clients here had before it was recorded, and that is not yet; for a client that comes from elsewhere."""
        last = self.serials.last(self.node)
        return [
            self._again(entry, with_mark(position, Mark(*entry.origin)))
            for entry in self._entries
            if entry.origin is not None
            and _is_early(entry)
            and entry.origin[1] > last
            and super(SharedHistory, self)._was_missed(saved, position, entry)
        ]

    def _again(self, entry: Entry, number: int) -> Entry:
        """The same event at another position."""
        offset, broadcast = self.offset(number), entry.broadcast
        encoded = encode_event(broadcast.target.namespace, broadcast.event, (*broadcast.args, offset))
        return replace(entry, number=number, offset=offset, encoded=encoded)


def _is_early(entry: Entry) -> bool:
    """Whether it stands in the history as it was delivered before it was recorded."""
    mark = mark_of(entry.number)
    return mark is not None and entry.origin == (mark.node, mark.serial)


def _has(marks: tuple[Mark, ...], origin: tuple[str, int] | None) -> bool:
    """Whether a client with these marks has an event."""
    return origin is not None and any(mark.node == origin[0] and mark.serial >= origin[1] for mark in marks)


def _remember(table: dict[str, None], name: str) -> None:
    table[name] = None
    if len(table) > _MOST:
        del table[next(iter(table))]
