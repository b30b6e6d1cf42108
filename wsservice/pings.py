"""Finding clients that are gone without a word: a ping to each connection now and then, by one timer for all.

A ring of slots, one a tick. A connection stands in the slot of the tick at which it came, so its ping comes when
the ring has turned once; those whose answer is awaited stand in a second ring, until it is too late. The cost of
a tick is that of the connections in its two slots, and a connection costs its entry in a set.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()

#: seconds of a tick, at most; and how many of them an interval has, at least
_TICK = 1.0
_FEWEST_TICKS = 5


class Pinged(Protocol):
    """A connection that is pinged."""

    #: set before `ping`; to be cleared by the answer
    pong_awaited: bool
    #: where it stands in the ring; None outside of it. Kept here, since a table of all would cost 100 bytes for each
    ping_slot: int | None

    def ping(self) -> None:
        """Send a ping."""

    def pong_missing(self) -> None:
        """No answer came in time: the peer is gone."""


class Pings:
    """Pings connections that were added.

    Args:
        interval: seconds between two pings to one connection.
        timeout: seconds for its answer, at most the interval; `pong_missing` follows within a tick of it.
    """

    def __init__(self, clock: IReactorTime, *, interval: float, timeout: float) -> None:
        self._clock = clock
        self._tick = min(_TICK, interval / _FEWEST_TICKS)
        self._slots: list[set[Pinged]] = [set() for _ in range(max(1, round(interval / self._tick)))]
        wait = min(len(self._slots), max(1, ceil(timeout / self._tick)))
        self._awaited: list[set[Pinged]] = [set() for _ in range(wait)]
        self._count = 0
        self._now = 0
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Pinged) -> None:
        """Ping a connection from now on, first when an interval has passed."""
        slot = self._now % len(self._slots)
        self._slots[slot].add(connection)
        connection.ping_slot = slot
        self._count += 1
        if self._timer is None:
            self._timer = self._clock.callLater(self._tick, self._turn)

    def discard(self, connection: Pinged) -> None:
        """Ping it no longer."""
        slot = connection.ping_slot
        if slot is None:
            return
        connection.ping_slot = None
        self._count -= 1
        self._slots[slot].discard(connection)
        pinged = self._now - (self._now - slot) % len(
            self._slots
        )  # the tick; its answer cannot be awaited since another
        self._awaited[pinged % len(self._awaited)].discard(connection)
        if not self._count and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._timer = self._clock.callLater(self._tick, self._turn)
        self._now += 1
        late = self._awaited[self._now % len(self._awaited)]
        missing = [connection for connection in late if connection.pong_awaited]
        late.clear()
        for connection in missing:
            self._do(connection.pong_missing)
        for connection in list(self._slots[self._now % len(self._slots)]):
            connection.pong_awaited = True
            late.add(connection)
            self._do(connection.ping)

    def _do(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:  # the others still have to be pinged
            log.failure("a connection could not be pinged")
