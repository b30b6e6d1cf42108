"""Tests of wsservice.history: what is replayed, to whom, and how much is kept of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core, make_principal
from tests.test_registry import FakeMember, target
from wsservice.counters import Counters
from wsservice.history import History, Saved, _is_for
from wsservice.messages import Broadcast, Target
from wsservice.registry import Registry

EVERYBODY = Target()


def make_saved(pid: str = "P", **changes: Any) -> Saved:
    """A connection of alice that broke."""
    saved = Saved(f"id-{pid}", pid, "/", "alice", "session-alice", frozenset(), {}, position=0)
    return replace(saved, **changes)


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.start()

    def start(self, **limits: Any) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.history = History(self.clock.seconds, self.counters, **limits)

    def add(self, event: str = "news", *args: Any, to: Target = EVERYBODY, volatile: bool = False) -> str:
        """Send an event; its offset."""
        entry = self.history.add(Broadcast(event, args, to, volatile))
        offset = self.history.offset(entry.number)
        self.assertTrue(entry.encoded.text.endswith(f'"{offset}"]'.encode()))
        return offset

    def missed(self, position: int | None, saved: Saved | None = None) -> list[bytes] | None:
        """The texts of what a connection missed, without their offsets."""
        assert position is not None
        found = self.history.missed(saved or make_saved(), position)
        return None if found is None else [one.encoded.text.rpartition(b',"')[0] + b"]" for one in found]


class OffsetTests(Base):
    def test_each_event_has_its_offset_as_one_more_argument(self) -> None:
        first, second = (self.history.add(Broadcast("news", (1, b"\x00"), target("/chat"))) for _ in range(2))
        offset = self.history.offset(1)
        placeholder = '{"_placeholder":true,"num":0}'
        self.assertEqual(first.encoded.text.decode(), f'51-/chat,["news",1,{placeholder},"{offset}"]')
        self.assertEqual(first.encoded.attachments, (b"\x00",))
        self.assertEqual((first.number, second.number, self.history.position), (1, 2, 2))

    def test_an_offset_is_read_back(self) -> None:
        for number in range(3):
            self.assertEqual(self.history.parse(self.history.offset(number)), number)
            self.assertIsNone(self.history.parse(self.history.offset(number + 1)))
            self.assertEqual(self.history.parse(self.add()), number + 1)

    def test_what_is_no_offset_of_this_process_is_none(self) -> None:
        for _ in range(200):
            self.add()
        prefix = self.history.offset(1).removesuffix("1")
        other = History(self.clock.seconds, self.counters).offset(1)
        for offset in (
            *(None, 1, True, b"x", [], {}, "", ".", "1", ".1", "x.1", other, prefix),
            *(
                prefix + digits
                for digits in ("-1", "+1", " 1", "1 ", "1.0", "1_0", "0x1", "\u0661", "\u00b2", "201", "9" * 16)
            ),
            f"{prefix}1\n",
            f"{prefix}1.1",
            f"x{prefix}1",
        ):
            self.assertIsNone(self.history.parse(offset), offset)
        self.assertEqual(self.history.parse(f"{prefix}0200"), 200)

    @given(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text())), st.text("0123456789.-_", max_size=20))
    def test_junk_never_fails(self, junk: Any, digits: str) -> None:
        for offset in (junk, self.history.offset(0)[:-1] + digits):
            self.assertIn(self.history.parse(offset), (None, 0))

    def test_what_is_no_json_or_is_reserved_changes_nothing(self) -> None:
        self.add()
        self.assertRaises(TypeError, self.add, "news", object())
        self.assertRaises(ValueError, self.add, "connect")
        self.assertEqual((len(self.history), self.history.position), (1, 1))


class MissedTests(Base):
    def test_what_came_behind_a_position_is_replayed_in_order(self) -> None:
        for number in range(5):
            self.add("news", number)
        self.assertEqual(self.missed(0), [f'2["news",{number}]'.encode() for number in range(5)])
        self.assertEqual(self.missed(3), [b'2["news",3]', b'2["news",4]'])
        self.assertEqual(self.missed(5), [])

    def test_a_volatile_event_has_the_offset_of_the_one_before_and_is_not_kept(self) -> None:
        first = self.add("news", 1)
        self.assertEqual(self.add("tick", volatile=True), first)
        self.add("news", 2)
        self.assertEqual(self.missed(self.history.parse(first)), [b'2["news",2]'])

    def test_before_any_event_nothing_was_missed(self) -> None:
        self.assertEqual(self.missed(0), [])
        self.add("tick", volatile=True)
        self.assertEqual(self.missed(0), [])

    def test_events_are_kept_for_the_window_and_not_longer(self) -> None:
        self.start(window=10.0)
        for number in range(3):
            self.add("news", number)
            self.clock.advance(4)
        self.assertEqual(self.missed(0), None)
        self.assertEqual(self.missed(1), [b'2["news",1]', b'2["news",2]'])
        self.clock.advance(100)
        self.assertEqual((self.missed(2), self.missed(3)), (None, []))
        self.assertEqual((len(self.history), self.history.size), (0, 0))
        self.assertEqual(self.counters.get("history_dropped", "bytes"), 0)

    def test_events_are_kept_within_the_bytes(self) -> None:
        self.start(max_bytes=10_000)
        for number in range(100):
            self.add("news", number, "x" * 800, b"y" * 100)
            self.assertLessEqual(self.history.size, 10_000)
        self.assertEqual(len(self.history), 8)
        self.assertEqual(self.counters.get("history_dropped", "bytes"), 92)
        self.assertEqual(self.missed(91), None)
        self.assertEqual(len(self.missed(92) or ()), 8)

    def test_an_event_that_is_larger_than_all_is_not_kept_and_tells_so(self) -> None:
        self.start(max_bytes=1000)
        self.add("news")
        self.add("news", "x" * 2000)
        self.assertEqual((len(self.history), self.history.size), (0, 0))
        self.assertEqual((self.missed(1), self.missed(2)), (None, []))

    def test_only_what_was_for_that_connection_is_replayed(self) -> None:
        chosen = [
            target(),
            target(rooms="a x"),
            target(rooms="id-P"),
            target(users="alice bob"),
            target(sessions="session-alice"),
            target(rooms="x", users="alice", except_rooms="y", skip="z"),
        ]
        others = [
            target("/chat"),
            target("/chat", rooms="a"),
            target(rooms="x"),
            target(users="bob"),
            target(sessions="session-bob"),
            target(skip="id-P"),
            target(rooms="a", skip="id-P"),
            target(except_rooms="a"),
            target(rooms="a", except_rooms="x b"),
            target(users="alice", except_rooms="id-P"),
        ]
        for to in (*chosen, *others):
            self.add("news", to=to)
        saved = make_saved(rooms=frozenset({"a", "b"}))
        self.assertEqual(self.missed(0, saved), [b'2["news"]'] * len(chosen))

    @given(
        st.builds(
            Target,
            st.sampled_from(["/", "/chat"]),
            *[st.frozensets(st.sampled_from(names)) for names in (["a", "b", "I"], ["alice", "bob"], ["s", "t"])],
            skip=st.frozensets(st.sampled_from(["I", "J"])),
            except_rooms=st.frozensets(st.sampled_from(["a", "b", "I"])),
        ),
        st.sampled_from(["/", "/chat"]),
        st.frozensets(st.sampled_from(["a", "b"])),
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(["s", "t"]),
    )
    def test_it_is_for_whom_the_registry_would_choose(
        self, to: Target, namespace: str, rooms: frozenset[str], user: str, session: str
    ) -> None:
        registry: Registry[FakeMember] = Registry(Counters())
        member = FakeMember("I", make_principal(user, session=session), namespace)
        member.rooms.update(rooms)
        registry.add(member)
        saved = Saved("I", "P", namespace, user, session, rooms, {}, position=0)
        self.assertEqual(_is_for(saved, to), registry.select(to) == [member])


class SavedTests(Base):
    def test_a_connection_comes_back_once(self) -> None:
        self.history.save(make_saved(rooms=frozenset({"a"}), data={"name": "x"}))
        saved = self.history.take("P")
        assert saved is not None
        self.assertEqual((saved.id, saved.rooms, saved.data), ("id-P", {"a"}, {"name": "x"}))
        self.assertIsNone(self.history.take("P"))
        self.assertIsNone(self.history.take("Q"))

    def test_it_may_come_back_within_the_window_of_this_clock(self) -> None:
        self.start(window=10.0)
        for pid in ("P", "Q"):
            self.history.save(make_saved(pid, until=-1e9))
            self.clock.advance(3)
        self.clock.advance(3.5)
        self.assertIsNotNone(self.history.take("P"))
        self.clock.advance(3.5)
        self.assertIsNone(self.history.take("Q"))
        self.assertEqual(self.history.away, set())

    def test_too_many_drop_the_oldest(self) -> None:
        self.start(max_sessions=2)
        for pid in ("P", "Q", "R"):
            self.history.save(make_saved(pid))
        self.assertEqual(self.history.away, {"id-Q", "id-R"})
        self.assertIsNone(self.history.take("P"))
        self.assertEqual(self.counters.get("history_dropped", "sessions"), 1)

    def test_what_was_given_back_can_be_taken_and_ends_when_it_would_have(self) -> None:
        self.start(window=10.0)
        self.history.save(make_saved("P"))
        self.clock.advance(5)
        self.history.save(make_saved("Q"))
        for pid in ("Q", "P", "Q"):
            saved = self.history.take(pid)
            assert saved is not None
            self.history.give_back(saved)
        self.assertEqual(self.history.away, {"id-P", "id-Q"})
        self.clock.advance(6)
        self.assertIsNone(self.history.take("P"))
        self.assertIsNotNone(self.history.take("Q"))
        self.assertEqual(self.history.away, set())

    def test_nobody_comes_back_to_a_session_that_was_signed_out(self) -> None:
        self.history.save(make_saved("P"))
        self.history.save(make_saved("Q", session="other"))
        self.history.forget("session-alice")
        self.assertIsNone(self.history.take("P"))
        self.assertIsNotNone(self.history.take("Q"))
        self.assertEqual(self.history.away, set())

    def test_an_event_clears_those_whose_time_is_over(self) -> None:
        self.start(window=10.0)
        self.history.save(make_saved())
        self.clock.advance(10)
        self.add()
        self.assertEqual((self.history.away, vars(self.history)["_saved"]), (set(), {}))


class AwayTests(SynchronousTestCase):
    """The id of a connection that broke is its own still."""

    def setUp(self) -> None:
        self.core = Core(recovery=True)
        assert self.core.hub.history is not None
        self.history = self.core.hub.history
        self.mallory = self.core.connect("mallory").connection
        client = self.core.connect()
        self.name = client.connection.id
        client.leave()
        self.history.save(make_saved(id=self.name))

    def test_its_room_cannot_be_joined_by_others_while_it_is_away(self) -> None:
        self.assertRaises(ValueError, self.mallory.join, self.name)
        self.assertEqual(self.mallory.rooms, set())

    def test_what_is_sent_to_it_is_replayed_on_its_return_and_reaches_nobody_else(self) -> None:
        self.core.app.emit("secret", 1, room=self.name)
        saved = self.history.take("P")
        assert saved is not None
        (missed,) = self.history.missed(saved, 0) or ()
        self.assertIn(b'["secret",1,', missed.encoded.text)
        back = self.core.connect(saved=saved)
        self.core.app.emit("secret", 2, room=self.name)
        self.assertEqual((back.connection.id, back.connection.recovered), (self.name, True))
        self.assertEqual(back.link.messages, [{"event": "secret", "data": 2}])

    def test_its_room_is_free_once_it_cannot_come_back(self) -> None:
        self.core.clock.advance(200)
        self.core.app.emit("news")
        self.mallory.join(self.name)


class HistoryMachine(RuleBasedStateMachine):
    """The history against lists that keep everything."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.history = History(self.clock.seconds, Counters(), window=10.0, max_bytes=2000, max_sessions=3)
        #: (number, room, volatile, sent at, size)
        self.sent: list[tuple[int, str, float, int]] = []
        self.saved: list[tuple[str, float]] = []
        self.made = 0

    @rule(room=st.sampled_from("ab"), size=st.integers(0, 600), volatile=st.booleans())
    def add(self, room: str, size: int, volatile: bool) -> None:
        entry = self.history.add(Broadcast("e", ("x" * size,), target(rooms=room), volatile))
        if volatile:
            assert entry.number == len(self.sent)
        else:
            self.sent.append((len(self.sent) + 1, room, self.clock.seconds(), entry.size))
            assert entry.number == len(self.sent)

    def kept(self) -> int:
        """The position behind which every event is kept."""
        position, size = len(self.sent), 0
        for number, _, at, bytes_ in reversed(self.sent):
            size += bytes_
            if at + 10.0 <= self.clock.seconds() or size > 2000:
                break
            position = number - 1
        return position

    @rule(room=st.sampled_from("ab"), back=st.integers(0, 8))
    def missed(self, room: str, back: int) -> None:
        position = max(0, len(self.sent) - back)
        found = self.history.missed(make_saved(rooms=frozenset(room)), position)
        if position < self.kept():
            assert found is None
        else:
            numbers = [number for number, name, _, _ in self.sent if number > position and name == room]
            assert found is not None
            ends = [one.encoded.text.rpartition(b".")[2] for one in found]
            assert ends == [f'{number}"]'.encode() for number in numbers]

    @rule()
    def save(self) -> None:
        self.made += 1
        self.forget_overdue()
        self.history.save(make_saved(str(self.made)))
        self.saved = [*self.saved, (str(self.made), self.clock.seconds() + 10.0)][-3:]

    @rule(back=st.integers(1, 5), is_foreign=st.booleans())
    def take(self, back: int, is_foreign: bool) -> None:
        pid = str(self.made + 1 - back)
        self.forget_overdue()
        saved = self.history.take(pid)
        assert (saved is not None) == (pid in dict(self.saved))
        if saved is not None and is_foreign:
            self.history.give_back(saved)
            self.saved.sort(key=lambda one: one[0] != pid)  # the next to be dropped where there are too many
        else:
            self.saved = [one for one in self.saved if one[0] != pid]

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def forget_overdue(self) -> None:
        while self.saved and self.saved[0][1] <= self.clock.seconds():
            del self.saved[0]

    @invariant()
    def it_is_bounded(self) -> None:
        assert 0 <= self.history.size <= 2000
        assert self.history.position == len(self.sent)
        saved = vars(self.history)["_saved"]
        assert self.history.away == {one.id for one in saved.values()}
        assert len(saved) <= 3


class ModelTests(SynchronousTestCase):
    def test_whatever_happens_exactly_what_was_missed_is_replayed_or_nothing(self) -> None:
        run_state_machine_as_test(
            HistoryMachine, settings=settings(deadline=None, max_examples=100, stateful_step_count=30)
        )
