"""Target: an Engine.IO session, driven by the bytes as by a client, a server and the time, in any order."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from fuzz.target import Reader, text_of
from wsservice.engineio.packet import Packet, PacketType, ParseError, decode_frame, decode_payload, encode_packet
from wsservice.engineio.session import Session
from wsservice.engineio.settings import Settings
from wsservice.engineio.states import (
    TABLE,
    Conflict,
    SessionUnknown,
    State,
    TransportMismatch,
    UnexpectedPacket,
)

SETTINGS = Settings(ping_interval=25, ping_timeout=20, upgrade_timeout=10, close_grace=30, max_payload=300)
#: what a client lives without a pong: the interval, the timeout, and the timeout once more for other traffic
_LONGEST = 25 + 20 + 20
_NO_UPGRADES = Settings(ping_interval=25, ping_timeout=20, max_payload=300, allow_upgrades=False)
#: texts that lead somewhere, beside the input's own
FRAMES = ("2probe", "5", "3", "1", "2", "4", "4hello", "bAQID", "6", "0{}")
BODIES = (b"3", b"1", b"2", b"4a\x1e4b", b"bAQID\x1e3", b"4a\x1e1\x1e4b", b"5", b"9")
#: states that can follow each other, over any number of events
_AFTER = {state: set(TABLE[state].values()) for state in State}


class Life:
    """One session, and what each side has of the other.

    Attributes:
        sent: what the server sent; `fetched` is what the client got of it, `opened` how often it got the open packet.
    """

    def __init__(self, reader: Reader) -> None:
        flags = reader.byte()
        self.reader = reader
        self.now = 0.0
        self.session = Session("S", _NO_UPGRADES if flags & 2 else SETTINGS, websocket=bool(flags & 1), now=0.0)
        self.state = self.session.state
        self.polling = self.session.is_poll_open
        self.sent: list[str | bytes] = []
        self.fetched: list[str | bytes] = []
        self.opened = 0
        self.received = 0
        self.refused: set[str] = set()
        self.last_pong = 0.0

    def run(self) -> Hashable:
        """Do all that the input says."""
        while self.reader:
            number = self.reader.byte()
            operation, allowed = _OPERATIONS[number % len(_OPERATIONS)]
            try:
                operation(self)
            except allowed as error:
                self.refused.add(f"{operation.__name__} {type(error).__name__}")
            self.look()
        self.now += 1000.0
        self.session.handle_timer(self.now)
        self.look()
        self.now += 1000.0
        self.session.handle_timer(self.now)
        self.look()
        assert self.session.state is State.CLOSED, "it never dies"
        return self.session.end_reason, frozenset(self.refused), min(self.received, 2), min(len(self.fetched), 2)

    def look(self) -> None:
        """What is true after every call."""
        session = self.session
        body = session.payload_to_send()
        if body is not None:
            assert self.polling, "an answer without a GET"
            self.polling = False
            packets = decode_payload(body)
            assert len(body) <= 300 or len(packets) <= 3
            self._fetch(packets)
        for frame in session.frames_to_send():
            binary = isinstance(frame, bytes)
            self._fetch([Packet(PacketType.MESSAGE, frame)] if binary else decode_payload(str(frame).encode()))
        assert set(session.probe_to_send()) <= {"3probe"}
        messages = session.messages_received()
        assert all(isinstance(message, str | bytes) for message in messages)
        self.received += len(messages)
        assert self.fetched == self.sent[: len(self.fetched)], "lost, doubled or out of order"
        assert self.opened <= 1
        self._look_at_state()

    def _look_at_state(self) -> None:
        session, state = self.session, self.session.state
        assert state is self.state or _can_follow(self.state, state), f"{self.state} to {state}"
        self.state = state
        assert session.has_ended is (state in (State.CLOSING, State.CLOSED))
        assert session.has_ended is (session.end_reason is not None)
        assert session.is_poll_open is self.polling
        assert not self.polling or (session.queued_bytes == 0 and state is not State.CLOSED)
        session.handle_timer(self.now)
        self.state = session.state
        assert session.has_ended or self.now < self.last_pong + _LONGEST, "a silent client lives on"
        timer = session.get_timer()
        assert (timer is None) is (session.state is State.CLOSED)
        assert timer is None or timer > self.now, "a timer that spins"
        if state is State.CLOSED:
            assert session.queued_bytes == 0
            assert not session.send(b"4late")

    def _fetch(self, packets: list[Packet]) -> None:
        for packet in packets:
            if packet.type is PacketType.MESSAGE:
                self.fetched.append(packet.data)
            self.opened += packet.type is PacketType.OPEN

    # -- what can happen

    def sends(self) -> None:
        """The server sends messages."""
        count, size = 1 + self.reader.byte() % 3, self.reader.byte()
        messages = [f"{len(self.sent) + number}{'.' * size}" for number in range(count)]
        mixed = [text.encode() if number % 2 else text for number, text in enumerate(messages)]
        pieces = [encode_packet(Packet(PacketType.MESSAGE, message)) for message in mixed]
        ended = self.session.has_ended
        assert self.session.send(b"\x1e".join(pieces)) is not ended
        self.sent += [] if ended else mixed

    def closes(self) -> None:
        """The server ends the session."""
        self.session.close(self.now, "server", discard=bool(self.reader.byte() & 1))

    def waits(self) -> None:
        """Time passes."""
        self.now += self.reader.byte() / 4

    def wakes(self) -> None:
        """The timer runs."""
        self.session.handle_timer(self.now)

    def gets(self) -> None:
        """The client polls."""
        self.session.receive_poll(self.now)
        self.polling = True

    def aborts_get(self) -> None:
        """The client gives its GET up."""
        self.polling = False
        self.session.poll_lost(self.now)

    def begins_post(self) -> None:
        """The head of a POST."""
        self.session.post_begins(self.now)

    def posts(self) -> None:
        """A body, of ours or of the input."""
        number = self.reader.byte()
        body = BODIES[number] if number < len(BODIES) else self.reader.chunk()
        self._note_pong(lambda: decode_payload(body))
        self.session.receive_payload(body, self.now)

    def loses_post(self) -> None:
        """The body does not come."""
        self.session.post_lost(self.now)

    def probes(self) -> None:
        """A WebSocket is opened for the session."""
        state = self.session.state
        begun = self.session.begin_probe(self.now)
        assert not begun or state in (State.POLLING, State.PROBING)

    def frames_probe(self) -> None:
        """A message on it."""
        self.session.receive_probe(self._frame(), self.now)

    def loses_probe(self) -> None:
        """It is gone."""
        self.session.probe_lost(self.now)

    def frames(self) -> None:
        """A message on the session's own WebSocket."""
        frame = self._frame()
        self._note_pong(lambda: [decode_frame(frame)])
        self.session.receive_frame(frame, self.now)

    def frames_shortly(self) -> None:
        """The same, by the short way."""
        if self.session.is_at_rest():
            assert self.session.state is State.WEBSOCKET

    def loses_websocket(self) -> None:
        """It is gone."""
        self.session.transport_lost(self.now)

    def _note_pong(self, decode: Callable[[], list[Packet]]) -> None:
        """Perhaps the client answered a ping."""
        try:
            packets = decode()
        except ParseError:
            return
        if any(packet.type is PacketType.PONG for packet in packets):
            self.last_pong = self.now

    def _frame(self) -> str | bytes:
        number = self.reader.byte()
        if number < len(FRAMES):
            return FRAMES[number]
        data = self.reader.chunk()
        return data if number & 1 else text_of(data)


def _can_follow(before: State, after: State) -> bool:
    """Whether a state can follow another; a timer may have come in between."""
    reached, seen = {before}, set()
    while reached:
        seen |= reached
        reached = set().union(*(_AFTER[state] for state in reached)) - seen
    return after in seen


_Errors = tuple[type[Exception], ...]
_REFUSED: _Errors = (Conflict, SessionUnknown, TransportMismatch)
_NOTHING: _Errors = ()
#: each with what it documents to raise
_OPERATIONS: tuple[tuple[Callable[[Life], None], _Errors], ...] = (
    (Life.sends, _NOTHING),
    (Life.gets, _REFUSED),
    (Life.gets, _REFUSED),
    (Life.waits, _NOTHING),
    (Life.begins_post, _REFUSED),
    (Life.posts, (ParseError, UnexpectedPacket, SessionUnknown)),
    (Life.probes, _NOTHING),
    (Life.frames_probe, _NOTHING),
    (Life.frames_probe, _NOTHING),
    (Life.frames, (TransportMismatch,)),
    (Life.frames, (TransportMismatch,)),
    (Life.wakes, _NOTHING),
    (Life.closes, _NOTHING),
    (Life.aborts_get, _NOTHING),
    (Life.loses_post, _NOTHING),
    (Life.loses_probe, _NOTHING),
    (Life.frames_shortly, _NOTHING),
    (Life.loses_websocket, _NOTHING),
)


def engineio_session(data: bytes) -> Hashable:
    """The first byte chooses the transport and whether upgrades are allowed; the others are operations."""
    return Life(Reader(data)).run()
