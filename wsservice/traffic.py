"""How much one client may send: a token bucket of messages and one of bytes. Pure.

A message costs two subtractions and two comparisons; the clock is looked at only when a bucket is empty, so that
behind a pause two bursts may come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrafficLimits:
    """Messages and bytes a second, as long as it likes; and how many more at once.

    Attributes:
        messages, octets: a second; 0 is no limit.
        burst: seconds of that rate that may come at once.
    """

    messages: float = 0.0
    octets: float = 0.0
    burst: float = 2.0

    @property
    def are_set(self) -> bool:
        """Whether there is any."""
        return bool(self.messages or self.octets)


class Traffic:
    """One client's buckets.

    Args:
        now: monotonic seconds.
    """

    __slots__ = ("_filled_at", "_limits", "_messages", "_now", "_octets")

    def __init__(self, limits: TrafficLimits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._filled_at = now()
        self._messages = limits.messages * limits.burst or float("inf")
        self._octets = limits.octets * limits.burst or float("inf")

    def take(self, octets: int, messages: int = 1) -> float:
        """A message, or several, of so many bytes came.

        Returns:
            Seconds that the client should not be read from; 0 where it keeps to its rate.
        """
        self._messages -= messages
        self._octets -= octets
        if self._messages >= 0 and self._octets >= 0:
            return 0.0
        self._fill()
        wait = 0.0
        if self._messages < 0:
            wait = -self._messages / self._limits.messages
        if self._octets < 0:
            wait = max(wait, -self._octets / self._limits.octets)
        return wait

    def _fill(self) -> None:
        now, limits = self._now(), self._limits
        passed, self._filled_at = now - self._filled_at, now
        if limits.messages:
            self._messages = min(limits.messages * limits.burst, self._messages + passed * limits.messages)
        if limits.octets:
            self._octets = min(limits.octets * limits.burst, self._octets + passed * limits.octets)
