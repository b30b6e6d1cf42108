"""Redis's protocol, RESP2 (redis.io/docs/reference/protocol-spec): commands to bytes, bytes to replies. Pure.

txredisapi 1.6.0 has a parser, and it is replaced (as its own `HiredisProtocol` does): after each bulk string that
has something behind it, it stops reading and goes on in the next turn of the event loop, and a message is three
of them; each line copies all that is behind it; `b"1"` comes out as a number; and a string of 512 MB is kept until
it is whole. `hiredis` is fast, and knows no bound either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wsservice.errors import RedisRefused, RedisUnavailable

#: bytes of a line without its end: an error, a status; precedent: Redis's own PROTO_INLINE_MAX_SIZE
MAX_LINE = 65536
#: arrays within arrays; Redis's EXEC, XREAD and SLOWLOG have at most 5
MAX_DEPTH = 16
#: items of one array; precedent: Redis's own bound for what it is sent
MAX_ITEMS = 1024 * 1024

Argument = bytes | str | int
#: None, text of a status, number, bytes, list of replies, `RedisRefused` for an error, `TooLarge` for what was skipped
Reply = Any


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Stands for a string that was not kept, since it had so many bytes."""

    size: int


def encode(*args: Argument) -> bytes:
    """A command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def encode_publish(channel: bytes, message: bytes) -> bytes:
    """`PUBLISH`, which is sent far more often than all else."""
    return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(message), message)


class Reader:
    """Makes replies of what arrives, in time that grows with its length, however it is cut.

    Args:
        max_bulk: bytes of one string; a longer one is skipped as it comes, and a `TooLarge` stands in its place.
    """

    def __init__(self, max_bulk: int) -> None:
        self._max_bulk = max_bulk
        self._buffer = b""
        #: of a string that is not whole yet, what came behind the buffer, and how many bytes are missing
        self._pieces: list[bytes] = []
        self._missing = 0
        #: bytes of a string that is not kept
        self._skipped = 0
        #: arrays that are not whole yet, the innermost last, each with how many items it wants
        self._open: list[tuple[list[Reply], int]] = []

    def feed(self, data: bytes) -> list[Reply]:
        """Take what arrived; gives the replies that are whole now.

        Raises:
            RedisUnavailable: this is not Redis's protocol; the connection must be closed.
        """
        if self._missing > 0:
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return []
            data = b"".join((self._buffer, *self._pieces))
            self._pieces.clear()
            self._missing = 0
        elif self._buffer:
            data = self._buffer + data
        found: list[Reply] = []
        end = self._parse(data, found)
        self._buffer = data[end:]
        return found

    def _parse(self, data: bytes, found: list[Reply]) -> int:
        """Append the replies in `data`; gives where the first begins that is not whole."""
        length = len(data)
        position = self._skip(length)
        open_arrays = self._open
        while True:
            end = data.find(b"\r\n", position)
            if end < 0:
                if length - position > MAX_LINE:
                    raise RedisUnavailable("the answer is not Redis's: a line without an end")
                return position
            kind = data[position]
            value: Reply
            if kind == 36:  # "$": a bulk string
                size = _number(data[position + 1 : end])
                start, stop = end + 2, end + 2 + size
                if size < 0:
                    value, position = None, start
                elif size > self._max_bulk:
                    value = TooLarge(size)
                    self._skipped = size + 2
                    position = start + self._skip(length - start)
                elif length < stop + 2:
                    self._missing = stop + 2 - length
                    return position
                else:
                    value, position = data[start:stop], stop + 2
            elif kind == 42:  # "*": an array
                count = _number(data[position + 1 : end])
                position = end + 2
                if count > MAX_ITEMS or len(open_arrays) >= MAX_DEPTH:
                    raise RedisUnavailable("the answer is too large or too deep")
                if count > 0:
                    open_arrays.append(([], count))
                    continue
                value = None if count < 0 else []
            else:
                value = _simple(kind, data[position + 1 : end])
                position = end + 2
            while open_arrays:
                items, wanted = open_arrays[-1]
                items.append(value)
                if len(items) < wanted:
                    break
                value = items
                open_arrays.pop()
            else:
                found.append(value)

    def _skip(self, available: int) -> int:
        """How many of the next bytes are of a string that is not kept."""
        skipped = min(self._skipped, available)
        self._skipped -= skipped
        return skipped


def _number(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError:
        raise RedisUnavailable("the answer is not Redis's: no number where one belongs") from None


def _simple(kind: int, line: bytes) -> Reply:
    if kind == 58:  # ":"
        return _number(line)
    if kind == 43:  # "+"
        return line.decode("utf-8", "replace")
    if kind == 45:  # "-"
        return RedisRefused(line.decode("utf-8", "replace"))
    raise RedisUnavailable("the answer is not Redis's: is something else listening there?")
