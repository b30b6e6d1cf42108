"""A WebSocket in memory, which both protocols run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wsservice.client_frames import (
    FrameReader,
    Opcode,
    accept_value,
    decode_close,
    encode_close,
    encode_frame,
    make_key,
)
from wsservice.testing.client import Refused
from wsservice.testing.http import parse_response, request_bytes
from wsservice.testing.line import Line

if TYPE_CHECKING:
    from wsservice.testing.service import ServiceInMemory

_END = b"\r\n\r\n"


class MemorySocket:
    """Opens at once; answers pings and the close frame, as every WebSocket client does.

    Args:
        received: called with each message.
        ended: called once, with the close code and reason that the service sent, or 1006 without one.
        refused: called instead where the service answers by HTTP.
    """

    def __init__(
        self,
        service: ServiceInMemory,
        target: str,
        headers: tuple[tuple[str, str], ...],
        *,
        address: str,
        received: Callable[[str | bytes], None],
        ended: Callable[[int, str], None],
        refused: Callable[[Refused], None],
    ) -> None:
        self._received, self._ended, self._refused = received, ended, refused
        self._head = b""
        self._is_open = False
        self._frames = FrameReader()
        self._close: tuple[int, str] | None = None
        self._says_goodbye = False
        self._key = make_key()
        upgrade = (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", self._key),
        )
        self.line: Line = service.open_line(self, address)
        self.line.write(request_bytes("GET", target, (*upgrade, *headers)))

    def send(self, message: str | bytes) -> None:
        """Send one message."""
        is_text = isinstance(message, str)
        payload: Any = message.encode() if isinstance(message, str) else message
        self.line.write(encode_frame(Opcode.TEXT if is_text else Opcode.BINARY, payload))

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        self._says_goodbye = True
        self.line.write(encode_frame(Opcode.CLOSE, encode_close(code, reason)))

    def bytes_received(self, data: bytes) -> None:
        """The service sent this."""
        if not self._is_open:
            data = self._open(data)
        for message in self._frames.feed(data):
            opcode, payload = message.opcode, message.payload
            if opcode is Opcode.TEXT:
                self._received(payload.decode())
            elif opcode is Opcode.BINARY:
                self._received(payload)
            elif opcode is Opcode.PING:
                self.line.write(encode_frame(Opcode.PONG, payload))
            elif opcode is Opcode.CLOSE and self._close is None:
                code, reason = decode_close(payload)
                self._close = (1005 if code is None else code, reason)  # RFC 6455 section 7.1.5
                if not self._says_goodbye:
                    self.line.write(encode_frame(Opcode.CLOSE, payload[:2]))
                self._ended(*self._close)

    def line_ended(self, *, clean: bool) -> None:
        """The connection is gone."""
        if self._is_open and self._close is None:
            self._close = (1006, "")
            self._ended(*self._close)

    def _open(self, data: bytes) -> bytes:
        """Read the answer to the handshake; gives what stands behind it."""
        self._head += data
        response = parse_response(self._head)
        if response is None:
            return b""
        if response.status != 101:
            self._refused(Refused(response.body.decode().strip(), code=response.status))
            return b""
        assert response.header("sec-websocket-accept") == accept_value(self._key), "the service did not read our key"
        self._is_open = True
        return self._head.partition(_END)[2]
