"""The application: a table of handlers, and the ways to reach clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import isasyncgenfunction, iscoroutine, isgeneratorfunction
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.close_codes import CloseCode, check_code
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.errors import INTERNAL_ERROR, AppNotServed, ClientError
from wsservice.messages import Broadcast, Disconnect, Event, Target
from wsservice.registry import Registry

log = Logger()

Handler = TypeVar("Handler", bound=Callable[..., Any])
Names = str | Iterable[str] | None

#: the codes of ours, for the counter; an application's own are many
_CODES = frozenset({INTERNAL_ERROR, "unknown_event", "forbidden"})


@dataclass(frozen=True, slots=True)
class _Entry:
    function: Callable[..., Any]
    roles: frozenset[str]


class App:
    """Handlers for what clients send, and emitting to whom you choose.

    Serve it by `twistd -n wsservice --app module:app`. Handlers may be plain functions, coroutine
    functions (they may await Deferreds), or return a Deferred. Those of one connection run one after
    the other; different connections interleave. Events and life-cycle callbacks are separate tables:
    no client can call `on_connect` by an event of that name.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, _Entry] = {}
        self._on_connect: Callable[..., Any] | None = None
        self._on_disconnect: Callable[..., Any] | None = None
        self._registry: Registry[Connection] | None = None
        self._counters = Counters()

    # Declaring

    def on(self, event: str, *, roles: Iterable[str] = ()) -> Callable[[Handler], Handler]:
        """Register the handler of an event: `@app.on("message")`, called as `handler(connection, data)`.

        What it returns is the acknowledgement, if the client asked for one. Raise `ClientError` to
        refuse; any other exception is logged, and the client sees `internal_error`.

        Args:
            roles: the user must have at least one of these (`cognito:groups`); else it sees `forbidden`.

        Raises:
            ValueError: the event has a handler already.
            TypeError: this is no name of an event, or that no handler.
        """
        if not isinstance(event, str):
            raise TypeError(f'name the event: @app.on("message"), not {event!r}')
        allowed = _names(roles)

        def register(function: Handler) -> Handler:
            if event in self._handlers:
                raise ValueError(f"the event {event!r} has a handler already: {self._handlers[event].function!r}")
            _check_handler(function)
            self._handlers[event] = _Entry(function, allowed)
            return function

        return register

    def on_connect(self, function: Handler) -> Handler:
        """Register what runs when a verified user has connected: `function(connection)`.

        Raise `ClientError` to refuse the connection. Until it has finished, the client's events wait
        and what is sent to the client is held back.
        """
        if self._on_connect is not None:
            raise ValueError(f"on_connect is registered already: {self._on_connect!r}")
        _check_handler(function)
        self._on_connect = function
        return function

    def on_disconnect(self, function: Handler) -> Handler:
        """Register what runs once after a connection ended: `function(connection, reason)`."""
        if self._on_disconnect is not None:
            raise ValueError(f"on_disconnect is registered already: {self._on_disconnect!r}")
        _check_handler(function)
        self._on_disconnect = function
        return function

    # Reaching clients

    def emit(
        self,
        event: str,
        *args: Any,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        skip: Connection | str | Iterable[Connection | str] | None = None,
        volatile: bool = False,
    ) -> None:
        """Send an event to everybody, or to those in `room`, of `user` or of `session`; returns at once.

        Each of the three may be one name or several; together they add up, and each client gets the
        event once. An empty list names nobody.

        Args:
            skip: connections (or their ids) that are left out.
            volatile: drop it for clients that have not taken what was sent before.

        Raises:
            TypeError: the arguments are not JSON or bytes; nobody was sent anything.
            AppNotServed: the service has not started.
        """
        registry, target = self._served(), _target(room, user, session, skip)
        if target is not None:
            registry.deliver(Broadcast(event, args, target, volatile))

    def connections(self, *, room: Names = None, user: Names = None, session: Names = None) -> list[Connection]:
        """The connections of this process: all, or those in `room`, of `user`, of `session`."""
        registry, target = self._served(), _target(room, user, session)
        return [] if target is None else registry.select(target)

    def disconnect(
        self,
        *,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        code: int = CloseCode.NORMAL,
        reason: str = "Disconnected by the server",
    ) -> None:
        """Close the connections in `room`, of `user` or of `session`.

        Args:
            code: the default 1000 tells clients not to come back by themselves.

        Raises:
            ValueError: none of the three was given, or no server may send this code.
        """
        if room is None and user is None and session is None:
            raise ValueError("say whom to disconnect: room=, user= or session=")
        check_code(code)
        registry, target = self._served(), _target(room, user, session)
        if target is not None:
            registry.disconnect(Disconnect(target, code, reason))

    # For the service

    def serve(self, registry: Registry[Connection], counters: Counters) -> None:
        """Give the app the connections that it speaks to; the service does this when it starts."""
        self._registry = registry
        self._counters = counters

    def connected(self, connection: Connection) -> Deferred[None]:
        """Run `on_connect`; fails with nothing but ClientError."""
        if self._on_connect is None:
            return succeed(None)
        return (
            maybeDeferred(self._on_connect, connection)
            .addErrback(self._only_client_error, connection, "on_connect")
            .addCallback(_nothing)
        )

    def dispatch(self, connection: Connection, event: Event) -> Deferred[None] | None:
        """Run the handler of an event and answer the client; never raises or fails.

        Returns None when that is done, so that a plain function costs no Deferred.
        """
        try:
            result = self._permitted(connection, event)(connection, *event.args)
            if iscoroutine(result):
                result = Deferred.fromCoroutine(result)
            if not isinstance(result, Deferred):
                self._answer(result, connection, event)
                return None
        except BaseException:  # sys.exit() or asyncio's CancelledError, too, as in a coroutine
            self._failed(Failure(), connection, event)
            return None
        return result.addCallback(self._answer, connection, event).addErrback(self._failed, connection, event)

    def disconnected(self, connection: Connection, reason: str) -> Deferred[None]:
        """Run `on_disconnect`; never fails."""
        if self._on_disconnect is None:
            return succeed(None)
        return (
            maybeDeferred(self._on_disconnect, connection, reason)
            .addErrback(self._fault, connection, "on_disconnect")
            .addCallback(_nothing)
        )

    def _served(self) -> Registry[Connection]:
        if self._registry is None:
            raise AppNotServed("the app is not served yet: emit from handlers, or once the service has started")
        return self._registry

    def _permitted(self, connection: Connection, event: Event) -> Callable[..., Any]:
        entry = self._handlers.get(event.name)
        if entry is None:
            raise ClientError("unknown_event", "There is no handler for this event.")
        if not connection.user.has_any(entry.roles):
            raise ClientError("forbidden", "You may not do this.")
        return entry.function

    def _answer(self, result: Any, connection: Connection, event: Event) -> None:
        if event.ack_id is not None:
            connection.write(connection.wire.result(event.ack_id, result))

    def _failed(self, failure: Failure, connection: Connection, event: Event) -> None:
        error = failure.value
        if not isinstance(error, ClientError):
            error = self._fault(failure, connection, event.name)
        self._counters.add("events_refused", error.code if error.code in _CODES else "application")
        try:
            answer = connection.wire.error(event.ack_id, event.name, error)
        except TypeError:  # the data of a handler's own ClientError is no JSON
            answer = connection.wire.error(event.ack_id, event.name, self._fault(Failure(), connection, event.name))
        connection.write(answer)

    def _only_client_error(self, failure: Failure, connection: Connection, where: str) -> Failure:
        if isinstance(failure.value, ClientError):
            return failure
        return Failure(self._fault(failure, connection, where))

    def _fault(self, failure: Failure, connection: Connection, where: str) -> ClientError:
        """Log what a handler raised; the client learns no more than `internal_error`."""
        self._counters.add("handler_errors")
        log.failure(
            "the handler of {handled_event} raised",
            failure,
            handled_event=where[:64],
            connection_id=connection.id,
            request_id=connection.handshake.request_id,
        )
        return ClientError(INTERNAL_ERROR, "The server could not handle this.")


def _nothing(_: object) -> None:
    return None


def _check_handler(function: Callable[..., Any]) -> None:
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise TypeError(f"{function!r} only makes a generator when it is called: await, or decorate by inlineCallbacks")


def _names(value: Names) -> frozenset[str]:
    if value is None:
        return frozenset()
    return frozenset([value] if isinstance(value, str) else value)


def _target(
    room: Names, user: Names, session: Names, skip: Connection | str | Iterable[Connection | str] | None = None
) -> Target | None:
    """Whom these names mean; None if they are empty lists, for a Target without names means everybody."""
    if skip is None:
        left_out: Iterable[Connection | str] = ()
    else:
        left_out = [skip] if isinstance(skip, Connection | str) else skip
    ids = frozenset(one if isinstance(one, str) else one.id for one in left_out)
    target = Target(rooms=_names(room), users=_names(user), sessions=_names(session), skip=ids)
    if room is user is session is None or target.rooms or target.users or target.sessions:
        return target
    return None
