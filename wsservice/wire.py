"""What a connection needs of its transport and its wire format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from wsservice.errors import ClientError
from wsservice.recorded import Entry


class Wire(Protocol):
    """A wire format. Connections that share one object get the same bytes, encoded once a broadcast."""

    #: whether its clients can recover what they missed, by the offset that each event then has
    is_recoverable: bool

    def event(self, name: str, args: tuple[Any, ...], call_id: int | None = None) -> bytes:
        """An event, ready for the socket."""

    def recoverable(self, entry: Entry) -> bytes:
        """An event of the history; with its offset for clients that can recover."""

    def payload(self, payload: str | bytes) -> bytes:
        """A text or bytes, sent as it is."""

    def result(self, ack_id: int, result: Any) -> bytes:
        """The acknowledgement of an event."""

    def error(self, ack_id: int | None, name: str, error: ClientError) -> bytes | None:
        """The refusal of an event; None where this protocol's clients are told nothing."""


class Link(ABC):
    """One client's transport, as its connection sees it."""

    __slots__ = ()

    @property
    def transport_name(self) -> str:
        """What it is at present, by Engine.IO's names."""
        return "websocket"

    @property
    def client_id(self) -> str:
        """A public name of the client that this is one namespace of; empty for one that is the client's only."""
        return ""

    def entering(self) -> None:
        """The connection enters the registry: from here on it is sent what it is for."""

    @abstractmethod
    def accept(self) -> None:
        """The application let the connection in; what it sent meanwhile follows."""

    @abstractmethod
    def refuse(self, error: ClientError) -> None:
        """The application did not let the connection in; of the code INTERNAL_ERROR, it failed."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send finished bytes; past the bound of the queue the link closes itself."""

    def direct(self) -> Callable[[bytes], int] | None:
        """The transport's own `send`, while what is sent by it is in its place; None while something waits.

        It gives how many bytes were taken, and raises OSError; the rest is for `write`. When it changes, the link
        calls `Connection.update_direct`.
        """
        return None

    @abstractmethod
    def is_behind(self) -> bool:
        """Whether the client has not taken what was written before; a volatile message is then dropped."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake, and read on for its answer; the end is reported by `Connection.ended`.

        Args:
            reason: at most 123 bytes of UTF-8.
        """

    def close_all(self, code: int, reason: str) -> None:
        """Close the client's other namespaces, too, where it has any."""
        self.close(code, reason)

    @abstractmethod
    def pause_reading(self) -> None:
        """Read nothing more for now: the handlers are behind."""

    @abstractmethod
    def resume_reading(self) -> None:
        """Read on."""
