"""What is said on the wire, both ways: the envelope of `/ws`, and Socket.IO v5. Pure.

A wire's `decode` gives what a message means, or None for one that means nothing yet.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Protocol

Message = str | bytes

_PACKET = re.compile(r"([0-6])(?:(\d+)-)?(?:(/[^,]*),)?(\d+)?(.*)", re.DOTALL)


class Heard(NamedTuple):
    """What the service said: `kind` is event, answer, blob, joined or refused; `id` asks for an answer, or gives it."""

    kind: str
    name: str = ""
    data: Any = None
    id: int | None = None


class Wire(Protocol):
    """How a client speaks."""

    def emit(self, name: str, data: Any, number: int | None = None, aside: bool = False) -> Message:
        """An event; `number` asks for its acknowledgement, `aside` is for the namespace `/side`."""

    def answer(self, number: int, data: Any) -> Message:
        """The acknowledgement of the service's event."""

    def blob(self, payload: bytes) -> list[Message]:
        """Bytes."""

    def decode(self, message: Message) -> Heard | None:
        """What came."""


class RawWire:
    """The envelope of `/ws`."""

    def emit(self, name: str, data: Any, number: int | None = None, aside: bool = False) -> Message:
        """See `Wire`."""
        return json.dumps({"event": name, "data": data, **({} if number is None else {"id": number})})

    def answer(self, number: int, data: Any) -> Message:
        """See `Wire`."""
        return json.dumps({"ack": number, "data": data})

    def blob(self, payload: bytes) -> list[Message]:
        """See `Wire`."""
        return [payload]

    def decode(self, message: Message) -> Heard | None:
        """See `Wire`."""
        if isinstance(message, bytes):
            return Heard("blob", data=message)
        value = json.loads(message)
        if "ack" in value:
            return Heard("answer", data=value.get("data", value.get("error")), id=value["ack"])
        return Heard("event", value["event"], value.get("data"), value.get("id"))


class SocketIoWire:
    """Socket.IO's packets, without the `4` of Engine.IO."""

    def __init__(self) -> None:
        self._awaits_blob = False

    def emit(self, name: str, data: Any, number: int | None = None, aside: bool = False) -> Message:
        """See `Wire`."""
        return f"2{'/side,' if aside else ''}{'' if number is None else number}{json.dumps([name, data])}"

    def answer(self, number: int, data: Any) -> Message:
        """See `Wire`."""
        return f"3{number}{json.dumps([data])}"

    def blob(self, payload: bytes) -> list[Message]:
        """See `Wire`."""
        return ['51-["message",{"_placeholder":true,"num":0}]', payload]

    def decode(self, message: Message) -> Heard | None:
        """See `Wire`."""
        if isinstance(message, bytes):
            if not self._awaits_blob:
                raise ValueError("an attachment that was not announced")
            self._awaits_blob = False
            return Heard("blob", data=message)
        found = _PACKET.fullmatch(message)
        if found is None:
            raise ValueError(f"no Socket.IO packet: {message[:40]!r}")
        kind, attachments, namespace, number, rest = found.groups()
        if kind in "56":
            self._awaits_blob = True
            return None if attachments == "1" else Heard("event", "too many attachments")
        data: Any = json.loads(rest) if rest else None
        if kind == "0":
            return Heard("joined", namespace or "/")
        if kind == "4":
            return Heard("refused", namespace or "/", data["message"])
        if kind == "2":
            name, *args = data
            return Heard("event", name, args[0] if args else None, None if number is None else int(number))
        if kind == "3":
            return Heard("answer", data=data[0] if data else None, id=int(number))
        return Heard("dismissed", namespace or "/")
