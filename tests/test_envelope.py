"""Tests of wsservice.envelope: the raw wire, byte for byte."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import BARE_WIRE as WIRE
from tests.fakes import BareFraming
from tests.tables import by_row, rows
from wsservice.envelope import MAX_ID, EnvelopeWire, RawWire, decode_binary, decode_text
from wsservice.errors import ClientError
from wsservice.frames import PLAIN, deflate_framing, frame
from wsservice.messages import Ack, Broadcast, Event, Target
from wsservice.recorded import Entry
from wsservice.socketio.packet import Encoded

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@dataclass
class Note:
    text: str


@dataclass
class Happening:
    event: str


class Answer(msgspec.Struct):
    ack: int


class Text(NamedTuple):
    """A text frame of the client, and what it means; None for a message of the text itself."""

    name: str
    text: str
    meaning: Event | Ack | None = None


TEXTS = [
    Text("an event", '{"event":"join","data":{"room":1}}', Event("join", ({"room": 1},))),
    Text("an event with an id", '{"event":"join","data":[1],"id":7}', Event("join", ([1],), 7)),
    Text("an event without data", '{"event":"join"}', Event("join", (None,))),
    Text("an event with null", '{"event":"join","data":null}', Event("join", (None,))),
    Text("an event of an empty name", '{"event":""}', Event("", (None,))),
    Text("a message in the envelope", '{"event":"message","data":"x"}', Event("message", ("x",))),
    Text("an event with other members", '{"event":"join","more":1}', Event("join", (None,))),
    Text("an event with an ack", '{"event":"join","ack":1}', Event("join", (None,))),
    Text("white space around", ' \t\r\n{ "event" : "join" } \n', Event("join", (None,))),
    Text("a member twice", '{"event":"a","event":"b"}', Event("b", (None,))),
    Text("an escaped name of the member", '{"\\u0065vent":"join"}', Event("join", (None,))),
    Text("a name that is no ASCII", '{"event":"caf\\u00e9 \N{PILE OF POO}"}', Event("café \N{PILE OF POO}", (None,))),
    Text("the id zero", '{"event":"a","id":0}', Event("a", (None,), 0)),
    Text("the largest id", '{"event":"a","id":9007199254740991}', Event("a", (None,), MAX_ID)),
    Text("an id too large", '{"event":"a","id":9007199254740992}', Event("a", (None,))),
    Text("a negative id", '{"event":"a","id":-1}', Event("a", (None,))),
    Text("an id that is true", '{"event":"a","id":true}', Event("a", (None,))),
    Text("an id that is text", '{"event":"a","id":"7"}', Event("a", (None,))),
    Text("an id that is a fraction", '{"event":"a","id":7.5}', Event("a", (None,))),
    Text("an id that is null", '{"event":"a","id":null}', Event("a", (None,))),
    Text(
        "a large integer", '{"event":"a","data":123456789012345678901234567890}', Event("a", (int("1234567890" * 3),))
    ),
    Text("an answer", '{"ack":7,"data":"yes"}', Ack(7, ("yes",))),
    Text("an answer of nothing", '{"ack":7}', Ack(7, (None,))),
    Text("an answer that is an error", '{"ack":7,"error":{"code":"busy"}}', Ack(7, (None,), {"code": "busy"})),
    Text("an answer with data and error", '{"ack":7,"data":1,"error":2}', Ack(7, (1,), 2)),
    Text("an answer whose error is null", '{"ack":7,"data":1,"error":null}', Ack(7, (1,))),
    Text("an answer with other members", '{"ack":7,"data":1,"id":2}'),
    Text("an answer of no integer", '{"ack":"7"}'),
    Text("an answer that is true", '{"ack":true}'),
    Text("an event that is a number", '{"event":5}'),
    Text("an event that is null", '{"event":null}'),
    Text("an event that is no text, with an ack", '{"event":5,"ack":1}'),
    Text("an object of neither", '{"user":"a","message":"b"}'),
    Text("an empty object", "{}"),
    Text("nothing", ""),
    Text("white space", " \n "),
    Text("plain text", "hello"),
    Text("a JSON string", '"hello"'),
    Text("a JSON number", "5"),
    Text("a JSON list of an event", '[{"event":"a"}]'),
    Text("an opening brace", "{"),
    Text("text behind the object", '{"event":"a"} b'),
    Text("two objects", '{"event":"a"}{"event":"b"}'),
    Text("single quotes", "{'event':'a'}"),
    Text("a comma too many", '{"event":"a",}'),
    Text("a byte order mark", '\ufeff{"event":"a"}'),
    Text("another space before it", '\u00a0{"event":"a"}'),
    Text("NaN", '{"event":"a","data":NaN}'),
    Text("a number beyond doubles", '{"event":"a","data":1e400}'),
    Text("an integer of 5000 digits", '{"event":"a","data":' + "9" * 5000 + "}"),
    Text("a lone surrogate, escaped", '{"event":"\\ud800"}'),
    Text("a lone surrogate in the text", '{"event":"\ud800"}'),
    Text("objects in objects, without end", '{"a":' * 100_000),
    Text("lists in lists, deep", '{"event":"a","data":' + "[" * 100_000 + "]" * 100_000 + "}"),
    Text("a NUL", '{"event":"a\x00"}'),
]


@by_row
class TextTests(SynchronousTestCase):
    @rows(TEXTS)
    def test_means(self, row: Text) -> None:
        self.assertEqual(decode_text(row.text), row.meaning or Event("message", (row.text,)))


class DecodeTests(SynchronousTestCase):
    def test_a_binary_frame_is_a_message_of_bytes(self) -> None:
        self.assertEqual(decode_binary(b'{"event":"a"}'), Event("message", (b'{"event":"a"}',)))

    @settings(deadline=None)
    @given(st.one_of(st.text(st.characters()), st.text('{}[]",:eventackidta0123456789.- \\u\ud800')))
    def test_any_text_means_something(self, text: str) -> None:
        meaning = decode_text(text)
        if isinstance(meaning, Event) and meaning.name == "message" and not text.lstrip().startswith("{"):
            self.assertEqual(meaning, Event("message", (text,)))

    @settings(deadline=None)
    @given(st.text(), json_values, st.none() | st.integers(0, MAX_ID))
    def test_what_any_client_encodes_is_understood(self, name: str, data: Any, ack_id: int | None) -> None:
        envelope = {"event": name, "data": data} | ({} if ack_id is None else {"id": ack_id})
        self.assertEqual(decode_text(json.dumps(envelope)), Event(name, (data,), ack_id))
        self.assertEqual(decode_text(json.dumps(envelope, ensure_ascii=False)), Event(name, (data,), ack_id))

    @settings(deadline=None)
    @given(st.integers(0, MAX_ID), json_values, json_values)
    def test_an_answer_of_any_client_is_understood(self, number: int, data: Any, error: Any) -> None:
        answer = {"ack": number, "data": data, "error": error}
        self.assertEqual(decode_text(json.dumps(answer)), Ack(number, (data,), error))


class Sent(NamedTuple):
    """What is emitted, and the payload on the wire."""

    name: str
    event: str
    args: tuple[Any, ...]
    payload: bytes


SENT = [
    Sent("a bare object", "message", ({"user": "a", "message": "b"},), b'{"user":"a","message":"b"}'),
    Sent("a bare text", "message", ("hi",), b'"hi"'),
    Sent("a bare list", "message", ([1, 2],), b"[1,2]"),
    Sent("a bare null", "message", (None,), b"null"),
    Sent("no argument", "message", (), b"null"),
    Sent("several arguments", "message", (1, "b"), b'[1,"b"]'),
    Sent("a bare dataclass", "message", (Note("x"),), b'{"text":"x"}'),
    Sent("bytes", "message", (b"\x00\xff",), b"b\x00\xff"),
    Sent("a bytearray", "message", (bytearray(b"x"),), b"bx"),
    Sent("a memoryview", "message", (memoryview(b"x"),), b"bx"),
    Sent("nested bytes", "message", ({"a": b"\x00\xff"},), b'{"a":"AP8="}'),
    Sent("bytes among arguments", "message", (b"x", b"y"), b'["eA==","eQ=="]'),
    Sent("an object with event", "message", ({"event": 1},), b'{"event":"message","data":{"event":1}}'),
    Sent("an object with ack", "message", ({"ack": None},), b'{"event":"message","data":{"ack":null}}'),
    Sent("a dataclass with event", "message", (Happening("x"),), b'{"event":"message","data":{"event":"x"}}'),
    Sent("a Struct with ack", "message", (Answer(1),), b'{"event":"message","data":{"ack":1}}'),
    Sent("event further down", "message", ({"a": {"event": 1, "ack": 2}},), b'{"a":{"event":1,"ack":2}}'),
    Sent("event as a value", "message", ({"a": "event"},), b'{"a":"event"}'),
    Sent("a list of events", "message", ([{"event": 1}],), b'[{"event":1}]'),
    Sent("a list of the word", "message", (["event", "ack"],), b'["event","ack"]'),
    Sent("the word", "message", ("event",), b'"event"'),
    Sent("text that looks like an event", "message", ('{"event":1}',), b'"{\\"event\\":1}"'),
    Sent("another event", "news", ({"a": 1},), b'{"event":"news","data":{"a":1}}'),
    Sent("another event of bytes", "news", (b"x",), b'{"event":"news","data":"eA=="}'),
    Sent("another event of nothing", "news", (), b'{"event":"news","data":null}'),
    Sent("another event of several", "news", (1, 2), b'{"event":"news","data":[1,2]}'),
    Sent("an empty name", "", (1,), b'{"event":"","data":1}'),
    Sent("not a number", "message", ([math.nan, math.inf],), b"[null,null]"),
    Sent("numbers as keys", "message", ({1: 2},), b'{"1":2}'),
    Sent("letters beyond ASCII", "message", ("é\N{PILE OF POO}",), '"é\N{PILE OF POO}"'.encode()),
]


@by_row
class EventTests(SynchronousTestCase):
    @rows(SENT)
    def test_emits(self, row: Sent) -> None:
        self.assertEqual(WIRE.event(row.event, row.args), row.payload)


class WireTests(SynchronousTestCase):
    def test_a_set_is_a_list(self) -> None:
        self.assertEqual(sorted(json.loads(WIRE.event("message", ({1, 2, 3},)))), [1, 2, 3])

    def test_a_call_has_an_id_and_always_the_envelope(self) -> None:
        self.assertEqual(WIRE.event("ask", (1,), 7), b'{"event":"ask","data":1,"id":7}')
        self.assertEqual(WIRE.event("message", ({"a": 1},), 0), b'{"event":"message","data":{"a":1},"id":0}')
        self.assertEqual(WIRE.event("message", (b"x",), 1), b'{"event":"message","data":"eA==","id":1}')

    def test_a_payload_is_sent_as_it_is(self) -> None:
        self.assertEqual(WIRE.payload('{"event": é}'), '{"event": é}'.encode())
        self.assertEqual(WIRE.payload(b"\x00"), b"b\x00")
        self.assertEqual(WIRE.payload(memoryview(b"xyz")[::2]), b"bxz")  # type: ignore[arg-type]

    def test_an_acknowledgement_has_the_result(self) -> None:
        self.assertEqual(WIRE.result(7, {"delivered": True}), b'{"ack":7,"data":{"delivered":true}}')
        self.assertEqual(WIRE.result(0, None), b'{"ack":0,"data":null}')

    def test_a_refusal_has_code_and_message_and_data_where_there_is_some(self) -> None:
        self.assertEqual(
            WIRE.error(7, "join", ClientError("full", "No seat.")),
            b'{"ack":7,"error":{"code":"full","message":"No seat."}}',
        )
        self.assertEqual(
            WIRE.error(7, "join", ClientError("full", data=[0])),
            b'{"ack":7,"error":{"code":"full","message":"full","data":[0]}}',
        )

    def test_a_refusal_that_nobody_waits_for_is_the_event_error(self) -> None:
        self.assertEqual(
            json.loads(WIRE.error(None, "join", ClientError("full", "No seat.", {"seats": 0}))),
            {
                "event": "error",
                "data": {"code": "full", "message": "No seat.", "data": {"seats": 0}, "event": "join"},
            },
        )

    def test_the_framing_finishes_every_kind(self) -> None:
        plain = RawWire(PLAIN)
        self.assertEqual(plain.event("message", (1,)), frame(b"1"))
        self.assertEqual(plain.event("message", (b"1",)), frame(b"1", 2))
        self.assertEqual(plain.event("a", (1,)), frame(b'{"event":"a","data":1}'))
        self.assertEqual(plain.payload("a"), frame(b"a"))
        self.assertEqual(plain.payload(b"a"), frame(b"a", 2))
        self.assertEqual(plain.result(1, 2), frame(b'{"ack":1,"data":2}'))
        self.assertEqual(plain.error(1, "a", ClientError("b")), frame(b'{"ack":1,"error":{"code":"b","message":"b"}}'))
        self.assertLess(len(RawWire(deflate_framing(15)).event("message", ("x" * 5000,))), 100)

    @settings(deadline=None)
    @given(st.text(), st.lists(json_values, max_size=3))
    def test_an_event_comes_back_as_json(self, name: str, args: list[Any]) -> None:
        data = args[0] if len(args) == 1 else args or None
        payload = json.loads(WIRE.event(name, tuple(args)))
        enveloped = name != "message" or (isinstance(data, dict) and bool({"event", "ack"} & data.keys()))
        self.assertEqual(payload, {"event": name, "data": data} if enveloped else data)

    @settings(deadline=None)
    @given(json_values)
    def test_a_message_is_never_taken_for_another_event_or_an_answer(self, data: Any) -> None:
        meaning = decode_text(WIRE.event("message", (data,)).decode())
        assert isinstance(meaning, Event)
        self.assertEqual((meaning.name, meaning.ack_id), ("message", None))

    @settings(deadline=None)
    @given(st.binary())
    def test_nested_bytes_are_base64(self, data: bytes) -> None:
        self.assertEqual(base64.b64decode(json.loads(WIRE.event("message", ([data],)))[0]), data)


class CannotBeSentTests(SynchronousTestCase):
    def setUp(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        self.impossible: list[Any] = [
            object(),
            (number for number in range(3)),
            {(1, 2): 3},
            {None: 1},
            [1j],
            Exception("x"),
            circle,
            {"a": {"b": circle}},
            "\ud800",
            {"\udfff": 1},
            Note("\ud800"),
            10**5000,
        ]

    def test_every_way_of_sending_raises_type_error(self) -> None:
        for value in self.impossible:
            for send in (
                lambda value: WIRE.event("message", (value,)),
                lambda value: WIRE.event("news", (value,)),
                lambda value: WIRE.event("news", (1, value), 7),
                lambda value: WIRE.result(7, value),
                lambda value: WIRE.error(7, "news", ClientError("x", data=value)),
                lambda value: WIRE.error(None, "news", ClientError("x", data=value)),
            ):
                self.assertRaises(TypeError, send, value)

    def test_the_text_says_that_it_is_no_json(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        error = self.assertRaises(TypeError, WIRE.event, "message", (circle,))
        self.assertIn("cannot be sent as JSON", str(error))
        self.assertIsInstance(error.__cause__, RecursionError)

    def test_a_payload_must_be_text_or_bytes(self) -> None:
        for payload in (5, None, [1], {"a": 1}):
            error = self.assertRaises(TypeError, WIRE.payload, payload)
            self.assertIn(type(payload).__name__, str(error))
        self.assertRaises(TypeError, WIRE.payload, "\ud800")

    def test_json_of_the_applications_own_making_that_cannot_be_read_goes_in_the_envelope(self) -> None:
        for raw in (b'{"event":1,}', b'{"event":' * 5000 + b"1" + b"}" * 5000):
            payload = WIRE.event("message", (msgspec.Raw(raw),))
            self.assertEqual(payload, b'{"event":"message","data":' + raw + b"}")


class EnvelopeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = EnvelopeWire(BareFraming())

    def recoverable(self, event: str, *args: Any) -> bytes:
        broadcast = Broadcast(event, args, Target())
        return self.wire.recoverable(Entry(7, broadcast, "p.7", Encoded(b"", ()), 0, 0.0))

    def test_every_event_is_in_an_envelope(self) -> None:
        for args, data in (((), b"null"), (("x",), b'"x"'), ((1, "x"), b'[1,"x"]'), (({"event": 1},), b'{"event":1}')):
            self.assertEqual(self.wire.event("message", args), b'{"event":"message","data":%s}' % data)
            self.assertEqual(self.wire.event("news", args, 3), b'{"event":"news","data":%s,"id":3}' % data)
            self.assertEqual(self.recoverable("news", *args), b'{"event":"news","data":%s,"offset":"p.7"}' % data)

    def test_bytes_are_base64_and_said_to_be(self) -> None:
        for value in (b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")):
            self.assertEqual(
                self.recoverable("message", value), b'{"event":"message","data":"AP8=","binary":true,"offset":"p.7"}'
            )
            self.assertEqual(self.wire.payload(value), b'{"event":"message","data":"AP8=","binary":true}')
        self.assertEqual(self.recoverable("news", [b"\x00"]), b'{"event":"news","data":["AA=="],"offset":"p.7"}')

    def test_a_payload_is_a_message(self) -> None:
        self.assertEqual(self.wire.payload("{}"), b'{"event":"message","data":"{}"}')
        for payload in (1, None, "\ud800"):
            self.assertRaises(TypeError, self.wire.payload, payload)

    def test_answers_are_those_of_every_raw_client(self) -> None:
        self.assertEqual(self.wire.result(1, "x"), WIRE.result(1, "x"))
        self.assertEqual(
            self.wire.error(None, "e", ClientError("no", "No.")), WIRE.error(None, "e", ClientError("no", "No."))
        )

    def test_what_is_no_json_is_refused(self) -> None:
        for value in (object(), "\ud800"):
            self.assertRaises(TypeError, self.recoverable, "news", value)
            self.assertRaises(TypeError, self.wire.event, "news", (value,))
