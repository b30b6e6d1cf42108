"""Tests of wsservice.socketio.session: the table, walked, and what it leaves to the code."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.messages import Ack, Event
from wsservice.socketio.decoder import MAX_NAMESPACE
from wsservice.socketio.packet import PacketType
from wsservice.socketio.session import (
    FORCED,
    PARSE_ERROR,
    TABLE,
    Action,
    Cancelled,
    ConnectRequested,
    Dropped,
    Incoming,
    Left,
    ProtocolViolation,
    Received,
    Session,
    State,
    Step,
    TooManyNamespaces,
)

P0 = '{"_placeholder":true,"num":0}'

#: how a namespace gets into each state; a text of the client or a step of the server
WAYS: dict[State, list[str | Step]] = {
    State.ABSENT: [],
    State.CONNECTING: ["0"],
    State.CONNECTED: ["0", Step.ACCEPT],
    State.LEFT: ["0", Step.ACCEPT, "1"],
    State.DISMISSED: ["0", Step.REFUSE],
}
TEXTS = {
    PacketType.CONNECT: "0",
    PacketType.DISCONNECT: "1",
    PacketType.EVENT: '2["m",1]',
    PacketType.ACK: "37[1]",
    PacketType.CONNECT_ERROR: '4{"message":"no"}',
    PacketType.BINARY_EVENT: f'51-["m",{P0}]',
    PacketType.BINARY_ACK: f"61-7[{P0}]",
}
RESULTS: dict[Action, Any] = {
    Action.REQUEST: ConnectRequested("/", {}),
    Action.CANCEL: Cancelled("/"),
    Action.GOODBYE: Left("/"),
    Action.DELIVER_EARLY: Received("/", Event("m", (1,))),
    Action.COLLECT: None,
    Action.DROP: Dropped("/"),
    Action.IGNORE: None,
}


def do(session: Session, move: str | Step, namespace: str = "/") -> Incoming | None:
    """One message of the client, or one step of the server."""
    if isinstance(move, str):
        return session.receive_text(move, 0.0)
    {Step.ACCEPT: session.accept, Step.REFUSE: session.refuse, Step.LEAVE: session.leave}[move](namespace)
    return None


def session_in(state: State, **options: Any) -> Session:
    """A session whose main namespace is in this state."""
    session = Session(now=0.0, **options)
    for move in WAYS[state]:
        do(session, move)
    assert session.state("/") is state
    return session


class Cell(NamedTuple):
    """A state and what happens in it."""

    state: State
    move: PacketType | Step

    @property
    def name(self) -> str:
        return f"{self.state.name} {self.move.name}"


@by_row
class TableTests(SynchronousTestCase):
    @rows([Cell(state, move) for state in State for move in (*PacketType, *Step)])
    def test_is_as_the_table_says(self, row: Cell) -> None:
        session = session_in(row.state)
        move = TEXTS[row.move] if isinstance(row.move, PacketType) else row.move
        if (row.state, row.move) not in TABLE:
            if isinstance(row.move, Step):
                self.assertRaises(ValueError, do, session, move)
                self.assertIs(session.state("/"), row.state)
            else:
                with self.assertRaises(ProtocolViolation) as caught:
                    do(session, move)
                self.assertEqual(caught.exception.reason, FORCED)
                self.assertIn(row.state.value, str(caught.exception))
            return
        state, action = TABLE[row.state, row.move]
        result = do(session, move)
        self.assertIs(session.state("/"), state)
        if action is Action.DELIVER:
            message = Event("m", (1,)) if row.move is PacketType.EVENT else Ack(7, (1,))
            self.assertEqual(result, Received("/", message))
        else:
            self.assertEqual(result, RESULTS[action])
        if action is Action.COLLECT:
            whole = session.receive_binary(b"x", 0.0)
            messages = {PacketType.BINARY_EVENT: Event("m", (b"x",)), PacketType.BINARY_ACK: Ack(7, (b"x",))}
            if row.state is State.CONNECTED:
                self.assertEqual(whole, Received("/", messages[PacketType(row.move)]))
            else:
                self.assertEqual(whole, Dropped("/") if row.move is PacketType.BINARY_EVENT else None)


class Input(NamedTuple):
    """Messages of a client that has joined the main namespace, and why the session ends; None if it goes on."""

    name: str
    messages: tuple[str | bytes, ...]
    reason: str | None


#: SOCKETIO.md 1.14 and the rows of 1.15 that are Socket.IO's, without the `4`; more of the syntax in test_decoder
INPUTS = [
    *(
        Input(f"malformed {number} {text[:20]}", (text,), PARSE_ERROR)
        for number, text in enumerate(
            [
                *("", "7", "a", "-1"),
                *("2{}", '2"x"', '2["m"', "2[]", "2[null]", "2[true]", "2[{}]"),
                "2",
                *('2["connect"]', '2["disconnect"]', '2["newListener"]'),
                *('2abc["m"]', '21.5["m"]', '2-1["m"]', '2\u00b2["m"]'),
                '2 ["m",1]',
                '2\u0661["m",1]',
                *('2["m",NaN]', '2["m",Infinity]'),
                '2["m",1e400]',
                "3[]",
                "1{}",
                '2["m",' + "[" * 4000 + "]" * 4000 + "]",
                '2[{"toString":"foo"}]',
            ]
        )
    ),
    Input("acknowledgements that nobody asked for", ("399[]", "3999[1]"), None),
    Input("an acknowledgement without a payload", ("399",), PARSE_ERROR),
    Input("a refusal by the client", ('4{"message":"no"}',), FORCED),
    Input("a second connect", ("0",), FORCED),
    Input("an event of a namespace that is not joined", ('2/nope,["x"]',), FORCED),
    Input("a disconnect of a namespace that is not joined", ("1/nope,",), FORCED),
    Input("the event error", ('2["error","x"]',), None),
    Input("a text where an attachment is missing", (f'51-["m",{P0}]', '2["m"]'), PARSE_ERROR),
    Input("an attachment without a header", (b"x",), PARSE_ERROR),
    Input("no attachments", ('50-["m"]',), PARSE_ERROR),
    Input("eleven attachments", ('511-["m"]',), PARSE_ERROR),
    Input("a number of attachments without bound", ('5599999-["m"]',), PARSE_ERROR),
    Input("an attachment that is not used", ('51-["m"]', b"x"), None),
    Input("an attachment used twice", (f'51-["m",{P0},{P0}]', b"x"), None),
    *(
        Input(f"a placeholder of {num}", (f'51-["m",{{"_placeholder":true,"num":{num}}}]',), PARSE_ERROR)
        for num in ("1", "0.5", '"0"', "true")
    ),
    Input("bytes for a namespace that is not joined", (f'51-/nope,["m",{P0}]',), FORCED),
    Input("attachments that are too large", (f'51-["m",{P0}]', b"x" * 5_000_000), PARSE_ERROR),
]


def feed(session: Session, message: str | bytes, now: float = 0.0) -> Incoming | None:
    """One message of Engine.IO."""
    return session.receive_text(message, now) if isinstance(message, str) else session.receive_binary(message, now)


@by_row
class InputTests(SynchronousTestCase):
    @rows(INPUTS)
    def test_ends_the_session_or_does_not(self, row: Input) -> None:
        session = session_in(State.CONNECTED)
        *before, last = row.messages
        for message in before:
            feed(session, message)
        if row.reason is None:
            feed(session, last)
            self.assertEqual(session.receive_text('2["on"]', 0.0), Received("/", Event("on", ())))
            return
        with self.assertRaises(ProtocolViolation) as caught:
            feed(session, last)
        self.assertEqual(caught.exception.reason, row.reason)
        self.assertTrue(str(caught.exception))
        self.assertTrue(session.is_closed)
        self.assertIsNone(session.receive_text("0", 0.0))
        self.assertIsNone(session.receive_binary(b"x", 0.0))
        self.assertIsNone(session.get_timer())


class CountedTests(SynchronousTestCase):
    def test_a_limit_is_counted_apart_from_nonsense(self) -> None:
        for messages, word in (
            (['511-["m"]'], "too many attachments"),
            ([f'5{"9" * 5000}-["m"]'], "too many attachments"),
            ([f'51-["m",{P0}]', b"x" * 6_000_000], "attachments too large"),
            ([f'2["m",{"[" * 200}{"]" * 200}]'], "nested too deep"),
            ([f'2["m",{"[" * 50_000}{"]" * 50_000}]'], "nested too deep"),
            ([f'2["\\ud83d",{"[" * 50_000}{"]" * 50_000}]'], "nested too deep"),
            ([f'0{{"a":{"[" * 200}{"]" * 200}}}'], "nested too deep"),
            ([f'2["m",{"[" * 200}{"]" * 199}]'], PARSE_ERROR),
            (['50-["m"]'], PARSE_ERROR),
            (["nonsense"], PARSE_ERROR),
        ):
            session = session_in(State.CONNECTED)
            with self.assertRaises(ProtocolViolation) as caught:
                for message in messages:
                    feed(session, message)  # type: ignore[arg-type]
            self.assertEqual((caught.exception.reason, caught.exception.word), (PARSE_ERROR, word))

    def test_too_many_early_events_are_counted_apart(self) -> None:
        session = session_in(State.CONNECTING)
        with self.assertRaises(ProtocolViolation) as caught:
            for _ in range(101):
                feed(session, '2["m"]')
        self.assertEqual((caught.exception.reason, caught.exception.word), (FORCED, "too many early events"))


class NamespaceTests(SynchronousTestCase):
    def test_the_auth_of_a_connect_is_given_out(self) -> None:
        session = Session(now=0.0)
        self.assertEqual(session.receive_text('0{"token":"x"}', 0.0), ConnectRequested("/", {"token": "x"}))
        self.assertEqual(session.receive_text("0/admin,", 0.0), ConnectRequested("/admin", {}))

    def test_events_and_acknowledgements_are_given_out(self) -> None:
        session = session_in(State.CONNECTED)
        self.assertEqual(session.receive_text('212["m",1,"2"]', 0.0), Received("/", Event("m", (1, "2"), 12)))
        self.assertEqual(session.receive_text('312["a",null]', 0.0), Received("/", Ack(12, ("a", None))))

    def test_namespaces_go_their_own_ways(self) -> None:
        session = session_in(State.CONNECTED)
        do(session, "0/admin,")
        self.assertEqual(session.receive_text('2["m"]', 0.0), Received("/", Event("m", ())))
        session.accept("/admin")
        self.assertEqual(session.receive_text("1", 0.0), Left("/"))
        self.assertEqual(session.receive_text('2/admin,["m"]', 0.0), Received("/admin", Event("m", ())))

    def test_an_event_before_any_connect_ends_the_session(self) -> None:
        self.assertRaises(ProtocolViolation, Session(now=0.0).receive_text, '2["m"]', 0.0)

    def test_disconnect_and_connect_back_to_back(self) -> None:
        session = session_in(State.CONNECTED)
        self.assertEqual(session.receive_text("1", 0.0), Left("/"))
        self.assertEqual(session.receive_text("0", 0.0), ConnectRequested("/", {}))
        session.accept("/")
        self.assertEqual(session.receive_text('2["m"]', 0.0), Received("/", Event("m", ())))

    def test_a_connect_that_is_cancelled_can_come_again(self) -> None:
        session = session_in(State.CONNECTING)
        self.assertEqual(session.receive_text("1", 0.0), Cancelled("/"))
        self.assertRaises(ValueError, session.accept, "/")
        self.assertRaises(ValueError, session.refuse, "/")
        self.assertEqual(session.receive_text("0", 0.0), ConnectRequested("/", {}))

    def test_a_refused_client_may_connect_again(self) -> None:
        session = session_in(State.DISMISSED)
        self.assertEqual(session.receive_text('0{"token":"better"}', 0.0), ConnectRequested("/", {"token": "better"}))
        session.accept("/")
        self.assertIs(session.state("/"), State.CONNECTED)

    def test_what_was_under_way_when_the_server_left_is_ignored(self) -> None:
        session = session_in(State.CONNECTED)
        session.leave("/")
        for message in ("31[]", f"61-1[{P0}]", b"x", f'51-["m",{P0}]'):
            self.assertIsNone(feed(session, message))
        for event in (b"x", '2["m"]'):
            self.assertEqual(feed(session, event), Dropped("/"))
        self.assertIsNone(feed(session, "1"))
        self.assertEqual(session.receive_text("0", 0.0), ConnectRequested("/", {}))

    def test_an_attachment_under_way_when_the_server_left_is_ignored(self) -> None:
        session = session_in(State.CONNECTED)
        session.receive_text(f'51-["m",{P0}]', 0.0)
        session.leave("/")
        self.assertEqual(session.receive_binary(b"x", 0.0), Dropped("/"))
        self.assertIs(session.state("/"), State.DISMISSED)

    def test_a_late_acknowledgement_of_one_who_left_is_ignored_and_a_late_event_is_not(self) -> None:
        session = session_in(State.LEFT)
        self.assertIsNone(session.receive_text("31[]", 0.0))
        session.receive_text("0", 0.0)
        self.assertIsNone(session.receive_text("31[]", 0.0))
        session.receive_text("1", 0.0)
        self.assertRaises(ProtocolViolation, session.receive_text, '2["m"]', 0.0)

    def test_a_long_namespace_is_cut_in_the_log(self) -> None:
        with self.assertRaises(ProtocolViolation) as caught:
            Session(now=0.0).receive_text("1/" + "\n" * (MAX_NAMESPACE - 1), 0.0)
        self.assertLess(len(str(caught.exception)), 200)
        self.assertTrue(str(caught.exception).isprintable())


class EarlyTests(SynchronousTestCase):
    def test_early_events_are_given_out_in_their_order(self) -> None:
        session = session_in(State.CONNECTING)
        for number in range(3):
            self.assertEqual(session.receive_text(f'2["m",{number}]', 0.0), Received("/", Event("m", (number,))))
        self.assertIs(session.state("/"), State.CONNECTING)

    def test_their_number_is_bounded(self) -> None:
        session = session_in(State.CONNECTING, max_early=3)
        for _ in range(3):
            session.receive_text('2["m"]', 0.0)
        with self.assertRaises(ProtocolViolation) as caught:
            session.receive_text('2["m"]', 0.0)
        self.assertEqual(caught.exception.reason, FORCED)

    def test_each_connect_counts_anew(self) -> None:
        session = session_in(State.CONNECTING, max_early=3)
        for _ in range(3):
            session.receive_text('2["m"]', 0.0)
            session.receive_text('2["m"]', 0.0)
            session.receive_text("1", 0.0)
            session.receive_text("0", 0.0)
        session.accept("/")
        for _ in range(10):
            session.receive_text('2["m"]', 0.0)


class BoundTests(SynchronousTestCase):
    def test_one_namespace_too_many_is_told(self) -> None:
        session = Session(now=0.0, max_namespaces=2)
        do(session, "0/a,")
        do(session, "0/b,")
        self.assertEqual(session.receive_text("0/c,", 0.0), TooManyNamespaces("/c"))
        self.assertEqual(session.receive_text('2/c,["m"]', 0.0), Dropped("/c"))
        self.assertRaises(ValueError, session.accept, "/c")
        do(session, "1/a,")
        self.assertEqual(session.receive_text("0/c,", 0.0), ConnectRequested("/c", {}))

    def test_no_more_than_as_many_are_remembered(self) -> None:
        session = Session(now=0.0, max_namespaces=2)
        for name in ("/a", "/b", "/c", "/b", "/d"):
            do(session, f"0{name},")
            session.refuse(name)
        states = [session.state(name) for name in ("/a", "/b", "/c", "/d")]
        self.assertEqual(states, [State.ABSENT, State.DISMISSED, State.ABSENT, State.DISMISSED])

    def test_the_bounds_of_attachments_are_settings(self) -> None:
        session = session_in(State.CONNECTED, max_attachments=11, max_binary_bytes=100)
        self.assertIsNone(session.receive_text('511-["m"]', 0.0))
        self.assertRaises(ProtocolViolation, session.receive_binary, b"x" * 100, 0.0)


class TimerTests(SynchronousTestCase):
    def assert_ends(self, session: Session, at: float, reason: str) -> None:
        self.assertEqual(session.get_timer(), at)
        session.handle_timer(at - 0.001)
        with self.assertRaises(ProtocolViolation) as caught:
            session.handle_timer(at)
        self.assertEqual(caught.exception.reason, reason)
        self.assertIsNone(session.get_timer())
        session.handle_timer(at + 1000)

    def test_a_namespace_must_be_joined_in_time(self) -> None:
        self.assert_ends(Session(now=1000.0), 1045.0, FORCED)

    def test_to_ask_for_one_or_to_be_refused_is_not_enough(self) -> None:
        session = Session(now=0.0, connect_timeout=10.0)
        session.receive_text("0/nope,", 9.0)
        session.refuse("/nope")
        session.receive_text("0", 9.5)
        self.assert_ends(session, 10.0, FORCED)

    def test_once_one_was_joined_the_session_may_stay_without(self) -> None:
        for end in ("1", Step.LEAVE):
            session = session_in(State.CONNECTED)
            do(session, end)
            self.assertIsNone(session.get_timer())
            session.handle_timer(1e9)

    def test_an_attachment_must_arrive_in_time(self) -> None:
        session = session_in(State.CONNECTED, attachments_timeout=5.0)
        session.receive_text('52-["m"]', 100.0)
        self.assertEqual(session.get_timer(), 105.0)
        session.receive_binary(b"x", 104.0)
        self.assert_ends(session, 109.0, PARSE_ERROR)

    def test_with_the_last_attachment_the_time_is_over(self) -> None:
        session = session_in(State.CONNECTED)
        session.receive_text('51-["m"]', 100.0)
        session.receive_binary(b"x", 101.0)
        self.assertIsNone(session.get_timer())

    def test_the_earlier_deadline_comes_first(self) -> None:
        session = session_in(State.DISMISSED, connect_timeout=10.0, attachments_timeout=5.0)
        session.receive_text('51-["m"]', 8.0)
        self.assertEqual(session.get_timer(), 10.0)
        session.receive_binary(b"x", 8.0)
        session.receive_text('51-["m"]', 1.0)
        self.assertEqual(session.get_timer(), 6.0)


class CloseTests(SynchronousTestCase):
    def test_close_drops_everything(self) -> None:
        session = session_in(State.CONNECTED)
        do(session, "0/admin,")
        session.receive_text(f'51-["m",{P0}]', 0.0)
        self.assertFalse(session.is_closed)
        session.close()
        session.close()
        self.assertTrue(session.is_closed)
        self.assertIsNone(session.get_timer())
        for message in (b"x", '2["m"]', "0", "nonsense"):
            self.assertIsNone(feed(session, message))
        self.assertEqual((session.state("/"), session.state("/admin")), (State.ABSENT, State.ABSENT))
        self.assertRaises(ValueError, session.accept, "/admin")


moves = st.sampled_from(
    [text for kind in TEXTS.values() for text in (kind, kind[:1] + "/a," + kind[1:] if kind[0] in "01234" else kind)]
    + [(step, namespace) for step in Step for namespace in ("/", "/a")]
    + [b"x", "nonsense", "2[]"]
)


class WalkTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=300)
    @given(st.lists(moves, max_size=30))
    def test_any_walk_leads_to_events_or_a_violation(self, walk: list[Any]) -> None:
        session = Session(now=0.0, max_namespaces=2, max_early=2)
        ended = False
        for number, move in enumerate(walk):
            if isinstance(move, tuple):
                try:
                    do(session, *move)
                except ValueError:
                    pass
                continue
            try:
                incoming = feed(session, move, float(number))
            except ProtocolViolation as violation:
                self.assertFalse(ended)
                self.assertIn(violation.reason, (PARSE_ERROR, FORCED))
                ended = True
                continue
            if ended:
                self.assertIsNone(incoming)
            if isinstance(incoming, Received):
                self.assertIn(session.state(incoming.namespace), (State.CONNECTING, State.CONNECTED))
            elif isinstance(incoming, ConnectRequested):
                self.assertIs(session.state(incoming.namespace), State.CONNECTING)
            elif incoming is not None:
                self.assertNotIn(session.state(incoming.namespace), (State.CONNECTING, State.CONNECTED))
