"""A clock that stands still until it is told to advance, and then stops at everything that is due on the way.

Twisted's own `Clock.advance(3600)` jumps: whoever runs sees the hour's end already, so a timer that sets itself anew
each second runs once. A service that lived through such a jump would believe that its process had stood for an hour.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock

#: calls that are due at one moment, before it is taken for granted that they never end
_ENDLESS = 100_000


class SteppingClock(Clock):
    """An `IReactorTime`; give it to code that waits by `callLater`, `deferLater`, `LoopingCall` or `addTimeout`.

    Args:
        now: POSIX seconds at which it begins.
    """

    def __init__(self, now: float = 0.0) -> None:
        super().__init__()
        self.rightNow = float(now)
        #: what follows each moment at which something ran, before time goes on; gives whether it did anything
        self.settle: Callable[[], object] = self.run_due

    def advance(self, amount: float) -> None:
        """Let so many seconds pass: everything due meanwhile runs, in its order and at its own time.

        Raises:
            ValueError: time does not run backwards.
        """
        if amount < 0:
            raise ValueError(f"time does not run backwards: advance({amount})")
        end = self.rightNow + amount
        self.settle()
        while (due := self._next()) is not None and due <= end:
            self.rightNow = max(self.rightNow, due)
            self.run_due()
            self.settle()
        self.rightNow = end

    def run_due(self) -> bool:
        """Run what is due now; gives whether anything was.

        Raises:
            AssertionError: something that is due at once sets itself anew without end.
        """
        ran = 0
        self._sortCalls()
        while self.calls and self.calls[0].getTime() <= self.rightNow:
            if ran >= _ENDLESS:
                raise AssertionError(f"{self.calls[0]} sets itself anew without end: let it wait for some time")
            ran += 1
            call = self.calls.pop(0)
            call.called = 1  # as Twisted's own clock does
            call.func(*call.args, **call.kw)
            self._sortCalls()
        return ran > 0

    def _next(self) -> float | None:
        """When something is due next."""
        self._sortCalls()
        return self.calls[0].getTime() if self.calls else None
