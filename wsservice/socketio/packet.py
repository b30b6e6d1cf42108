"""Socket.IO v5 packets to the client, as finished texts and attachments. Pure; SOCKETIO.md sections 1.11 and 1.14.

    packet = type [ count "-" ] [ namespace "," ] [ id ] [ json ]

The main namespace is never written. Binary data at any depth leaves a placeholder in the JSON and follows as an
attachment, in the order of traversal. NaN and the infinities become null; what else JSON cannot hold is refused
before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from wsservice.messages import RESERVED, ROOT


class PacketType(IntEnum):
    """The first character of a packet."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


#: the member that marks a placeholder where it is true
PLACEHOLDER = "_placeholder"

_encode = msgspec.json.Encoder().encode
_SCALARS = frozenset({str, int, float, bool, type(None)})
_KEPT = (str, int, float, type(None))
_BINARY = (bytes, bytearray, memoryview)


class Encoded(NamedTuple):
    """A packet for the socket: `text` goes first, without the `4` of Engine.IO, then each attachment as a message.

    No other packet may come in between, of whatever namespace.
    """

    text: bytes
    attachments: tuple[bytes, ...] = ()


def encode_event(namespace: str, name: str, args: Iterable[Any], ack_id: int | None = None) -> Encoded:
    """An event; with `ack_id` the client is asked to acknowledge.

    A stock JavaScript client closes on a packet of more than 10 attachments.

    Raises:
        TypeError: the name is no str, or JSON cannot hold the arguments.
        ValueError: the name is empty or reserved.
    """
    if not isinstance(name, str):
        raise TypeError(f"an event's name is a str, not {type(name).__name__}")
    if not name or name in RESERVED:
        raise ValueError(f"{name!r} cannot be emitted: {'it is reserved' if name else 'the name is empty'}")
    return _packet("25", _head(namespace, ack_id), [name, *args])


def encode_plain_event(head: bytes, args: tuple[Any, ...]) -> bytes | None:
    """What nearly every event is, in one step: with arguments, without attachments, and asking for nothing.

    Args:
        head: `plain_head` of its name.

    Returns:
        The text, with the `4` of Engine.IO; None for any other event, for `encode_event`.
    """
    if not args or not ((len(args) == 1 and type(args[0]) in _SCALARS) or _is_plain(args)):
        return None
    try:
        return head + _encode(args)[1:]
    except (ValueError, RecursionError):
        return None


def plain_head(namespace: str, name: str) -> bytes:
    """How the text of an event of that name begins, with the `4` of Engine.IO and up to its arguments.

    Raises:
        TypeError: the name is no str, or no Unicode.
        ValueError: the name is empty or reserved.
    """
    return b"4" + encode_event(namespace, name, ()).text[:-1] + b","


def encode_ack(namespace: str, ack_id: int, args: Iterable[Any]) -> Encoded:
    """The acknowledgement of a client's event.

    Raises:
        TypeError: JSON cannot hold the arguments.
    """
    return _packet("36", _head(namespace, ack_id), list(args))


def encode_connect(namespace: str, sid: str, pid: str | None = None) -> Encoded:
    """The namespace is joined; `sid` is the public id, `pid` the secret one of the state recovery (1.17)."""
    return _control("0", namespace, {"sid": sid} if pid is None else {"sid": sid, "pid": pid})


def encode_connect_error(namespace: str, message: str, data: Any = None) -> Encoded:
    """The namespace is refused; the session and its other namespaces stay. Bytes in the data become base64.

    Raises:
        TypeError: JSON cannot hold the data.
    """
    return _control("4", namespace, {"message": message} if data is None else {"message": message, "data": data})


def encode_disconnect(namespace: str) -> Encoded:
    """The server leaves the namespace."""
    return Encoded(f"1{_head(namespace)}".encode())


def _head(namespace: str, ack_id: int | None = None) -> str:
    prefix = "" if namespace == ROOT else f"{namespace},"
    return prefix if ack_id is None else f"{prefix}{ack_id}"


def _control(kind: str, namespace: str, data: dict[str, Any]) -> Encoded:
    return Encoded(f"{kind}{_head(namespace)}".encode() + _json(data))


def _packet(kinds: str, head: str, data: list[Any]) -> Encoded:
    """A packet of the first of two kinds, or of the second where it has attachments."""
    attachments: list[bytes] = []
    if not _is_plain(data):
        detached = _Detached(data)
        data, attachments = detached.data, detached.attachments
    kind = f"{kinds[1]}{len(attachments)}-" if attachments else kinds[0]
    return Encoded(f"{kind}{head}".encode() + _json(data), tuple(attachments))


def _json(data: Any) -> bytes:
    try:
        return _encode(data)
    except (ValueError, RecursionError) as error:  # a lone surrogate, a huge integer, a circle
        raise TypeError(f"this cannot be sent as JSON: {error}") from error


def _is_plain(values: Iterable[Any]) -> bool:
    """Whether these surely hold no binary data; must be quick, since nearly every packet passes.

    Gives up where the nesting is deep, and where there is a circle.
    """
    try:
        for value in values:
            kind = type(value)
            if kind in _SCALARS:
                continue
            if kind is dict:
                value = value.values()
            elif kind is not list and kind is not tuple:
                return False
            if value and not _is_plain(value):
                return False
    except RecursionError:
        return False
    return True


class _Detached:
    """A packet's data with a placeholder for each part that is binary, and those parts.

    Raises:
        TypeError: the nesting has no end; or, in a packet with binary parts, some other object would be taken for a
            placeholder. A client may have sent that object to have the app's other clients close: their parsers do
            on a number without attachment.
    """

    def __init__(self, data: list[Any]) -> None:
        self.attachments: list[bytes] = []
        self._is_ambiguous = False
        try:
            self.data = self._detach(data)
        except RecursionError as error:
            raise TypeError(f"this cannot be sent as JSON: {error}") from error
        if self.attachments and self._is_ambiguous:
            raise TypeError(f"an object whose {PLACEHOLDER} is true cannot be sent together with binary data")

    def _detach(self, value: Any) -> Any:
        if isinstance(value, _KEPT):
            return value
        if isinstance(value, _BINARY):
            self.attachments.append(bytes(value))
            return {PLACEHOLDER: True, "num": len(self.attachments) - 1}
        if isinstance(value, dict):
            if value.get(PLACEHOLDER) is True:
                self._is_ambiguous = True
            return {key: self._detach(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._detach(item) for item in value]
        # Dataclasses, Structs, sets, dates: what msgspec makes of them, with the bytes kept.
        return self._detach(msgspec.to_builtins(value, builtin_types=_BINARY))
