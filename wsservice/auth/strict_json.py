"""JSON as tokens and key sets must be written: nothing that two parsers could read differently.

msgspec refuses NaN and Infinity, numbers beyond a double, a byte order mark, bytes that are not UTF-8, lone
surrogates, control characters and trailing text. It takes the last of duplicate members and nests as deep as
the stack allows; this module refuses both (RFC 8725 section 2.4, RFC 8259 section 4).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

#: levels of objects and lists, the outermost one counted; Cognito's tokens have two
MAX_DEPTH = 32

_decode = msgspec.json.Decoder().decode
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class NotStrictJson(ValueError):
    """The document is not a JSON object in the strict form; the text says why, without quoting it."""


def decode_object(data: bytes) -> dict[str, Any]:
    """Decode a document that must be a JSON object.

    Integers may be of any size, up to some thousand digits: the caller bounds what it uses.

    Raises:
        NotStrictJson: with the reason.
    """
    value = decode_value(data)
    if not isinstance(value, dict):
        raise NotStrictJson("not a JSON object")
    return value


def decode_value(data: bytes, *, depth: int = MAX_DEPTH) -> Any:
    """Decode a document of any JSON; see `decode_object`.

    Args:
        depth: levels of objects and lists.

    Raises:
        NotStrictJson: with the reason.
    """
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotStrictJson(_reason(error)) from None
    structure = _structure(data)
    objects = structure.count(b"{")
    if objects + structure.count(b"[") > depth or objects > 1 or not isinstance(value, dict):
        members = _count_members(value, depth)
    else:  # the common case: one object, perhaps with lists of strings
        members = len(value)
    # a member that was overwritten by a later one of its name is in the text and not in the value
    if members != structure.count(b":"):
        raise NotStrictJson("duplicate members")
    return value


def _reason(error: Exception) -> str:
    """What was wrong, in words that hold nothing of the document."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deep"
    return str(error)


def _structure(data: bytes) -> bytes:
    """Well-formed JSON without its strings."""
    if b"\\" in data:
        return _STRING.sub(b"", data)
    return b"".join(data.split(b'"')[::2])


def _count_members(value: Any, depth: int) -> int:
    """The number of members of all objects in a value that is nested at most `depth` levels deep."""
    if not isinstance(value, dict | list):
        return 0
    if not depth:
        raise NotStrictJson("nested too deep")
    if isinstance(value, list):
        return sum(_count_members(item, depth - 1) for item in value)
    return len(value) + sum(_count_members(item, depth - 1) for item in value.values())
