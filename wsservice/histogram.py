"""Counting durations by their size: how many took no longer than each of a few bounds. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

#: seconds, from what a broadcast to one takes to what nobody waits for; each about twice or three times the one before
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Observations since it was made.

    Args:
        bounds: upper ends of the buckets, ascending; what is above them all is counted, too.

    Attributes:
        total: the sum of all that was observed.
    """

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[int]:
        """How many were at most each bound, and in the end how many there were."""
        return list(accumulate(self._counts))
