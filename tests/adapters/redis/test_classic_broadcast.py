"""Tests of wsservice.adapters.redis.classic_broadcast and classic_target."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis import recorded
from tests.tables import by_row, rows
from wsservice.adapters.redis.channels import NOBODY
from wsservice.adapters.redis.classic_broadcast import Received, decode_broadcast, encode_broadcast
from wsservice.adapters.redis.foreign import MAX_BYTES, MAX_DEPTH, ForeignMessage
from wsservice.messages import Broadcast, Target

BROADCASTS = recorded.classic("broadcast")
NO_OPTS: dict[str, Any] = {"rooms": [], "except": [], "flags": {}}
PACKET = {"type": 2, "data": ["ev"], "nsp": "/"}

NAMES = st.frozensets(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@st.composite
def broadcasts(draw: st.DrawFn) -> Broadcast:
    """Any broadcast; who is skipped is no excepted room, too: the wire does not tell that from the one alone."""
    skip = draw(NAMES)
    target = Target(
        draw(st.sampled_from(["/", "/admin"])), draw(NAMES), draw(NAMES), draw(NAMES), skip, draw(NAMES) - skip
    )
    return Broadcast("e" + draw(st.text()), tuple(draw(st.lists(VALUES, max_size=4))), target, draw(st.booleans()))


def packed(uid: Any = "u", packet: Any = PACKET, opts: Any = NO_OPTS, *more: Any) -> bytes:
    """A message of these parts."""
    return msgspec.msgpack.encode([uid, packet, opts, *more])


def event(*data: Any) -> dict[str, Any]:
    """A packet of such data."""
    return PACKET | {"data": list(data)}


class Recorded(NamedTuple):
    """What Node did, and the broadcast that it is."""

    name: str
    broadcast: Broadcast


def ev(*args: Any, volatile: bool = False, namespace: str = "/", rooms: Any = (), out: Any = ()) -> Broadcast:
    """An event `ev`."""
    target = Target(namespace, frozenset(rooms), except_rooms=frozenset(out))
    return Broadcast("ev", args, target, volatile)


DATES = ("2023-11-14T22:13:20.123Z", "2023-11-14T22:13:20.000Z", "1969-12-31T23:59:59.999Z")
FAR = ("+275760-09-13T00:00:00.000Z", "-000002-12-31T23:59:59.999Z")
RECORDED = [
    Recorded("all", ev("x", 1)),
    Recorded("one room", ev("x", rooms=["room1"])),
    Recorded("rooms except flags", ev("x", rooms=["room1", "r2"], out=["r3"], volatile=True)),
    Recorded("numeric", ev(rooms=["7"], out=["8"])),
    # notepack writes 1e21 as an integer of 64 bits, which it is not
    Recorded("numeric two", ev(rooms=["7", "1.5", "3875820019684212700"])),
    Recorded("undefined room", ev(rooms=[NOBODY])),
    Recorded("null and room", ev(rooms=["room1"])),
    Recorded("binary", Broadcast("bin", (b"\1\2\3", {"deep": [b"\4"]}), Target())),
    Recorded("date", Broadcast("date", DATES + FAR, Target())),
    Recorded("event number", Broadcast("5", ("x",), Target())),
    Recorded("admin", ev(namespace="/admin", rooms=["r"])),
    Recorded("socket broadcast", ev(1, out=["83ywfvJTDhfTNfDGAAAA"])),
    Recorded("emitter all", ev("x")),
    Recorded("emitter room", ev(b"\t", namespace="/admin", rooms=["room1"])),
    Recorded("emitter flags", ev(rooms=["a", "b"], out=["c"], volatile=True)),
    # notepack writes half an emoji as another emoji where the text is short
    Recorded("lone surrogate, short", ev("\U0001f400")),
    Recorded("lone surrogate, long", ev("x" * 40 + "\ufffd")),
]


class Odd(NamedTuple):
    """Bytes of odd senders, and the broadcast."""

    name: str
    payload: bytes
    broadcast: Broadcast


ODD = [
    Odd("no namespace is the main one", packed(packet={"type": 2, "data": ["ev"]}), ev()),
    Odd("no rooms, exceptions, flags", packed(opts={}), ev()),
    Odd("null for each", packed(opts={"rooms": None, "except": None, "flags": None}), ev()),
    Odd("a binary event", packed(packet=event("ev", b"x") | {"type": 5, "attachments": 1}), ev(b"x")),
    Odd("an id is ignored", packed(packet=event("ev") | {"id": 12}), ev()),
    Odd("the same room as number and text", packed(opts={"rooms": [1, "1", 1.0]}), ev(rooms=["1"])),
    Odd("excepted numbers and nulls", packed(opts={"except": [1, None, True]}), ev(out=["1"])),
    Odd("what can be no room is nobody", packed(opts={"rooms": [None, True, [], {}]}), ev(rooms=[NOBODY])),
    Odd("nobody without users stays nobody", packed(opts={"rooms": [NOBODY], "users": []}), ev(rooms=[NOBODY])),
    Odd("volatile by a number", packed(opts={"flags": {"volatile": 1}}), ev(volatile=True)),
    Odd("other flags", packed(opts={"flags": {"local": True, "broadcast": True, "compress": 1}}), ev()),
    Odd("more members", packed("u", PACKET | {"x": [[1]]}, NO_OPTS | {"y": {1: 2}}, None, 5), ev()),
    Odd("keys that are no text", packed(packet=event("ev", {1: 2, None: 3})), ev({"1": 2, "null": 3})),
    Odd(
        "ill-formed room",
        packed(opts={"rooms": ["rx", "s"]}).replace(b"rx", b"r\xff"),
        ev(rooms=["r\ufffd", "s"]),
    ),
]


class Bad(NamedTuple):
    """Bytes that are no broadcast, and the word."""

    name: str
    payload: bytes
    word: str


BAD = [
    Bad("nothing", b"", "malformed"),
    Bad("no array", msgspec.msgpack.encode({"uid": "x", "type": 3}), "ill-typed"),
    Bad("json", b'["u",{"type":2,"data":["ev"]},{}]', "malformed"),
    Bad("two items", msgspec.msgpack.encode(["u", PACKET]), "ill-typed"),
    Bad("a uid that is no text", packed(uid=5), "ill-typed"),
    Bad("no packet", packed(packet=None), "ill-typed"),
    Bad("no opts", packed(opts=None), "ill-typed"),
    Bad("another packet", packed(packet=PACKET | {"type": 3}), "no event"),
    Bad("a boolean for a type", packed(packet=PACKET | {"type": True}), "no event"),
    Bad("no type", packed(packet={"data": ["ev"], "nsp": "/"}), "no event"),
    Bad("a list for a type", packed(packet=PACKET | {"type": []}), "no event"),
    Bad("a namespace that is no text", packed(packet=PACKET | {"nsp": None}), "ill-typed"),
    Bad("no data", packed(packet={"type": 2}), "ill-typed"),
    Bad("empty data", packed(packet=event()), "ill-typed"),
    Bad("data that is no list", packed(packet=PACKET | {"data": "ev"}), "ill-typed"),
    Bad("no name", packed(packet=event(None)), "ill-typed"),
    Bad("a boolean for a name", packed(packet=event(True)), "ill-typed"),
    Bad("an empty name", packed(packet=event("")), "reserved name"),
    Bad("a reserved name", packed(packet=event("disconnect")), "reserved name"),
    Bad("the same, the slow way", packed(packet=event("connect", {1: 2})), "reserved name"),
    Bad("rooms that are no list", packed(opts={"rooms": "abc"}), "ill-typed"),
    Bad("rooms that are a map", packed(opts={"rooms": {"a": 1}}), "ill-typed"),
    Bad("users that are no list", packed(opts={"users": 5}), "ill-typed"),
    Bad("deep", packed(packet=event("ev", "#")).replace(b"\xa1#", b"\x91" * 200 + b"\xc0"), "nested too deep"),
    Bad("very deep", packed(packet=event("ev", "#")).replace(b"\xa1#", b"\x91" * 10**5 + b"\xc0"), "nested too deep"),
    Bad("very deep where nobody looks", packed(opts={"x": "#"}).replace(b"\xa1#", b"\x91" * 10**5), "nested too deep"),
    Bad("too large", packed(packet=event("ev", bytes(MAX_BYTES))), "too large"),
    Bad("a pickle", pickle.dumps(["u", PACKET, NO_OPTS]), "malformed"),
]


@dataclass
class Point:
    """What an app may emit."""

    x: int


@by_row
class DecodeTests(SynchronousTestCase):
    @rows(RECORDED)
    def test_what_node_published_is_taken(self, row: Recorded) -> None:
        received = decode_broadcast(BROADCASTS[row.name][1])
        self.assertEqual(received.broadcast, row.broadcast)
        self.assertIs(received.offset, None)
        self.assertFalse(received.broadcast.target.users or received.broadcast.target.sessions)

    def test_all_that_node_published_is_in_the_table_or_here(self) -> None:
        self.assertEqual(set(BROADCASTS) - {row.name for row in RECORDED}, {"odd values"})
        args = decode_broadcast(BROADCASTS["odd values"][1]).broadcast.args
        self.assertEqual(args[:2] + args[3:8], (None, None, math.inf, 0, 0, 2**53, -(2**40)))
        self.assertTrue(math.isnan(args[2]))
        self.assertEqual(args[8:], (1.5, "\U0001f400", "é😀", {"1": 2}, {}, {}, True))

    def test_the_sender_is_told(self) -> None:
        self.assertEqual(decode_broadcast(BROADCASTS["all"][1]).uid, "Jpd0lj")
        self.assertEqual(decode_broadcast(BROADCASTS["emitter all"][1]).uid, "emitter")

    @rows(ODD)
    def test_odd_senders_are_understood(self, row: Odd) -> None:
        self.assertEqual(decode_broadcast(row.payload), Received("u", row.broadcast))

    @rows(BAD)
    def test_what_is_none_is_refused(self, row: Bad) -> None:
        self.assertEqual(self.assertRaises(ForeignMessage, decode_broadcast, row.payload).word, row.word)

    def test_the_offset_is_a_streams_id_or_nothing(self) -> None:
        self.assertEqual(decode_broadcast(packed("u", PACKET, NO_OPTS, "17-0")).offset, "17-0")
        for offset in ("", "17", "17-0\n", "-", "x-1", 17, None, ["17-0"], "1" * 21 + "-0", "\u0661-1"):
            self.assertIs(decode_broadcast(packed("u", PACKET, NO_OPTS, offset)).offset, None)

    def test_large_ones_are_taken(self) -> None:
        data = [b"\x90" * 4_000_000, list(range(100_000))]
        self.assertEqual(decode_broadcast(packed(packet=event("ev", *data))).broadcast.args, tuple(data))

    @given(st.binary())
    def test_random_bytes_raise_nothing_else(self, payload: bytes) -> None:
        for whole in (payload, b"\x93\xa1u" + payload):
            try:
                decode_broadcast(whole)
            except ForeignMessage as error:
                self.assertIsInstance(error.word, str)

    @given(broadcasts(), st.data())
    def test_what_was_damaged_raises_nothing_else(self, broadcast: Broadcast, data: st.DataObject) -> None:
        payload = bytearray(encode_broadcast("u", broadcast)[1])
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        try:
            decode_broadcast(bytes(payload))
        except ForeignMessage as error:
            self.assertIsInstance(error.word, str)


class EncodeTests(SynchronousTestCase):
    @given(broadcasts(), st.sampled_from([None, "5-0"]))
    def test_it_is_read_again(self, broadcast: Broadcast, offset: str | None) -> None:
        received = decode_broadcast(encode_broadcast("u", broadcast, offset=offset)[1])
        if (broadcast.target.users or broadcast.target.sessions) and broadcast.target.rooms == {NOBODY}:
            return
        self.assertEqual(received, Received("u", broadcast, offset))

    def test_the_bytes_are_nodes(self) -> None:
        for name in ("all", "one room", "binary", "admin"):
            channel, payload = BROADCASTS[name]
            received = decode_broadcast(payload)
            room, again = encode_broadcast(received.uid, received.broadcast)
            self.assertEqual(again, payload)
            self.assertEqual(room, channel.decode().split("#")[2] or None)

    def test_one_room_has_a_channel_of_its_own(self) -> None:
        one, two, user = frozenset({"a"}), frozenset({"a", "b"}), frozenset({"u"})
        for target, room in (
            (Target(rooms=one, skip=two, except_rooms=two), "a"),
            (Target(rooms=two), None),
            (Target(), None),
            (Target(users=user), NOBODY),
            (Target(sessions=user), NOBODY),
            (Target(rooms=one, users=user), None),
            (Target(rooms=two, sessions=user), None),
        ):
            self.assertEqual(encode_broadcast("u", Broadcast("ev", (), target))[0], room)

    def test_users_and_sessions_are_nobody_to_node(self) -> None:
        user = frozenset({"u"})
        payload = encode_broadcast("u", Broadcast("ev", (), Target(users=user)))[1]
        self.assertEqual(msgspec.msgpack.decode(payload)[2]["rooms"], [NOBODY])
        received = decode_broadcast(payload)
        self.assertEqual(received.broadcast.target, Target(users=user))

    def test_who_is_skipped_is_excepted_for_node(self) -> None:
        target = Target(skip=frozenset({"s"}), except_rooms=frozenset({"r"}))
        opts = msgspec.msgpack.decode(encode_broadcast("u", Broadcast("ev", (), target))[1])[2]
        self.assertEqual((sorted(opts["except"]), opts["skip"]), (["r", "s"], ["s"]))

    def test_a_canonical_one_has_the_same_bytes_in_every_process(self) -> None:
        names = frozenset(f"room{number}" for number in range(20))
        target = Target(rooms=names, users=names, sessions=names, skip=names, except_rooms=names)
        opts = msgspec.msgpack.decode(encode_broadcast("u", Broadcast("ev", (), target), is_canonical=True)[1])[2]
        for name in ("rooms", "except", "users", "sessions", "skip"):  # a set has another order in each process
            self.assertEqual(opts[name], sorted(names), name)

    def test_what_json_has_no_word_for_travels_as_what_json_makes_of_it(self) -> None:
        args = (Point(1), {1: 2}, (3, {4}), datetime(2020, 1, 1, tzinfo=UTC), bytearray(b"x"), 2**70, -(2**70))
        received = decode_broadcast(encode_broadcast("u", Broadcast("ev", args, Target()))[1]).broadcast.args
        expected = ({"x": 1}, {"1": 2}, [3, [4]], "2020-01-01T00:00:00Z", b"x", float(2**70), -float(2**70))
        self.assertEqual(received, expected)

    def test_what_cannot_be_sent_is_refused(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        deep: Any = 1
        for _ in range(MAX_DEPTH):
            deep = [deep]
        for args in ((2**70, deep), (object(),), ("\ud800",), ({"\ud800": 1},), (circle,), ({(1, 2): 3},)):
            self.assertRaises(TypeError, encode_broadcast, "u", Broadcast("ev", args, Target()))
        self.assertRaises(TypeError, encode_broadcast, "u", Broadcast("ev", (), Target(rooms=frozenset({"\ud800"}))))
        self.assertRaises(TypeError, encode_broadcast, "u", Broadcast(b"ev", (), Target()))  # type: ignore[arg-type]
        for name in ("", "connect"):
            self.assertRaises(ValueError, encode_broadcast, "u", Broadcast(name, (), Target()))
