"""The first moments of a node: it listens already, and does not know yet what it must know of its clients.

Clients that come meanwhile wait: one that came back would be told that nobody knows it, and a new one would begin at no
position. Where Redis cannot be had soon, they are let in without.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: seconds that clients wait for it, at most
PATIENCE = 3.0


class Beginning:
    """Lasts until `over`, or for `PATIENCE` from `start`."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._is_over = False
        self._waiting: list[Deferred[None]] = []

    def start(self) -> None:
        """The node begins."""
        self._timer = self._clock.callLater(PATIENCE, self.over)

    def over(self) -> None:
        """It knows what it must know, or does not wait any more; later calls do nothing."""
        self._is_over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def wait(self) -> Deferred[None] | None:
        """Fires when it is over; None: it is."""
        if self._is_over:
            return None
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting
