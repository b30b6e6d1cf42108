"""Python's own JSON parser, made strict: the second opinion for `auth/strict_json.py` and the Socket.IO decoder."""

from __future__ import annotations

import json
import math
from typing import Any


class Refused(ValueError):
    """It is not strict JSON."""


class Unsure(Exception):
    """Python's parser has a limit of its own here."""


def loads(text: str, *, unique: bool = True) -> Any:
    """Decode JSON without NaN, infinities and lone surrogates.

    Args:
        unique: refuse duplicate members.

    Raises:
        Refused: it is not strict JSON.
        Unsure: nobody can say.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique if unique else None,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise Unsure from error
    except ValueError as error:
        raise Refused(str(error)) from error
    return value


def depth(value: Any) -> int:
    """How deep a value is nested; a plain one is 0 deep."""
    deepest, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        deepest += 1
        level = [item for one in level for item in (one.values() if isinstance(one, dict) else one)]
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refused("duplicate members")
    return value


def _refuse(constant: str) -> None:
    raise Refused(constant)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Refused("beyond a double")
    return value


def _integer(text: str) -> int:
    if len(text) > 4300:  # sys.set_int_max_str_digits
        raise Unsure
    return int(text)
