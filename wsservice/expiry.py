"""Ending connections at their token's expiry, with one timer for all of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import ceil
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()

#: look at the wall clock at least so often (seconds): it may be set, and a machine may have slept
MAX_SLEEP = 5.0


class Expiring(Protocol):
    """What has an end; to move `expires_at`, discard it here first and add it again."""

    @property
    def expires_at(self) -> float: ...
    def expire(self) -> None: ...


class Expirations:
    """Calls `expire()` on each connection within a second after its `expires_at` (POSIX seconds).

    Args:
        clock: for the timer.
        now: the wall clock that `expires_at` is measured by.
    """

    def __init__(self, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._buckets: dict[int, set[Expiring]] = {}
        self._order: list[int] = []
        self._timer: IDelayedCall | None = None

    def add(self, connection: Expiring) -> None:
        """Watch a connection; `discard` it when it ends."""
        second = ceil(connection.expires_at)
        if second not in self._buckets:
            self._buckets[second] = set()
            heapq.heappush(self._order, second)
            if self._order[0] == second:
                self._schedule()
        self._buckets[second].add(connection)

    def discard(self, connection: Expiring) -> None:
        """Watch it no longer; of one that is not watched nothing happens."""
        members = self._buckets.get(ceil(connection.expires_at))
        if members is not None:
            members.discard(connection)

    def stop(self) -> None:
        """Forget all and leave no timer behind."""
        self._buckets.clear()
        self._order.clear()
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._order:
            now = self._now()
            # The minimum first: an `exp` may be an integer that no float can hold.
            delay = min(self._order[0], now + MAX_SLEEP) - now
            self._timer = self._clock.callLater(max(delay, 0.0), self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._now()
        while self._order and self._order[0] <= now:
            for connection in self._buckets.pop(heapq.heappop(self._order)):
                try:
                    connection.expire()
                except Exception:  # the others still have to end
                    log.failure("a connection could not be ended at its expiry")
        self._schedule()
