"""The raw WebSocket of docs/protocol.md, from the client's side. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from wsservice.cli.client.address import RAW_PATH, Address
from wsservice.cli.client.wire import Answered, BadLine, Came, Note, Send, Step, Wire, compact
from wsservice.client_frames import Message, Opcode


@dataclass
class RawWire(Wire):
    """Texts as they are, and JSON for named events."""

    greeting: ClassVar[str] = "welcome"
    _session: str = field(default="1", repr=False)
    _offset: str = ""

    def address(self, address: Address) -> Address:
        path = address.path if address.path not in ("", "/") else RAW_PATH
        if not self.recover:
            return address.at(path)
        return address.at(path, recover=self._session, **({"offset": self._offset} if self._offset else {}))

    def opened(self) -> Iterator[Step]:
        self.is_ready = not self.recover  # else the welcome says so
        yield from ()

    def received(self, message: Message) -> Iterator[Step]:
        size = len(message.payload)
        if message.opcode is Opcode.BINARY:
            yield Came(f"{size} bytes: {message.payload[:64].hex(' ')}{' ...' if size > 64 else ''}", size)
            return
        members = _object(message.payload)
        number = members.get("ack")
        if isinstance(number, int) and number in self.calls:
            name = self.calls.pop(number)
            what = f"error {compact(members['error'])}" if "error" in members else compact(members.get("data"))
            yield Answered(number, f"{name} answered {what}", size)
            return
        yield Came(message.text, size)
        if self.recover:
            yield from self._remember(members)

    def _remember(self, members: dict[str, Any]) -> Iterator[Step]:
        if isinstance(members.get("offset"), str):
            self._offset = members["offset"]
        if members.get("event") == "welcome" and isinstance(members.get("data"), dict) and not self.is_ready:
            self.is_ready = True
            welcome = members["data"]
            self._session, self._offset = welcome.get("session") or "1", welcome.get("offset") or ""
            if welcome.get("recovered"):
                yield Note("continued where it broke off")
            elif welcome.get("reason"):
                yield Note(_REASONS.get(welcome["reason"], f"not continued: {welcome['reason']}"))

    def text(self, text: str) -> Iterator[Step]:
        yield Send(Opcode.TEXT, text.encode(), text)

    def binary(self, data: bytes) -> Iterator[Step]:
        yield Send(Opcode.BINARY, data, f"{len(data)} bytes")

    def event(self, name: str, args: list[Any]) -> Iterator[Step]:
        yield from self._send({"event": name, **_data(args)})

    def call(self, name: str, args: list[Any]) -> Iterator[Step]:
        message = {"event": name, **_data(args)}
        yield from self._send({**message, "id": self._new_call(name)})

    def _send(self, members: dict[str, Any]) -> Iterator[Step]:
        text = compact(members)
        yield Send(Opcode.TEXT, text.encode(), text)


_REASONS = {
    "off": "the service runs without --recovery: what is missed while away is lost",
    "unknown": "not continued: nothing is known of what was before, or no longer",
    "lost": "not continued: some of what was missed is no longer kept",
    "foreign": "not continued: that session is another user's",
}


def _data(args: list[Any]) -> dict[str, Any]:
    if len(args) > 1:
        raise BadLine("an event of /ws has one value: put several into a list, or use --socketio")
    return {"data": args[0]} if args else {}


def _object(payload: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
