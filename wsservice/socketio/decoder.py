"""Socket.IO v5 packets from the client: texts and attachments to packets. Pure; SOCKETIO.md sections 1.11, 1.14, 1.15.

    packet = type [ count "-" ] [ namespace "," ] [ id ] [ json ]

Strict: what does not match raises ParseError, and nothing else is ever raised. Time is linear in the size. A packet
with attachments is given out when the last of them has arrived, as EVENT or ACK with the bytes in their places.

Two things are taken that a stricter reader would refuse, since JavaScript's clients send them. A text that was cut in
the middle of an emoji has a lone surrogate (`"\\ud83d"`), which becomes U+FFFD. An event's name may be a number, which
becomes its decimal digits.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, ClassVar

import msgspec

from wsservice.messages import RESERVED, ROOT, Event
from wsservice.socketio.packet import PLACEHOLDER, PacketType

#: ids travel through JavaScript's doubles
MAX_ID = 2**53 - 1
#: arrays and objects within each other, the packet's own array counted; 1.15 asks for 100 to 500
MAX_DEPTH = 200
#: characters; precedent: none in the reference, which lets a name fill the packet
MAX_NAMESPACE = 1000
#: precedent: socket.io-parser 4.2.6 (CVE-2026-33151)
MAX_ATTACHMENTS = 10
#: bytes of a packet and its attachments; precedent: half of what Node allows, ten messages of 1 MB
MAX_BYTES = 5_000_000

# No possessive group in these: Python 3.11.0 to 3.11.4, Debian 12's among them, match some wrongly (gh-106052).
_HEADER = re.compile(r"([0-6])(?:([0-9]++)-)?(?:(/[^,]*+),?)?([0-9]*+)")
#: int() of more would be slow, or refused
_MAX_DIGITS = 16
_TYPES = tuple(PacketType)
_BINARY_TYPES = {PacketType.BINARY_EVENT: PacketType.EVENT, PacketType.BINARY_ACK: PacketType.ACK}

#: up to a surrogate's escape without its other half, which is group 2; few matches, and each of little memory: what a
#: group has matched is remembered for as long as the match goes on
_LONE = re.compile(
    r"((?:[^\\]++|\\(?:[^u]|u(?![dD][89a-fA-F])|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})){0,1000})"
    r"(\\u[dD][89a-fA-F][0-9a-fA-F]{2})?"
)
#: in valid JSON; strings once these are gone
_ESCAPE, _STRING = re.compile(r"\\."), re.compile(r'"[^"]*+"')
#: brackets as signed steps of one byte
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))

_loads = msgspec.json.Decoder().decode
#: gives a tuple, as events have it
_load_array = msgspec.json.Decoder(tuple[Any, ...]).decode


class ParseError(ValueError):
    """What the client sent is no Socket.IO packet: the whole session ends. The text is fixed, and fit for a log.

    `word` is the reason by which it is counted.
    """

    word: ClassVar[str] = "parse error"


class TooManyAttachments(ParseError):
    """A packet announces more attachments than it may have."""

    word = "too many attachments"


class AttachmentsTooLarge(ParseError):
    """A packet and its attachments have more bytes than they may have."""

    word = "attachments too large"


class TooDeep(ParseError):
    """A payload has more arrays and objects within each other than it may have."""

    word = "nested too deep"


class Packet(msgspec.Struct, frozen=True):
    """A whole packet.

    Attributes:
        type: never BINARY_EVENT or BINARY_ACK, except for `Decoder.pending`.
        namespace: with its slash.
        data: of an EVENT the name, a str, and the arguments; of an ACK the arguments; of a CONNECT the object `auth`,
            `{}` where it was absent; of a CONNECT_ERROR an object; of a DISCONNECT None.
        id: of an ACK, and of an EVENT whose sender wants an acknowledgement.
    """

    type: PacketType
    namespace: str
    data: Any = None
    id: int | None = None


class Decoder:
    """The packets of one session.

    Args:
        max_attachments: of a packet.
        max_bytes: of a packet with attachments, all together; an attachment counts as often as it is used, so that
            a small packet cannot become a huge one when it is sent on.

    Attributes:
        size: of the last packet that was given out, with its attachments; characters and bytes.
    """

    __slots__ = ("_collection", "_max_attachments", "_max_bytes", "size")

    def __init__(self, *, max_attachments: int = MAX_ATTACHMENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_attachments = max_attachments
        self._max_bytes = max_bytes
        self._collection: _Collection | None = None
        self.size = 0

    @property
    def pending(self) -> Packet | None:
        """The packet whose attachments are missing, of a binary type and with its placeholders still; or None."""
        return None if self._collection is None else self._collection.packet

    def close(self) -> None:
        """Drop a packet whose attachments are missing."""
        self._collection = None

    def common_event(self, array: str) -> Event | None:
        """What nearly every text is, in one step: an event of the main namespace that asks for nothing.

        None for everything else, right or wrong: then nothing was taken, and `feed_text` is to be asked.

        Args:
            array: a text that begins with `2["`, without the `2`.
        """
        if self._collection is not None:
            return None
        try:
            data = _load_array(array)
        except (ValueError, RecursionError):
            return None
        name = data[0]
        if name in RESERVED or (len(array) > 2 * MAX_DEPTH and _depth(array) > MAX_DEPTH):
            return None
        self.size = len(array) + 1
        return Event(name, data[1:])

    def feed_text(self, text: str) -> Packet | None:
        """A text message of Engine.IO, without the `4`; None for the first part of a packet with attachments.

        Raises:
            ParseError: and nothing more may be fed.
        """
        if self._collection is not None:
            raise ParseError("a text where an attachment is missing")
        self.size = len(text)
        if text.startswith('2["'):
            return Packet(PacketType.EVENT, ROOT, _event(text[1:]))
        packet, count = self._parse(text)
        if not count:
            return packet
        self._collection = _Collection(packet, count, size=len(text.encode()), most=self._max_bytes)
        return None

    def feed_binary(self, data: bytes) -> Packet | None:
        """A binary message of Engine.IO; None while more are missing.

        Raises:
            ParseError: and nothing more may be fed.
        """
        if self._collection is None:
            raise ParseError("an attachment that no packet announced")
        collection = self._collection
        packet = collection.add(data)
        if packet is not None:
            self._collection = None
            self.size = collection.size
        return packet

    def _parse(self, text: str) -> tuple[Packet, int]:
        """A packet, and how many attachments follow it."""
        header = _HEADER.match(text)
        if header is None:
            raise ParseError("a packet of no known type")
        kind = _TYPES[int(header[1])]
        count = self._count(kind, header[2])
        namespace = _namespace(header[3])
        packet_id = _id(header[4])
        payload = text[header.end() :]
        if kind in (PacketType.EVENT, PacketType.BINARY_EVENT):
            data: Any = _event(payload)
        elif kind in (PacketType.ACK, PacketType.BINARY_ACK):
            if packet_id is None:
                raise ParseError("an acknowledgement without an id")
            data = _array(payload)
        elif packet_id is not None:
            raise ParseError("an id where there can be none")
        elif kind is PacketType.DISCONNECT:
            if payload:
                raise ParseError("a DISCONNECT with a payload")
            data = None
        else:
            data = _object(payload) if payload or kind is PacketType.CONNECT_ERROR else {}
        return Packet(kind, namespace, data, packet_id), count

    def _count(self, kind: PacketType, digits: str | None) -> int:
        if (digits is not None) != (kind in _BINARY_TYPES):
            raise ParseError("a number of attachments where there can be none, or none where there must be one")
        if digits is None:
            return 0
        if len(digits) > _MAX_DIGITS or int(digits) > self._max_attachments:
            raise TooManyAttachments(f"more than {self._max_attachments} attachments")
        if not int(digits):
            raise ParseError("a packet with no attachments of a type that has some")
        return int(digits)


def _namespace(name: str | None) -> str:
    if name is None:
        return ROOT
    if len(name) > MAX_NAMESPACE:
        raise ParseError("a namespace whose name is too long")
    try:
        name.encode()  # it is sent back
    except UnicodeEncodeError as error:
        raise ParseError("a namespace that is no Unicode") from error
    return name


def _id(digits: str) -> int | None:
    if not digits:
        return None
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_ID:
        raise ParseError("an id that is too large")
    return int(digits)


def _event(payload: str) -> list[Any]:
    data = _array(payload)
    name = data[0] if data else None
    if type(name) is str:
        if name in RESERVED:
            raise ParseError("an event of a reserved name")
    elif type(name) is int or type(name) is float:
        data[0] = str(int(name) if name == int(name) else name)
    else:
        raise ParseError("an event without a name")
    return data


def _array(payload: str) -> list[Any]:
    if not payload.startswith("["):
        raise ParseError("a payload that is no array")
    data: list[Any] = _json(payload)
    return data


def _object(payload: str) -> dict[str, Any]:
    if not payload.startswith("{"):
        raise ParseError("a payload that is no object")
    data: dict[str, Any] = _json(payload)
    return data


def _json(text: str) -> Any:
    try:
        value = _loads(text)
    except RecursionError as error:
        raise TooDeep("a payload that is nested too deep") from error
    except ValueError as error:
        value = _repaired(text, error)
    if len(text) > 2 * MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise TooDeep("a payload that is nested too deep")
    return value


def _repaired(text: str, error: ValueError) -> Any:
    """JSON that was refused, once more with U+FFFD for lone surrogates."""
    repaired = _LONE.sub(lambda found: f"{found[1]}\\ufffd" if found[2] else found[0], text)
    try:
        return _loads(repaired)
    except RecursionError:
        raise TooDeep("a payload that is nested too deep") from error
    except ValueError:
        raise ParseError("a payload that is no JSON") from error


def _depth(text: str) -> int:
    """How deep valid JSON is nested; up to MAX_DEPTH a figure that is too large will do."""
    brackets = text.count("[") + text.count("{")
    if brackets <= MAX_DEPTH:
        return brackets
    outside = _STRING.sub("", _ESCAPE.sub("", text)).encode().translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(outside).cast("b")))


class _Collection:
    """A packet and those of its attachments that have arrived.

    Args:
        count: of all its attachments.
        size: bytes of the packet alone.
        most: bytes of all together.

    Attributes:
        size: bytes so far.
    """

    __slots__ = ("_attachments", "_count", "_head", "_most", "_places", "packet", "size")

    def __init__(self, packet: Packet, count: int, *, size: int, most: int) -> None:
        self.packet = packet
        self.size = self._head = size
        self._count = count
        self._most = most
        self._places = find_placeholders(packet.data, count)
        self._attachments: list[bytes] = []
        self._check(0)

    def add(self, data: bytes) -> Packet | None:
        """One more; gives the packet once it is whole."""
        self._attachments.append(data)
        self._check(sum(map(len, self._attachments)))
        if len(self._attachments) < self._count:
            return None
        self._check(sum(len(self._attachments[num]) for *_, num in self._places))
        for container, key, num in self._places:
            container[key] = self._attachments[num]
        return Packet(_BINARY_TYPES[self.packet.type], self.packet.namespace, self.packet.data, self.packet.id)

    def _check(self, attachments: int) -> None:
        self.size = self._head + attachments
        if self.size > self._most:
            raise AttachmentsTooLarge("a packet whose attachments are too large")


def find_placeholders(data: list[Any], count: int) -> list[tuple[Any, Any, int]]:
    """Where the attachments belong: container, key or index, number of the attachment."""
    spots = []
    containers: list[Any] = [data]
    while containers:
        container = containers.pop()
        for key, value in container.items() if type(container) is dict else enumerate(container):
            if type(value) is list:
                containers.append(value)
            elif type(value) is dict:
                if value.get(PLACEHOLDER) is not True:
                    containers.append(value)
                    continue
                num = value.get("num")
                if type(num) is not int or not 0 <= num < count:
                    raise ParseError("a placeholder of no attachment")
                spots.append((container, key, num))
    return spots
