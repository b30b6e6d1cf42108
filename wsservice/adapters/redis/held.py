"""What is heard while the stream is being read: put aside, with a bound, and given back in its order. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from wsservice.history import MAX_EVENTS


class _Step(msgspec.Struct, gc=False):
    do: Callable[[], None]
    #: of the entry that it applies; None for what has only to wait for those before it
    position: int | None
    size: int


class Held:
    """Steps to be done later.

    Args:
        max_bytes: of the entries; past it, all are let go, since they are in the stream.

    Attributes:
        has_let_go: whether that happened; reset it before the stream is read.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._steps: deque[_Step] = deque()
        self._bytes = 0
        self.has_let_go = False

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, do: Callable[[], None], position: int | None = None, size: int = 0) -> None:
        """Put a step behind the others."""
        self._steps.append(_Step(do, position, size))
        self._bytes += size
        if self._bytes > self._max_bytes or (position is not None and len(self._steps) > MAX_EVENTS):
            self._steps = deque(step for step in self._steps if step.position is None)
            self._bytes = 0
            self.has_let_go = True

    def take_before(self, position: int) -> list[Callable[[], None]]:
        """Take the entries before a position, which the stream has or has lost."""
        taken: list[Callable[[], None]] = []
        while self._steps:
            first = self._steps[0]
            if first.position is None or first.position >= position:
                break
            taken.append(self._pop().do)
        return taken

    def take(self) -> Callable[[], None] | None:
        """Take the oldest; None if nothing is left."""
        return self._pop().do if self._steps else None

    def _pop(self) -> _Step:
        step = self._steps.popleft()
        self._bytes -= step.size
        return step
