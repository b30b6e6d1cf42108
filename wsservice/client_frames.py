"""The frames of RFC 6455 as a client writes and reads them: masked out, whole messages in. Pure.

    reader = FrameReader()
    for message in reader.feed(data): ...        Message(opcode, payload), control frames among them

Both the command line and `wsservice.testing` are such clients. No extension is offered, so that a reserved bit is an
error. (The service's own frames are in `wsservice.frames`.)
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum

#: bytes of a message from the service: far above what it holds for a client (`--send-queue-bytes`)
MAX_MESSAGE = 64 * 1024 * 1024
_MAX_CONTROL = 125
#: section 1.3
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Opcode(IntEnum):
    """RFC 6455 section 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame."""

    opcode: Opcode
    payload: bytes

    @property
    def text(self) -> str:
        """The payload as text; what is no UTF-8 is replaced."""
        return self.payload.decode("utf-8", "replace")


class FrameError(ValueError):
    """The service broke the protocol; end the connection."""


def make_key() -> str:
    """A new `Sec-WebSocket-Key` (section 4.1)."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


def accept_value(key: str) -> str:
    """What `Sec-WebSocket-Accept` must be."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def encode_frame(opcode: Opcode, payload: bytes, mask: bytes | None = None) -> bytes:
    """One final frame.

    Args:
        mask: four bytes that nobody can guess (section 5.3); None makes them.
    """
    mask = secrets.token_bytes(4) if mask is None else mask
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0xFF, size)
    return head + mask + _masked(payload, mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(len(payload))


def encode_close(code: int | None, reason: str = "") -> bytes:
    """The payload of a close frame; without a code it is empty."""
    return b"" if code is None else struct.pack("!H", code) + reason.encode()[: _MAX_CONTROL - 2]


def decode_close(payload: bytes) -> tuple[int | None, str]:
    """Code and reason of a close frame; no code where it is empty."""
    if len(payload) < 2:
        return None, ""
    return int.from_bytes(payload[:2]), payload[2:].decode("utf-8", "replace")


class FrameReader:
    """Makes messages of the bytes that come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode: Opcode | None = None
        self._parts = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole now.

        Raises:
            FrameError: what comes is not the protocol.
        """
        self._buffer += data
        found = []
        while (frame := self._take()) is not None:
            message = self._assemble(*frame)
            if message is not None:
                found.append(message)
        return found

    def _take(self) -> tuple[bool, Opcode, bytes] | None:
        """The next frame, once it is whole: final, opcode, payload."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if buffer[0] & 0x70:
            raise FrameError("a frame with a reserved bit, of an extension that was not asked for")
        if buffer[1] & 0x80:
            raise FrameError("a masked frame, which only clients send")
        try:
            opcode = Opcode(buffer[0] & 0x0F)
        except ValueError:
            raise FrameError("a frame of no known kind") from None
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start])
        final = bool(buffer[0] & 0x80)
        if opcode >= Opcode.CLOSE and (size > _MAX_CONTROL or not final):
            raise FrameError("a control frame that is too long or in pieces")
        if size + len(self._parts) > MAX_MESSAGE:
            raise FrameError(f"a message of more than {MAX_MESSAGE} bytes")
        if len(buffer) < start + size:
            return None
        payload = bytes(buffer[start : start + size])
        del buffer[: start + size]
        return final, opcode, payload

    def _assemble(self, final: bool, opcode: Opcode, payload: bytes) -> Message | None:
        if opcode >= Opcode.CLOSE:
            return Message(opcode, payload)
        if (opcode is Opcode.CONTINUATION) == (self._opcode is None):
            raise FrameError("a piece of no message, or a message within another")
        self._parts += payload
        kind = self._opcode = self._opcode or opcode
        if not final:
            return None
        whole = bytes(self._parts)
        self._opcode, self._parts = None, bytearray()
        return Message(kind, whole)
