"""Targets: the Socket.IO decoder and session, fed messages that are separated by U+001E.

A part that begins with `b` is a binary message of the rest; one that begins with a capital letter is something that
the server or the time does; any other is a text message. (No packet begins with a letter.)
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from fuzz import strict_reference
from fuzz.target import outcome_of, text_of
from wsservice.messages import Ack, Event
from wsservice.socketio.decoder import MAX_DEPTH, MAX_ID, MAX_NAMESPACE, Decoder, Packet, ParseError
from wsservice.socketio.packet import RESERVED, Encoded, PacketType, encode_ack, encode_event
from wsservice.socketio.session import (
    FORCED,
    PARSE_ERROR,
    TABLE,
    Cancelled,
    ConnectRequested,
    Dropped,
    Incoming,
    Left,
    ProtocolViolation,
    Received,
    Session,
    State,
    TooManyNamespaces,
)

SEPARATOR = b"\x1e"
_MAX_BYTES = 1500
_LIMITS: dict[str, Any] = {"max_attachments": 3, "max_bytes": _MAX_BYTES}
_BINARY_TYPES = (PacketType.BINARY_EVENT, PacketType.BINARY_ACK)


def socketio_decoder(data: bytes) -> Hashable:
    """Packets come whole or not at all, and say again what was read."""
    decoder = Decoder(**_LIMITS)
    outcomes: list[Hashable] = []
    for part in data.split(SEPARATOR):
        binary = part.startswith(b"b")
        message = part[1:] if binary else text_of(part)
        try:
            packet = decoder.feed_binary(part[1:]) if binary else decoder.feed_text(text_of(part))
        except ParseError as error:
            outcomes.append(outcome_of(error))
            break
        if packet is None:
            assert decoder.pending is not None
            assert decoder.pending.type in _BINARY_TYPES
            outcomes.append("waits")
            continue
        assert decoder.pending is None
        _check_packet(packet)
        if isinstance(message, str):
            _compare(packet, message)
        _send_on(packet)
        outcomes.append((packet.type, packet.namespace == "/", packet.id is None, binary))
    return tuple(dict.fromkeys(outcomes))


def _check_packet(packet: Packet) -> None:
    assert packet.type not in _BINARY_TYPES
    assert packet.namespace.startswith("/")
    assert "," not in packet.namespace
    assert len(packet.namespace) <= MAX_NAMESPACE
    packet.namespace.encode()
    assert packet.id is None or 0 <= packet.id <= MAX_ID
    assert strict_reference.depth(packet.data) <= MAX_DEPTH
    if packet.type is PacketType.EVENT:
        assert type(packet.data[0]) is str
        assert packet.data[0] not in RESERVED
    elif packet.type is PacketType.ACK:
        assert type(packet.data) is list
        assert packet.id is not None
    else:
        assert packet.id is None
        assert (packet.data is None) is (packet.type is PacketType.DISCONNECT)


def _compare(packet: Packet, text: str) -> None:
    """With Python's own parser, for packets whose payload is easy to find."""
    if packet.namespace != "/" or packet.type not in (PacketType.EVENT, PacketType.ACK):
        return
    try:
        expected = strict_reference.loads(text[text.index("[") :], unique=False)
    except (strict_reference.Unsure, strict_reference.Refused):
        assert "\\u" in text or len(text) > 4300, "taken, and it is no JSON"
        return
    assert packet.data[1:] == expected[1:]
    if packet.type is PacketType.EVENT and type(expected[0]) is not str:
        name = int(packet.data[0]) if type(expected[0]) is int else float(packet.data[0])
        assert name == expected[0]


def _send_on(packet: Packet) -> None:
    """What was read can be sent on, and is read the same then, unless encoding refuses it by its own rules."""
    try:
        if packet.type is PacketType.EVENT:
            name, *args = packet.data
            encoded = encode_event(packet.namespace, name, args, packet.id)
        elif packet.type is PacketType.ACK and packet.id is not None:
            encoded = encode_ack(packet.namespace, packet.id, packet.data)
        else:
            return
    except (TypeError, ValueError):
        return
    again = _decode(encoded)
    assert again == packet, "not the same when sent on"


def _decode(encoded: Encoded) -> Packet | None:
    decoder = Decoder(max_attachments=1000, max_bytes=10**7)
    packet = decoder.feed_text(encoded.text.decode())
    for attachment in encoded.attachments:
        packet = decoder.feed_binary(attachment)
    return packet


class Life:
    """A session, and what its namespaces must be by what it said.

    Attributes:
        joined: the namespaces that the client asked for and did not lose since: whether they were accepted.
        early: events of those that were not.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.session = Session(
            now=0.0,
            max_namespaces=3,
            max_attachments=3,
            max_binary_bytes=_MAX_BYTES,
            max_early=3,
        )
        self.joined: dict[str, bool] = {}
        self.early: dict[str, int] = {}
        self.outcomes: dict[Hashable, None] = {}

    def run(self, parts: list[bytes]) -> Hashable:
        """Do all that the parts say."""
        for part in parts:
            closed = self.session.is_closed
            try:
                incoming = self._step(part)
            except ProtocolViolation as violation:
                assert violation.reason in (FORCED, PARSE_ERROR)
                assert not closed
                assert self.session.is_closed
                self.joined.clear()
                self.outcomes[outcome_of(violation)] = None
                continue
            if incoming is not None:
                assert not closed, "something is received after the end"
                self.outcomes[type(incoming).__name__] = None
                self._take(incoming)
            self._look()
        return tuple(self.outcomes)

    def _step(self, part: bytes) -> Incoming | None:
        kind, rest = part[:1], part[1:]
        if kind == b"b":
            return self.session.receive_binary(rest, self.now)
        if kind in (b"A", b"R", b"L"):
            self._serve(kind, rest.decode("latin-1") or "/")
        elif kind == b"T":
            self.now += len(rest) * 10.0
            self.session.handle_timer(self.now)
        elif kind == b"C":
            self.session.close()
            self.joined.clear()
        else:
            return self.session.receive_text(text_of(part), self.now)
        return None

    def _serve(self, kind: bytes, namespace: str) -> None:
        accepted = self.joined.get(namespace)
        step = {b"A": self.session.accept, b"R": self.session.refuse, b"L": self.session.leave}[kind]
        fits = accepted is not None if kind == b"L" else accepted is False
        try:
            step(namespace)
            assert fits
        except ValueError:
            assert not fits
            return
        if kind == b"A":
            self.joined[namespace] = True
        else:
            del self.joined[namespace]

    def _take(self, incoming: Incoming) -> None:
        name = incoming.namespace
        if isinstance(incoming, ConnectRequested):
            assert name not in self.joined
            assert type(incoming.auth) is dict
            self.joined[name] = False
            self.early[name] = 0
            assert len(self.joined) <= 3
        elif isinstance(incoming, TooManyNamespaces):
            assert name not in self.joined
            assert len(self.joined) == 3
        elif isinstance(incoming, Cancelled | Left):
            assert self.joined.pop(name) is isinstance(incoming, Left)
        elif isinstance(incoming, Dropped):
            assert self.session.state(name) is State.DISMISSED
        else:
            self._receive(incoming)

    def _receive(self, received: Received) -> None:
        accepted = self.joined[received.namespace]
        if isinstance(received.message, Ack):
            assert accepted, "an acknowledgement before anything was asked"
            return
        assert isinstance(received.message, Event)
        if not accepted:
            self.early[received.namespace] += 1
            assert self.early[received.namespace] <= 3

    def _look(self) -> None:
        session = self.session
        pending = session._decoder.pending
        assert pending is None or (session.state(pending.namespace), pending.type) in TABLE, "CVE-2026-48804"
        timer = session.get_timer()
        if session.is_closed:
            assert timer is None
        assert timer is None or timer > self.now
        for name, accepted in self.joined.items():
            assert session.state(name) is (State.CONNECTED if accepted else State.CONNECTING)
        assert len(session._gone) <= 3


def socketio_session(data: bytes) -> Hashable:
    """Messages of a client; `A/x` accepts a namespace, `R/x` refuses, `L/x` leaves it, `T` waits, `C` closes."""
    return Life().run(data.split(SEPARATOR))
