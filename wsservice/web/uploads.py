"""The body of a request whose address wants to know of it from its head on, and bounds it by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred

from wsservice.handshake import Handshake
from wsservice.headers import Headers


class Upload(ABC):
    """One body under way.

    Args:
        limit: bytes; a larger one is refused with 413.
        timeout: seconds from the head to the body's end.
        is_kept: whether anybody will look at it; else it is only read.
        headers: for the answer, where the body is refused before its end.
    """

    def __init__(self, limit: int, timeout: float, *, is_kept: bool, headers: Headers = ()) -> None:
        self.limit = limit
        self.timeout = timeout
        self.is_kept = is_kept
        self.headers = headers

    def decide(self) -> Deferred[None] | None:
        """Called once, before a body is read that did not come with its head.

        Returns:
            What fires once `limit` counts: nothing is read before. None: it does.
        """
        return None

    @abstractmethod
    def lost(self) -> None:
        """The body will not come to its end; called at most once, and not behind the request's `render`."""


#: path -> what makes the upload of a POST's head
Uploads = Mapping[str, Callable[[Handshake], Upload]]
