"""How much one user may send, over all connections: a token bucket of messages and one of bytes. Pure.

A message costs two subtractions and two comparisons; the clock is looked at only when a bucket is empty, so that
behind a pause two bursts may come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

#: users whose buckets are kept without a connection of theirs
_RECENT = 10_000


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
    """One user's buckets.

    Args:
        now: monotonic seconds.
    """

    __slots__ = ("__weakref__", "_filled_at", "_limits", "_messages", "_now", "_octets")

    def __init__(self, limits: TrafficLimits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._filled_at = now()
        self._messages = limits.messages * limits.burst or float("inf")
        self._octets = limits.octets * limits.burst or float("inf")

    def take(self, octets: int, messages: int = 1) -> float:
        """A message, or several, of so many bytes came.

        Returns:
            Seconds that the client should not be read from; 0 where the user keeps to the rate.
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

    def set(self, limits: TrafficLimits) -> None:
        """Keep to these limits from now on: nobody gets more than a burst of them, and who was free begins with one."""
        self._fill()
        self._limits = limits
        self._messages = min(self._messages, limits.messages * limits.burst) if limits.messages else float("inf")
        self._octets = min(self._octets, limits.octets * limits.burst) if limits.octets else float("inf")

    def forgive(self) -> None:
        """Owe no more than a burst: what was counted is refused, and must not lock a user out for minutes."""
        limits = self._limits
        self._messages = max(self._messages, -limits.messages * limits.burst)
        self._octets = max(self._octets, -limits.octets * limits.burst)

    def _fill(self) -> None:
        now, limits = self._now(), self._limits
        passed, self._filled_at = now - self._filled_at, now
        if limits.messages:
            self._messages = min(limits.messages * limits.burst, self._messages + passed * limits.messages)
        if limits.octets:
            self._octets = min(limits.octets * limits.burst, self._octets + passed * limits.octets)


class Traffics:
    """The buckets of all users who send: connections of one user share them, or a thousand tabs would have a thousand.

    They live as long as a connection that holds them, and a while longer: who comes back does not start anew.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, limits: TrafficLimits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._held: WeakValueDictionary[str, Traffic] = WeakValueDictionary()
        self._recent: OrderedDict[str, Traffic] = OrderedDict()

    def set(self, limits: TrafficLimits) -> None:
        """Limits from now on, of all who are there, too."""
        self._limits = limits
        for traffic in list(self._held.values()):
            traffic.set(limits)

    def of(self, user: str | None) -> Traffic:
        """A user's buckets, to be kept; of somebody who is not known, his own."""
        if user is None:
            return Traffic(self._limits, self._now)
        traffic = self._held.get(user)
        if traffic is None:
            traffic = self._held[user] = Traffic(self._limits, self._now)
        self._recent[user] = traffic
        self._recent.move_to_end(user)
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return traffic
