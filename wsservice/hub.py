"""What every connection of a service shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.alarms import Alarms
from wsservice.auth.principal import Principal
from wsservice.close_codes import CloseCode
from wsservice.connection_limits import ConnectionLimits
from wsservice.counters import Counters, Totals
from wsservice.expiry import Expirations
from wsservice.histogram import Histogram
from wsservice.history import History
from wsservice.messages import Broadcast, Event
from wsservice.metrics.names import FAN_OUT
from wsservice.registry import Registry
from wsservice.traffic import Traffics

if TYPE_CHECKING:
    from wsservice.adapters.base import Adapter
    from wsservice.connection import Connection


class Handlers(Protocol):
    """The application, as a connection of one namespace needs it."""

    @property
    def is_pattern(self) -> bool:
        """Whether clients can name any number of namespaces that are handled by it."""

    def connected(self, connection: Connection) -> Deferred[None] | None:
        """Run `on_connect`; fails with ClientError to refuse the connection, of the code INTERNAL_ERROR for a fault.

        None where there is nothing to run.
        """

    def dispatch(self, connection: Connection, event: Event) -> Deferred[None] | None:
        """Run the handler of an event and answer; None when that is done, else what fires when it is."""

    def disconnected(self, connection: Connection, reason: str) -> Deferred[None] | None:
        """Run `on_disconnect`; None where there is none."""


@dataclass(slots=True)
class Hub:
    """What every connection of a service shares.

    Attributes:
        handlers: of the main namespace.
        inbox_limit, inbox_bytes: events, and bytes of them, that may wait for a connection's handlers before reading
            pauses.
        pause_timeout: seconds that reading may pause: a client that leaves meanwhile would not be noticed.
        held_limit: bytes that may be sent to a connection while its `on_connect` runs.
        call_timeout: seconds, for `Connection.call`.
        history: what clients can recover after a break; None where that is off.
        adapter: carries messages to the other processes of a cluster; None where this one is alone.
        limits: what one user and one connection may have.
        alarms: is told when they bite.
        make_connection: makes them, where somebody watches them; None: `Connection` itself.
        traffics: what users may send; made here, None where that is not limited.
        logs_debug: whether debug lines about connections are logged; Twisted takes 5 us for one that nobody reads.
        is_revoked: whether a user signed out since their token was issued.
        takes_fault: is shown what a handler raised; if it takes it, as a test does, it is not logged.
        draining: whether the service stops: events of those who have left are no longer handled.
        fan_out, received, sent: get how long broadcasts took, and what clients send and are sent; None where nobody
            looks at it: see `measure`.
        running: connections whose handlers have not finished; a stop waits for them.
    """

    handlers: Handlers
    registry: Registry[Connection]
    expirations: Expirations
    clock: IReactorTime
    counters: Counters
    inbox_limit: int = 100
    inbox_bytes: int = 1024 * 1024
    pause_timeout: float = 30.0
    held_limit: int = 1024 * 1024
    call_timeout: float = 5.0
    history: History | None = None
    adapter: Adapter | None = None
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    alarms: Alarms | None = None
    make_connection: Callable[..., Connection] | None = None
    traffics: Traffics | None = None
    logs_debug: bool = True
    is_revoked: Callable[[Principal], bool] = lambda principal: False
    takes_fault: Callable[[Failure], bool] = lambda failure: False
    draining: bool = False
    fan_out: Histogram | None = None
    received: Totals | None = None
    sent: Totals | None = None
    running: int = 0
    last_call_id: int = 0

    def __post_init__(self) -> None:
        if self.limits.traffic.are_set:
            self.traffics = Traffics(self.limits.traffic, self.clock.seconds)
        if self.history is not None:
            self.registry.away = self.history.away

    def measure(self) -> None:
        """Count, from now on, what costs something at each message: a tenth of a microsecond."""
        self.fan_out = self.counters.histogram(FAN_OUT)
        self.received = self.counters.received
        self.sent = self.registry.sent = self.counters.sent

    def make_room(self, user: str) -> bool:
        """Whether one more connection of a user may open; where the oldest is replaced, it always may."""
        of_user = self.registry.of_user(user)
        if not self.limits.per_user or len(of_user) < self.limits.per_user:
            return True
        self.alarm("connections_per_user", "--max-connections-per-user")
        if self.limits.when_full == "refuse":
            return False
        next(iter(of_user)).disconnect(CloseCode.REPLACED, close_codes.REPLACED)
        return True

    def alarm(self, limit: str, option: str) -> None:
        """A limit bit; see `Alarms.hit`."""
        if self.alarms is not None:
            self.alarms.hit(limit, option)

    def next_call_id(self) -> int:
        """An id that no other call of this process has: one frame can ask many clients."""
        self.last_call_id += 1
        return self.last_call_id

    def broadcast(self, broadcast: Broadcast) -> None:
        """Deliver a broadcast to everybody it is for, in every process of the cluster.

        Raises:
            TypeError: the arguments are not JSON; nothing was sent.
            ValueError: the event is one of Socket.IO's own; nothing was sent.
        """
        if self.adapter is None or broadcast.local:
            self.deliver(broadcast)
        else:
            self.adapter.broadcast(broadcast)

    def deliver(self, broadcast: Broadcast) -> int:
        """Deliver a broadcast to this process's connections only; returns how many those are, and raises as above."""
        if self.fan_out is None:
            return self._deliver(broadcast)
        started = perf_counter()
        count = self._deliver(broadcast)
        self.fan_out.observe(perf_counter() - started)
        return count

    def _deliver(self, broadcast: Broadcast) -> int:
        if self.history is None:
            return self.registry.deliver(broadcast)
        return self.registry.deliver(broadcast, self.history.add(broadcast))
