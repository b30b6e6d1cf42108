"""The sessions that were signed out, remembered while a token of theirs could still be shown.

A token that is verified offline stays good until its `exp`, whatever the provider was told. So a logout
is remembered here, in this process, until then. The memory is bounded: when it is full, the entry that
ends first makes room, since it protects for the shortest time; its tokens are good again, and somebody is told.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Revocations:
    """A bounded set of revoked sessions, each with its end.

    Args:
        now: POSIX seconds.
        capacity: sessions at most; 100,000 take about 20 MiB.
        forgot: called for each session that made room.
    """

    def __init__(
        self, now: Callable[[], float], capacity: int = 100_000, *, forgot: Callable[[], None] = lambda: None
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._now = now
        self._capacity = capacity
        self._forgot = forgot
        self._until: dict[str, float] = {}
        #: (until, session); an entry counts only while `_until` says the same
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """How many sessions are remembered (those that have ended go at the next `revoke`)."""
        return len(self._until)

    def revoke(self, session: str, until: float) -> None:
        """Refuse a session's tokens up to `until` (POSIX seconds): the latest `exp` that any of them can have.

        Revoking again can prolong it, never shorten it.
        """
        now = self._now()
        self._drop_ended(now)
        if until <= max(now, self._until.get(session, now)):
            return
        if session not in self._until and len(self._until) >= self._capacity:
            self._drop_first()
            self._forgot()
        self._until[session] = until
        heapq.heappush(self._queue, (until, session))
        if len(self._queue) > 2 * self._capacity:  # prolonged entries leave their old ones behind
            self._queue = [(end, name) for name, end in self._until.items()]
            heapq.heapify(self._queue)

    def is_revoked(self, session: str) -> bool:
        """Whether the session was signed out and its end has not come."""
        until = self._until.get(session)
        return until is not None and until > self._now()

    def items(self) -> list[tuple[str, float]]:
        """The sessions that are refused now, each with its end."""
        now = self._now()
        return [(session, until) for session, until in self._until.items() if until > now]

    def _drop_ended(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            self._drop_head()

    def _drop_first(self) -> None:
        """Drop the session that ends first; the queue may begin with entries that no longer count."""
        size = len(self._until)
        while len(self._until) == size:
            self._drop_head()

    def _drop_head(self) -> None:
        until, session = heapq.heappop(self._queue)
        if self._until.get(session) == until:
            del self._until[session]
