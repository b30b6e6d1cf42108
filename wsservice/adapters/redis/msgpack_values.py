"""MessagePack as notepack.io 3.0 reads it, as values that JSON can hold. Pure; SOCKETIO.md section 2.1.

Nearly every payload goes through msgspec. What msgspec refuses or would give in another shape is read here, a value at
a time: ill-formed UTF-8 (notepack writes a lone surrogate so), dates, notepack's own extensions, keys that are no text.
Dates become the text that JavaScript's `JSON.stringify` makes of them, and `undefined` becomes None.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

import msgspec

from wsservice.adapters.redis.foreign import MAX_DEPTH, ForeignMessage
from wsservice.adapters.redis.values import is_number, is_plain, js_text

#: values of one message, an array or a map for several: an empty one is a byte on the wire, and 72 in memory
MAX_VALUES = 500_000
_CONTAINER = 5
#: a payload of fewer bytes cannot become much
_SMALL = 64 * 1024
#: all bytes but those with which a map, an array or a short text begins
_CHEAP = bytes(set(range(256)) - set(range(0x80, 0xC0)) - {0xD9, 0xDC, 0xDD, 0xDE, 0xDF})

_LENGTHS = {1: Struct(">B"), 2: Struct(">H"), 4: Struct(">I")}
_BIN = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_STR = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY = {0xDC: 2, 0xDD: 4}
_MAP = {0xDE: 2, 0xDF: 4}
_EXT = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXEXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: Struct(">f"),
    0xCB: Struct(">d"),
    0xCC: Struct(">B"),
    0xCD: Struct(">H"),
    0xCE: Struct(">I"),
    0xCF: Struct(">Q"),
    0xD0: Struct(">b"),
    0xD1: Struct(">h"),
    0xD2: Struct(">i"),
    0xD3: Struct(">q"),
}
_TIMESTAMP96 = Struct(">IiI")
_MILLISECONDS = Struct(">iI")
#: milliseconds; ECMA-262, section 21.4.1.1
_MAX_TIME = 8.64e15
_DAY = 86_400_000

_unpack = msgspec.msgpack.Decoder().decode


def is_dense(payload: bytes) -> bool:
    """Whether a payload may hold so many values that its values are to be counted first."""
    return len(payload) > _SMALL and len(payload.translate(None, _CHEAP)) > MAX_VALUES // 8


def unpack(payload: bytes) -> Any:
    """The one value of a payload.

    Raises:
        ForeignMessage: it is none, or it is nested too deep or has too many values.
    """
    if not is_dense(payload):
        try:
            value = _unpack(payload)
        except (ValueError, RecursionError):
            pass
        else:
            if is_plain((value,), MAX_DEPTH + 1):
                return value
    return unpack_exactly(payload)


def unpack_exactly(payload: bytes) -> Any:
    """The same, without msgspec."""
    reader = _Reader(payload)
    value = reader.value(MAX_DEPTH)
    if reader.position != len(payload):
        raise ForeignMessage("malformed")
    return value


class _Reader:
    """One pass over a payload."""

    __slots__ = ("_left", "_payload", "position")

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._left = MAX_VALUES
        self.position = 0

    def value(self, depth: int) -> Any:
        prefix = self._take(1)[0]
        if prefix < 0x80:
            return prefix
        if prefix >= 0xE0:
            return prefix - 0x100
        if prefix >= 0xA0:
            return self._text(prefix & 0x1F) if prefix < 0xC0 else self._sized(prefix, depth)
        if prefix < 0x90:
            return self._map(prefix & 0x0F, depth)
        return self._array(prefix & 0x0F, depth)

    def _sized(self, prefix: int, depth: int) -> Any:
        if prefix in _CONSTANTS:
            return _CONSTANTS[prefix]
        if prefix in _NUMBERS:
            number = _NUMBERS[prefix]
            return number.unpack(self._take(number.size))[0]
        if prefix in _STR:
            return self._text(self._length(_STR[prefix]))
        if prefix in _BIN:
            return self._take(self._length(_BIN[prefix]))
        if prefix in _ARRAY:
            return self._array(self._length(_ARRAY[prefix]), depth)
        if prefix in _MAP:
            return self._map(self._length(_MAP[prefix]), depth)
        if prefix in _EXT:
            length = self._length(_EXT[prefix])
            value = _variable_extension(self._take(1)[0], self._take(length))
        elif prefix in _FIXEXT:
            value = _fixed_extension(self._take(1)[0], self._take(_FIXEXT[prefix]))
        else:
            raise ForeignMessage("malformed")
        if type(value) is list:
            self._enter(0, depth)
        return value

    def _take(self, count: int) -> bytes:
        taken = self._payload[self.position : self.position + count]
        if len(taken) != count:
            raise ForeignMessage("malformed")
        self.position += count
        return taken

    def _length(self, size: int) -> int:
        length: int = _LENGTHS[size].unpack(self._take(size))[0]
        return length

    def _text(self, length: int) -> str:
        return self._take(length).decode("utf-8", "replace")

    def _enter(self, count: int, depth: int) -> None:
        """An array or a map begins, of so many values."""
        if not depth:
            raise ForeignMessage("nested too deep")
        if count > len(self._payload) - self.position:
            raise ForeignMessage("malformed")
        self._left -= count + _CONTAINER
        if self._left < 0:
            raise ForeignMessage("too many values")

    def _array(self, count: int, depth: int) -> list[Any]:
        self._enter(count, depth)
        return [self.value(depth - 1) for _ in range(count)]

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        self._enter(2 * count, depth)
        return {_key(self.value(depth - 1)): self.value(depth - 1) for _ in range(count)}


def _key(value: Any) -> str:
    """A key as JavaScript makes a text of it."""
    if type(value) is str:
        return value
    if is_number(value):
        return js_text(value)
    if type(value) is bytes:
        return value.decode("utf-8", "replace")
    for constant, text in ((None, "null"), (True, "true"), (False, "false")):
        if value is constant:
            return text
    raise ForeignMessage("a key that is no text")


def _fixed_extension(kind: int, data: bytes) -> Any:
    if kind == 0 and len(data) == 1:
        return None  # notepack 2's undefined
    if kind == 0 and len(data) == 8:
        high, low = _MILLISECONDS.unpack(data)
        return iso_time(high * 2.0**32 + low)
    if kind == 0xFF and len(data) == 4:
        return iso_time(int.from_bytes(data, "big") * 1e3)
    if kind == 0xFF and len(data) == 8:
        both = int.from_bytes(data, "big")
        return iso_time((both & 0x3FFFFFFFF) * 1e3 + (both >> 34) / 1e6)
    return _unknown_extension(kind, data)


def _variable_extension(kind: int, data: bytes) -> Any:
    if kind == 0:
        return data  # notepack 2's ArrayBuffer
    if kind == 0xFF and len(data) == 12:
        nanoseconds, high, low = _TIMESTAMP96.unpack(data)
        return iso_time((high * 2.0**32 + low) * 1e3 + nanoseconds / 1e6)
    return _unknown_extension(kind, data)


def _unknown_extension(kind: int, data: bytes) -> Any:
    """As notepack gives it: the type, signed, and the bytes."""
    return [kind - 0x100 if kind > 0x7F else kind, data]


def iso_time(milliseconds: float) -> str | None:
    """The text that JSON has for a JavaScript date; None for one that is out of its range."""
    if not abs(milliseconds) <= _MAX_TIME:
        return None
    days, rest = divmod(int(milliseconds), _DAY)
    year, month, day = _civil(days)
    seconds, millisecond = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    years = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"
    return f"{years}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{millisecond:03d}Z"


def _civil(days: int) -> tuple[int, int, int]:
    """The Gregorian date of a day since 1970-01-01; Howard Hinnant's days_from_civil, backward."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153  # months since March
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day
