"""Tests of wsservice.socketio.decoder: what the client sends, and that nothing else passes."""

from __future__ import annotations

import gc
import json
import time
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.socketio.decoder import MAX_DEPTH, MAX_ID, MAX_NAMESPACE, Decoder, Packet, ParseError
from wsservice.socketio.packet import (
    RESERVED,
    Encoded,
    PacketType,
    encode_ack,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    encode_event,
    encode_plain_event,
    plain_head,
)

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = PacketType
P0 = '{"_placeholder":true,"num":0}'
P1 = '{"_placeholder":true,"num":1}'
BIG = int("1234567890" * 3)


def decode(text: str, *attachments: bytes, decoder: Decoder | None = None) -> Packet:
    """The one packet of a text and its attachments."""
    decoder = decoder or Decoder()
    packet = decoder.feed_text(text)
    for attachment in attachments:
        assert packet is None
        packet = decoder.feed_binary(attachment)
    assert packet is not None
    assert decoder.pending is None
    return packet


class Good(NamedTuple):
    """Messages of the client, and the packet that they are."""

    name: str
    text: str
    packet: Packet
    attachments: tuple[bytes, ...] = ()


GOOD = [
    Good("connect", "0", Packet(CONNECT, "/", {})),
    Good("connect with auth", '0{"token":"x"}', Packet(CONNECT, "/", {"token": "x"})),
    Good("connect to a namespace", "0/custom,", Packet(CONNECT, "/custom", {})),
    Good("connect to a namespace without a comma", "0/custom", Packet(CONNECT, "/custom", {})),
    Good("connect to a namespace with auth", '0/admin,{"token":"x"}', Packet(CONNECT, "/admin", {"token": "x"})),
    Good("connect to the main namespace by name", "0/,", Packet(CONNECT, "/", {})),
    Good("connect to the main namespace by its slash", "0/", Packet(CONNECT, "/", {})),
    Good("a query is part of the name", "0/a?b=c,", Packet(CONNECT, "/a?b=c", {})),
    Good("a namespace beyond ASCII", "0/caf\u00e9,", Packet(CONNECT, "/caf\u00e9", {})),
    Good(
        "the longest namespace", f"0/{'a' * (MAX_NAMESPACE - 1)},", Packet(CONNECT, f"/{'a' * (MAX_NAMESPACE - 1)}", {})
    ),
    Good("disconnect", "1", Packet(DISCONNECT, "/")),
    Good("disconnect of a namespace", "1/admin,", Packet(DISCONNECT, "/admin")),
    Good("an event", '2["foo"]', Packet(EVENT, "/", ["foo"])),
    Good("an event with arguments", '2["foo",1,"2",{"3":[true]}]', Packet(EVENT, "/", ["foo", 1, "2", {"3": [True]}])),
    Good("an event with an id", '212["foo"]', Packet(EVENT, "/", ["foo"], 12)),
    Good("an event with the id zero", '20["foo"]', Packet(EVENT, "/", ["foo"], 0)),
    Good("an event of a namespace with an id", '2/admin,12["foo"]', Packet(EVENT, "/admin", ["foo"], 12)),
    Good("an event of the main namespace by name", '2/,["foo"]', Packet(EVENT, "/", ["foo"])),
    Good("an event of an empty name", '2[""]', Packet(EVENT, "/", [""])),
    Good("the event error", '2["error","x"]', Packet(EVENT, "/", ["error", "x"])),
    Good("an event whose name is a number", "2[1]", Packet(EVENT, "/", ["1"])),
    Good("an event whose name is a negative number", "2[-7,1]", Packet(EVENT, "/", ["-7", 1])),
    Good("an event whose name is a fraction", "2[1.5]", Packet(EVENT, "/", ["1.5"])),
    Good("an event whose name is a whole fraction", "2[5.0]", Packet(EVENT, "/", ["5"])),
    Good("the largest id", f'2{MAX_ID}["foo"]', Packet(EVENT, "/", ["foo"], MAX_ID)),
    Good("an id that begins with zeros", '2007["foo"]', Packet(EVENT, "/", ["foo"], 7)),
    Good("white space in the payload", '2[ "foo" ,\t1\r\n] ', Packet(EVENT, "/", ["foo", 1])),
    Good("an escaped name", '2["\\u0066oo"]', Packet(EVENT, "/", ["foo"])),
    Good("a large integer", f'2["m",{BIG}]', Packet(EVENT, "/", ["m", BIG])),
    Good("a member twice", '2["m",{"a":1,"a":2}]', Packet(EVENT, "/", ["m", {"a": 2}])),
    Good("a placeholder as plain data", f'2["m",{P0}]', Packet(EVENT, "/", ["m", {"_placeholder": True, "num": 0}])),
    Good("an acknowledgement", '3/admin,12["bar"]', Packet(ACK, "/admin", ["bar"], 12)),
    Good("an empty acknowledgement", "312[]", Packet(ACK, "/", [], 12)),
    Good("an acknowledgement of nothing that was asked", "3999[1]", Packet(ACK, "/", [1], 999)),
    Good("an acknowledgement of a reserved name", '31["connect"]', Packet(ACK, "/", ["connect"], 1)),
    Good("a refusal", '4/a,{"message":"no"}', Packet(CONNECT_ERROR, "/a", {"message": "no"})),
    Good("bytes", f'51-["baz",{P0}]', Packet(EVENT, "/", ["baz", b"\x01"]), (b"\x01",)),
    Good("bytes acknowledged", f"61-15[{P0}]", Packet(ACK, "/", [b"\x01"], 15), (b"\x01",)),
    Good("bytes of a namespace", f'51-/admin,7["baz",{P0}]', Packet(EVENT, "/admin", ["baz", b""], 7), (b"",)),
    Good("bytes in any order", f'52-["m",{P1},{P0}]', Packet(EVENT, "/", ["m", b"2", b"1"]), (b"1", b"2")),
    Good(
        "bytes at any depth",
        f'52-["m",[[{P0}]],{{"a":{{"b":{P1}}}}}]',
        Packet(EVENT, "/", ["m", [[b"1"]], {"a": {"b": b"2"}}]),
        (b"1", b"2"),
    ),
    Good("an attachment twice", f'51-["m",{P0},{P0}]', Packet(EVENT, "/", ["m", b"1", b"1"]), (b"1",)),
    Good("an attachment that is not used", '51-["m"]', Packet(EVENT, "/", ["m"]), (b"1",)),
    Good("ten attachments", '510-["m"]', Packet(EVENT, "/", ["m"]), (b"1",) * 10),
    Good(
        "an object that is no placeholder",
        f'51-["m",{{"_placeholder":1,"num":9}},{P0}]',
        Packet(EVENT, "/", ["m", {"_placeholder": 1, "num": 9}, b"1"]),
        (b"1",),
    ),
    Good(
        "a placeholder with more members",
        '51-["m",{"_placeholder":true,"num":0,"a":[]}]',
        Packet(EVENT, "/", ["m", b"1"]),
        (b"1",),
    ),
    Good("a pair of surrogates", '2["m","\\ud83d\\udca9"]', Packet(EVENT, "/", ["m", "\N{PILE OF POO}"])),
    Good("a high surrogate alone", '2["m","a\\ud83d"]', Packet(EVENT, "/", ["m", "a\ufffd"])),
    Good("a low surrogate alone", '2["m","\\uDCA9b"]', Packet(EVENT, "/", ["m", "\ufffdb"])),
    Good("surrogates the wrong way round", '2["m","\\udca9\\ud83d"]', Packet(EVENT, "/", ["m", "\ufffd\ufffd"])),
    Good(
        "two high surrogates and a low",
        '2["m","\\ud83d\\ud83d\\udca9"]',
        Packet(EVENT, "/", ["m", "\ufffd\N{PILE OF POO}"]),
    ),
    Good("a lone surrogate and a letter", '2["m","\\ud83d\\u0041"]', Packet(EVENT, "/", ["m", "\ufffdA"])),
    Good("a lone surrogate as a key", '2["m",{"\\ud83d":1}]', Packet(EVENT, "/", ["m", {"\ufffd": 1}])),
    Good("a lone surrogate in a name", '2["\\ud83d"]', Packet(EVENT, "/", ["\ufffd"])),
    Good(
        "a lone surrogate behind a backslash, and what only looks like one",
        '2["m","\\\\\\ud83d","\\\\ud83d","\\u00e9\\"\\n"]',
        Packet(EVENT, "/", ["m", "\\\ufffd", "\\ud83d", '\u00e9"\n']),
    ),
    Good("a lone surrogate in auth", '0{"a":"\\ud83d"}', Packet(CONNECT, "/", {"a": "\ufffd"})),
]


@by_row
class GoodTests(SynchronousTestCase):
    @rows(GOOD)
    def test_is_taken(self, row: Good) -> None:
        packet = decode(row.text, *row.attachments)
        self.assertEqual(packet, row.packet)
        self.assertEqual(repr(packet), repr(row.packet))


class Bad(NamedTuple):
    """A text that is no packet."""

    name: str
    text: str


def _nested(depth: int) -> str:
    """An event whose payload is nested so deep, its own array counted."""
    return '2["m",' + "[" * (depth - 1) + "]" * (depth - 1) + "]"


#: SOCKETIO.md 1.15, each row that is a matter of syntax, and 1.11
BAD = [
    Bad("nothing", ""),
    Bad("type 7", "7"),
    Bad("type 9", '9["m"]'),
    Bad("a letter", "a"),
    Bad("a minus", "-1"),
    Bad("an Arabic digit as the type", '\u0662["m"]'),
    Bad("a space before the type", ' 2["m"]'),
    Bad("a byte order mark", '\ufeff2["m"]'),
    Bad("an event that is an object", "2{}"),
    Bad("an event that is a string", '2"x"'),
    Bad("an event that is null", "2null"),
    Bad("an event that is cut", '2["m"'),
    Bad("an event with text behind it", '2["m"]x'),
    Bad("two events", '2["m"]2["m"]'),
    Bad("an empty event", "2[]"),
    Bad("an event of null", "2[null]"),
    Bad("an event of true", "2[true]"),
    Bad("an event of an object", "2[{}]"),
    Bad("an event of an object with a method's name", '2[{"toString":"foo"}]'),
    Bad("an event of a list", '2[["m"]]'),
    Bad("an event without a payload", "2"),
    Bad("an event of a namespace without a payload", "2/admin,"),
    Bad("an event with an id, without a payload", "212"),
    *(Bad(f"the reserved event {name}", f'2["{name}"]') for name in sorted(RESERVED)),
    Bad("a reserved event of a namespace", '2/admin,1["connect"]'),
    Bad("a reserved event, escaped", '2["\\u0063onnect"]'),
    Bad("a reserved event with bytes", '51-["disconnect"]'),
    Bad("letters as the id", '2abc["m"]'),
    Bad("a fraction as the id", '21.5["m"]'),
    Bad("an exponent as the id", '21e3["m"]'),
    Bad("a negative id", '2-1["m"]'),
    Bad("a positive id", '2+1["m"]'),
    Bad("a superscript digit as the id", '2\u00b2["m"]'),
    Bad("an Arabic digit as the id", '2\u0661["m",1]'),
    Bad("a space as the id", '2 ["m",1]'),
    Bad("a space behind the id", '21 ["m",1]'),
    Bad("an underscore in the id", '21_0["m"]'),
    Bad("an id that is too large", f'2{MAX_ID + 1}["m"]'),
    Bad("an id of 30 digits", f'2{"1" * 30}["m"]'),
    Bad("an id of 5000 digits", f'2{"1" * 5000}["m"]'),
    Bad("NaN", '2["m",NaN]'),
    Bad("Infinity", '2["m",Infinity]'),
    Bad("minus Infinity", '2["m",-Infinity]'),
    Bad("a number beyond doubles", '2["m",1e400]'),
    Bad("a negative number beyond doubles", '2["m",-1e400]'),
    Bad("a number of 5000 digits", f'2["m",{"9" * 5000}]'),
    Bad("a name of 5000 digits", f"2[{'9' * 5000}]"),
    Bad("a number with a leading zero", '2["m",01]'),
    Bad("a comma too many", '2["m",]'),
    Bad("single quotes", "2['m']"),
    Bad("a line break in a string", '2["m\n"]'),
    Bad("a NUL in a string", '2["m\0"]'),
    Bad("a NUL behind the payload", '2["m"]\0'),
    Bad("an unknown escape", '2["\\x41"]'),
    Bad("an escape that is cut", '2["\\u00"]'),
    Bad("a surrogate's escape that is cut", '2["\\ud8"]'),
    Bad("a surrogate itself", '2["m","\ud83d"]'),
    Bad("a surrogate in a namespace", "0/\ud83d,"),
    Bad("a namespace that is too long", f"0/{'a' * MAX_NAMESPACE},"),
    Bad("a namespace without a comma before the payload", '2/admin["m"]'),
    Bad("a namespace without a slash", '2admin,["m"]'),
    Bad("a namespace behind the id", '212/admin,["m"]'),
    Bad("an acknowledgement without an id", "3[]"),
    Bad("an acknowledgement without anything", "3"),
    Bad("an acknowledgement without a payload", "399"),
    Bad("an acknowledgement that is an object", "31{}"),
    Bad("an acknowledgement that is cut", "31["),
    Bad("a disconnect with an object", "1{}"),
    Bad("a disconnect with a list", "1[]"),
    Bad("a disconnect with an id", "15"),
    Bad("a disconnect of a namespace with a payload", "1/admin,{}"),
    Bad("a connect with a list", "0[]"),
    Bad("a connect with a string", '0"x"'),
    Bad("a connect with null", "0null"),
    Bad("a connect with an id", "01"),
    Bad("a connect with an id and auth", "01{}"),
    Bad("a connect that is cut", '0{"a":1'),
    Bad("a refusal that is a string", '4"no"'),
    Bad("a refusal without a payload", "4"),
    Bad("no attachments", '50-["m"]'),
    Bad("no number of attachments", '5["m"]'),
    Bad("no number before the dash", '5-["m"]'),
    Bad("a number of attachments without a dash", f'51["m",{P0}]'),
    Bad("a negative number of attachments", '5-1-["m"]'),
    Bad("a fraction of attachments", '51.5-["m"]'),
    Bad("an exponent of attachments", '51e0-["m"]'),
    Bad("an Arabic number of attachments", '5\u0661-["m"]'),
    Bad("eleven attachments", '511-["m"]'),
    Bad("too many attachments", '599999-["m"]'),
    Bad("far too many attachments", f'5{"9" * 5000}-["m"]'),
    Bad("attachments of a plain event", '21-["m"]'),
    Bad("attachments of a connect", "01-{}"),
    Bad("attachments without a payload", "51-"),
    Bad("an acknowledgement with attachments, without an id", f"61-[{P0}]"),
    Bad("a placeholder as the name", f"51-[{P0}]"),
    Bad("a placeholder without a number", '51-["m",{"_placeholder":true}]'),
    Bad("a placeholder of a number too large", f'51-["m",{P1}]'),
    Bad("a placeholder of a negative number", '51-["m",{"_placeholder":true,"num":-1}]'),
    Bad("a placeholder of a fraction", '51-["m",{"_placeholder":true,"num":0.5}]'),
    Bad("a placeholder of a whole fraction", '51-["m",{"_placeholder":true,"num":0.0}]'),
    Bad("a placeholder of a string", '51-["m",{"_placeholder":true,"num":"0"}]'),
    Bad("a placeholder of a method's name", '51-["m",{"_placeholder":true,"num":"splice"}]'),
    Bad("a placeholder of false", '51-["m",{"_placeholder":true,"num":false}]'),
    Bad("a placeholder of null", '51-["m",{"_placeholder":true,"num":null}]'),
    Bad("a placeholder of a large integer", f'51-["m",{{"_placeholder":true,"num":{BIG}}}]'),
    Bad("a bad placeholder at depth", '51-["m",{"a":[{"_placeholder":true,"num":1}]}]'),
    Bad("one level too deep", _nested(MAX_DEPTH + 1)),
    Bad("4000 lists", _nested(4000)),
    Bad("100000 lists", _nested(100_000)),
    Bad("100000 lists that are cut", "2[" + "[" * 100_000),
    Bad("objects too deep", '2["m",' + '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH + "]"),
    Bad("too deep behind a lone surrogate", '2["\\ud83d",' + "[" * 4000 + "]" * 4000 + "]"),
    Bad("auth too deep", '0{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}"),
]


@by_row
class BadTests(SynchronousTestCase):
    @rows(BAD)
    def test_is_refused(self, row: Bad) -> None:
        with self.assertRaises(ParseError) as caught:
            Decoder().feed_text(row.text)
        self.assertTrue(str(caught.exception).isascii())
        self.assertLess(len(str(caught.exception)), 100)


class DepthTests(SynchronousTestCase):
    def test_a_payload_may_be_as_deep_as_the_limit(self) -> None:
        decode(_nested(MAX_DEPTH))

    def test_a_payload_may_be_wide_at_any_depth(self) -> None:
        decode('2["m",' + ",".join(["[[[[]]]]"] * 1000) + "]")

    def test_brackets_in_strings_do_not_count(self) -> None:
        text = "[{" * 1000
        self.assertEqual(decode(f'2["m","{text}\\"{text}\\\\",["{text}"]]').data[2], [text])


class AttachmentTests(SynchronousTestCase):
    def test_a_packet_is_given_out_with_its_last_attachment(self) -> None:
        decoder = Decoder()
        self.assertIsNone(decoder.feed_text(f'52-/a,["m",{P0},{P1}]'))
        self.assertIsNotNone(decoder.pending)
        assert decoder.pending is not None
        self.assertEqual((decoder.pending.type, decoder.pending.namespace), (BINARY_EVENT, "/a"))
        self.assertIsNone(decoder.feed_binary(b"1"))
        self.assertEqual(decoder.feed_binary(b"2"), Packet(EVENT, "/a", ["m", b"1", b"2"]))
        self.assertIsNone(decoder.pending)
        self.assertIsNone(decoder.pending)

    def test_the_next_packet_begins_anew(self) -> None:
        decoder = Decoder()
        for _ in range(2):
            self.assertEqual(decode(f"61-1[{P0}]", b"1", decoder=decoder), Packet(ACK, "/", [b"1"], 1))
            self.assertEqual(decode('2["m"]', decoder=decoder), Packet(EVENT, "/", ["m"]))

    def test_a_text_among_the_attachments_is_refused(self) -> None:
        for text in ('2["m"]', "1", f'51-["m",{P0}]'):
            decoder = Decoder()
            decoder.feed_text(f'52-["m",{P0},{P1}]')
            decoder.feed_binary(b"1")
            self.assertRaises(ParseError, decoder.feed_text, text)

    def test_an_attachment_that_nobody_announced_is_refused(self) -> None:
        self.assertRaises(ParseError, Decoder().feed_binary, b"1")

    def test_an_attachment_too_many_is_refused(self) -> None:
        decoder = Decoder()
        decode(f'51-["m",{P0}]', b"1", decoder=decoder)
        self.assertRaises(ParseError, decoder.feed_binary, b"2")

    def test_after_close_nothing_is_waited_for(self) -> None:
        decoder = Decoder()
        decoder.feed_text(f'51-["m",{P0}]')
        decoder.close()
        self.assertIsNone(decoder.pending)
        self.assertEqual(decode('2["m"]', decoder=decoder), Packet(EVENT, "/", ["m"]))

    def test_the_number_of_attachments_is_a_setting(self) -> None:
        self.assertIsNone(Decoder(max_attachments=50).feed_text('550-["m"]'))
        self.assertRaises(ParseError, Decoder(max_attachments=50).feed_text, '551-["m"]')


class SizeTests(SynchronousTestCase):
    HEADER = f'52-["\u00e9",{P0},{P1}]'
    SIZE = len(HEADER.encode())

    def test_header_and_attachments_may_have_the_size_together(self) -> None:
        decode(self.HEADER, b"1" * 40, b"2" * 60, decoder=Decoder(max_bytes=self.SIZE + 100))

    def test_a_byte_more_is_refused_as_soon_as_it_arrives(self) -> None:
        decoder = Decoder(max_bytes=self.SIZE + 100)
        decoder.feed_text(self.HEADER)
        self.assertRaises(ParseError, decoder.feed_binary, b"1" * 101)
        decoder = Decoder(max_bytes=self.SIZE + 100)
        decoder.feed_text(self.HEADER)
        decoder.feed_binary(b"1" * 40)
        self.assertRaises(ParseError, decoder.feed_binary, b"2" * 61)

    def test_a_header_too_large_is_refused(self) -> None:
        Decoder(max_bytes=self.SIZE).feed_text(self.HEADER)
        self.assertRaises(ParseError, Decoder(max_bytes=self.SIZE - 1).feed_text, self.HEADER)

    def test_an_attachment_counts_as_often_as_it_is_used(self) -> None:
        header = f'51-["m",{",".join([P0] * 1000)}]'
        decoder = Decoder(max_bytes=len(header) + 1000)
        self.assertEqual(decode(header, b"1", decoder=decoder).data, ["m", *[b"1"] * 1000])
        decoder.feed_text(header)
        self.assertRaises(ParseError, decoder.feed_binary, b"12")

    def test_an_attachment_that_is_not_used_counts(self) -> None:
        decoder = Decoder(max_bytes=100)
        decoder.feed_text('51-["m"]')
        self.assertRaises(ParseError, decoder.feed_binary, b"1" * 100)

    def test_a_packet_without_attachments_has_no_bound_here(self) -> None:
        decode(f'2["{"a" * 1000}"]', decoder=Decoder(max_bytes=10))


#: bodies of about the given number of characters, each the worst of its kind
WORST = {
    "lists": lambda size: "[]," * (size // 3),
    "nested lists": lambda size: ("[" * 150 + "]" * 150 + ",") * (size // 301),
    "a string": lambda size: '"' + "a" * size + '",',
    "escapes": lambda size: '"' + '\\"' * (size // 2) + '",',
    "lone surrogates": lambda size: '"' + "\\ud83d" * (size // 6) + '",',
    "a lone surrogate behind escapes": lambda size: '"' + "\\n" * (size // 2) + '\\ud83d",',
    "escapes that are cut": lambda size: "\\ud8" * (size // 4) + ",",
    "a string that does not end": lambda size: '"' + '\\"' * (size // 2) + ",",
    "integers": lambda size: ("9" * 4000 + ",") * (size // 4001),
    "a number": lambda size: "9" * size + ",",
    "placeholders": lambda size: f"{P0}," * (size // 30),
}


class TimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        # A collection's time is that of all the objects of the test run.
        gc.disable()
        self.addCleanup(gc.enable)

    def seconds(self, text: str) -> float:
        best = float("inf")
        for _ in range(3):
            decoder = Decoder()
            start = time.perf_counter()
            try:
                decoder.feed_text(text)
            except ParseError:
                pass
            best = min(best, time.perf_counter() - start)
        return best

    def test_time_is_linear_in_the_size(self) -> None:
        for name, body in WORST.items():
            for head in ('2["m",', '51-["m",', "2", "2/", "5"):
                small, large = (self.seconds(f"{head}{body(size)[:-1]}]") for size in (30_000, 480_000))
                # 16 times the size; 256 times the time if it were quadratic
                self.assertLess(large, 100 * small + 0.01, f"{name} behind {head}")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
namespaces = st.just("/") | st.text().filter(lambda text: "," not in text).map("/{}".format)
names = st.text(min_size=1).filter(lambda name: name not in RESERVED)
ids = st.integers(0, MAX_ID)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


class AgreementTests(SynchronousTestCase):
    """What our encoder writes, our decoder reads; tests/integration/test_socketio_parser.py has the reference."""

    decoder = Decoder(max_attachments=100)

    def check(self, encoded: Encoded, packet: Packet) -> None:
        self.assertEqual(decode(encoded.text.decode(), *encoded.attachments, decoder=self.decoder), packet)

    @settings(deadline=None)
    @given(
        st.one_of(
            st.builds(
                lambda name, args: f"2{json.dumps([name, *args])}", names | st.just("connect"), st.lists(SCALARS)
            ),
            st.builds(lambda depth: f'2["a",{"[" * depth}{"]" * depth}]', st.integers(0, 2 * MAX_DEPTH)),
            st.text('2[]",{}0\\ud8a/-', max_size=20).map(lambda text: '2["' + text),
            st.text(max_size=20),
        )
    )
    def test_the_short_way_gives_what_the_general_one_does(self, text: str) -> None:
        short, general = Decoder(), Decoder()
        event = short.common_event(text[1:]) if text.startswith('2["') else None
        if event is None:
            self.assertEqual(short.size, 0)
            return
        packet = general.feed_text(text)
        assert packet is not None
        self.assertEqual((packet.type, packet.namespace, packet.id), (EVENT, "/", None))
        self.assertEqual([event.name, *event.args], packet.data)
        self.assertEqual(short.size, general.size)

    @given(namespaces, names, st.lists(values, max_size=4))
    def test_an_event_that_asks_for_nothing_is_encoded_in_one_step_to_the_same(
        self, namespace: str, name: str, args: list[Any]
    ) -> None:
        text = encode_plain_event(plain_head(namespace, name), tuple(args))
        encoded = encode_event(namespace, name, args)
        self.assertEqual(text, None if encoded.attachments or not args else b"4" + encoded.text)

    def test_what_cannot_be_encoded_is_left_to_the_general_way(self) -> None:
        for args in ((), ("\ud800",), (b"x",), (1, [b"x"])):
            self.assertIsNone(encode_plain_event(plain_head("/", "a"), args))

    def test_an_event_that_cannot_be_sent_has_no_head(self) -> None:
        for name, error in (("connect", ValueError), ("", ValueError), ("\ud800", TypeError), (1, TypeError)):
            self.assertRaises(error, plain_head, "/", name)

    @settings(deadline=None)
    @given(namespaces, names, st.lists(values, max_size=4), st.none() | ids)
    def test_an_event_arrives_as_it_was_sent(
        self, namespace: str, name: str, args: list[Any], ack_id: int | None
    ) -> None:
        self.check(encode_event(namespace, name, args, ack_id), Packet(EVENT, namespace, [name, *args], ack_id))

    @settings(deadline=None)
    @given(namespaces, ids, st.lists(values, max_size=4))
    def test_an_acknowledgement_arrives_as_it_was_sent(self, namespace: str, ack_id: int, args: list[Any]) -> None:
        self.check(encode_ack(namespace, ack_id, args), Packet(ACK, namespace, args, ack_id))

    @settings(deadline=None)
    @given(namespaces, st.text(), st.text())
    def test_the_other_packets_arrive_as_they_were_sent(self, namespace: str, one: str, other: str) -> None:
        self.check(encode_connect(namespace, one), Packet(CONNECT, namespace, {"sid": one}))
        self.check(encode_connect_error(namespace, one), Packet(CONNECT_ERROR, namespace, {"message": one}))
        refusal = {"message": one, "data": other}
        self.check(encode_connect_error(namespace, one, other), Packet(CONNECT_ERROR, namespace, refusal))
        self.check(encode_disconnect(namespace), Packet(DISCONNECT, namespace))


near_packets = st.text('0123456-/,[]{}":\\udeabcmNI. \ud83d\u0661\n', max_size=40) | st.builds(
    "{}{}{}".format,
    st.sampled_from(["2", "21", "2/a,", "51-", "52-/a,3", "61-1", "0", "31", '2["m",', '51-["m",']),
    st.sampled_from(["", '["m"', f'["m",{P0}]', f"[{P0}]", "[1", '["\\ud83d', "{}"]),
    st.text('[]{}",:\\u0d8NaI1e\ud83d', max_size=20),
)


class AnythingTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=300)
    @given(st.lists(near_packets | st.text(st.characters()) | st.binary(), max_size=6))
    def test_any_messages_are_packets_or_a_parse_error(self, messages: list[str | bytes]) -> None:
        decoder = Decoder()
        for message in messages:
            try:
                packet = decoder.feed_text(message) if isinstance(message, str) else decoder.feed_binary(message)
            except ParseError:
                decoder = Decoder()
                continue
            self.assertEqual(packet is None, decoder.pending is not None)
            if packet is not None:
                self.assertNotIn(packet.type, (BINARY_EVENT, BINARY_ACK))
                self.assertEqual(packet.namespace[0], "/")
