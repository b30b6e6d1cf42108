"""Values as JSON's clients can get them: what is plain, and what becomes of the rest. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

from wsservice.adapters.redis.foreign import MAX_DEPTH, ForeignMessage

_SCALARS = frozenset({str, int, float, bool, type(None), bytes})
#: integers outside of it cannot travel as MessagePack, and are doubles to JavaScript
_INT64 = range(-(2**63), 2**64)
#: up to this, JavaScript's doubles are exact
_SAFE = 2**53
_SURROGATE = re.compile("[\ud800-\udfff]")
#: an integer of 19 digits may be beyond 64 bits; the regular expression is slow, and asked where there is such a run
_RUN = b"0" * 19
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))
_LONG = re.compile(rb"(?:^|[\[:,\s-])[0-9]{19}")
#: brackets and commas of a JSON text, an upper bound of its values
MAX_JSON_VALUES = 2_000_000

_loads = msgspec.json.Decoder().decode


def is_plain(values: Iterable[Any], depth: int = MAX_DEPTH) -> bool:
    """Whether these are texts, numbers, bytes, lists and objects only, not too deep; every broadcast passes here."""
    for value in values:
        kind = type(value)
        if kind in _SCALARS:
            continue
        if kind is dict:
            try:
                "".join(value)  # the cheapest way to learn that every key is a text
            except TypeError:
                return False
            value = value.values()
        elif kind is not list and kind is not tuple:
            return False
        if depth <= 1 or (value and not is_plain(value, depth - 1)):
            return False
    return True


def cleaned(value: Any, depth: int = MAX_DEPTH) -> Any:
    """JSON's own values as the rest of the service can hold them.

    A lone half of a surrogate pair becomes U+FFFD, and an integer beyond 64 bits a float, as it is in JavaScript.

    Raises:
        ForeignMessage: nested too deep.
    """
    if type(value) is str:
        if _SURROGATE.search(value):
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value
    if type(value) is int:
        return value if value in _INT64 else as_float(value)
    if isinstance(value, list | dict) and not depth:
        raise ForeignMessage("nested too deep")
    if isinstance(value, list):
        return [cleaned(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {cleaned(key): cleaned(item, depth - 1) for key, item in value.items()}
    return value


def as_float(number: int) -> float:
    """The nearest double, or an infinity."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def load_json(payload: bytes, *, constants: bool = False) -> Any:
    """A JSON text; ill-formed UTF-8 and lone surrogates become U+FFFD.

    Args:
        constants: take NaN and Infinity, which Python writes.

    Raises:
        ForeignMessage: it is none, or it is nested too deep or has too many values.
    """
    if sum(map(payload.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise ForeignMessage("too many values")
    try:
        value = _loads(payload)
        if is_plain((value,), MAX_DEPTH + 1) and not _may_overflow(payload):
            return value
    except (ValueError, RecursionError):
        pass
    try:
        value = json.loads(payload.decode("utf-8", "replace"), parse_constant=None if constants else _no_constant)
    except RecursionError as error:
        raise ForeignMessage("nested too deep") from error
    except ValueError as error:
        raise ForeignMessage("malformed") from error
    return cleaned(value)


def _may_overflow(payload: bytes) -> bool:
    return _RUN in payload.translate(_DIGITS) and _LONG.search(payload) is not None


def load_object(payload: bytes, *, constants: bool = False) -> dict[str, Any]:
    """The same, of a text that is an object; see `load_json`."""
    value = load_json(payload, constants=constants)
    if type(value) is not dict:
        raise ForeignMessage("malformed")
    return value


def js_text(number: float) -> str:
    """A number as JavaScript writes it: a room named 1 is the room named "1"."""
    if type(number) is int and -_SAFE <= number <= _SAFE:
        return str(number)
    value = as_float(number) if type(number) is int else number
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if not value:
        return "0"
    exact = Decimal(repr(value)).normalize()
    exponent = exact.adjusted()
    if -7 < exponent < 21:
        return format(exact, "f")
    sign, digits, _ = exact.as_tuple()
    first, *rest = map(str, digits)
    fraction = f".{''.join(rest)}" if rest else ""
    return f"{'-' if sign else ''}{first}{fraction}e{exponent:+d}"


def is_number(value: object) -> bool:
    """Whether it is a number to JavaScript, where a boolean is none."""
    return type(value) is int or type(value) is float
