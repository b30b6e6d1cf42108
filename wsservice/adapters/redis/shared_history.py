"""The history of a cluster: every node has the events of all, by their positions in one Redis stream.

A position is the id of an entry of the stream, `<ms>-<seq>`. What a node delivers without the stream, since Redis is
away or it is for this process only, has the position of the last entry and a count behind it, `<ms>-<seq>.<count>`;
only those who were connected to this node can have missed it here. When such an event is recorded later, the entry
tells where it was delivered early, and those who were there do not get it again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred

from wsservice.history import History, Saved
from wsservice.messages import Broadcast
from wsservice.recorded import Entry

if TYPE_CHECKING:
    from wsservice.connection import Connection

_POSITION = re.compile(r"([0-9]{1,15})-([0-9]{1,15})(?:\.([0-9]{1,9}))?", re.ASCII)
_COUNT_BITS, _SEQ_BITS = 32, 64
_COUNT = (1 << _COUNT_BITS) - 1
_SEQ = (1 << _SEQ_BITS) - 1
#: private ids that came back elsewhere and are remembered, so that what is left here does not save them again
_MOST_TAKEN = 10_000


class Elsewhere(Protocol):
    """Where the connections of all nodes are saved."""

    def opened(self, pid: str, connection: Connection, position: int) -> None:
        """A connection opened here, with everything up to that position."""

    def closed(self, pid: str) -> None:
        """It ended, and nobody comes back to it."""

    def save(self, saved: Saved) -> None:
        """It broke."""

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[Saved | None] | None:
        """The connection that its user comes back to, and nobody else from now on; None where that cannot be asked."""


def parse_position(text: str) -> int | None:
    """The number of a position; None for what is none."""
    match = _POSITION.fullmatch(text)
    if match is None:
        return None
    count = int(match[3] or 0)
    return ((int(match[1]) << _SEQ_BITS | int(match[2])) << _COUNT_BITS) | count if count <= _COUNT else None


def write_position(number: int) -> str:
    """A position as it is written."""
    count, entry = number & _COUNT, number >> _COUNT_BITS
    text = f"{entry >> _SEQ_BITS}-{entry & _SEQ}"
    return f"{text}.{count}" if count else text


class SharedHistory(History):
    """See the module's docstring.

    Attributes:
        node: this node's id.
        elsewhere: set when the adapter is there.
    """

    def __init__(self, *args: Any, **limits: Any) -> None:
        super().__init__(*args, **limits)
        self.node = ""
        self.elsewhere: Elsewhere | None = None
        #: of the stream
        self._recorded = 0
        self._taken: dict[str, None] = {}

    @property
    def recorded(self) -> int:
        """The position of the last entry of the stream that is here."""
        return self._recorded

    def begin(self, position: int) -> None:
        """Nothing before this position is known here."""
        self._floor = max(self._floor, position)
        self._recorded = max(self._recorded, position)
        self._number = max(self._number, position)

    def record(self, broadcast: Broadcast, position: int, early: tuple[str, int] | None = None) -> Entry:
        """Keep an entry of the stream; entries come in order.

        Raises:
            TypeError, ValueError: no client could be sent it; it counts as recorded.
        """
        self._recorded = position
        number, self._number = self._number, position
        if position <= number:
            raise ValueError("an entry of the stream came late")
        return self._add(broadcast, position, early)

    def offset(self, number: int) -> str:
        """A position as clients carry it."""
        return write_position(number)

    def parse(self, offset: object) -> int | None:
        """The position of an offset, which may be another node's count."""
        number = parse_position(offset) if isinstance(offset, str) else None
        return number if number is not None and number >> _COUNT_BITS <= self._number >> _COUNT_BITS else None

    # Connections

    def opened(self, pid: str, connection: Connection, position: int) -> None:
        """A connection that can be recovered, on whatever node."""
        super().opened(pid, connection, position)
        self._taken.pop(pid, None)
        if self.elsewhere is not None:
            self.elsewhere.opened(pid, connection, position)

    def closed(self, pid: str) -> None:
        """It ended."""
        super().closed(pid)
        if self.elsewhere is not None and pid not in self._taken:
            self.elsewhere.closed(pid)

    def save(self, saved: Saved) -> None:
        """Keep it, here and for all nodes; unless its client came back elsewhere."""
        if saved.pid in self._taken:
            return
        super().save(saved)
        if self.elsewhere is not None:
            self.elsewhere.save(saved)

    def taken(self, pid: str) -> Connection | None:
        """A client came back elsewhere: what is left of its connection here, to be ended."""
        self._taken[pid] = None
        if len(self._taken) > _MOST_TAKEN:
            del self._taken[next(iter(self._taken))]
        if pid in self._saved:
            self._drop(pid)
        return self.live.get(pid)

    def take(self, pid: str) -> Saved | None:
        """What was saved, once, on whatever node."""
        saved = super().take(pid)
        if self.elsewhere is not None:
            self.elsewhere.closed(pid)
        return saved

    def give_back(self, saved: Saved) -> None:
        """What was taken by somebody whom it does not belong to."""
        super().give_back(saved)
        if self.elsewhere is not None:
            self.elsewhere.save(saved)

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[None] | None:
        """Bring here what was saved under a private id, from whatever node."""
        seeking = None if self.elsewhere is None else self.elsewhere.seek(pid, user, namespace)
        return None if seeking is None else seeking.addCallback(self._found, pid)

    def _found(self, saved: Saved | None, pid: str) -> None:
        if pid in self.live:  # it still looks alive here, and knows better
            return
        if pid in self._saved:
            self._drop(pid)
        if saved is not None:
            self._taken.pop(pid, None)
            super().save(saved)

    def _was_missed(self, saved: Saved, position: int, entry: Entry) -> bool:
        if entry.number & _COUNT:
            if saved.node != self.node:
                return False
        elif (
            entry.early is not None
            and entry.early[0] == saved.node
            and (saved.node == self.node or entry.early[1] <= position)
        ):
            return False
        return super()._was_missed(saved, position, entry)
