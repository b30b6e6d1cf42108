"""The client's side of a WebSocket (RFC 6455): frames out, masked, and frames in. Pure."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
from collections.abc import Iterator
from typing import NamedTuple

from wsservice.frames import BINARY, PING, TEXT

CLOSE = 0x8
PONG = 0xA
#: RFC 6455 section 1.3
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Frame(NamedTuple):
    """One frame, or a message put together from several."""

    opcode: int
    payload: bytes


def make_key() -> str:
    """A new `Sec-WebSocket-Key` (section 4.1)."""
    return base64.b64encode(secrets.token_bytes(16)).decode("ascii")


def accept_of(key: str) -> str:
    """What the service must answer to it."""
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode("ascii")


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A whole message in one frame, masked (section 5.3)."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 65536:
        head = bytes([0x80 | opcode, 0x80 | 126]) + struct.pack("!H", size)
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + struct.pack("!Q", size)
    mask = secrets.token_bytes(4)
    masks = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ masks).to_bytes(size, "big")


def close_frame(code: int, reason: str) -> bytes:
    """The close frame of a client."""
    return client_frame(CLOSE, struct.pack("!H", code) + reason.encode())


def read_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame; 1005 where it has none (section 7.1.5)."""
    return (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")


class FrameReader:
    """Takes frames from a stream of bytes; the service's are not masked, and need not be one message each."""

    def __init__(self) -> None:
        self._data = b""
        self._message: list[bytes] = []
        self._opcode = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The messages and control frames that are whole now.

        Raises:
            AssertionError: the service broke RFC 6455.
        """
        self._data += data
        while (found := self._take()) is not None:
            is_last, opcode, payload = found
            if opcode >= CLOSE:
                yield Frame(opcode, payload)
                continue
            assert (opcode == 0) == bool(self._opcode), "a frame that continues nothing, or a message within a message"
            self._opcode = self._opcode or opcode
            self._message.append(payload)
            if is_last:
                message = Frame(self._opcode, b"".join(self._message))
                self._message, self._opcode = [], 0
                yield message

    def _take(self) -> tuple[bool, int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        assert not data[0] & 0x70, "a reserved bit, and no extension was asked for"
        assert not data[1] & 0x80, "a service's frame that is masked"
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            form, start = ("!H", 4) if size == 126 else ("!Q", 10)
            if len(data) < start:
                return None
            size = struct.unpack(form, data[2:start])[0]
        if len(data) < start + size:
            return None
        self._data = data[start + size :]
        return bool(data[0] & 0x80), data[0] & 0xF, data[start : start + size]


__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "FrameReader",
    "accept_of",
    "client_frame",
    "close_frame",
    "make_key",
    "read_close",
]
