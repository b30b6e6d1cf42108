"""Who wants to hear of which channel and pattern."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from wsservice.adapters.redis.refusals import Refusals
from wsservice.adapters.redis.resp import Reply, TooLarge
from wsservice.counters import Counters

log = Logger()

#: is called with the channel and the payload
Received = Callable[[bytes, bytes], None]


class Subscriptions:
    """The channels and patterns of a link, each with the one who receives its messages."""

    def __init__(self, counters: Counters) -> None:
        self._refusals = Refusals(counters)
        self.channels: dict[bytes, Received] = {}
        self.patterns: dict[bytes, Received] = {}

    def deliver(self, reply: list[Reply]) -> bool:
        """Give a message to its receiver; False if it is none, but the answer to something."""
        kind = reply[0]
        if kind == b"message":
            _, channel, payload = reply
            received = self.channels.get(channel)
        elif kind == b"pmessage":
            _, pattern, channel, payload = reply
            received = self.patterns.get(pattern)
        else:
            return False
        if received is None:  # it was on its way when its subscription ended
            return True
        if isinstance(payload, TooLarge):
            self._refusals.refuse(channel, "too_large", f"it has {payload.size} bytes")
            return True
        try:
            received(channel, payload)
        except Exception:  # the messages behind it are for others
            log.failure("a message on channel {channel} could not be handled", channel=channel)
        return True
