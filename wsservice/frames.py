"""Finished WebSocket frames from the server (RFC 6455 section 5.2, RFC 7692): unmasked, unfragmented.

A frame made here is complete: the same bytes go to every client that speaks the same wire format.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from struct import Struct

TEXT = 0x1
BINARY = 0x2
PING = 0x9
_FIN = 0x80
_FINAL_TEXT = _FIN | TEXT
#: RFC 7692 section 6: the message is compressed
_RSV1 = 0x40
#: what a sync flush ends with and a sender leaves out (RFC 7692 section 7.2.1)
_TAIL = b"\x00\x00\xff\xff"
_pack_short, _pack, _pack_long = Struct("!BB").pack, Struct("!BBH").pack, Struct("!BBQ").pack
#: shorter messages are sent plain; precedent: ws 8
COMPRESSION_THRESHOLD = 1024


def frame(payload: bytes, opcode: int = TEXT, rsv: int = 0) -> bytes:
    """One final frame around a payload."""
    size = len(payload)
    first = _FIN | rsv | opcode
    if first == _FINAL_TEXT and size < len(_TEXT_HEADS):
        return _TEXT_HEADS[size] + payload
    return _head(first, size) + payload


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return _pack_short(first, size)
    if size < 65536:
        return _pack(first, 126, size)
    return _pack_long(first, 127, size)


#: of plain texts of these sizes, made once: to pack one takes longer (0.11 us) than the rest of `frame`
_TEXT_HEADS = [_head(_FINAL_TEXT, size) for size in range(1024)]


class Framing:
    """How payloads become frames on connections without compression."""

    #: the finished frame of a payload: `finish(payload, opcode=TEXT)`
    finish: Callable[..., bytes] = staticmethod(frame)


class DeflateFraming(Framing):
    """permessage-deflate without context takeover: no state, so one compression serves every client.

    Args:
        window_bits: of the negotiated `server_max_window_bits`, 9 to 15.
    """

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits

    def finish(self, payload: bytes, opcode: int = TEXT) -> bytes:
        """The finished frame, compressed where that can pay."""
        if len(payload) < COMPRESSION_THRESHOLD:
            return frame(payload, opcode)
        deflater = zlib.compressobj(wbits=-self._window_bits)
        data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return frame(data.removesuffix(_TAIL), opcode, _RSV1)


PLAIN = Framing()


@cache
def deflate_framing(window_bits: int) -> DeflateFraming:
    """The one framing of those window bits, so that connections can be grouped by it."""
    return DeflateFraming(window_bits)
