"""This node's own events until they are recorded, and have come back.

    UNSENT --send--> SENT --answered--> RECORDED --come_back--> (gone)
       ^               |                    |
       +-- send_again -+--------------------+    Redis was away, and it is not in the stream

At most `WINDOW` bytes are SENT: what becomes of them is unknown when the connection breaks, and is looked up in the
stream. All else is UNSENT, and bounded: the oldest is dropped, and it is certain that it was never recorded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain

import msgspec

from wsservice.adapters.redis.outbox import WINDOW

#: what an event costs beside its bytes
_OVERHEAD = 500


class OwnEvent(msgspec.Struct, gc=False, eq=False):
    """One event.

    Attributes:
        serial: numbers this node's events, from 1.
        channel, payload: where and how it is published.
        since: seconds.
        is_early: whether it was delivered here before it was recorded.
        in_flight: whether it was sent and is not answered.
    """

    serial: int
    channel: bytes
    payload: bytes
    since: float
    is_early: bool = False
    in_flight: bool = False

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.payload) + _OVERHEAD


class OwnEvents:
    """See the module's docstring.

    Args:
        send: sends one; the answer is told by `answered`.
        dropped: is told of each that will not be recorded, and why.
        max_bytes: of those that are unsent.
    """

    def __init__(
        self, send: Callable[[OwnEvent], None], dropped: Callable[[OwnEvent, str], None], max_bytes: int
    ) -> None:
        self._send = send
        self._dropped = dropped
        self._max_bytes = max_bytes
        self._unsent: OrderedDict[int, OwnEvent] = OrderedDict()
        self._sent: OrderedDict[int, OwnEvent] = OrderedDict()
        self._unsent_bytes = self._in_flight = 0
        self._is_open = False

    def __len__(self) -> int:
        return len(self._unsent) + len(self._sent)

    def __iter__(self) -> Iterator[OwnEvent]:
        return chain(list(self._sent.values()), list(self._unsent.values()))

    def add(self, event: OwnEvent) -> None:
        """The newest."""
        self._unsent[event.serial] = event
        self._unsent_bytes += event.size
        self._send_more()
        while self._unsent_bytes > self._max_bytes and len(self._unsent) > 1:
            _, oldest = self._unsent.popitem(last=False)
            self._unsent_bytes -= oldest.size
            self._dropped(oldest, "queue_full")

    def pause(self) -> None:
        """Redis is away."""
        self._is_open = False

    def send_again(self) -> None:
        """Redis is back, and what had been recorded has come back: send all that is left, and what comes."""
        self._is_open = True
        self._in_flight = 0
        sent, self._sent = self._sent, OrderedDict()
        for serial, event in reversed(sent.items()):
            event.in_flight = False
            self._unsent[serial] = event
            self._unsent.move_to_end(serial, last=False)
            self._unsent_bytes += event.size
        self._send_more()

    def answered(self, event: OwnEvent) -> None:
        """It is recorded."""
        if event.in_flight:
            event.in_flight = False
            self._in_flight -= event.size
            self._send_more()

    def refused(self, event: OwnEvent, reason: str = "refused") -> None:
        """It will not be recorded: however often Redis is asked, or since the link had no room for it."""
        if self._sent.pop(event.serial, None) is not None:
            self._dropped(event, reason)
        self.answered(event)

    def unrecorded(self, serial: int, reason: str) -> None:
        """It was sent to the others as it is, and will not be recorded."""
        event = self._sent.get(serial)
        if event is not None:
            self.refused(event, reason)

    def come_back(self, serial: int) -> OwnEvent | None:
        """It has come back; None if it had before."""
        event = self._sent.pop(serial, None)
        if event is None:
            event = self._unsent.pop(serial, None)
            if event is not None:
                self._unsent_bytes -= event.size
        # Events come back in their order: if one before this has not, it is not one that can be read.
        while self._sent and next(iter(self._sent)) < serial and not next(iter(self._sent.values())).in_flight:
            self._sent.popitem(last=False)
        return event

    def take_unrecorded(self) -> list[OwnEvent]:
        """End: those that are not known to be recorded."""
        left = [event for event in self if event.in_flight or event.serial in self._unsent]
        self._sent.clear()
        self._unsent.clear()
        self._unsent_bytes = self._in_flight = 0
        return left

    def _send_more(self) -> None:
        while self._is_open and self._unsent and self._in_flight < WINDOW:
            serial, event = self._unsent.popitem(last=False)
            self._unsent_bytes -= event.size
            self._sent[serial] = event
            event.in_flight = True
            self._in_flight += event.size
            self._send(event)
