"""When Redis is back, what waited for it is held until those who were there before are back, too.

After an outage each node connects when its own pause has passed, and a message that is published before a node is
subscribed is lost to that node. How many there are Redis tells: all are subscribed to a channel of requests.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater

from wsservice.adapters.redis.line import MAX_DELAY
from wsservice.adapters.redis.link import RedisLink
from wsservice.errors import ClusterError

#: seconds between two counts while all is well, and while the others are waited for
_INTERVAL, _PAUSE = 1.0, 0.1
#: seconds for which they are waited for: some may have ended meanwhile
PATIENCE = MAX_DELAY + 1.0


class Gathering:
    """See the module's docstring; it is the link's `before_messages`.

    Args:
        channel: that every node is subscribed to.
    """

    def __init__(self, link: RedisLink, channel: Callable[[], bytes], clock: IReactorTime) -> None:
        self._link = link
        self._channel = channel
        self._clock = clock
        #: how many there were when all was well
        self._usual = 0
        self._pausing: Deferred[None] | None = None
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        link.before_messages = self.gathered

    def start(self) -> None:
        """Begin to count."""
        self._loop.start(_INTERVAL, now=False)

    def stop(self) -> None:
        """Wait for nobody any more."""
        if self._loop.running:
            self._loop.stop()
        if self._pausing is not None:
            self._pausing.cancel()

    def gathered(self) -> Deferred[None]:
        """Fires when there are as many as before, or it has taken too long; never fails."""
        return Deferred.fromCoroutine(self._gather())

    async def _gather(self) -> None:
        until = self._clock.seconds() + PATIENCE
        try:
            while await self._count() < self._usual and self._clock.seconds() < until:
                self._pausing = deferLater(self._clock, _PAUSE)
                await self._pausing
        except (ClusterError, CancelledError):  # it is gone again, or this node stops
            pass
        finally:
            self._pausing = None

    async def _count(self) -> int:
        return int((await self._link.command(b"PUBSUB", b"NUMSUB", self._channel()))[1])

    def _look(self) -> None:
        if self._link.is_up and self._pausing is None:
            Deferred.fromCoroutine(self._count()).addCallbacks(self._note, lambda why: why.trap(ClusterError))

    def _note(self, count: int) -> None:
        self._usual = count
