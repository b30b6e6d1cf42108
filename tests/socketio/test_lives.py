"""Random lives of a session's namespaces: a client, the application and the time do what they like; a model watches."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from wsservice.messages import Ack, Event
from wsservice.socketio.session import (
    FORCED,
    PARSE_ERROR,
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

CONNECT_TIMEOUT, ATTACHMENTS_TIMEOUT = 45.0, 30.0
MAX_NAMESPACES, MAX_EARLY, MAX_ATTACHMENTS, MAX_BYTES = 2, 3, 2, 150
NAMESPACES = st.sampled_from(["/", "/a", "/b"])
LIVING = (State.CONNECTING, State.CONNECTED)
#: messages before which nothing that ends the session is tried: lives would be short
CALM = 12


class Life(RuleBasedStateMachine):
    """What a session must say, by a model that knows of nothing but the words of `session`'s docstring.

    Attributes:
        states: of each namespace; ABSENT if it is not there. The order is that in which they ended.
        early: events of each namespace that is connecting.
        expected: what the application must get of each namespace, in order; `got` is what it got.
        pending: the namespace, the number of attachments still to come, and what their packet then is.
        opened: when the session began, until a namespace was accepted.
        over: whether the session has ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.count = 0
        self.session = Session(
            now=0.0,
            connect_timeout=CONNECT_TIMEOUT,
            attachments_timeout=ATTACHMENTS_TIMEOUT,
            max_namespaces=MAX_NAMESPACES,
            max_attachments=MAX_ATTACHMENTS,
            max_binary_bytes=MAX_BYTES,
            max_early=MAX_EARLY,
        )
        self.states: dict[str, State] = {}
        self.early: dict[str, int] = {}
        self.expected: list[Incoming] = []
        self.got: list[Incoming] = []
        self.pending: tuple[str, int, Event | Ack] | None = None
        self.parts: list[bytes] = []
        self.size = 0
        self.deadline: float | None = CONNECT_TIMEOUT
        self.part_deadline: float | None = None
        self.over = False

    # -- the model

    def state(self, namespace: str) -> State:
        return self.states.get(namespace, State.ABSENT)

    def move(self, namespace: str, state: State) -> None:
        self.states.pop(namespace, None)
        self.states[namespace] = state
        self.early[namespace] = 0
        gone = [name for name, one in self.states.items() if one not in LIVING]
        if len(gone) > MAX_NAMESPACES:
            del self.states[gone[0]]

    def living(self) -> int:
        return sum(state in LIVING for state in self.states.values())

    def end(self) -> None:
        self.over = True
        self.states.clear()
        self.pending = self.deadline = self.part_deadline = None

    def feed(self, message: str | bytes, *, ends: str | None = None, gives: Incoming | None = None) -> None:
        """A message, and what must come of it: the end of the session, or what the application gets, or nothing."""
        if self.over:
            ends = gives = None
        try:
            if isinstance(message, str):
                incoming = self.session.receive_text(message, self.now)
            else:
                incoming = self.session.receive_binary(message, self.now)
        except ProtocolViolation as violation:
            assert violation.reason == ends, (message, violation, ends)
            self.end()
            return
        assert ends is None, (message, incoming, "should have ended")
        if gives is not None:
            self.expected.append(gives)
        if incoming is not None:
            self.got.append(incoming)

    def text(self, kind: str, namespace: str, rest: str = "") -> str:
        return kind + ("" if namespace == "/" else f"{namespace},") + rest

    def unless_pending(self) -> str | None:
        """A text while attachments are to come ends the session."""
        return PARSE_ERROR if self.pending is not None else None

    def number(self) -> int:
        self.count += 1
        return self.count

    # -- the client

    @rule(namespace=NAMESPACES)
    def connects(self, namespace: str) -> None:
        state = self.state(namespace)
        if self.count < CALM and (state in LIVING or self.pending is not None):
            return
        ends = self.unless_pending() or (FORCED if state in LIVING else None)
        message = self.text("0", namespace, '{"n":1}')
        if ends or self.over:
            self.feed(message, ends=ends)
        elif self.living() >= MAX_NAMESPACES:
            self.move(namespace, State.DISMISSED)
            self.feed(message, gives=TooManyNamespaces(namespace))
        else:
            self.move(namespace, State.CONNECTING)
            self.feed(message, gives=ConnectRequested(namespace, {"n": 1}))

    @rule(namespace=NAMESPACES)
    def leaves(self, namespace: str) -> None:
        state = self.state(namespace)
        if self.count < CALM and (state in (State.ABSENT, State.LEFT) or self.pending is not None):
            return
        gives: dict[State, Incoming] = {State.CONNECTING: Cancelled(namespace), State.CONNECTED: Left(namespace)}
        ends = self.unless_pending() or (FORCED if state in (State.ABSENT, State.LEFT) else None)
        if state in gives and not ends:
            self.move(namespace, State.LEFT)
        self.feed(self.text("1", namespace), ends=ends, gives=gives.get(state))

    @rule(namespace=NAMESPACES, asks=st.booleans(), common=st.booleans())
    def tells(self, namespace: str, asks: bool, common: bool) -> None:
        state = self.state(namespace)
        if self.count < CALM and (
            state in (State.ABSENT, State.LEFT) or self.pending is not None or self.early.get(namespace) == MAX_EARLY
        ):
            self.number()
            return
        number = self.number()
        event = Event("m", (number,), number if asks else None)
        rest = f'{number if asks else ""}["m",{number}]'
        if common and namespace == "/" and not asks and state is State.CONNECTED and self.pending is None:
            assert self.session.receive_common(rest) == event
            return
        ends = self.unless_pending() or (FORCED if state in (State.ABSENT, State.LEFT) else None)
        gives: Incoming | None = Received(namespace, event) if state in LIVING else Dropped(namespace)
        if state is State.CONNECTING and not ends and not self.over:
            self.early[namespace] += 1
            if self.early[namespace] > MAX_EARLY:
                ends = FORCED
        self.feed(self.text("2", namespace, rest), ends=ends, gives=gives)

    @rule(namespace=NAMESPACES)
    def answers(self, namespace: str) -> None:
        state = self.state(namespace)
        if self.count < CALM and (state is State.ABSENT or self.pending is not None):
            return
        number = self.number()
        ends = self.unless_pending() or (FORCED if state is State.ABSENT else None)
        gives = Received(namespace, Ack(number, (number,))) if state is State.CONNECTED else None
        self.feed(self.text("3", namespace, f"{number}[{number}]"), ends=ends, gives=gives)

    @rule(namespace=NAMESPACES, parts=st.integers(1, MAX_ATTACHMENTS + 1), is_event=st.booleans())
    def begins_attachments(self, namespace: str, parts: int, is_event: bool) -> None:
        state = self.state(namespace)
        number = self.number()
        marks = ",".join(f'{{"_placeholder":true,"num":{part}}}' for part in range(parts))
        kind = f"5{parts}-" if is_event else f"6{parts}-"
        allowed = (State.CONNECTED, State.DISMISSED) if is_event else (State.CONNECTING, *_KNOWN)
        ends = self.unless_pending() or (PARSE_ERROR if parts > MAX_ATTACHMENTS else None)
        ends = ends or (None if state in allowed else FORCED)
        if ends and self.count < CALM:
            return
        rest = f'["m",{marks}]' if is_event else f"{number}[{marks}]"
        if not ends and not self.over:
            self.pending = (namespace, parts, Event("m", ()) if is_event else Ack(number, ()))
            self.parts, self.size = [], len(self.text(kind, namespace, rest))
            self.part_deadline = self.now + ATTACHMENTS_TIMEOUT
        self.feed(self.text(kind, namespace, rest), ends=ends)

    @rule(size=st.sampled_from([0, 1, 30, 30, MAX_BYTES]))
    def attaches(self, size: int) -> None:
        if self.count < CALM and (self.pending is None or self.size + size > MAX_BYTES):
            return
        part = b"x" * size
        if self.pending is None or self.over:
            self.feed(part, ends=PARSE_ERROR)
            return
        namespace, left, message = self.pending
        self.parts.append(part)
        self.size += size
        if self.size > MAX_BYTES:
            self.feed(part, ends=PARSE_ERROR)
        elif left > 1:
            self.pending = (namespace, left - 1, message)
            self.part_deadline = self.now + ATTACHMENTS_TIMEOUT
            self.feed(part)
        else:
            self.pending = self.part_deadline = None
            self.feed_whole(part, namespace, message)

    def feed_whole(self, part: bytes, namespace: str, message: Event | Ack) -> None:
        """The last attachment of a packet: it is looked up once more, since the namespace may have ended."""
        state, is_event = self.state(namespace), isinstance(message, Event)
        whole = Event("m", tuple(self.parts)) if is_event else Ack(message.id or 0, tuple(self.parts))
        if state is State.CONNECTED:
            self.feed(part, gives=Received(namespace, whole))
        elif state is State.DISMISSED:
            self.feed(part, gives=Dropped(namespace) if is_event else None)
        elif is_event and state is State.CONNECTING:
            raise AssertionError("a client cannot connect while its attachments are to come")
        else:
            self.feed(part, ends=FORCED if state is State.ABSENT or is_event else None)

    @precondition(lambda self: self.count > CALM)
    @rule(nonsense=st.sampled_from(["", "7", "nonsense", "2[]", '4{"message":"no"}']))
    def talks_nonsense(self, nonsense: str) -> None:
        state = self.state("/")
        is_packet = nonsense.startswith("4") and self.pending is None
        assert state is not None
        self.feed(nonsense, ends=FORCED if is_packet else PARSE_ERROR)

    # -- the application

    @rule(namespace=NAMESPACES, step=st.sampled_from(["accept", "accept", "refuse", "leave"]))
    def decides(self, namespace: str, step: str) -> None:
        fits = self.state(namespace) in (LIVING if step == "leave" else (State.CONNECTING,))
        try:
            getattr(self.session, step)(namespace)
        except ValueError:
            assert not fits
            return
        assert fits
        self.move(namespace, State.CONNECTED if step == "accept" else State.DISMISSED)
        if step == "accept":
            self.deadline = None

    @precondition(lambda self: self.count > CALM)
    @rule()
    def closes(self) -> None:
        self.session.close()
        self.end()

    # -- the time

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 29.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        if self.count < CALM and self.timer is not None and self.now + seconds >= self.timer:
            return
        self.now += seconds
        is_due = self.timer is not None and self.now >= self.timer
        reason = FORCED if self.deadline is not None and self.now >= self.deadline else PARSE_ERROR
        try:
            self.session.handle_timer(self.now)
        except ProtocolViolation as violation:
            assert is_due
            assert violation.reason == reason
            self.end()
        else:
            assert not is_due

    @property
    def timer(self) -> float | None:
        return min((one for one in (self.deadline, self.part_deadline) if one is not None), default=None)

    # -- what always holds

    @invariant()
    def the_application_got_what_it_must(self) -> None:
        assert self.got == self.expected

    @invariant()
    def every_namespace_is_where_it_must_be(self) -> None:
        for namespace in ("/", "/a", "/b", "/never"):
            assert self.session.state(namespace) is self.state(namespace), namespace

    @invariant()
    def the_timer_is_that_of_the_model(self) -> None:
        assert self.session.get_timer() == self.timer

    @invariant()
    def it_is_closed_once_it_is_over(self) -> None:
        assert self.session.is_closed is self.over


_KNOWN = (State.CONNECTED, State.LEFT, State.DISMISSED)


class LivesTests(SynchronousTestCase):
    def test_whatever_happens_the_application_hears_what_the_model_says(self) -> None:
        run_state_machine_as_test(Life, settings=settings(deadline=None, max_examples=200, stateful_step_count=60))
