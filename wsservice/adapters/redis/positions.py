"""Positions in the history of a cluster, as numbers that can be compared, and as clients carry them. Pure.

    <ms>-<seq>                          an entry of the Redis stream
    <ms>-<seq>.<serial>.<local>.<node>  behind that entry, on one node: what it delivered before it was recorded, or
                                        to its own clients only

The `mark`, the part behind the dot, tells which of a node's own events its clients have already, although the stream
does not: all up to that serial number. `local` numbers what is for this node's clients only.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TEXT = re.compile(
    r"([0-9]{1,20})-([0-9]{1,20})(?:\.([0-9]{1,12})\.([0-9]{1,7})\.([0-9a-f]{12}))?",
    re.ASCII,
)
_NODE_BITS, _COUNT_BITS, _SERIAL_BITS, _SEQ_BITS = 48, 24, 40, 64
_MARK_BITS = _NODE_BITS + _COUNT_BITS + _SERIAL_BITS
_MARK = (1 << _MARK_BITS) - 1
_NODE, _COUNT, _SEQ = (1 << _NODE_BITS) - 1, (1 << _COUNT_BITS) - 1, (1 << _SEQ_BITS) - 1
_MOST = 1 << 64


class Mark(NamedTuple):
    """Which of a node's events are delivered to its clients, recorded or not: all up to `serial`."""

    node: str
    serial: int
    local: int = 0


def parse_position(text: str) -> int | None:
    """The number of a position; None for what is none."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    ms, seq = int(match[1]), int(match[2])
    if ms >= _MOST or seq >= _MOST:
        return None
    number = (ms << _SEQ_BITS | seq) << _MARK_BITS
    if match[5] is None:
        return number
    serial, count = int(match[3]), int(match[4])
    return None if serial >> _SERIAL_BITS or count > _COUNT else number | _pack(Mark(match[5], serial, count))


def write_position(number: int) -> str:
    """A position as it is written."""
    entry = number >> _MARK_BITS
    text = f"{entry >> _SEQ_BITS}-{entry & _SEQ}"
    mark = mark_of(number)
    return text if mark is None else f"{text}.{mark.serial}.{mark.local}.{mark.node}"


def entry_of(number: int) -> int:
    """The position of the entry of the stream that this one is behind."""
    return number & ~_MARK


def before(entry: int) -> int:
    """The position just before an entry, of which there may be none."""
    return max(0, entry_of(entry) - (_MARK + 1))


def after(entry: int) -> int:
    """The first position that an entry behind this one may have."""
    return entry_of(entry) + _MARK + 1


def mark_of(number: int) -> Mark | None:
    """The mark of a position; None for an entry of the stream alone."""
    mark = number & _MARK
    if not mark:
        return None
    return Mark(f"{mark & _NODE:012x}", mark >> (_NODE_BITS + _COUNT_BITS), mark >> _NODE_BITS & _COUNT)


def with_mark(number: int, mark: Mark | None) -> int:
    """The same entry, with another mark."""
    return number & ~_MARK | (0 if mark is None else _pack(mark))


def _pack(mark: Mark) -> int:
    return (mark.serial << _COUNT_BITS | mark.local) << _NODE_BITS | int(mark.node, 16)
