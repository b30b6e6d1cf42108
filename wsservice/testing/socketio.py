"""A Socket.IO client of one namespace, by WebSocket or by long-polling."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from wsservice.engineio.packet import Packet, PacketType
from wsservice.messages import ROOT
from wsservice.socketio.decoder import find_placeholders
from wsservice.socketio.packet import Encoded, encode_ack, encode_event
from wsservice.socketio.packet import PacketType as Kind
from wsservice.testing.client import MARK, Client, Refused
from wsservice.testing.transports import CLOSED, TRANSPORTS, Headers, Transport

if TYPE_CHECKING:
    from wsservice.testing.service import ServiceInMemory

_PACKET = re.compile(r"([0-6])(?:([0-9]+)-)?(?:(/[^,]*),?)?([0-9]*)")
#: what stock clients call the ways of ending
_BY_SERVER, _BY_CLIENT = "io server disconnect", "io client disconnect"


class SocketIoClient(Client):
    """See `Client`.

    Args:
        transport: `websocket` or `polling`.
        auth: what the client gives when it asks for the namespace: `connection.handshake.auth`.
    """

    def __init__(
        self,
        service: ServiceInMemory,
        number: int,
        user: str | None,
        *,
        transport: str,
        path: str,
        query: dict[str, str],
        headers: Headers,
        address: str,
        namespace: str,
        auth: dict[str, Any] | None,
    ) -> None:
        super().__init__(service, number, user, namespace)
        self._auth = auth
        self._waiting: tuple[Kind, int | None, Any, list[bytes], int] | None = None
        self._transport: Transport = TRANSPORTS[transport](
            service,
            f"{path}/?{urlencode({'EIO': '4', 'transport': transport, **query})}",
            ((MARK, self._mark), *headers),
            address,
            self,
        )

    def cut(self) -> None:
        """See `Client.cut`; on long-polling the service notices when no poll comes."""
        self._transport.cut()
        self._ended(None, "transport error")
        self._service.settle()

    def stop_reading(self) -> None:
        """See `Client.stop_reading`."""
        self._transport.read(False)

    def read_on(self) -> None:
        """See `Client.read_on`."""
        self._transport.read(True)
        self._service.settle()

    def _write_message(self, message: str | bytes) -> None:
        self._write_event("message", (message,), None)

    def _write_event(self, event: str, args: tuple[Any, ...], number: int | None) -> None:
        self._write(encode_event(self._namespace, event, args, number))

    def _write_answer(self, number: int, result: Any) -> None:
        args = result if isinstance(result, tuple) else () if result is None else (result,)
        self._write(encode_ack(self._namespace, number, args))

    def _leave(self, code: int, reason: str) -> None:
        self._write(Encoded(f"1{self._prefix}".encode()))
        self._transport.close(code, reason)
        self._ended(None, _BY_CLIENT)

    @property
    def _prefix(self) -> str:
        return "" if self._namespace == ROOT else f"{self._namespace},"

    def _write(self, encoded: Encoded) -> None:
        self._transport.send(
            [Packet(PacketType.MESSAGE, encoded.text.decode())]
            + [Packet(PacketType.MESSAGE, attachment) for attachment in encoded.attachments]
        )

    # For the transport

    def began(self) -> None:
        """The Engine.IO session is open: ask for the namespace."""
        auth = "" if self._auth is None else msgspec.json.encode(self._auth).decode()
        self._write(Encoded(f"0{self._prefix}{auth}".encode()))

    def ended(self, code: int | None, reason: str) -> None:
        """The transport is gone."""
        self._ended(code, reason or CLOSED)

    def refused(self, refusal: Refused) -> None:
        """The service answered by HTTP."""
        self._refusal = refusal
        self._ended(None, "transport error")

    def message(self, data: str | bytes) -> None:
        """A message of Engine.IO: a packet of Socket.IO, or an attachment of one."""
        if isinstance(data, bytes):
            self._attached(data)
            return
        head = _PACKET.match(data)
        assert head is not None, f"no packet: {data!r}"
        rest = data[head.end() :]
        value = msgspec.json.decode(rest) if rest else None
        number = int(head[4]) if head[4] else None
        kind, count = Kind(int(head[1])), int(head[2] or 0)
        if count:
            self._waiting = (kind, number, value, [], count)
        else:
            self._packet(kind, number, value)

    def _attached(self, data: bytes) -> None:
        assert self._waiting is not None, "an attachment of no packet"
        kind, number, value, attachments, count = self._waiting
        attachments.append(data)
        if len(attachments) == count:
            self._waiting = None
            for container, key, place in find_placeholders(value, count):
                container[key] = attachments[place]
            self._packet(kind, number, value)

    def _packet(self, kind: Kind, number: int | None, value: Any) -> None:
        if kind in (Kind.EVENT, Kind.BINARY_EVENT):
            self._event(value[0], tuple(value[1:]), number)
        elif kind in (Kind.ACK, Kind.BINARY_ACK):
            assert number is not None, "an acknowledgement of nothing"
            self._acknowledged(number, value)
        elif kind is Kind.CONNECT_ERROR:
            self._refusal = Refused(value["message"], data=value.get("data"))
            self._ended(None, value["message"])
            self._transport.close(1000, "")
        elif kind is Kind.DISCONNECT:
            self._ended(None, _BY_SERVER)
            self._transport.close(1000, "")  # as stock clients do, whose only namespace this is

    def _acknowledged(self, number: int, args: list[Any]) -> None:
        reply = self._replies[number]
        first = args[0] if args else None
        if isinstance(first, dict) and first.keys() == {"error"}:
            error = first["error"]
            reply.fail(error["message"], code=error["code"], data=error.get("data"))
        else:
            result = tuple(args) if len(args) > 1 else first
            reply.answer(lambda: result)
