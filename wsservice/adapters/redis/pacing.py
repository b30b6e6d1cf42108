"""Much that is written to Redis at once: a slice, and the next one when Redis has answered.

So it takes no more room in the link than a slice, what the application does meanwhile waits for no more than that, and
a Redis that is slow is not given what it cannot take.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.python.failure import Failure

from wsservice.adapters.redis.link import RedisLink

#: fields or entries of a slice, of some 200 bytes each: what they need is well below `outbox.WINDOW`
SLICE = 500


class Pacing:
    """Writes one thing after the other, of one kind."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._steps: Iterator[int] = iter(())

    def begin(self, steps: Iterator[int]) -> None:
        """Write what these steps write, each of which tells how much that was. What was begun before is given up."""
        self._steps = steps
        self._go_on(None, steps)

    def stop(self) -> None:
        """Write no more."""
        self._steps = iter(())

    def _go_on(self, _: object, steps: Iterator[int]) -> None:
        if steps is not self._steps or not self._link.is_up:
            return
        written = 0
        for size in steps:
            written += size
            if written >= SLICE:
                self._link.send(b"PING").addCallback(self._go_on, steps).addErrback(_ignore)
                return


def _ignore(_: Failure) -> None:
    """The connection is gone: all is begun anew when there is another one."""
