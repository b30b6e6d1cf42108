"""Counts of what happened, by name and reason: nothing that is refused or dropped is silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from wsservice.histogram import Histogram

#: characters of a line of the summary; the log shortens values of more than 256 (`logs.MAX_VALUE`)
_LINE = 200


class Totals:
    """How many messages, and bytes of them, went one way; the hottest path adds to them by itself."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0


class Counters:
    """Counts that only grow; the reasons are few and fixed. What they are called outside stands in `metrics/names.py`.

    Attributes:
        received: what clients sent to handlers, and their acknowledgements; counted after `Hub.measure` only.
        sent: what handlers and broadcasts sent to clients, what was then dropped among it; likewise.
    """

    def __init__(self) -> None:
        self.received = Totals()
        self.sent = Totals()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._histograms: dict[tuple[str, ...], Histogram] = {}
        self._watched: dict[tuple[str, str], Callable[[], None]] = {}

    def watch(self, name: str, reason: str, told: Callable[[], None]) -> None:
        """Call `told` whenever that count grows; there is one for each count."""
        self._watched[name, reason] = told

    def add(self, name: str, reason: str = "", amount: int = 1) -> None:
        """Count `amount` more of `name`, for `reason` (a fixed word, never a client's text)."""
        self._counts[name, reason] += amount
        told = self._watched.get((name, reason))
        if told is not None:
            told()

    def get(self, name: str, reason: str = "") -> int:
        """How often `add` was called with these words."""
        return self._counts[name, reason]

    def items(self) -> list[tuple[str, str, int]]:
        """Every count: (name, reason, number), sorted."""
        return sorted((name, reason, number) for (name, reason), number in self._counts.items())

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The durations (seconds) of something, by fixed words; made at the first call."""
        return self._histograms.setdefault((name, *labels), Histogram())

    def histograms(self) -> list[tuple[str, tuple[str, ...], Histogram]]:
        """All that there are: (name, labels, histogram), sorted."""
        return sorted((name, tuple(labels), found) for (name, *labels), found in self._histograms.items())

    def summary(self) -> list[str]:
        """Every count, as lines for the log that it does not cut off: `name=3 other/reason=1`; `nothing` if none."""
        lines = [""]
        for name, reason, number in self.items():
            part = f"{name}/{reason}={number}" if reason else f"{name}={number}"
            if lines[-1] and len(lines[-1]) + len(part) >= _LINE:
                lines.append("")
            lines[-1] = f"{lines[-1]} {part}".lstrip()
        return lines if lines[0] else ["nothing"]
