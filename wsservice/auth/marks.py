"""Names that are marked for a time, in bounded memory.

A mark lasts until its end and says before which moment whatever bears the name is meant. When the memory is full,
the mark that ends first makes room, since it protects for the shortest time; somebody is told.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf

#: marks at most; so many take about 20 MiB
CAPACITY = 100_000


class Marks:
    """A bounded set of marked names.

    Args:
        now: POSIX seconds.
        capacity: names at most.
        forgot: called for each name that made room.
    """

    def __init__(
        self, now: Callable[[], float], capacity: int = CAPACITY, *, forgot: Callable[[], None] = lambda: None
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._now = now
        self._capacity = capacity
        self._forgot = forgot
        self._until: dict[str, float] = {}
        #: of those names only of which not everything is meant
        self._before: dict[str, float] = {}
        #: (until, name); an entry counts only while `_until` says the same
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """How many names are remembered (those whose mark has ended go at the next `put`)."""
        return len(self._until)

    def put(self, name: str, until: float, before: float = inf) -> None:
        """Mark a name up to `until` (POSIX seconds); whatever it bears is meant if it is from before `before`.

        Marking again can prolong it and move `before` on, never the other way.
        """
        now = self._now()
        self._drop_ended(now)
        if until <= now:
            return
        is_new = name not in self._until
        if is_new and len(self._until) >= self._capacity:
            self._drop_first()
            self._forgot()
        before = before if is_new else max(before, self._before.get(name, inf))
        if before < inf:
            self._before[name] = before
        else:
            self._before.pop(name, None)
        if until <= self._until.get(name, now):
            return
        self._until[name] = until
        heapq.heappush(self._queue, (until, name))
        if len(self._queue) > 2 * self._capacity:  # prolonged entries leave their old ones behind
            self._queue = [(end, marked) for marked, end in self._until.items()]
            heapq.heapify(self._queue)

    def before(self, name: str) -> float | None:
        """The moment before which whatever bears the name is meant; None where the name is not marked."""
        until = self._until.get(name)
        if until is None or until <= self._now():
            return None
        return self._before.get(name, inf)

    def items(self) -> list[tuple[str, float, float]]:
        """The names that are marked now, each with its end and `before`."""
        now = self._now()
        return [(name, until, self._before.get(name, inf)) for name, until in self._until.items() if until > now]

    def _drop_ended(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            self._drop_head()

    def _drop_first(self) -> None:
        """Drop the name whose mark ends first; the queue may begin with entries that no longer count."""
        size = len(self._until)
        while len(self._until) == size:
            self._drop_head()

    def _drop_head(self) -> None:
        until, name = heapq.heappop(self._queue)
        if self._until.get(name) == until:
            del self._until[name]
            self._before.pop(name, None)
