"""Which events of each node have come: each once, and how many are missing between them. Pure.

A node numbers its own events from 1, and the stream has them in that order. It may have one twice: where it was not
known whether it had been recorded when the connection broke, its node sends it again.
"""

from __future__ import annotations

from collections import OrderedDict

#: nodes that are remembered; a process is another node each time it starts
_MOST = 1000


class Serials:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()

    def last(self, node: str) -> int:
        """The number of a node's last event that has come; 0 if none has."""
        return self._last.get(node, 0)

    def come(self, node: str, serial: int) -> int | None:
        """An event has come: how many are missing before it; None if it has come before.

        What a node sent before the first event of it that came is not missing.
        """
        last = self._last.get(node)
        if last is not None and serial <= last:
            return None
        self._last[node] = serial
        self._last.move_to_end(node)
        if len(self._last) > _MOST:
            self._last.popitem(last=False)
        return 0 if last is None else serial - last - 1
