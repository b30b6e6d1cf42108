"""A node's questions to Redis whether everything has come that was recorded before.

A token that it publishes comes back by the subscription behind all that was published before.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from wsservice.adapters.redis.link import RedisLink
from wsservice.errors import RedisUnavailable


class Barriers:
    """See the module's docstring.

    Args:
        channel: this node's own.
        in_turn: does a step behind what is held.
    """

    def __init__(self, link: RedisLink, channel: bytes, in_turn: Callable[[Callable[[], None]], None]) -> None:
        self._link = link
        self._channel = channel
        self._in_turn = in_turn
        self._last = 0
        self._waiting: dict[bytes, Deferred[None]] = {}
        link.subscribe(channel, self._received)

    def set(self) -> Deferred[None]:
        """Fires once everything before this call is here; fails when the link goes down, or cannot send it."""
        if not self._link.is_up:
            return fail(RedisUnavailable("Redis is away"))
        self._last += 1
        token = str(self._last).encode()
        passed: Deferred[None] = Deferred()
        self._waiting[token] = passed
        self._link.command(b"PUBLISH", self._channel, token).addErrback(self._not_sent, token)
        return passed

    def fail(self) -> None:
        """The link is down."""
        waiting, self._waiting = self._waiting, {}
        for passed in waiting.values():
            passed.errback(RedisUnavailable("the connection to Redis was lost"))

    def _received(self, channel: bytes, token: bytes) -> None:
        self._in_turn(lambda: self._passed(token))

    def _passed(self, token: bytes) -> None:
        passed = self._waiting.pop(token, None)
        if passed is not None:
            passed.callback(None)

    def _not_sent(self, failure: Failure, token: bytes) -> None:
        passed = self._waiting.pop(token, None)
        if passed is not None:
            passed.errback(failure)
