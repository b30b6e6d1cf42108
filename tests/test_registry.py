"""Tests of wsservice.registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import BARE_WIRE, BareFraming, Core, make_principal
from wsservice.auth.principal import Principal
from wsservice.clients.wires import Wires
from wsservice.counters import Counters
from wsservice.envelope import RawWire
from wsservice.history import History
from wsservice.messages import Broadcast, Disconnect, Renew, Target
from wsservice.registry import Registry
from wsservice.wire import Wire


class CountingWire(RawWire):
    """Counts how often it encodes."""

    def __init__(self) -> None:
        super().__init__(BareFraming())
        self.encoded = 0

    def event(self, name: str, args: tuple[Any, ...], call_id: int | None = None) -> bytes:
        self.encoded += 1
        return super().event(name, args, call_id)


class FussyWire(RawWire):
    """Can hold no argument at all."""

    def __init__(self) -> None:
        super().__init__(BareFraming())

    def event(self, name: str, args: tuple[Any, ...], call_id: int | None = None) -> bytes:
        raise TypeError("nothing fits")


class FakeMember:
    """A connection that records."""

    def __init__(self, id: str, user: Principal, namespace: str = "/", wire: Wire = BARE_WIRE) -> None:
        self.id = id
        self.namespace = namespace
        self.user = user
        self.rooms: set[str] = set()
        self.wire = wire
        self.writes: list[tuple[bytes, bool]] = []
        self.closes: list[tuple[int, str]] = []
        self.renewals: list[float] = []
        self.on_write: Callable[[], None] = lambda: None
        self.direct: Callable[[bytes], int] | None = None

    def __repr__(self) -> str:
        return self.id

    def write(self, data: bytes, volatile: bool = False) -> None:
        self.writes.append((data, volatile))
        self.on_write()

    def disconnect(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))

    def renew(self, expires_at: float) -> None:
        self.renewals.append(expires_at)


def target(namespace: str = "/", **names: str) -> Target:
    """A target of names that are written as words: `rooms="a b"`."""
    return Target(namespace, **{key: frozenset(value.split()) for key, value in names.items()})


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = Counters()
        self.registry: Registry[FakeMember] = Registry(self.counters)

    def add(self, id: str, user: str = "alice", rooms: str = "", **arguments: Any) -> FakeMember:
        member = FakeMember(id, make_principal(user), **arguments)
        member.rooms.update(rooms.split())
        self.registry.add(member)
        return member

    def ids(self, chosen: Target) -> list[str]:
        return sorted(member.id for member in self.registry.select(chosen))


class TablesTests(Base):
    def test_a_connection_is_found_by_its_id_until_it_is_removed(self) -> None:
        member = self.add("1")
        self.assertIs(self.registry.get("1"), member)
        self.assertEqual(len(self.registry), 1)
        self.registry.remove(member)
        self.assertIsNone(self.registry.get("1"))
        self.assertEqual(len(self.registry), 0)

    def test_a_removed_connection_is_in_no_room_and_can_be_removed_again(self) -> None:
        member = self.add("1", rooms="a b")
        other = self.add("2", rooms="a")
        self.registry.remove(member)
        self.registry.remove(member)
        self.assertEqual(self.ids(target(rooms="a b")), ["2"])
        self.assertEqual(member.rooms, {"a", "b"})
        self.assertEqual(self.registry.select(Target()), [other])

    def test_rooms_entered_before_count_from_the_addition_on(self) -> None:
        member = FakeMember("1", make_principal())
        self.registry.join(member, "a")
        self.assertEqual(self.ids(target(rooms="a")), [])
        self.registry.add(member)
        self.assertEqual(self.ids(target(rooms="a")), ["1"])

    def test_joining_twice_is_once_and_leaving_ends_it(self) -> None:
        member = self.add("1")
        self.registry.join(member, "a")
        self.registry.join(member, "a")
        self.assertEqual(self.ids(target(rooms="a")), ["1"])
        self.registry.leave(member, "a")
        self.registry.leave(member, "a")
        self.assertEqual(self.ids(target(rooms="a")), [])
        self.assertEqual(member.rooms, set())

    def test_an_ended_connection_that_leaves_a_room_takes_nobody_with_it(self) -> None:
        ended, other = self.add("1", rooms="a b"), self.add("2", rooms="a")
        self.registry.remove(ended)
        self.registry.leave(ended, "a")
        self.registry.leave(ended, "b")
        self.assertEqual(self.ids(target(rooms="a")), ["2"])
        self.assertEqual(other.rooms, {"a"})

    def test_a_connection_that_is_removed_twice_leaves_its_successor_in_place(self) -> None:
        ended = self.add("1", rooms="a")
        self.registry.remove(ended)
        self.add("1", rooms="a")
        self.registry.remove(ended)
        self.assertEqual(self.ids(target()), ["1"])
        self.assertEqual(self.ids(target(rooms="a")), ["1"])
        self.assertEqual(self.ids(target(rooms="1")), ["1"])

    def test_an_ended_connection_cannot_come_back_by_joining(self) -> None:
        member = self.add("1")
        self.registry.remove(member)
        self.registry.join(member, "a")
        self.assertEqual(self.ids(target(rooms="a")), [])


class BrokenLinkTests(SynchronousTestCase):
    def test_one_that_cannot_be_written_to_keeps_it_from_nobody(self) -> None:
        core = Core()
        clients = [core.connect(user) for user in ("alice", "bob", "carol")]
        self.patch(clients[1].link, "write", lambda data: 1 / 0)
        core.app.emit("news", 1)
        self.assertEqual([len(client.link.writes) for client in clients], [1, 0, 1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class SelectTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.add("1", "alice", "a b")
        self.add("2", "alice", "b")
        self.add("3", "bob", "a")
        self.add("4", "carol")
        self.add("5", "alice", "a", namespace="/chat")

    def test_without_names_everybody_of_the_namespace_is_meant(self) -> None:
        self.assertEqual(self.ids(target()), ["1", "2", "3", "4"])
        self.assertEqual(self.ids(target("/chat")), ["5"])
        self.assertEqual(self.ids(target("/other")), [])

    def test_names_choose_within_the_namespace(self) -> None:
        self.assertEqual(self.ids(target(rooms="a")), ["1", "3"])
        self.assertEqual(self.ids(target("/chat", rooms="a b")), ["5"])
        self.assertEqual(self.ids(target(users="alice")), ["1", "2"])
        self.assertEqual(self.ids(target("/chat", users="alice bob")), ["5"])
        self.assertEqual(self.ids(target(sessions="session-bob")), ["3"])

    def test_names_add_up_and_each_connection_comes_once(self) -> None:
        self.assertEqual(self.ids(target(rooms="a b", users="alice", sessions="session-carol")), ["1", "2", "3", "4"])

    def test_unknown_names_mean_nobody(self) -> None:
        self.assertEqual(self.ids(target(rooms="x", users="y", sessions="z")), [])

    def test_skipped_ones_are_left_out(self) -> None:
        self.assertEqual(self.ids(target(skip="1 4 unknown")), ["2", "3"])
        self.assertEqual(self.ids(target(rooms="a", skip="1")), ["3"])

    def test_rooms_are_left_out(self) -> None:
        self.assertEqual(self.ids(target(except_rooms="a")), ["2", "4"])
        self.assertEqual(self.ids(target(rooms="b", except_rooms="a x")), ["2"])
        self.assertEqual(self.ids(target(users="alice", skip="2", except_rooms="x")), ["1"])
        self.assertEqual(self.ids(target("/chat", except_rooms="a")), [])
        self.assertEqual(self.ids(target(except_rooms="a b")), ["4"])

    def test_an_id_is_the_room_of_that_connection(self) -> None:
        self.assertEqual(self.ids(target(rooms="1 4 unknown")), ["1", "4"])
        self.assertEqual(self.ids(target(rooms="4 a")), ["1", "3", "4"])
        self.assertEqual(self.ids(target(except_rooms="1 2")), ["3", "4"])
        self.assertEqual(self.ids(target(rooms="5")), [])
        self.assertEqual(self.ids(target("/chat", rooms="1 5")), ["5"])

    def test_a_selection_does_not_change_with_the_tables(self) -> None:
        for chosen in (target(), target(rooms="a b"), target(skip="9")):
            selected = self.registry.select(chosen)
            before = list(selected)
            extra = self.add("6", rooms="a")
            self.registry.remove(extra)
            self.assertEqual(selected, before)


class OwnRoomTests(Base):
    def test_the_room_of_anothers_id_cannot_be_joined(self) -> None:
        self.add("1")
        member, elsewhere = self.add("2"), self.add("3", namespace="/chat")
        for one in (member, elsewhere):
            error = self.assertRaises(ValueError, self.registry.join, one, "1")
            self.assertIn("another connection's id", str(error))
            self.assertEqual(one.rooms, set())
        self.assertEqual(self.ids(target(rooms="1")), ["1"])

    def test_ones_own_may_be_joined_and_left_and_stays(self) -> None:
        member = self.add("1")
        for step in (self.registry.join, self.registry.leave):
            step(member, "1")
            self.assertEqual(self.ids(target(rooms="1")), ["1"])
        self.registry.join(member, "1")
        self.registry.remove(member)
        self.assertEqual(self.ids(target(rooms="1")), [])

    def test_the_ids_of_those_who_may_come_back_are_theirs(self) -> None:
        member = self.add("2")
        self.registry.away = {"1"}
        self.assertRaises(ValueError, self.registry.join, member, "1")
        self.registry.join(FakeMember("1", make_principal()), "1")

    def test_whoever_got_there_before_gets_nothing_once_the_owner_is_here(self) -> None:
        spy = self.add("2")
        self.registry.join(spy, "1")
        self.assertEqual(self.ids(target(rooms="1")), ["2"])
        owner = self.add("1")
        self.assertEqual(self.ids(target(rooms="1")), ["1"])
        self.assertEqual(self.ids(target(except_rooms="1")), ["2"])
        self.registry.leave(spy, "1")
        self.registry.remove(owner)
        self.assertEqual(self.ids(target(rooms="1")), [])


class NamespacesTests(Base):
    def test_those_that_have_connections_are_listed(self) -> None:
        self.assertEqual(self.registry.namespaces(), [])
        first, second = self.add("1", namespace="/chat"), self.add("2", namespace="/chat")
        self.add("3")
        self.assertEqual(sorted(self.registry.namespaces()), ["/", "/chat"])
        self.registry.remove(first)
        self.assertEqual(sorted(self.registry.namespaces()), ["/", "/chat"])
        self.registry.remove(second)
        self.assertEqual(self.registry.namespaces(), ["/"])

    def test_the_same_room_of_two_namespaces_is_two(self) -> None:
        self.add("1", rooms="a")
        self.add("2", rooms="a", namespace="/chat")
        self.assertEqual((self.ids(target(rooms="a")), self.ids(target("/chat", rooms="a"))), (["1"], ["2"]))


class DeliverTests(Base):
    def test_an_event_of_the_history_has_its_offset_where_clients_can_recover(self) -> None:
        wires = Wires()
        raw, polling = self.add("1"), self.add("2", wire=wires.get("/", None))
        history = History(lambda: 0.0, self.counters)
        broadcast = Broadcast("news", (1,), Target(), volatile=True)
        self.assertEqual(self.registry.deliver(broadcast, history.add(broadcast)), 2)
        self.assertEqual(raw.writes, [(b'{"event":"news","data":1}', True)])
        self.assertEqual(polling.writes, [(f'42["news",1,"{history.offset(0)}"]'.encode(), True)])

    def test_everybody_gets_the_event_and_is_counted(self) -> None:
        members = [self.add(str(number)) for number in range(3)]
        self.assertEqual(self.registry.deliver(Broadcast("news", (1,), Target())), 3)
        for member in members:
            self.assertEqual(member.writes, [(b'{"event":"news","data":1}', False)])
        self.assertEqual(self.counters.get("deliveries"), 3)

    def test_whether_it_may_be_dropped_is_said_to_the_connection(self) -> None:
        member = self.add("1")
        self.registry.deliver(Broadcast("tick", (), Target(), volatile=True))
        self.assertTrue(member.writes[0][1])

    def test_those_whose_socket_is_clear_are_written_to_by_its_send(self) -> None:
        whole, part, full, queued = self.add("a"), self.add("b"), self.add("c"), self.add("d")
        sent: list[bytes] = []

        def take(data: bytes) -> int:
            sent.append(data)
            return len(data)

        def fail(data: bytes) -> int:
            raise BlockingIOError

        whole.direct, part.direct, full.direct = take, lambda data: 3, fail
        self.assertEqual(self.registry.deliver(Broadcast("news", (1,), Target())), 4)
        self.assertEqual(len(sent), 1)
        self.assertEqual(whole.writes, [])
        self.assertEqual(part.writes, [(sent[0][3:], False)])
        self.assertEqual(full.writes, [(sent[0], False)])
        self.assertEqual(queued.writes, [(sent[0], False)])

    def test_it_is_encoded_once_for_each_wire_format(self) -> None:
        wires = [CountingWire(), CountingWire()]
        members = [self.add(str(number), wire=wires[number % 2]) for number in range(10)]
        self.registry.deliver(Broadcast("news", (1,), Target()))
        self.assertEqual([wire.encoded for wire in wires], [1, 1])
        self.assertEqual({id(member.writes[0][0]) for member in members[::2]}, {id(members[0].writes[0][0])})

    def test_it_is_not_encoded_for_nobody(self) -> None:
        wire = CountingWire()
        self.add("1", wire=wire)
        self.assertEqual(self.registry.deliver(Broadcast("news", (1,), target(rooms="x"))), 0)
        self.assertEqual(wire.encoded, 0)

    def test_what_one_wire_format_cannot_hold_is_sent_to_nobody(self) -> None:
        members = [self.add(str(number)) for number in range(5)]
        members += [self.add(str(number), wire=FussyWire()) for number in range(5, 10)]
        self.assertRaises(TypeError, self.registry.deliver, Broadcast("news", (1,), Target()))
        self.assertEqual([member.writes for member in members], [[]] * 10)
        self.assertEqual(self.counters.get("deliveries"), 0)

    def test_recipients_may_go_and_come_while_it_is_delivered(self) -> None:
        members = [self.add(str(number), rooms="a") for number in range(6)]

        def chaos(member: FakeMember) -> None:
            for other in members:
                self.registry.remove(other)
            self.add(f"new-{member.id}", rooms="a")

        for member in members:
            member.on_write = lambda member=member: chaos(member)  # type: ignore[misc]
        self.assertEqual(self.registry.deliver(Broadcast("news", (), target(rooms="a"))), 6)
        self.assertEqual([len(member.writes) for member in members], [1] * 6)
        self.assertEqual(self.ids(target(rooms="a")), [f"new-{number}" for number in range(6)])


class ClosingAndRenewingTests(Base):
    def test_the_connections_of_a_target_are_closed(self) -> None:
        inside, outside = self.add("1", rooms="a"), self.add("2")
        self.assertEqual(self.registry.disconnect(Disconnect(target(rooms="a"), 1000, "bye")), 1)
        self.assertEqual((inside.closes, outside.closes), ([(1000, "bye")], []))

    def test_a_session_is_ended_in_every_namespace(self) -> None:
        members = [self.add("1"), self.add("2", namespace="/chat")]
        other = self.add("3", "bob")
        self.assertEqual(self.registry.end_session("session-alice", 1008, "Signed out"), 2)
        self.assertEqual([member.closes for member in members], [[(1008, "Signed out")]] * 2)
        self.assertEqual(other.closes, [])
        self.assertEqual(self.registry.end_session("unknown", 1008, "Signed out"), 0)

    def test_a_session_is_renewed_in_every_namespace(self) -> None:
        members = [self.add("1"), self.add("2", namespace="/chat")]
        other = self.add("3", "bob")
        self.assertEqual(self.registry.renew(Renew("session-alice", "alice", 99.0)), 2)
        self.assertEqual([member.renewals for member in members], [[99.0]] * 2)
        self.assertEqual(other.renewals, [])

    def test_another_user_does_not_renew_a_session_by_its_name(self) -> None:
        member = self.add("1")
        self.assertEqual(self.registry.renew(Renew("session-alice", "mallory", 99.0)), 0)
        self.assertEqual(self.registry.renew(Renew("unknown", "alice", 99.0)), 0)
        self.assertEqual(member.renewals, [])


NAMES = st.sampled_from(["a", "b", "c"])
USERS = st.sampled_from(["alice", "bob"])
NAMESPACES = st.sampled_from(["/", "/chat"])
SETS = st.frozensets(NAMES)
#: rooms of connections
IDS = st.integers(1, 5).map(str)


class RegistryMachine(RuleBasedStateMachine):
    """The registry against a list of connections that is searched from end to end."""

    members = Bundle("members")

    def __init__(self) -> None:
        super().__init__()
        self.registry: Registry[FakeMember] = Registry(Counters())
        self.model: list[FakeMember] = []
        self.made = 0

    @rule(target=members, user=USERS, session=NAMES, namespace=NAMESPACES, rooms=SETS)
    def add(self, user: str, session: str, namespace: str, rooms: frozenset[str]) -> FakeMember:
        self.made += 1
        member = FakeMember(str(self.made), make_principal(user, session=session), namespace)
        member.rooms.update(rooms)
        self.registry.add(member)
        self.model.append(member)
        return member

    @rule(member=members)
    def remove(self, member: FakeMember) -> None:
        self.registry.remove(member)
        self.model = [other for other in self.model if other is not member]

    @rule(member=consumes(members))
    def remove_and_forget(self, member: FakeMember) -> None:
        self.remove(member)

    @rule(member=members, room=NAMES)
    def join(self, member: FakeMember, room: str) -> None:
        self.registry.join(member, room)
        assert room in member.rooms

    @rule(member=members, room=NAMES)
    def leave(self, member: FakeMember, room: str) -> None:
        self.registry.leave(member, room)
        assert room not in member.rooms

    @rule(
        namespace=NAMESPACES,
        rooms=st.frozensets(NAMES | IDS),
        users=st.frozensets(USERS),
        sessions=SETS,
        skip=st.frozensets(st.integers(1, 5).map(str)),
        except_rooms=st.frozensets(NAMES | IDS),
    )
    def select(self, **names: Any) -> None:
        chosen = Target(**names)
        named = bool(chosen.rooms or chosen.users or chosen.sessions)
        expected = {
            member
            for member in self.model
            if member.namespace == chosen.namespace
            and member.id not in chosen.skip
            and not (member.rooms | {member.id}) & chosen.except_rooms
            and (
                not named
                or (member.rooms | {member.id}) & chosen.rooms
                or member.user.id in chosen.users
                or member.user.session in chosen.sessions
            )
        }
        selected = self.registry.select(chosen)
        assert len(selected) == len(expected)
        assert set(selected) == expected

    @rule(session=NAMES)
    def end_session(self, session: str) -> None:
        members = [member for member in self.model if member.user.session == session]
        before = {member: len(member.closes) for member in self.model}
        assert self.registry.end_session(session, 1008, "") == len(members)
        assert {member for member in self.model if len(member.closes) > before[member]} == set(members)

    @invariant()
    def the_tables_hold_the_model_and_nothing_else(self) -> None:
        assert len(self.registry) == len(self.model)
        assert all(self.registry.get(member.id) is member for member in self.model)
        tables = vars(self.registry)
        keys = {
            "_namespaces": lambda member: {member.namespace},
            "_users": lambda member: {member.user.id},
            "_sessions": lambda member: {member.user.session},
            "_rooms": lambda member: {(member.namespace, room) for room in member.rooms},
        }
        for name, keys_of in keys.items():
            expected: dict[Any, set[FakeMember]] = {}
            for member in self.model:
                for key in keys_of(member):
                    expected.setdefault(key, set()).add(member)
            assert {key: set(members) for key, members in tables[name].items()} == expected, name


class ModelTests(SynchronousTestCase):
    def test_whatever_happens_the_tables_are_those_of_the_model(self) -> None:
        run_state_machine_as_test(
            RegistryMachine, settings=settings(deadline=None, max_examples=60, stateful_step_count=30)
        )
