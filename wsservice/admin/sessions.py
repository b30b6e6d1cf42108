"""Sessions of the admin view: by the id of one the UI comes back without the password.

What is kept is each id's hash, in memory; other processes of a cluster are told that, and never the id.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from wsservice.auth.principal import Principal

#: sessions that are kept; past it the oldest end. A login costs a quarter of a second of a processor
CAPACITY = 1000
#: characters of an id that is looked up
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Administrator(Principal):
    """Who logged in to the admin view; no user of the application.

    Attributes:
        session_id: of a session that begins now, for the UI to keep; empty where it has that already.
    """

    session_id: str = field(default="", repr=False)


class AdminSessions:
    """Those that live.

    Args:
        now: POSIX seconds.
        lifetime: seconds.
    """

    def __init__(self, now: Callable[[], float], lifetime: float) -> None:
        self._now = now
        self._lifetime = lifetime
        self._ends: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def begin(self) -> tuple[str, str, float]:
        """Begin one: its id, the hash of that for `note`, and when it ends."""
        session_id = secrets.token_urlsafe(32)
        digest, end = _digest(session_id), self._now() + self._lifetime
        self.note(digest, end)
        return session_id, digest, end

    def note(self, digest: str, end: float) -> None:
        """A session that began, here or in another process."""
        self._ends[digest] = min(end, self._now() + self._lifetime)
        if len(self._ends) > CAPACITY:
            self._ends.popitem(last=False)

    def end_of(self, session_id: object) -> float | None:
        """When the session of an id ends; None if there is none, any more.

        Ids are found by their hash, so that the time it takes tells nothing of one.
        """
        if not isinstance(session_id, str) or not 0 < len(session_id) <= _LONGEST:
            return None
        digest = _digest(session_id)
        end = self._ends.get(digest)
        if end is not None and end <= self._now():
            del self._ends[digest]
            return None
        return end


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
