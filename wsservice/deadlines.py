"""Deadlines of many owners on one timer of the reactor."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()

#: seconds that a timer may be late on a busy machine; past it the loop was blocked, or the process stopped
_LATE = 1.0
#: seconds until an owner that failed, or left its deadline as it is, is asked again
_RETRY = 1.0


class RunningClock:
    """Monotonic seconds in which the event loop ran: while it was blocked, or the process stopped, time stands still.

    Nobody's time is up then, since nobody was listened to. That holds for whoever asks first when the loop runs
    again, too: what a client has sent meanwhile is read before timers run.

    Args:
        now: monotonic seconds, such as `time.monotonic`.

    Attributes:
        due: when the next timer runs, in seconds of this clock; later than that it cannot be before the timer ran.
        on_late: is called when somebody finds that the timer should have run.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.due = float("inf")
        self.on_late: Callable[[], None] = lambda: None
        self._now = now
        self._lost = 0.0

    def seconds(self) -> float:
        """The time."""
        now = self._now() - self._lost
        if now - self.due > _LATE:
            self.lose(now - self.due)
            self.on_late()
            return self.due
        return now

    def lose(self, seconds: float) -> None:
        """So long the loop did not run."""
        self._lost += seconds


class Owner(Protocol):
    """Who has a deadline."""

    def handle_timer(self, now: float) -> None:
        """It has come: set a later one, or take it away; else it is asked again a second later."""


#: when the heap looks at an owner, the order of coming, and the owner; None once it is not wanted any more
_Look = list[Any]


class Deadlines:
    """Calls each owner when its deadline has come.

    A deadline that moves into the future, as heartbeats do, costs nothing: the timer finds out when it fires.

    Args:
        reactor: for the timer; its own time is the wall clock's, which may jump.
        clock: in which the deadlines are.
    """

    def __init__(self, reactor: IReactorTime, clock: RunningClock) -> None:
        self._reactor = reactor
        self._clock = clock
        self._when: dict[Owner, float] = {}
        self._heap: list[_Look] = []
        #: when the heap will look at an owner next
        self._looks: dict[Owner, _Look] = {}
        self._order = count()
        self._timer: IDelayedCall | None = None
        self._timer_at = float("inf")
        clock.on_late = self._hurry

    def __len__(self) -> int:
        return len(self._when)

    def set(self, owner: Owner, when: float | None) -> None:
        """Set an owner's one deadline, in seconds of the clock; None takes it away."""
        if when is None:
            self._when.pop(owner, None)
            self._forget(owner)
            if not self._when:
                self._heap.clear()
                self._stop()
            return
        self._when[owner] = when
        look = self._looks.get(owner)
        if look is None or when < look[0]:
            self._push(owner, max(when, self._clock.seconds()))  # a timer of the past would look like a blocked loop

    def _push(self, owner: Owner, when: float) -> None:
        self._forget(owner)
        self._looks[owner] = look = [when, next(self._order), owner]
        heapq.heappush(self._heap, look)
        if when < self._timer_at:
            self._start(when)

    def _forget(self, owner: Owner) -> None:
        """The heap keeps an empty place until its time, and not the owner with all that belongs to it."""
        look = self._looks.pop(owner, None)
        if look is not None:
            look[2] = None

    def _start(self, when: float) -> None:
        self._stop()
        now = self._clock.seconds()
        self._timer_at, self._clock.due = when, max(when, now)
        self._timer = self._reactor.callLater(max(0.0, when - now), self._fire)

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._timer_at = self._clock.due = float("inf")

    def _hurry(self) -> None:
        """The loop was blocked, or the wall clock was set back, and with it every timer of the reactor."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._timer = self._reactor.callLater(0, self._fire)

    def _fire(self) -> None:
        now = self._clock.seconds()
        self._timer = None
        self._timer_at = self._clock.due = float("inf")
        for owner in self._look(now):
            if self._when.get(owner, float("inf")) <= now:
                try:
                    owner.handle_timer(now)
                except Exception:  # the others wait for theirs
                    log.failure("a deadline could not be handled")
            wanted = self._when.get(owner)
            if wanted is not None and owner not in self._looks:
                self._push(owner, wanted if wanted > now else now + _RETRY)
        if self._heap and self._heap[0][0] < self._timer_at:
            self._start(self._heap[0][0])

    def _look(self, now: float) -> list[Owner]:
        """Take those off the heap whose deadline has come, or has moved."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            owner: Owner | None = heapq.heappop(self._heap)[2]
            if owner is not None:
                del self._looks[owner]
                found.append(owner)
        return found
