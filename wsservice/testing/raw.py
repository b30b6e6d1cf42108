"""A client of the raw WebSocket; docs/protocol.md is its wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from wsservice.testing.client import MARK, Client, Refused
from wsservice.testing.sockets import MemorySocket

if TYPE_CHECKING:
    from wsservice.testing.service import ServiceInMemory


class RawClient(Client):
    """See `Client`."""

    def __init__(
        self,
        service: ServiceInMemory,
        number: int,
        user: str | None,
        *,
        target: str,
        headers: tuple[tuple[str, str], ...],
        address: str,
    ) -> None:
        super().__init__(service, number, user)
        self._socket = MemorySocket(
            service,
            target,
            ((MARK, self._mark), *headers),
            address=address,
            received=self._read,
            ended=self._ended,
            refused=self._was_refused,
        )

    def cut(self) -> None:
        """See `Client.cut`."""
        self._socket.line.cut()
        self._ended(1006, "")
        self._service.settle()

    def stop_reading(self) -> None:
        """See `Client.stop_reading`."""
        self._socket.line.is_read = False

    def read_on(self) -> None:
        """See `Client.read_on`."""
        self._socket.line.is_read = True
        self._service.settle()

    def _write_message(self, message: str | bytes) -> None:
        self._socket.send(message)

    def _write_event(self, event: str, args: tuple[Any, ...], number: int | None) -> None:
        if len(args) > 1:
            raise TypeError("a raw WebSocket's event has one argument: give a list or a dict, or use Socket.IO")
        envelope: dict[str, Any] = {"event": event}
        if args:
            envelope["data"] = args[0]
        if number is not None:
            envelope["id"] = number
        self._socket.send(msgspec.json.encode(envelope).decode())

    def _write_answer(self, number: int, result: Any) -> None:
        self._socket.send(msgspec.json.encode({"ack": number, "data": result}).decode())

    def _leave(self, code: int, reason: str) -> None:
        self._socket.close(code, reason)
        self._ended(code, reason)

    def _was_refused(self, refusal: Refused) -> None:
        self._refusal = refusal
        self._ended(1006, "")

    def _read(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._event("message", (message,))
            return
        try:
            value = msgspec.json.decode(message)
        except msgspec.DecodeError:  # sent by `connection.send`
            self._event("message", (message,))
            return
        if isinstance(value, dict) and "ack" in value:
            self._acknowledged(value)
        elif isinstance(value, dict) and isinstance(value.get("event"), str):
            self._event(value["event"], (value.get("data"),), value.get("id"))
        else:
            self._event("message", (value,))

    def _acknowledged(self, value: dict[str, Any]) -> None:
        reply = self._replies[value["ack"]]
        error = value.get("error")
        if error is None:
            reply.answer(lambda: value.get("data"))
        else:
            reply.fail(error["message"], code=error["code"], data=error.get("data"))
