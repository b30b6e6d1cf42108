"""Connections, and their registry, that tell a `Watch` of every event: what the mode `development` costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsservice.admin.watch import Watch
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.messages import Ack, Broadcast, Event
from wsservice.recorded import Entry
from wsservice.registry import Registry
from wsservice.wire import Wire


class WatchedConnection(Connection):
    """A connection that is watched; it costs a few microseconds more at each message."""

    __slots__ = ("_watch",)

    def __init__(self, watch: Watch, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watch

    def emit(self, event: str, *args: Any, volatile: bool = False) -> None:
        """See `Connection`."""
        super().emit(event, *args, volatile=volatile)
        if self._hub.history is None or not self.wire.is_recoverable:  # else it was a broadcast
            self._watch.sent(self.namespace, [self.id], event, args)

    def call(self, event: str, *args: Any, timeout: float | None = None) -> Any:
        """See `Connection`."""
        answer = super().call(event, *args, timeout=timeout)
        self._watch.sent(self.namespace, [self.id], event, args)
        return answer

    def receive(self, message: Event | Ack, size: int = 0) -> None:
        """See `Connection`."""
        self._watch.count("packetsIn")
        self._watch.count("bytesIn", amount=size)
        if isinstance(message, Event):
            self._watch.received(self, message.name, message.args)
        super().receive(message, size)

    def write(self, data: bytes, volatile: bool = False) -> None:
        """See `Connection`."""
        self._watch.count("packetsOut")
        self._watch.count("bytesOut", amount=len(data))
        super().write(data, volatile)

    def update_direct(self) -> None:
        """Nothing is sent past `write`, which counts."""

    def reframe(self, wire: Wire, convert: Callable[[bytes], bytes]) -> None:
        """See `Connection`."""
        super().reframe(wire, convert)
        self._watch.moved(self)


class WatchedRegistry(Registry[Connection]):
    """A registry that tells of broadcasts.

    Attributes:
        watch: told of them, once it is there.
    """

    def __init__(self, counters: Counters) -> None:
        super().__init__(counters)
        self.watch: Watch | None = None

    def deliver(self, broadcast: Broadcast, entry: Entry | None = None) -> int:
        """See `Registry`."""
        count = super().deliver(broadcast, entry)
        if self.watch is not None and count:
            target = broadcast.target
            ids = (connection.id for connection in self.select(target))
            self.watch.sent(target.namespace, ids, broadcast.event, broadcast.args)
        return count
