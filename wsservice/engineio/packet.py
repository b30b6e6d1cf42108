"""Engine.IO v4 packets, and how they are written on its two transports.

    in memory                       one WebSocket message       in a polling payload
    Packet(MESSAGE, "hello")        "4hello"                    b"4hello"
    Packet(MESSAGE, b"\\1\\2\\3")      b"\\1\\2\\3"                  b"bAQID"
    Packet(PING, "probe")           "2probe"                    b"2probe"

A polling payload is packets joined by U+001E. A *piece* is a finished part of one: the bytes of one or several
packets, already joined. Everything here takes time linear in the size of its input.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from enum import IntEnum

import msgspec

#: U+001E stands between the packets of a payload; nothing escapes it inside of one
SEPARATOR = "\x1e"
#: ahead of a binary message in a payload, in place of the type
_BINARY = "b"
#: RFC 4648 section 5 to section 4
_STANDARD_ALPHABET = str.maketrans("-_", "+/")


class PacketType(IntEnum):
    """The first character of a packet."""

    OPEN = 0
    CLOSE = 1
    PING = 2
    PONG = 3
    MESSAGE = 4
    UPGRADE = 5
    NOOP = 6


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One packet; only a message can be binary."""

    type: PacketType
    data: str | bytes = ""


class ParseError(ValueError):
    """What a client sent is no packet: the session ends."""


#: by the character, never by `int()`, which takes other scripts' digits, signs and spaces
_TYPES = {str(int(kind)): kind for kind in PacketType}
#: the packets of one character, ready made: a megabyte may hold half a million of them
_BARE = {**{digit: Packet(kind) for digit, kind in _TYPES.items()}, _BINARY: Packet(PacketType.MESSAGE, b"")}


def decode_frame(payload: str | bytes) -> Packet:
    """The packet in one WebSocket message; a binary one is the data of a message, with nothing around it.

    Raises:
        ParseError: the text is empty, begins with no type, or its base64 is broken.
    """
    return _decode(payload) if isinstance(payload, str) else Packet(PacketType.MESSAGE, payload)


def count_packets(payload: bytes) -> int:
    """How many packets a polling payload, or a piece of one, holds."""
    return payload.count(b"\x1e") + 1


def count_messages(payload: bytes) -> int:
    """How many messages a polling payload holds; what follows one as a binary packet is part of it."""
    return payload.count(b"\x1e4") + payload.startswith(b"4")


def decode_payload(body: bytes) -> list[Packet]:
    """The packets in the body of a POST, in order.

    There is no limit to their number: clients fill a payload up to `maxPayload` bytes, so bound the body.

    Raises:
        ParseError: the body is not UTF-8, or one of its packets is empty or broken; the first one decides.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ParseError("the payload is not UTF-8") from error
    if SEPARATOR * 2 in text:  # before a megabyte of separators becomes a list
        raise ParseError("an empty packet")
    return [_decode(packet) for packet in text.split(SEPARATOR)]


def encode_frame(packet: Packet) -> str | bytes:
    """The WebSocket message that a packet is: text, or bytes for a binary one.

    Raises:
        ValueError: binary data in what is not a message.
    """
    if isinstance(packet.data, str):
        return f"{packet.type:d}{packet.data}"
    _check_binary(packet)
    return packet.data


def encode_packet(packet: Packet) -> bytes:
    """The piece of a polling payload that a packet is; several are joined by `b"\\x1e"`.

    Raises:
        ValueError: text with U+001E in it, which the client would take for two packets; text that is not
            Unicode (a lone surrogate); binary data in what is not a message.
    """
    if isinstance(packet.data, str):
        if SEPARATOR in packet.data:
            raise ValueError("text with U+001E cannot be sent by long-polling: send bytes, or JSON, which escapes it")
        return f"{packet.type:d}{packet.data}".encode()
    _check_binary(packet)
    return _BINARY.encode() + b2a_base64(packet.data, newline=False)


def frames_of_piece(piece: bytes) -> list[str | bytes]:
    """The WebSocket messages that a finished piece stands for, one for each packet: what an upgrade flushes.

    Raises:
        ValueError: the piece was not made by `encode_packet`.
    """
    return [
        _decode_base64(packet[1:]) if packet.startswith(_BINARY) else packet
        for packet in piece.decode().split(SEPARATOR)
    ]


def _decode(text: str) -> Packet:
    bare = _BARE.get(text)
    if bare is not None:
        return bare
    kind = _TYPES.get(text[:1])
    if kind is not None:
        return Packet(kind, text[1:])
    if text.startswith(_BINARY):
        return Packet(PacketType.MESSAGE, _decode_base64(text[1:]))
    raise ParseError(f"an unknown packet type {text[0]!a}" if text else "an empty packet")


def _decode_base64(text: str) -> bytes:
    """Both alphabets of RFC 4648, padded or not; other characters are refused, unlike Node and `b64decode`."""
    if "-" in text or "_" in text:
        text = text.translate(_STANDARD_ALPHABET)
    data = text.rstrip("=")
    padding = "=" * (-len(data) % 4)
    if len(text) not in (len(data), len(data) + len(padding)):  # CPython 3.11 takes too much of it
        raise ParseError("broken base64")
    try:
        return a2b_base64(data + padding, strict_mode=True)
    except ValueError as error:  # binascii.Error, and what is not ASCII
        raise ParseError("broken base64") from error


def _check_binary(packet: Packet) -> None:
    if packet.type is not PacketType.MESSAGE:
        raise ValueError(f"binary data in a packet of type {packet.type.name}")
