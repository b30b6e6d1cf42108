"""What the admin view's people are told, on whatever process of a cluster they are.

    tell(event, ...)        waits for the end of a tenth of a second, with what else there is
      here                  to the admin namespace's connections
      elsewhere             as one event between servers, if anybody looks there

Where nobody looks, nothing is made and nothing is sent. What is told is bounded by a rate: past it, it is dropped and
counted, and once that is over, everybody is given the whole list anew (`caught_up`).

It goes past the history of connection state recovery, and no other namespace ever gets it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsservice.connection import Connection
from wsservice.hub import Hub
from wsservice.messages import Broadcast, Target
from wsservice.namespace import Namespace

log = Logger()

#: seconds between two batches of events
BATCH_INTERVAL = 0.1
#: seconds for which a process believes that somebody looks elsewhere; each says so at every figure (`view.INTERVAL`)
_LOOKS_FOR = 10.0
#: between servers
TOLD, LOOKING = "admin_told", "admin_looking"


class Publisher:
    """See the module's docstring.

    Args:
        namespace: of the admin view.
        rate: events a second.
        caught_up: called once events were dropped, and no longer are.
    """

    def __init__(self, hub: Hub, namespace: Namespace, *, rate: int, caught_up: Callable[[], None]) -> None:
        self._hub = hub
        self._namespace = namespace
        self._target = Target(str(namespace.name))
        self._rate = rate
        self._caught_up = caught_up
        self._waiting: list[tuple[str, tuple[Any, ...]]] = []
        self._timer: IDelayedCall | None = None
        self._looks_elsewhere_until = -1.0
        self._second = -1
        self._left = rate
        self._has_dropped = False
        namespace.on_server(TOLD)(self._told)
        namespace.on_server(LOOKING)(self._looking)

    @property
    def is_watched(self) -> bool:
        """Whether anybody looks, on this process or another one."""
        return self._looks_here or self._looks_elsewhere

    @property
    def allowance(self) -> int:
        """How many events may be told in the rest of this second."""
        second = int(self._hub.clock.seconds())
        if second != self._second:
            self._second, self._left = second, self._rate
        return self._left

    def tell(self, event: str, *args: Any) -> None:
        """Tell everybody who looks."""
        if not self.is_watched:
            return
        if self.allowance <= 0:
            self.drop(1)
            return
        self._left -= 1
        self._waiting.append((event, args))
        if self._timer is None:
            self._timer = self._hub.clock.callLater(BATCH_INTERVAL, self.flush)

    def drop(self, count: int) -> None:
        """So many events are not told, since they are too many."""
        self._hub.counters.add("admin_dropped", amount=count)
        self._has_dropped = True

    def flush(self) -> None:
        """Send what waits, so that what is sent next comes behind it."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.publish(waiting)

    def publish(self, events: list[tuple[str, tuple[Any, ...]]]) -> None:
        """Send at once, whatever the rate: for what is bounded by itself."""
        self._deliver(events)
        if self._looks_elsewhere:
            self._namespace.server_emit(TOLD, [[event, list(args)] for event, args in events])

    def answer(self, connection: Connection, event: str, *args: Any) -> None:
        """Send to one who looks."""
        connection.write(connection.wire.event(event, args))

    def tick(self) -> None:
        """Called every few seconds: whether somebody looks here, and whether a flood is over."""
        if self._looks_here:
            self._namespace.server_emit(LOOKING)
        if self._has_dropped and self.allowance > 0:
            self._has_dropped = False
            self._caught_up()

    def stop(self) -> None:
        """Leave no timer behind."""
        self._waiting.clear()
        self.flush()

    @property
    def _looks_here(self) -> bool:
        return self._hub.registry.has_namespace(self._target.namespace)

    @property
    def _looks_elsewhere(self) -> bool:
        return self._hub.clock.seconds() < self._looks_elsewhere_until

    def _looking(self) -> None:
        self._looks_elsewhere_until = self._hub.clock.seconds() + _LOOKS_FOR

    def _told(self, events: Any) -> None:
        if isinstance(events, list):
            self._deliver([(str(event), tuple(args)) for event, args in events])

    def _deliver(self, events: list[tuple[str, tuple[Any, ...]]]) -> None:
        if not self._looks_here:
            return
        for event, args in events:
            self._hub.registry.deliver(Broadcast(event, args, self._target))
