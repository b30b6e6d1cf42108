"""One connection to Redis that is made again whenever it breaks, and broken when Redis does not answer.

    WAITING --timer--> CONNECTING --connected--> PREPARING --prepared--> UP
       ^                   |                         |                    |
       +----- failed ------+---------- lost ---------+------- lost -------+

Each state but STOPPED has the one timer: until the next try, until connecting or preparing has taken too long, until
the next PING.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.adapters.redis.connections import RedisConnection, explain

log = Logger()

#: seconds until the first try after a connection broke, and at most; each is twice the one before, less up to half
FIRST_DELAY = 0.1
MAX_DELAY = 5.0
#: seconds between two PINGs, or half of the timeout
PING_INTERVAL = 2.0
#: seconds that an orderly end may take
LINGER = 1.0

C = TypeVar("C", bound=RedisConnection)


class State(Enum):
    """What a line does."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    PREPARING = "preparing"
    UP = "up"
    STOPPED = "stopped"


class Line(Generic[C]):
    """A connection that is kept up.

    Args:
        reactor: for its timer.
        endpoint: connects.
        make: makes the protocol of a connection.
        timeout: seconds without an answer after which a connection is given up.
        now: monotonic seconds.
        chance: a number from 0 to 1.

    Attributes:
        name: for the log.
        connection: while it is PREPARING or UP.
        reason: why it is not up; empty if it never was tried.
        since: when it came up or went down.
        on_up: is called when the connection can be used.
        on_down: is called when that is over.
        on_heard: is called when something has arrived on it.
    """

    def __init__(
        self,
        name: str,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        make: Callable[[], C],
        *,
        timeout: float,
        now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.name = name
        self.connection: C | None = None
        self.state = State.STOPPED
        self.reason = "not started"
        self.since = now()
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.on_heard: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._endpoint = endpoint
        self._make = make
        self._timeout = timeout
        self._interval = min(PING_INTERVAL, timeout / 2)
        self._now = now
        self._chance = chance
        self._timer: IDelayedCall | None = None
        self._attempt: Deferred[Any] | None = None
        self._delay = FIRST_DELAY
        self._heard = self._due = 0.0
        self._pinged: float | None = None
        self._answer_took = 0.0
        self._stopped: Deferred[None] | None = None
        self._told = ""

    @property
    def is_up(self) -> bool:
        """Whether its connection can be used."""
        return self.state is State.UP

    @property
    def lag(self) -> float:
        """Seconds that the last PING waited for its answer, behind all that was asked before it; or waits until now."""
        waited = 0.0 if self._pinged is None else self._now() - self._pinged
        return max(self._answer_took, waited)

    def start(self) -> None:
        """Begin to connect."""
        self.reason = "connecting"
        self._connect()

    def stop(self) -> Deferred[None]:
        """Close the connection in good order, or after `LINGER` without; fires when it is gone."""
        self._set_timer(None)
        was, self.state = self.state, State.STOPPED
        self.reason = "stopped"
        if was is State.CONNECTING and self._attempt is not None:
            self._attempt.cancel()
        if self.connection is None:
            return succeed(None)
        self._stopped = Deferred()
        self._set_timer(LINGER, self.connection.fail, "stopped")
        self.connection.transport.loseConnection()
        return self._stopped

    def _connect(self) -> None:
        self.state = State.CONNECTING
        self._set_timer(self._timeout, self._connecting_took_too_long)
        connection = self._make()
        connection.on_lost = lambda: self._lost(connection)
        connection.on_heard = self._note_heard
        self._attempt = self._endpoint.connect(connection.factory)
        self._attempt.addCallbacks(lambda _: self._connected(connection), self._not_connected)

    def _connecting_took_too_long(self) -> None:
        self._timer = None
        if self._attempt is not None:
            self._attempt.cancel()
        if self.state is State.CONNECTING:  # in case the endpoint does not tell
            self._down(f"no connection in {self._timeout:g} s")

    def _not_connected(self, why: Failure) -> None:
        self._attempt = None
        if self.state is State.CONNECTING:
            late = self._timer is None
            self._down(f"no connection in {self._timeout:g} s" if late else explain(why))

    def _connected(self, connection: C) -> None:
        self._attempt = None
        if self.state is not State.CONNECTING:
            connection.fail("too late")
            return
        if not connection.connected:  # it has ended again within the same turn
            self._down(connection.reason)
            return
        self.state = State.PREPARING
        self.connection = connection
        self._set_timer(self._timeout, connection.fail, f"no answer in {self._timeout:g} s")
        ready = connection.whenConnected().addCallback(lambda _: connection.prepare())
        ready.addCallbacks(lambda _: self._prepared(connection), lambda why: self._not_prepared(connection, why))
        ready.addErrback(lambda why: log.failure("the connection for {name} was not set up", why, name=self.name))

    def _not_prepared(self, connection: C, why: Failure) -> None:
        if connection.connected:
            connection.fail(explain(why))

    def _prepared(self, connection: C) -> None:
        if self.state is not State.PREPARING or self.connection is not connection:
            return
        self.state = State.UP
        self.reason = self._told = ""
        self.since = self._heard = self._now()
        self._pinged = None
        self._answer_took = 0.0
        self._await_tick()
        log.info("Redis: the connection for {name} is up", name=self.name)
        self.on_up()

    def _note_heard(self) -> None:
        self._heard = self._now()
        self.on_heard()

    def _await_tick(self) -> None:
        self._due = self._now() + self._interval
        self._set_timer(self._interval, self._tick)

    def _tick(self) -> None:
        """See whether Redis answers."""
        self._timer = None
        connection, now = self.connection, self._now()
        assert connection is not None
        if now - self._due > self._interval / 2:  # the loop was blocked, and nobody was listened to
            self._heard = now
        if self._pinged is None:
            self._pinged = now
            answer = connection.ping()
            answer.addCallbacks(self._ponged, lambda why: self._not_prepared(connection, why))
        elif now - max(self._pinged, self._heard) >= self._timeout:
            connection.fail(f"no answer in {self._timeout:g} s")
            return
        self._await_tick()

    def _ponged(self, _: object) -> None:
        if self._pinged is not None:
            self._answer_took = self._now() - self._pinged
        self._pinged = None

    def _lost(self, connection: C) -> None:
        if connection is not self.connection:
            return
        self.connection = None
        if self.state is State.STOPPED:
            self._set_timer(None)
            if self._stopped is not None:
                self._stopped.callback(None)
            return
        self._down(connection.reason)

    def _down(self, reason: str) -> None:
        """There is no connection: try again, soon if the last one held for long."""
        was_up, now = self.state is State.UP, self._now()
        if was_up:
            if now - self.since >= MAX_DELAY:
                self._delay = FIRST_DELAY
            self.since = now
        self.state = State.WAITING
        self.reason = reason
        if reason != self._told:
            self._told = reason
            log.warn("Redis: no connection for {name}: {reason}; trying again", name=self.name, reason=reason)
        self._set_timer(self._delay * (1 - self._chance() / 2), self._connect)
        self._delay = min(2 * self._delay, MAX_DELAY)
        if was_up:
            self.on_down()

    def _set_timer(self, seconds: float | None, call: Callable[..., None] | None = None, *args: object) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self._reactor.callLater(seconds, call, *args)
