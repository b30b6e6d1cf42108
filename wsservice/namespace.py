"""A namespace: a table of handlers, and the clients that connected to it.

A raw WebSocket is always in the main namespace, `/`, which is the `App` itself. A Socket.IO client may
connect to several, over one transport.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from copy import copy
from inspect import iscoroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.audience import Audience
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.errors import INTERNAL_ERROR, UNKNOWN_EVENT, ClientError
from wsservice.handlers import Entry, check_handler, make_entry
from wsservice.hub import Hub
from wsservice.messages import RESERVED, Event
from wsservice.server_events import ServerEvents
from wsservice.targets import names_of

log = Logger()

Handler = TypeVar("Handler", bound=Callable[..., Any])

#: the codes of ours, for the counter; an application's own are many
_CODES = frozenset({INTERNAL_ERROR, UNKNOWN_EVENT, "forbidden", "bad_arguments"})


#: what people who come from Node may take for the life-cycle callbacks
_LIFE = RESERVED | {"connection"}


class Namespace(Audience):
    """Handlers for what clients of a namespace send, and emitting to those whom you choose.

    Handlers may be plain functions, coroutine functions (they may await Deferreds), or return a Deferred.
    Those of one connection run one after the other; different connections interleave. Events and
    life-cycle callbacks are separate tables: no client can call `on_connect` by an event of that name.

    Make one by `app.namespace(...)`.

    Args:
        find: for a pattern: the namespace that handles a name, of which only those are its own that it handles.
    """

    def __init__(
        self, name: str | re.Pattern[str], find: Callable[[str], Namespace | None] = lambda name: None
    ) -> None:
        self.name = name
        self._find = find
        self._pattern: Namespace | None = None
        self._handlers: dict[str, Entry] = {}
        self._on_any: Entry | None = None
        self._on_connect: Callable[..., Any] | None = None
        self._on_disconnect: Callable[..., Any] | None = None
        self._middleware: list[Callable[..., Any]] = []
        self._event_middleware: list[Callable[..., Any]] = []
        self._server_events = ServerEvents()
        self._counters = Counters()

    # Declaring

    def on(self, event: str, *, roles: Iterable[str] = ()) -> Callable[[Handler], Handler]:
        """Register the handler of an event: `@app.on("message")`, called as `handler(connection, data)`.

        A Socket.IO client may give several arguments: `handler(connection, first, second)`. What a client
        left out is None. What the handler returns is the acknowledgement, if the client asked for one; for
        Socket.IO a tuple is several arguments of it. Raise `ClientError` to refuse; any other exception is
        logged, and the client sees `internal_error`.

        Args:
            roles: the user must have at least one of these (`cognito:groups`); else it sees `forbidden`.

        Raises:
            ValueError: the event has a handler already; or it is one of those that Node's socket.io has for the
                life-cycle callbacks; or this is one name of a pattern, which has them all.
            TypeError: this is no name of an event, or that no handler.
        """
        if not isinstance(event, str):
            raise TypeError(f'name the event: @app.on("message"), not {event!r}')
        if event in _LIFE:
            raise ValueError(f"{event!r} is no event that clients send: use @app.on_connect or @app.on_disconnect")
        self._check_own()
        allowed = names_of(roles)

        def register(function: Handler) -> Handler:
            if event in self._handlers:
                raise ValueError(f"the event {event!r} has a handler already: {self._handlers[event].function!r}")
            self._handlers[event] = make_entry(function, allowed)
            return function

        return register

    def on_any(self, function: Handler) -> Handler:
        """Register what handles the events that have no handler: `function(connection, event, *args)`."""
        self._check_own()
        if self._on_any is not None:
            raise ValueError(f"on_any is registered already: {self._on_any.function!r}")
        self._on_any = make_entry(function, frozenset(), leading=2)
        return function

    def on_connect(self, function: Handler) -> Handler:
        """Register what runs when a verified user has connected: `function(connection)`.

        Raise `ClientError` to refuse the connection. Until it has finished, the client's events wait
        and what is sent to the client is held back.
        """
        self._check_own()
        if self._on_connect is not None:
            raise ValueError(f"on_connect is registered already: {self._on_connect!r}")
        check_handler(function, 1)
        self._on_connect = function
        return function

    def on_disconnect(self, function: Handler) -> Handler:
        """Register what runs once after a connection ended: `function(connection, reason)`."""
        self._check_own()
        if self._on_disconnect is not None:
            raise ValueError(f"on_disconnect is registered already: {self._on_disconnect!r}")
        check_handler(function, 2)
        self._on_disconnect = function
        return function

    def use(self, function: Handler) -> Handler:
        """Register a middleware of connections: `function(connection)`, before `on_connect`, in their order.

        Raise `ClientError(code, message, data)` to refuse; a Socket.IO client gets the message and the data as
        its `connect_error`. The first one that refuses is the last that runs.
        """
        self._check_own()
        check_handler(function, 1)
        self._middleware.append(function)
        return function

    def use_event(self, function: Handler) -> Handler:
        """Register a middleware of events: `function(connection, event)`, before each handler, in their order.

        `event` has `name`, `args` and `ack_id`. Raise `ClientError` to refuse the event, as a handler would.
        """
        self._check_own()
        check_handler(function, 2)
        self._event_middleware.append(function)
        return function

    def on_server(self, event: str) -> Callable[[Handler], Handler]:
        """Register the handler of an event from another process of the cluster: `function(*args)`.

        They send it by `server_emit` or `server_call` (Node: `serverSideEmit`), which wants to know what it returns.
        """
        self._check_own()
        return self._server_events.on(event)

    # For the service

    def handle_server_event(self, event: str, args: tuple[Any, ...]) -> Deferred[Any] | None:
        """Run the handler of another process's event; see `ServerEvents.handle`."""
        return self._server_events.handle(event, args, self._counters)

    def part(self, name: str) -> Namespace:
        """One name of those that a pattern matches: its clients, and the handlers of all."""
        part = copy(self)
        part.name, part._pattern = name, self
        return part

    def serve_by(self, hub: Hub) -> None:
        """Give it the connections that it speaks to."""
        self._hub = hub
        self._counters = hub.counters

    @property
    def is_pattern(self) -> bool:
        """Whether clients can name any number of namespaces that are handled here."""
        return not isinstance(self.name, str)

    def matches(self, name: str) -> bool:
        """Whether a namespace of that name is handled here."""
        return self.name == name if isinstance(self.name, str) else self.name.fullmatch(name) is not None

    def connected(self, connection: Connection) -> Deferred[None] | None:
        """Run the middleware and `on_connect`; fails with nothing but ClientError. None if there is nothing to run."""
        if self._on_connect is None and not self._middleware:
            return None
        if self._middleware:
            running = Deferred.fromCoroutine(self._let_in(connection))
        else:
            assert self._on_connect is not None
            running = maybeDeferred(self._on_connect, connection)
        return running.addErrback(self._only_client_error, connection, "on_connect").addCallback(_nothing)

    def dispatch(self, connection: Connection, event: Event) -> Deferred[None] | None:
        """Run the handler of an event and answer the client; never raises or fails.

        Returns None when that is done, so that a plain function costs no Deferred.
        """
        try:
            if self._event_middleware:
                result = Deferred.fromCoroutine(self._through_middleware(connection, event))
            else:
                entry, args = self._handlers.get(event.name), event.args
                if entry is None or entry.roles or not entry.least <= len(args) <= entry.most:
                    result = self._run(connection, event)
                else:  # nearly every message
                    result = entry.function(connection, *args)
                if result is None and event.ack_id is None:
                    return None
                if iscoroutine(result):
                    result = Deferred.fromCoroutine(result)
            if not isinstance(result, Deferred):
                self._answer(result, connection, event)
                return None
        except BaseException:  # sys.exit() or asyncio's CancelledError, too, as in a coroutine
            self._failed(Failure(), connection, event)
            return None
        return result.addCallback(self._answer, connection, event).addErrback(self._failed, connection, event)

    def disconnected(self, connection: Connection, reason: str) -> Deferred[None] | None:
        """Run `on_disconnect`; never fails. None if there is none."""
        if self._on_disconnect is None:
            return None
        return (
            maybeDeferred(self._on_disconnect, connection, reason)
            .addErrback(self._fault, connection, "on_disconnect")
            .addCallback(_nothing)
        )

    def _check_own(self) -> None:
        if self._pattern is not None:
            raise ValueError(
                f"{self.name} has the handlers of the pattern {self._pattern.name!r}: declare them there, "
                "or name it before the pattern"
            )

    def _names(self) -> list[str]:
        if isinstance(self.name, str):
            return [self.name]
        return [name for name in self._served().registry.namespaces() if self._find(name) is self]

    async def _let_in(self, connection: Connection) -> None:
        for function in (*self._middleware, *([self._on_connect] if self._on_connect else ())):
            if not connection.is_open:
                return  # it left, or was closed
            await maybeDeferred(function, connection)

    async def _through_middleware(self, connection: Connection, event: Event) -> Any:
        for function in self._event_middleware:
            await maybeDeferred(function, connection, event)
        return await maybeDeferred(self._run, connection, event)

    def _run(self, connection: Connection, event: Event) -> Any:
        entry = self._handlers.get(event.name)
        args = event.args
        if entry is None:
            entry = self._on_any
            if entry is None:
                raise ClientError(UNKNOWN_EVENT, "There is no handler for this event.")
            args = (event.name, *entry.fit(args))
        elif entry.roles and not connection.user.has_any(entry.roles):
            raise ClientError("forbidden", "You may not do this.")
        elif not entry.least <= len(args) <= entry.most:
            args = entry.fit(args)
        return entry.function(connection, *args)

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
        if answer is not None:
            connection.write(answer)

    def _only_client_error(self, failure: Failure, connection: Connection, where: str) -> Failure:
        if isinstance(failure.value, ClientError):
            return failure
        return Failure(self._fault(failure, connection, where))

    def _fault(self, failure: Failure, connection: Connection, where: str) -> ClientError:
        """Log what a handler raised; the client learns no more than `internal_error`."""
        self._counters.add("handler_errors")
        if self._hub is None or not self._hub.takes_fault(failure):
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
