"""How late the event loop is: one timer that is due now and then, and looks at the clock when it comes.

A handler that computes for a second delays everybody else by up to a second; here it shows.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from wsservice.histogram import Histogram

#: seconds between two looks: a block of half of it is seen every second time, one that is longer always
INTERVAL = 0.25


class LoopLag:
    """The timer.

    Args:
        lags: gets the seconds by which each look was late.
    """

    def __init__(self, clock: IReactorTime, lags: Histogram) -> None:
        self._clock = clock
        self._lags = lags
        self._due = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on."""
        self._due = self._clock.seconds() + INTERVAL
        self._timer = self._clock.callLater(INTERVAL, self._look)

    def stop(self) -> None:
        """Look no more; again does nothing."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _look(self) -> None:
        self._lags.observe(max(0.0, self._clock.seconds() - self._due))
        self.start()
