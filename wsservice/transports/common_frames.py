"""The frame that nearly every message is: whole, masked, not fragmented, not compressed (RFC 6455 section 5.2). Pure.

Autobahn's parser takes a frame through some thirty calls and five copies; here it is one slice and one XOR. Whatever
is out of the ordinary, right or wrong, is left to Autobahn, byte for byte: it stays the reference.
"""

from __future__ import annotations

_FINAL_TEXT = 0x81
_FINAL_BINARY = 0x82
_MASKED = 0x80
_LENGTH_16 = 126
#: a frame's first two bytes and its mask
_HEAD = 6


def next_common_frame(data: bytes, start: int, limit: int) -> tuple[str | bytes, int, int] | None:
    """The message in the frame that begins at `start`, its size in bytes, and where the frame ends.

    Args:
        limit: bytes of a message, at most.

    Returns:
        None if there is no whole frame, or it is another kind, or anything is wrong with it.
    """
    body = start + _HEAD
    if len(data) < body:
        return None
    kind, length = data[start], data[start + 1] - _MASKED
    if length < 0 or (kind != _FINAL_TEXT and kind != _FINAL_BINARY):
        return None
    if length >= _LENGTH_16:
        if length > _LENGTH_16:
            return None
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        if length < _LENGTH_16:  # not the shortest form
            return None
        body += 2
    end = body + length
    if length > limit or end > len(data):
        return None
    payload = unmask(data[body:end], data[body - 4 : body])
    if kind == _FINAL_BINARY:
        return payload, length, end
    try:
        return payload.decode(), length, end
    except UnicodeDecodeError:
        return None


def unmask(payload: bytes, mask: bytes) -> bytes:
    """A payload XOR its mask, repeated (RFC 6455 section 5.3), as one operation on integers."""
    size = len(payload)
    masks = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(masks, "big")).to_bytes(size, "big")
