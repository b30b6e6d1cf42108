"""Socket.IO 5 over Engine.IO 4 on a WebSocket, from the client's side, by the codecs of the service. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from wsservice.cli.client.address import SOCKETIO_PATH, Address
from wsservice.cli.client.wire import Answered, BadLine, Came, Note, Over, Send, Step, Wire, compact
from wsservice.client_frames import Message, Opcode
from wsservice.engineio.packet import PacketType as EnginePacket
from wsservice.engineio.packet import ParseError as EngineError
from wsservice.engineio.packet import decode_frame
from wsservice.messages import ROOT
from wsservice.socketio.decoder import Decoder, Packet, ParseError
from wsservice.socketio.packet import Encoded, PacketType, encode_ack, encode_event

#: what a `connect_error` of the service's means; its message is fixed text
_ADVICE = {
    "Missing authentication token": "give --cookie or --login",
    "Invalid authentication token": "log in anew; `wsservice check` says what is wrong with a token",
    "Invalid namespace": "check --namespace",
}


@dataclass
class SocketIoWire(Wire):
    """One namespace of a Socket.IO session."""

    greeting: ClassVar[str] = "handshake of Socket.IO"
    namespace: str = ROOT
    _decoder: Decoder = field(default_factory=Decoder)
    _pid: str = field(default="", repr=False)
    _offset: str = ""

    def address(self, address: Address) -> Address:
        path = address.path if address.path not in ("", "/") else SOCKETIO_PATH
        return address.at(path, EIO="4", transport="websocket")

    def opened(self) -> Iterator[Step]:
        self._decoder = Decoder()
        yield from ()

    def received(self, message: Message) -> Iterator[Step]:
        try:
            binary = message.opcode is Opcode.BINARY
            packet = decode_frame(message.payload if binary else message.payload.decode())
            yield from self._taken(packet.type, packet.data, len(message.payload))
        except (EngineError, ParseError, UnicodeDecodeError) as error:
            yield Over(f"what came is no Socket.IO: {error}", "is the path right?")

    def _taken(self, kind: EnginePacket, data: str | bytes, size: int) -> Iterator[Step]:
        if kind is EnginePacket.OPEN:
            yield from self._open(str(data))
        elif kind is EnginePacket.PING:
            yield Send(Opcode.TEXT, f"{EnginePacket.PONG:d}{data!s}".encode())
        elif kind is EnginePacket.CLOSE:
            yield Over("the service closed the session")
        elif kind is EnginePacket.MESSAGE:
            found = self._decoder.feed_text(data) if isinstance(data, str) else self._decoder.feed_binary(data)
            if found is not None and found.namespace == self.namespace:
                yield from self._packet(found, self._decoder.size)

    def _open(self, data: str) -> Iterator[Step]:
        try:
            found = msgspec.json.decode(data)
            self.deadline = (found["pingInterval"] + found["pingTimeout"]) / 1000
        except (msgspec.DecodeError, KeyError, TypeError):
            raise ParseError("the first packet is no handshake") from None
        auth = {"pid": self._pid, "offset": self._offset} if self.recover and self._pid else {}
        head = "" if self.namespace == ROOT else f"{self.namespace},"
        yield Send(Opcode.TEXT, f"40{head}{compact(auth) if auth else ''}".encode())

    def _packet(self, packet: Packet, size: int) -> Iterator[Step]:
        if packet.type is PacketType.CONNECT:
            yield from self._joined(packet.data)
        elif packet.type is PacketType.CONNECT_ERROR:
            text = str(packet.data.get("message", ""))
            extra = f" {compact(packet.data['data'])}" if "data" in packet.data else ""
            yield Over(f"refused: {text}{extra}", _ADVICE.get(text, ""))
        elif packet.type is PacketType.DISCONNECT:
            yield Over("the service disconnected this client from the namespace")
        elif packet.type is PacketType.EVENT:
            yield Came(f"{packet.data[0]} {' '.join(map(compact, packet.data[1:]))}".rstrip(), size)
            if self._pid and isinstance(packet.data[-1], str) and len(packet.data) > 1:
                self._offset = packet.data[-1]
            if packet.id is not None:
                yield from self._send(encode_ack(self.namespace, packet.id, []), "acknowledged")
        elif packet.type is PacketType.ACK and packet.id in self.calls:
            name = self.calls.pop(packet.id)
            yield Answered(packet.id, f"{name} answered {' '.join(map(compact, packet.data))}".rstrip(), size)

    def _joined(self, data: dict[str, Any]) -> Iterator[Step]:
        self.is_ready = True
        pid = data.get("pid")
        if self.recover:
            if not pid:
                yield Note("the service runs without --recovery: what is missed while away is lost")
            elif self._pid:
                yield Note("continued where it broke off" if pid == self._pid else "not continued: a new session")
        self._offset = self._offset if pid == self._pid else ""
        self._pid = pid or ""
        yield Note(f"joined {self.namespace} as {data.get('sid')}")

    def text(self, text: str) -> Iterator[Step]:
        yield from self.event("message", [text])

    def binary(self, data: bytes) -> Iterator[Step]:
        yield from self._send(encode_event(self.namespace, "message", [data]), f"message {len(data)} bytes")

    def event(self, name: str, args: list[Any]) -> Iterator[Step]:
        yield from self._emit(name, args, None)

    def call(self, name: str, args: list[Any]) -> Iterator[Step]:
        _encode(self.namespace, name, args, 0)  # may refuse, and then there is no call
        yield from self._emit(name, args, self._new_call(name))

    def _emit(self, name: str, args: list[Any], number: int | None) -> Iterator[Step]:
        shown = f"{name} {' '.join(map(compact, args))}".rstrip()
        yield from self._send(_encode(self.namespace, name, args, number), shown)

    def _send(self, encoded: Encoded, shown: str) -> Iterator[Step]:
        yield Send(Opcode.TEXT, b"4" + encoded.text, shown)
        for attachment in encoded.attachments:
            yield Send(Opcode.BINARY, attachment)

    def farewell(self) -> Iterator[Step]:
        if self.is_ready:
            head = "" if self.namespace == ROOT else f"{self.namespace},"
            yield Send(Opcode.TEXT, f"41{head}".encode())

    def lost(self) -> list[str]:
        self._decoder.close()
        return super().lost()


def _encode(namespace: str, name: str, args: list[Any], number: int | None) -> Encoded:
    try:
        return encode_event(namespace, name, args, number)
    except (TypeError, ValueError) as error:
        raise BadLine(str(error)) from None
