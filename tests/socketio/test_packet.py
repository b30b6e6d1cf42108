"""Tests of wsservice.socketio.packet: what the client gets, byte for byte."""

from __future__ import annotations

import datetime
import enum
import json
import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.socketio.packet import (
    RESERVED,
    Encoded,
    PacketType,
    encode_ack,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    encode_event,
)

P0 = '{"_placeholder":true,"num":0}'
P1 = '{"_placeholder":true,"num":1}'


@dataclass
class Upload:
    name: str
    parts: Any


class Picture(msgspec.Struct, rename="camel"):
    raw_pixels: bytes


class Pair(NamedTuple):
    left: Any
    right: Any


class Colour(enum.Enum):
    RED = "red"


class Sent(NamedTuple):
    """A packet, and its text and attachments on the wire."""

    name: str
    packet: Encoded
    text: str
    attachments: tuple[bytes, ...] = ()


SENT = [
    Sent("an event", encode_event("/", "foo", ()), '2["foo"]'),
    Sent("an event with an id", encode_event("/", "foo", (), 12), '212["foo"]'),
    Sent("an event with the id zero", encode_event("/", "foo", (), 0), '20["foo"]'),
    Sent("an event of a namespace", encode_event("/admin", "foo", ("bar",)), '2/admin,["foo","bar"]'),
    Sent("an event of a namespace with an id", encode_event("/admin", "foo", (), 12), '2/admin,12["foo"]'),
    Sent(
        "the suite's message",
        encode_event("/", "message-back", (1, "2", {"3": [True]})),
        '2["message-back",1,"2",{"3":[true]}]',
    ),
    Sent("the suite's acknowledgement", encode_ack("/", 456, (1, "2", {"3": [False]})), '3456[1,"2",{"3":[false]}]'),
    Sent("an empty acknowledgement", encode_ack("/", 12, ()), "312[]"),
    Sent("an acknowledgement of a namespace", encode_ack("/admin", 12, ["bar"]), '3/admin,12["bar"]'),
    Sent("a connect", encode_connect("/", "abc"), '0{"sid":"abc"}'),
    Sent("a connect with recovery", encode_connect("/", "abc", "def"), '0{"sid":"abc","pid":"def"}'),
    Sent("a connect of a namespace", encode_connect("/admin", "abc"), '0/admin,{"sid":"abc"}'),
    Sent("a refusal", encode_connect_error("/random", "Invalid namespace"), '4/random,{"message":"Invalid namespace"}'),
    Sent("a refusal with data", encode_connect_error("/", "no", {"a": 1}), '4{"message":"no","data":{"a":1}}'),
    Sent("a refusal with false", encode_connect_error("/", "no", False), '4{"message":"no","data":false}'),
    Sent("a disconnect", encode_disconnect("/"), "1"),
    Sent("a disconnect of a namespace", encode_disconnect("/admin"), "1/admin,"),
    Sent("a namespace beyond ASCII", encode_disconnect("/caf\u00e9"), "1/caf\u00e9,"),
    Sent("bytes", encode_event("/", "baz", (b"\x01\x02",)), f'51-["baz",{P0}]', (b"\x01\x02",)),
    Sent("a bytearray", encode_event("/", "baz", (bytearray(b"x"),)), f'51-["baz",{P0}]', (b"x",)),
    Sent("a memoryview", encode_event("/", "baz", (memoryview(b"abcd")[::2],)), f'51-["baz",{P0}]', (b"ac",)),
    Sent("no bytes at all", encode_event("/", "baz", (b"",)), f'51-["baz",{P0}]', (b"",)),
    Sent("bytes with an id", encode_event("/", "baz", (b"x",), 7), f'51-7["baz",{P0}]', (b"x",)),
    Sent("bytes of a namespace", encode_event("/admin", "baz", (b"x",), 7), f'51-/admin,7["baz",{P0}]', (b"x",)),
    Sent("bytes acknowledged", encode_ack("/", 15, (b"x",)), f"61-15[{P0}]", (b"x",)),
    Sent(
        "bytes in order",
        encode_event("/", "baz", ({"a": [b"1"]}, "x", (b"2",))),
        f'52-["baz",{{"a":[{P0}]}},"x",[{P1}]]',
        (b"1", b"2"),
    ),
    Sent("the same bytes twice", encode_ack("/", 1, (b"x", b"x")), f"62-1[{P0},{P1}]", (b"x", b"x")),
    Sent(
        "bytes in a dataclass",
        encode_event("/", "up", (Upload("a", [b"1", {"b": bytearray(b"2")}]),)),
        f'52-["up",{{"name":"a","parts":[{P0},{{"b":{P1}}}]}}]',
        (b"1", b"2"),
    ),
    Sent("bytes in a Struct", encode_event("/", "up", (Picture(b"1"),)), f'51-["up",{{"rawPixels":{P0}}}]', (b"1",)),
    Sent("bytes in a named tuple", encode_ack("/", 1, (Pair(1, b"1"),)), f"61-1[[1,{P0}]]", (b"1",)),
    Sent("bytes in a set", encode_ack("/", 1, ({b"1"},)), f"61-1[[{P0}]]", (b"1",)),
    Sent("bytes in another dict", encode_ack("/", 1, (OrderedDict(a=b"1"),)), f'61-1[{{"a":{P0}}}]', (b"1",)),
    Sent("a dataclass", encode_event("/", "up", (Upload("a", None),)), '2["up",{"name":"a","parts":null}]'),
    Sent("a date", encode_ack("/", 1, (datetime.date(2026, 11, 24),)), '31["2026-11-24"]'),
    Sent("an enum", encode_ack("/", 1, (Colour.RED, {"a": Colour.RED})), '31["red",{"a":"red"}]'),
    Sent(
        "a placeholder as plain data",
        encode_ack("/", 1, ({"_placeholder": True, "num": 9},)),
        '31[{"_placeholder":true,"num":9}]',
    ),
    Sent("not a number", encode_ack("/", 1, (math.nan, math.inf, -math.inf)), "31[null,null,null]"),
    Sent("numbers as keys", encode_ack("/", 1, ({1: 2},)), '31[{"1":2}]'),
    Sent("the order of keys", encode_ack("/", 1, ({"b": 1, "a": 2, "10": 3},)), '31[{"b":1,"a":2,"10":3}]'),
    Sent(
        "letters beyond ASCII",
        encode_ack("/", 1, ("\u00e9\N{PILE OF POO}\u2028",)),
        '31["\u00e9\N{PILE OF POO}\u2028"]',
    ),
    Sent("an integer beyond 64 bits", encode_ack("/", 1, (10**20,)), "31[100000000000000000000]"),
    Sent("the event error", encode_event("/", "error", ("x",)), '2["error","x"]'),
    Sent("empty containers", encode_ack("/", 1, ((), [], {})), "31[[],[],{}]"),
]


@by_row
class EncodedTests(SynchronousTestCase):
    @rows(SENT)
    def test_is_on_the_wire(self, row: Sent) -> None:
        self.assertEqual(row.packet, (row.text.encode(), row.attachments))
        for attachment in row.packet.attachments:
            self.assertIs(type(attachment), bytes)


class Refused(NamedTuple):
    """An argument that cannot be sent."""

    name: str
    value: Any


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


REFUSED = [
    Refused("a lone surrogate", "\ud800"),
    Refused("a lone surrogate as a key", {"\ud800": 1}),
    Refused("a lone surrogate beside bytes", ["\ud800", b"x"]),
    Refused("a circle", _circle()),
    Refused("a circle with bytes", [b"x", _circle()]),
    Refused("a circle in a dataclass", Upload("a", _circle())),
    Refused("a list without end", _deep(100_000, b"x")),
    Refused("an integer of 5000 digits", 10**5000),
    Refused("a key that is a tuple", {(1, 2): 3}),
    Refused("a key that is null", {None: 3}),
    Refused("a key that is a tuple beside bytes", [b"x", {(1, 2): 3}]),
    Refused("an object of no known kind", object()),
    Refused("a deque", deque([b"x"])),
    Refused("a complex number", 1j),
    Refused("what looks like a placeholder before bytes", [{"_placeholder": True, "num": 9}, b"x"]),
    Refused("what looks like a placeholder behind bytes", [b"x", {"a": {"_placeholder": True}}]),
]


@by_row
class RefusedTests(SynchronousTestCase):
    @rows(REFUSED)
    def test_cannot_be_sent(self, row: Refused) -> None:
        for encode in (
            lambda: encode_event("/", "m", (row.value,)),
            lambda: encode_ack("/", 1, (row.value,)),
        ):
            with self.assertRaises(TypeError) as caught:
                encode()
            self.assertTrue(str(caught.exception))

    def test_data_of_a_refusal_must_be_json(self) -> None:
        self.assertRaises(TypeError, encode_connect_error, "/", "no", _circle())


class NameTests(SynchronousTestCase):
    def test_a_reserved_name_cannot_be_emitted(self) -> None:
        for name in RESERVED:
            with self.assertRaises(ValueError) as caught:
                encode_event("/", name, ())
            self.assertEqual(str(caught.exception), f"{name!r} cannot be emitted: it is reserved")

    def test_an_empty_name_cannot_be_emitted(self) -> None:
        self.assertRaisesRegex(ValueError, "the name is empty", encode_event, "/", "", ())

    def test_a_name_that_is_no_text_cannot_be_emitted(self) -> None:
        self.assertRaisesRegex(TypeError, "not int", encode_event, "/", 5, ())


class AliasTests(SynchronousTestCase):
    def test_attachments_do_not_change_with_their_source(self) -> None:
        source = bytearray(b"before")
        packet = encode_event("/", "m", (source,))
        source[:] = b"behind"
        self.assertEqual(packet.attachments, (b"before",))

    def test_arguments_are_left_as_they_were(self) -> None:
        args = [{"a": [b"x"]}]
        encode_event("/", "m", args)
        self.assertEqual(args, [{"a": [b"x"]}])

    def test_a_list_that_is_deep_but_ends_can_be_sent(self) -> None:
        self.assertEqual(encode_ack("/", 1, (_deep(150, 1),)).text, b"31[" + b"[" * 150 + b"1" + b"]" * 150 + b"]")


class AnyValueTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | st.text(st.characters())
            | st.binary(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner)
            ),
        )
    )
    def test_any_value_is_sent_or_refused(self, value: Any) -> None:
        try:
            packet = encode_event("/", "m", (value,))
        except TypeError:
            return
        text = packet.text.decode()
        kind = PacketType.BINARY_EVENT if packet.attachments else PacketType.EVENT
        self.assertEqual(text[0], str(int(kind)))
        self.assertEqual(json.loads(text[text.index("[") :], parse_constant=self.fail)[0], "m")
