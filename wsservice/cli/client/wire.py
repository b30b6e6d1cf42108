"""What the two protocols of a conversation have in common: what a person does, and what is shown of it. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from wsservice.cli.client.address import Address
from wsservice.client_frames import Message, Opcode


@dataclass(frozen=True, slots=True)
class Send:
    """A message for the service; `shown` is it for a person, empty for what is none of their business."""

    opcode: Opcode
    payload: bytes
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Came:
    """A message from the service; `size` in bytes."""

    shown: str
    size: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the call of that number."""

    call: int
    shown: str
    size: int


@dataclass(frozen=True, slots=True)
class Note:
    """A word of the client itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Over:
    """The conversation ends by the protocol's own word, not by a close frame.

    Attributes:
        advice: what to do, in words; may be empty.
    """

    text: str
    advice: str = ""


Step = Send | Came | Answered | Note | Over


class BadLine(ValueError):
    """What was typed cannot be sent; the text says why."""


@dataclass
class Wire(ABC):
    """One protocol.

    Attributes:
        is_ready: whether what a person types may be sent.
        calls: the numbers of those that wait for an answer, with the events' names.
        greeting: what the service says before that, for a person.
        deadline: seconds until which something must come, from the last that came; None if it need not.
    """

    recover: bool = False
    is_ready: bool = False
    greeting: ClassVar[str] = "greeting"
    calls: dict[int, str] = field(default_factory=dict)
    deadline: float | None = None
    _next: int = 1

    @abstractmethod
    def address(self, address: Address) -> Address:
        """Where to connect, this time."""

    @abstractmethod
    def opened(self) -> Iterator[Step]:
        """The WebSocket is open."""

    @abstractmethod
    def received(self, message: Message) -> Iterator[Step]:
        """A text or binary message came."""

    @abstractmethod
    def text(self, text: str) -> Iterator[Step]:
        """A line as it was typed."""

    @abstractmethod
    def binary(self, data: bytes) -> Iterator[Step]:
        """Bytes."""

    @abstractmethod
    def event(self, name: str, args: list[Any]) -> Iterator[Step]:
        """A named event.

        Raises:
            BadLine: it cannot be sent.
        """

    @abstractmethod
    def call(self, name: str, args: list[Any]) -> Iterator[Step]:
        """A named event that wants an acknowledgement; its number is the last in `calls`.

        Raises:
            BadLine: it cannot be sent.
        """

    def farewell(self) -> Iterator[Step]:
        """What is sent before the close frame."""
        yield from ()

    def lost(self) -> list[str]:
        """The connection is gone: gives the names of the calls that nobody will answer."""
        names, self.calls = list(self.calls.values()), {}
        self.is_ready, self.deadline = False, None
        return names

    def _new_call(self, name: str) -> int:
        number, self._next = self._next, self._next + 1
        self.calls[number] = name
        return number


def compact(value: Any) -> str:
    """A value as JSON in one line; bytes as base64."""
    return msgspec.json.encode(value).decode()
