"""What the applications of a cluster's processes tell each other: handlers of events that no client can send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.counters import Counters
from wsservice.errors import ClientError
from wsservice.handlers import Entry, make_entry

log = Logger()

Handler = TypeVar("Handler", bound=Callable[..., Any])


class ServerEvents:
    """The handlers of one namespace, by the event's name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Entry] = {}

    def on(self, event: str) -> Callable[[Handler], Handler]:
        """Register `function(*args)`; raises ValueError where the event has a handler."""

        def register(function: Handler) -> Handler:
            if event in self._handlers:
                raise ValueError(
                    f"the server event {event!r} has a handler already: {self._handlers[event].function!r}"
                )
            self._handlers[event] = make_entry(function, frozenset(), leading=0)
            return function

        return register

    def handle(self, event: str, args: tuple[Any, ...], counters: Counters) -> Deferred[Any] | None:
        """What a handler returns, which is the answer where one is wanted; None where there is no handler.

        Fires with None for a handler that raised, which is logged: the other processes are no clients of ours.
        """
        entry = self._handlers.get(event)
        if entry is None:
            return None

        def failed(failure: Failure) -> None:
            counters.add("handler_errors")
            log.failure("the handler of the server event {server_event} raised", failure, server_event=event[:64])

        try:
            fitting = entry.fit(args)
        except ClientError:
            failed(Failure())
            return succeed(None)
        return maybeDeferred(entry.function, *fitting).addErrback(failed)
