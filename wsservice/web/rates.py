"""How often something may be tried: token buckets, one for each key, in bounded memory.

A bucket is kept as one number, the time at which it would be full again (the generic cell rate algorithm of
ITU-T I.371): taking a token moves it by the price of one. A bucket that is full needs no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from wsservice.errors import RateLimited


@dataclass(slots=True)
class Rate:
    """`burst` attempts at once, then one every `seconds`."""

    burst: int
    seconds: float

    def set(self, burst: int, seconds: float) -> None:
        """Another rate from now on, for all buckets that were made with this one."""
        self.burst, self.seconds = burst, seconds
        self.__post_init__()

    def __post_init__(self) -> None:
        if self.burst < 1 or not self.seconds > 0:
            raise ValueError("a rate allows at least one attempt, and its interval is longer than nothing")


class Buckets:
    """Counts attempts by key.

    Args:
        now: seconds of a clock that never goes back.
        capacity: keys at most. Past it the key that was used longest ago starts anew: to profit from that, an
            attacker must come under as many other keys in the meantime.
        forgot: called for each key that starts anew so.
    """

    def __init__(
        self,
        rate: Rate,
        now: Callable[[], float],
        *,
        capacity: int = 10_000,
        forgot: Callable[[], None] = lambda: None,
    ) -> None:
        self._rate = rate
        self._now = now
        self._capacity = capacity
        self._forgot = forgot
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def take(self, key: str, amount: int = 1) -> None:
        """Count an attempt.

        Args:
            amount: how many it counts for. If one would pass, all do, and the next must wait for as much longer.

        Raises:
            RateLimited: it came too early and was not counted; `retry_after` says when one will pass.
        """
        now = self._now()
        full_at = max(self._full_at.get(key, now), now) + self._rate.seconds
        excess = full_at - now - self._rate.burst * self._rate.seconds
        if excess > 1e-9:  # what doubles lose
            raise RateLimited("too many attempts", retry_after=ceil(excess))
        self._full_at[key] = full_at + (amount - 1) * self._rate.seconds
        self._full_at.move_to_end(key)
        while next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)
        if len(self._full_at) > self._capacity:
            self._full_at.popitem(last=False)
            self._forgot()
