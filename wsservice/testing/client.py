"""A client of a service in memory: what it sends, what it got, how it ended; the same for every protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wsservice.messages import ROOT

if TYPE_CHECKING:
    from wsservice.connection import Connection
    from wsservice.testing.service import ServiceInMemory

#: the header by which a client finds its connection on the service's side
MARK = "x-in-memory-client"


class Refused(Exception):
    """The service, or the app, said no: to a connection, or to a call.

    Attributes:
        message: what the client was told.
        code: of a call, the `ClientError`'s; of a raw WebSocket, the close code; of an HTTP answer, its status; None
            of a Socket.IO client's `connect_error`, which has none.
        data: what came along with it.
    """

    def __init__(self, message: str, *, code: str | int | None = None, data: Any = None) -> None:
        super().__init__(message if code is None else f"{code}: {message}")
        self.message = message
        self.code = code
        self.data = data


class Reply:
    """The acknowledgement of an event, which may still be under way."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._answers: list[Callable[[], Any]] = []

    @property
    def has_come(self) -> bool:
        """Whether the handler has answered."""
        return bool(self._answers)

    def result(self) -> Any:
        """What the handler returned.

        Raises:
            Refused: it raised `ClientError`, or the client may not, or there is no such handler.
            AssertionError: it has not answered yet.
        """
        if not self._answers:
            raise AssertionError(
                f"{self._event!r} is not answered yet: let what its handler waits for happen, as by "
                "service.advance(seconds), and ask by client.ask(...), whose result() you take later"
            )
        return self._answers[0]()

    def answer(self, get: Callable[[], Any]) -> None:
        """It has come; for the client."""
        self._answers.append(get)

    def fail(self, message: str, *, code: str | int | None, data: Any = None) -> None:
        """It is an error; for the client."""
        self._answers.append(lambda: _raise(Refused(message, code=code, data=data)))


class Client(ABC):
    """Made by `ServiceInMemory.connect`. After each call everything has happened that can without time passing.

    Attributes:
        user: whom its token names; None without a token of a user.
    """

    def __init__(self, service: ServiceInMemory, number: int, user: str | None, namespace: str = ROOT) -> None:
        self.user = user
        self._service = service
        self._mark = str(number)
        self._namespace = namespace
        self._received: list[tuple[Any, ...]] = []
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._replies: dict[int, Reply] = {}
        self._closed: tuple[int | None, str] | None = None
        #: why it was not let in
        self._refusal: Refused | None = None

    def __repr__(self) -> str:
        how = "open" if self._closed is None else f"closed {self._closed}"
        return f"<{type(self).__name__} of {self.user}, {how}>"

    # What it does

    def send(self, message: str | bytes) -> None:
        """Send a text or bytes: the event `message`.

        Raises:
            AssertionError: the client is closed.
            Exception: whatever a handler raised, that is no `ClientError`.
        """
        self._check_open()
        self._write_message(message)
        self._service.settle()

    def emit(self, event: str, *args: Any) -> None:
        """Send an event; a raw WebSocket takes one argument at most.

        Raises:
            AssertionError, Exception: as `send`.
        """
        self._check_open()
        self._write_event(event, args, None)
        self._service.settle()

    def ask(self, event: str, *args: Any) -> Reply:
        """Send an event and ask for the handler's result, which may come later."""
        self._check_open()
        number = len(self._replies) + 1
        reply = self._replies[number] = Reply(event)
        self._write_event(event, args, number)
        self._service.settle()
        return reply

    def call(self, event: str, *args: Any) -> Any:
        """Send an event and give what its handler returned.

        Raises:
            Refused: the handler refused by `ClientError`.
            AssertionError: it has not answered yet (see `ask`), or the client is closed.
            Exception: whatever the handler raised, that is no `ClientError`.
        """
        return self.ask(event, *args).result()

    def on(self, event: str, function: Callable[..., Any]) -> None:
        """Call `function(*args)` when that event comes; what it returns answers a `connection.call`."""
        self._handlers[event] = function

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Leave, as a page does that is done."""
        if self._closed is None:
            self._leave(code, reason)
        self._service.settle()

    @abstractmethod
    def cut(self) -> None:
        """The connection breaks without a word; what is under way is lost."""

    @abstractmethod
    def stop_reading(self) -> None:
        """Read nothing more: what the service sends has to wait there. A ping is not answered, either."""

    @abstractmethod
    def read_on(self) -> None:
        """Read again, first what waited."""

    # What it sees

    def received(self, *events: str) -> list[tuple[Any, ...]]:
        """The events that have come since it was asked last, each as `(event, *arguments)`, in their order.

        A raw WebSocket gets exactly one argument: None where the app gave none, a list where it gave several.

        Args:
            events: only these; others stay.
        """
        self._service.settle()
        taken = [one for one in self._received if not events or one[0] in events]
        self._received = [one for one in self._received if events and one[0] not in events]
        return taken

    @property
    def closed(self) -> tuple[int | None, str] | None:
        """Close code and reason; None while it is open.

        The code is None where there was no close frame: by long-polling, or when the app disconnected a Socket.IO
        client from its namespace.
        """
        self._service.settle()
        return self._closed

    @property
    def connection(self) -> Connection:
        """The service's side of it, as handlers see it.

        Raises:
            LookupError: there is none, since it was refused or is closed.
        """
        self._service.settle()
        return self._service.connection_of(self._mark, self._namespace)

    @property
    def rooms(self) -> set[str]:
        """The rooms that it is in."""
        return set(self.connection.rooms)

    def raise_if_refused(self) -> None:
        """Raise `Refused` if it was not let in; for the service."""
        if self._refusal is None and self._closed is not None:
            code, reason = self._closed
            self._refusal = Refused(reason, code=code)
        if self._refusal is not None:
            raise self._refusal

    # For the protocols

    @abstractmethod
    def _write_message(self, message: str | bytes) -> None:
        """Send the event `message`."""

    @abstractmethod
    def _write_event(self, event: str, args: tuple[Any, ...], number: int | None) -> None:
        """Send an event; with a number, ask for its acknowledgement."""

    @abstractmethod
    def _write_answer(self, number: int, result: Any) -> None:
        """Answer a call of the service."""

    @abstractmethod
    def _leave(self, code: int, reason: str) -> None:
        """Say goodbye."""

    def _event(self, event: str, args: tuple[Any, ...], number: int | None = None) -> None:
        """An event came; with a number, the service wants an answer."""
        self._received.append((event, *args))
        function = self._handlers.get(event)
        if function is not None:
            result = function(*args)
            if number is not None:
                self._write_answer(number, result)

    def _ended(self, code: int | None, reason: str) -> None:
        """It is over; the first reason counts."""
        if self._closed is None:
            self._closed = (code, reason)

    def _check_open(self) -> None:
        self._service.settle()
        if self._closed is not None:
            raise AssertionError(f"{self!r} sends nothing more")


def _raise(error: Exception) -> Any:
    raise error
