"""What happens to the connections of this process, as the admin UI is told of it.

`Watch` is the registry's observer, in front of the adapter's. In the mode `production` it only counts who comes and
goes. In the mode `development` it tells of each, and connections and the registry are of the kinds in `watched`, which
tell it of events. With the admin view off, none of this is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from wsservice.admin.describing import describe_event, describe_socket, iso_time
from wsservice.admin.publisher import Publisher
from wsservice.connection import Connection
from wsservice.registry import Observer


class Watch:
    """See the module's docstring.

    Args:
        behind: the observer that was there.
        namespace: of the admin view, of whose own events nobody is told.
        shows_events: the mode `development`.
        now: POSIX seconds.
    """

    def __init__(
        self,
        publisher: Publisher,
        behind: Observer[Connection] | None,
        *,
        namespace: str,
        shows_events: bool,
        now: Callable[[], float],
    ) -> None:
        self._publisher = publisher
        self._behind = behind
        self._namespace = namespace
        self._shows_events = shows_events
        self._now = now
        self._counted: Counter[tuple[int, str, str]] = Counter()

    # Counts, for the charts

    def count(self, kind: str, sub_kind: str = "", amount: int = 1) -> None:
        """Count something of this second."""
        if self._publisher.is_watched:
            self._counted[int(self._now()), kind, sub_kind] += amount

    def take_counts(self) -> list[dict[str, Any]]:
        """What was counted since the last time."""
        counted, self._counted = self._counted, Counter()
        return [
            {"timestamp": second * 1000, "type": kind, "count": amount, **({"subType": sub} if sub else {})}
            for (second, kind, sub), amount in counted.items()
        ]

    # For the registry

    def added(self, connection: Connection) -> None:
        """See `Observer`."""
        if self._behind is not None:
            self._behind.added(connection)
        self.count("rawConnection")
        if self._is_told:
            self._publisher.tell("socket_connected", describe_socket(connection), self._time())

    def removed(self, connection: Connection) -> None:
        """See `Observer`."""
        if self._behind is not None:
            self._behind.removed(connection)
        self.count("rawDisconnection")
        if self._is_told:
            name, id, at = connection.namespace, connection.id, self._time()
            self._publisher.tell("socket_disconnected", name, id, connection.end_reason[:200], at)
            for room in (id, *connection.rooms):
                self._publisher.tell("room_left", name, room, id, at)

    def joined(self, connection: Connection, room: str) -> None:
        """See `Observer`."""
        if self._behind is not None:
            self._behind.joined(connection, room)
        if self._is_told:
            self._publisher.tell("room_joined", connection.namespace, room, connection.id, self._time())

    def left(self, connection: Connection, room: str) -> None:
        """See `Observer`."""
        if self._behind is not None:
            self._behind.left(connection, room)
        if self._is_told:
            self._publisher.tell("room_left", connection.namespace, room, connection.id, self._time())

    # For what is watched

    def moved(self, connection: Connection) -> None:
        """A client has moved to another transport."""
        if self._is_told:
            self._publisher.tell(
                "socket_updated",
                {"id": connection.id, "nsp": connection.namespace, "transport": connection.transport},
            )

    def received(self, connection: Connection, event: str, args: tuple[Any, ...]) -> None:
        """A client has sent an event."""
        self._tell_of_event("event_received", connection.namespace, [connection.id], event, args)

    def sent(self, namespace: str, ids: Iterable[str], event: str, args: tuple[Any, ...]) -> None:
        """An event was sent to these connections."""
        self._tell_of_event("event_sent", namespace, list(ids), event, args)

    def _tell_of_event(self, kind: str, namespace: str, ids: list[str], event: str, args: tuple[Any, ...]) -> None:
        if namespace == self._namespace or not ids or not self._is_told:
            return
        allowance = self._publisher.allowance
        if allowance < len(ids):
            self._publisher.drop(len(ids) - allowance)
        if allowance <= 0:
            return
        described, at = describe_event(event, args), self._time()
        for id in ids[:allowance]:
            self._publisher.tell(kind, namespace, id, described, at)

    @property
    def _is_told(self) -> bool:
        return self._shows_events and self._publisher.is_watched

    def _time(self) -> str:
        return iso_time(self._now())
