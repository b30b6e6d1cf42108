"""Random lives of a session: a client, a server and the time do what they like, and nothing is lost on the way."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from wsservice.engineio.packet import Packet, PacketType, ParseError, decode_payload, encode_packet
from wsservice.engineio.session import Session
from wsservice.engineio.settings import Settings
from wsservice.engineio.states import Conflict, SessionError, SessionUnknown, State, TransportMismatch, UnexpectedPacket

SETTINGS = Settings(ping_interval=25, ping_timeout=20, upgrade_timeout=10, close_grace=30, max_payload=300)
#: what a silent client may live: the interval, the timeout, and the timeout once more for other traffic
LONGEST = 25 + 20 + 20
ALIVE = (State.POLLING, State.PROBING, State.WEBSOCKET)
BINARY = st.booleans()


class Life(RuleBasedStateMachine):
    """What both sides sent and what both sides got.

    Attributes:
        sent: by the server, as far as the session took it; `fetched` is what the client got of it.
        expected: what the application must get, in order; `got` is what it got.
        behind: messages on the WebSocket, sent while a POST was under way.
        lost: the session ended in a way that loses what was queued.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.count = 0
        self.session = Session("S", SETTINGS, websocket=False, now=0.0)
        self.sent: list[str | bytes] = []
        self.fetched: list[str | bytes] = []
        self.expected: list[str | bytes] = []
        self.got: list[str | bytes] = []
        self.behind: list[str | bytes] = []
        self.posting = False
        self.polling = False
        self.last_pong = 0.0
        self.opened = 0

    # -- what the owner of a session does

    def catch_up(self) -> State:
        """Let what is due happen first, so that the state is known."""
        self.session.handle_timer(self.now)
        self.look()
        return self.session.state

    def look(self) -> None:
        """After every call."""
        body = self.session.payload_to_send()
        if body is not None:
            assert self.polling, "an answer without a GET"
            self.polling = False
            self.read(decode_payload(body))
        for frame in self.session.frames_to_send():
            self.read(
                [Packet(PacketType.MESSAGE, frame)] if isinstance(frame, bytes) else decode_payload(frame.encode())
            )
        assert set(self.session.probe_to_send()) <= {"3probe"}
        self.got += self.session.messages_received()

    def read(self, packets: list[Packet]) -> None:
        for packet in packets:
            if packet.type is PacketType.MESSAGE:
                self.fetched.append(packet.data)
            self.opened += packet.type is PacketType.OPEN

    def message(self, binary: bool) -> str | bytes:
        self.count += 1
        return b"%d" % self.count if binary else str(self.count)

    # -- the server

    @rule(binary=st.lists(BINARY, min_size=1, max_size=3), size=st.sampled_from([0, 0, 50, 400]))
    def server_sends(self, binary: list[bool], size: int) -> None:
        messages = [self.message(one) for one in binary]
        messages[0] += b"." * size if isinstance(messages[0], bytes) else "." * size  # type: ignore[operator]
        piece = b"\x1e".join(encode_packet(Packet(PacketType.MESSAGE, one)) for one in messages)
        ended = self.session.has_ended
        assert self.session.send(piece) is not ended
        if not ended:
            self.sent += messages
        self.look()

    @precondition(lambda self: self.count > 8)
    @rule(discard=st.booleans())
    def server_closes(self, discard: bool) -> None:
        self.session.close(self.now, "server shutdown", discard=discard)
        self.look()

    @rule(seconds=st.sampled_from([0.5, 3, 9, 11, 21]), timer=st.booleans())
    def time_passes(self, seconds: float, timer: bool) -> None:
        self.now += seconds
        if timer:
            self.catch_up()

    # -- the client on long-polling

    @precondition(lambda self: not self.polling)
    @rule()
    def gets(self) -> None:
        state = self.catch_up()
        self.polling = state not in (State.WEBSOCKET, State.CLOSED)
        try:
            self.session.receive_poll(self.now)
            assert self.polling
        except TransportMismatch:
            assert state is State.WEBSOCKET
        except SessionUnknown:
            assert state is State.CLOSED
        self.look()

    @precondition(lambda self: self.count > 8 and self.polling)
    @rule(abort=st.booleans())
    def breaks_its_get(self, abort: bool) -> None:
        if self.catch_up() is State.CLOSED or not self.polling:
            return
        if abort:
            self.polling = False
            self.session.poll_lost(self.now)
        else:
            try:
                self.session.receive_poll(self.now)
            except Conflict:
                pass
        assert self.session.state is State.CLOSED
        self.look()

    @precondition(lambda self: not self.posting)
    @rule()
    def begins_a_post(self) -> None:
        state = self.catch_up()
        try:
            self.session.post_begins(self.now)
            self.posting = True
        except SessionError:
            assert state in (State.WEBSOCKET, State.CLOSED)
        self.look()

    @precondition(lambda self: self.posting)
    @rule(binary=st.lists(BINARY, max_size=4), end=st.sampled_from([b"3", b"3", b"6", b"3", b"1", b"2", b"9"]))
    def ends_the_post(self, binary: list[bool], end: bytes) -> None:
        if self.count < 8:
            end = b"3"
        messages = [self.message(one) for one in binary]
        body = b"\x1e".join([*(encode_packet(Packet(PacketType.MESSAGE, one)) for one in messages), end])
        state = self.catch_up()
        self.posting = False
        try:
            self.session.receive_payload(body, self.now)
        except SessionUnknown:
            assert state is State.CLOSED
        except ParseError:
            assert end == b"9"
            state = State.CLOSED
        except UnexpectedPacket:
            assert end == b"2"
        if state in ALIVE:
            self.expected += messages
            if not self.session.has_ended:
                self.expected += self.behind
            if end == b"3":
                self.last_pong = self.now
        self.behind = []
        self.look()

    @precondition(lambda self: self.posting and self.count > 8)
    @rule()
    def loses_the_post(self) -> None:
        self.posting = False
        self.behind = []
        self.session.post_lost(self.now)
        assert self.session.state is State.CLOSED
        self.look()

    # -- the client on a WebSocket

    @rule()
    def opens_a_websocket(self) -> None:
        state = self.catch_up()
        assert self.session.begin_probe(self.now) is (state is State.POLLING)
        self.look()

    @rule(payload=st.sampled_from(["2probe", "2probe", "5", "5", "4no"]))
    def probes(self, payload: str) -> None:
        self.session.receive_probe(payload, self.now)
        self.look()

    @rule()
    def upgrades(self) -> None:
        self.session.begin_probe(self.now)
        self.session.receive_probe("2probe", self.now)
        self.look()
        self.session.receive_probe("5", self.now)
        self.look()

    @rule()
    def loses_the_probe(self) -> None:
        self.session.probe_lost(self.now)
        self.look()

    @rule(binary=BINARY, short=st.booleans())
    def sends_a_frame(self, binary: bool, short: bool) -> None:
        if self.catch_up() is not State.WEBSOCKET:
            return
        message = self.message(binary)
        (self.behind if self.posting else self.expected).append(message)
        if short and self.session.is_at_rest():
            assert not self.posting
            self.got.append(message)
        else:
            self.session.receive_frame(message if isinstance(message, bytes) else f"4{message}", self.now)
        self.look()

    @rule()
    def pongs(self) -> None:
        if self.catch_up() is State.WEBSOCKET:
            self.session.receive_frame("3", self.now)
            self.last_pong = self.now
            self.look()

    @precondition(lambda self: self.count > 8)
    @rule(payload=st.sampled_from(["1", "2", "9", None]))
    def ends_on_the_websocket(self, payload: str | None) -> None:
        if self.catch_up() is not State.WEBSOCKET:
            return
        if payload is None:
            self.session.transport_lost(self.now)
        elif payload == "9" or not self.posting:
            self.session.receive_frame(payload, self.now)
        else:
            return
        assert self.session.state is State.CLOSED
        self.look()

    # -- what is true at any time

    @invariant()
    def the_application_gets_what_was_sent_in_order_and_once(self) -> None:
        assert self.got == self.expected

    @invariant()
    def the_client_gets_what_was_sent_in_order_and_once(self) -> None:
        assert self.fetched == self.sent[: len(self.fetched)]
        assert self.opened <= 1
        if self.session.state is State.WEBSOCKET:
            assert self.fetched == self.sent

    @invariant()
    def there_is_a_timer_ahead_while_it_lives(self) -> None:
        self.catch_up()
        timer = self.session.get_timer()
        assert timer is None or timer > self.now
        assert (timer is None) is (self.session.state is State.CLOSED)

    @invariant()
    def what_ended_is_told_and_nothing_is_left(self) -> None:
        session = self.session
        assert session.has_ended is (session.state in (State.CLOSING, State.CLOSED))
        if session.state is State.CLOSED:
            assert session.queued_bytes == 0
            assert not session._outbox
            assert not session._held
            assert not self.polling, "a GET was not answered"

    @invariant()
    def one_get_is_open_or_none(self) -> None:
        assert self.session.is_poll_open is self.polling
        if self.polling:
            assert self.session.queued_bytes == 0

    @invariant()
    def a_silent_client_dies(self) -> None:
        self.catch_up()
        if self.session.state in ALIVE:
            assert self.now < self.last_pong + LONGEST

    def teardown(self) -> None:
        """What is queued can still be fetched, to the last."""
        if self.session.state is State.PROBING:
            self.session.probe_lost(self.now)
        while self.session.state in (State.POLLING, State.CLOSING) and (self.session.queued_bytes or not self.opened):
            self.gets()
        if self.session.state in ALIVE:
            assert self.fetched == self.sent
            assert self.opened == 1


class LifeTests(SynchronousTestCase):
    def test_nothing_is_lost_doubled_or_out_of_order(self) -> None:
        run_state_machine_as_test(Life, settings=settings(max_examples=200, stateful_step_count=40, deadline=None))
