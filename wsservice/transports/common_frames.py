"""The frame that nearly every message is: whole, masked, not fragmented, not compressed (RFC 6455 section 5.2). Pure.

Autobahn's parser takes a frame through some thirty calls and five copies; here it is one slice, and one XOR of two
integers of its size with the mask, repeated (section 5.3). Whatever is out of the ordinary, right or wrong, is left to
Autobahn, byte for byte: it stays the reference.
"""

from __future__ import annotations

_FINAL_TEXT = 0x81
_FINAL_BINARY = 0x82
_MASKED = 0x80
_LENGTH_16 = 126
_from_bytes = int.from_bytes
#: a frame's first two bytes and its mask
_HEAD = 6


def next_common_frame(data: bytes, start: int, limit: int) -> tuple[str | bytes, int, int] | None:
    """The message in the frame that begins at `start`, its size in bytes, and where the frame ends.

    Args:
        limit: bytes of a message, at most.

    Returns:
        None if there is no whole frame, or it is another kind, or anything is wrong with it.
    """
    size = len(data)
    body = start + _HEAD
    if size < body:
        return None
    kind = data[start]
    if kind != _FINAL_TEXT and kind != _FINAL_BINARY:
        return None
    length = data[start + 1] - _MASKED
    if length >= _LENGTH_16:
        if length > _LENGTH_16:
            return None
        length = data[start + 2] << 8 | data[start + 3]
        if length < _LENGTH_16:  # not the shortest form
            return None
        body += 2
    end = body + length
    if length < 0 or length > limit or end > size:
        return None
    # in any order of bytes; the little one is Python's own, and a sixth faster
    masks = data[body - 4 : body] * (length // 4 + 1)
    unmasked = _from_bytes(data[body:end], "little") ^ _from_bytes(masks[:length], "little")
    payload = unmasked.to_bytes(length, "little")
    if kind == _FINAL_BINARY:
        return payload, length, end
    try:
        return payload.decode(), length, end
    except UnicodeDecodeError:
        return None
