"""Tests of wsservice.clients.wires: the bytes of both formats, to the last one."""

from __future__ import annotations

import gc
import zlib
from base64 import b64decode
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.clients.wires import SocketIoWire, Wires, message_frame, polling_piece, to_frames
from wsservice.errors import UNKNOWN_EVENT, ClientError
from wsservice.frames import BINARY, PLAIN, TEXT, DeflateFraming, Framing, frame
from wsservice.messages import Broadcast, Target
from wsservice.recorded import Entry
from wsservice.socketio.packet import Encoded, encode_event

PLACEHOLDER = '{"_placeholder":true,"num":0}'


class Sent(NamedTuple):
    """What a method of a wire gives: a text without its `4`, `<>` for the namespace, and attachments as base64."""

    name: str
    method: str
    arguments: tuple[Any, ...]
    text: str
    attachments: tuple[str, ...] = ()


SENT = [
    Sent("an event", "event", ("news", (1, "ä", None)), '2<>["news",1,"ä",null]'),
    Sent("an event without arguments", "event", ("news", ()), '2<>["news"]'),
    Sent("an event that asks", "event", ("news", (1,), 7), '2<>7["news",1]'),
    Sent("an event with bytes", "event", ("news", (b"\x01\x02",)), f'51-<>["news",{PLACEHOLDER}]', ("AQI=",)),
    Sent(
        "an event with bytes that asks",
        "event",
        ("news", ({"a": [b"\x01", b""]},), 12),
        f'52-<>12["news",{{"a":[{PLACEHOLDER},{PLACEHOLDER.replace("0", "1")}]}}]',
        ("AQ==", ""),
    ),
    Sent("a text with a separator", "event", ("news", ("\x1e4",)), '2<>["news","\\u001e4"]'),
    Sent("a payload of text", "payload", ("hi",), '2<>["message","hi"]'),
    Sent("a payload of bytes", "payload", (b"\xff",), f'51-<>["message",{PLACEHOLDER}]', ("/w==",)),
    Sent("a payload of a bytearray", "payload", (bytearray(b"\xff"),), f'51-<>["message",{PLACEHOLDER}]', ("/w==",)),
    Sent("a result", "result", (7, {"a": 1}), '3<>7[{"a":1}]'),
    Sent("no result", "result", (0, None), "3<>0[]"),
    Sent("several results", "result", (7, (1, None)), "3<>7[1,null]"),
    Sent("a result that is a list", "result", (7, [1, 2]), "3<>7[[1,2]]"),
    Sent("a result that is false", "result", (7, False), "3<>7[false]"),
    Sent("a result of bytes", "result", (7, b"\x00"), f"61-<>7[{PLACEHOLDER}]", ("AA==",)),
    Sent(
        "an error of an event that asked",
        "error",
        (7, "news", ClientError("full", "No seat.")),
        '3<>7[{"error":{"code":"full","message":"No seat."}}]',
    ),
    Sent(
        "an error with data",
        "error",
        (7, "news", ClientError("full", data={"seats": 0})),
        '3<>7[{"error":{"code":"full","message":"full","data":{"seats":0}}}]',
    ),
    Sent(
        "an error with bytes",
        "error",
        (7, "news", ClientError("full", data=b"\x00")),
        f'61-<>7[{{"error":{{"code":"full","message":"full","data":{PLACEHOLDER}}}}}]',
        ("AA==",),
    ),
    Sent(
        "an error of an event that did not ask",
        "error",
        (None, "news", ClientError("full", "No seat.", [0])),
        '2<>["error",{"code":"full","message":"No seat.","data":[0],"event":"news"}]',
    ),
    Sent(
        "an unknown event that asked",
        "error",
        (7, "news", ClientError(UNKNOWN_EVENT, "Unknown.")),
        '3<>7[{"error":{"code":"unknown_event","message":"Unknown."}}]',
    ),
    Sent("connected", "connect", ("S", None), '0<>{"sid":"S"}'),
    Sent("connected and recoverable", "connect", ("S", "P"), '0<>{"sid":"S","pid":"P"}'),
    Sent("refused", "connect_error", ("Invalid namespace",), '4<>{"message":"Invalid namespace"}'),
    Sent("refused with data", "connect_error", ("No", {"a": 1}), '4<>{"message":"No","data":{"a":1}}'),
    Sent("disconnected", "disconnect", (), "1<>"),
]


def frames(text: str, *attachments: bytes) -> bytes:
    """A text frame and binary ones, as they are on a socket without compression."""
    return frame(text.encode(), TEXT) + b"".join(frame(one, BINARY) for one in attachments)


@by_row
class BytesTests(SynchronousTestCase):
    @rows(SENT)
    def test_the_bytes_are_those_of(self, row: Sent) -> None:
        wires = Wires()
        attachments = [b64decode(one) for one in row.attachments]
        for namespace, written in (("/", ""), ("/admin", "/admin,")):
            text = "4" + row.text.replace("<>", written)
            polling = getattr(wires.get(namespace, None), row.method)(*row.arguments)
            self.assertEqual(polling.decode(), "\x1eb".join([text, *row.attachments]))
            websocket = getattr(wires.get(namespace, PLAIN), row.method)(*row.arguments)
            self.assertEqual(websocket, frames(text, *attachments))
            self.assertEqual(to_frames(polling, PLAIN), websocket)

    def test_an_unknown_event_that_did_not_ask_is_ignored(self) -> None:
        self.assertIsNone(Wires().get("/", None).error(None, "news", ClientError(UNKNOWN_EVENT)))

    def test_only_text_and_bytes_are_payloads(self) -> None:
        wire: Any = Wires().get("/", None)
        error = self.assertRaises(TypeError, wire.payload, {"a": 1})
        self.assertIn("send takes str or bytes, not dict", str(error))

    def test_an_event_of_the_history_is_finished_as_it_is(self) -> None:
        wire = Wires().get("/admin", None)
        encoded = encode_event("/admin", "news", (1, "offset.5"))
        entry = Entry(5, Broadcast("news", (1,), Target("/admin")), "offset.5", encoded, 0, 0.0)
        self.assertEqual(wire.recoverable(entry), polling_piece(encoded))
        self.assertTrue(wire.is_recoverable)

    def test_what_no_packet_can_hold_raises(self) -> None:
        wire = Wires().get("/", PLAIN)
        calls: list[Callable[[], Any]] = [
            lambda: wire.event("news", (object(),)),
            lambda: wire.result(1, "\ud800"),
            lambda: wire.error(1, "news", ClientError("full", data=object())),
            lambda: wire.connect_error("No", object()),
        ]
        for call in calls:
            self.assertRaises(TypeError, call)
        self.assertRaises(ValueError, wire.event, "connect", ())


class RecordingFraming(Framing):
    """Remembers the payloads that it frames."""

    def __init__(self) -> None:
        self.finished: list[tuple[bytes, int]] = []

    def finish(self, payload: bytes, opcode: int = TEXT) -> bytes:
        self.finished.append((payload, opcode))
        return super().finish(payload, opcode)


class FormatTests(SynchronousTestCase):
    def test_attachments_follow_their_packet_in_one_piece_of_bytes(self) -> None:
        encoded = Encoded(b'52-["a",0,1]', (b"first", b"\x1esecond"))
        self.assertEqual(polling_piece(encoded), b'452-["a",0,1]\x1ebZmlyc3Q=\x1ebHnNlY29uZA==')
        framing = RecordingFraming()
        data = Wires().get("/", framing).finish(encoded)
        self.assertEqual(data, frames('452-["a",0,1]', b"first", b"\x1esecond"))
        self.assertEqual(framing.finished, [(b'452-["a",0,1]', TEXT), (b"first", BINARY), (b"\x1esecond", BINARY)])

    def test_a_piece_of_several_packets_becomes_as_many_frames(self) -> None:
        piece = b"\x1e".join([b'42["a"]', b'451-["b",0]', b"bAQI=", b"43/x,1[]", '42["ä"]'.encode(), b"b"])
        expected = frames('42["a"]') + frames('451-["b",0]', b"\x01\x02") + frames("43/x,1[]") + frames('42["ä"]', b"")
        self.assertEqual(to_frames(piece, PLAIN), expected)

    def test_one_message_is_one_frame(self) -> None:
        self.assertEqual(message_frame("2probe", PLAIN), b"\x81\x062probe")
        self.assertEqual(message_frame(b"\x00", PLAIN), b"\x82\x01\x00")

    def test_large_packets_are_compressed_where_that_was_negotiated(self) -> None:
        data = Wires().get("/", DeflateFraming(15)).event("news", ("x" * 5000, b"y" * 5000))
        size = data[1]
        self.assertEqual((data[0], data[2 + size]), (0xC1, 0xC2))
        inflater = zlib.decompressobj(wbits=-15)
        text = inflater.decompress(data[2 : 2 + size] + b"\x00\x00\xff\xff").decode()
        self.assertEqual(text, f'451-["news","{"x" * 5000}",{PLACEHOLDER}]')

    @given(
        st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"])),
        st.lists(st.binary(max_size=300), max_size=4),
        st.sampled_from([PLAIN, DeflateFraming(9)]),
    )
    def test_what_waits_for_a_poll_is_on_the_socket_what_it_would_have_been(
        self, text: str, attachments: list[bytes], framing: Framing
    ) -> None:
        encoded = Encoded(text.encode(), tuple(attachments))
        self.assertEqual(to_frames(polling_piece(encoded), framing), Wires().get("/", framing).finish(encoded))


class WiresTests(SynchronousTestCase):
    def test_equal_connections_share_a_wire(self) -> None:
        wires = Wires()
        wire = wires.get("/", PLAIN)
        self.assertIs(wires.get("/", PLAIN), wire)
        others = [wires.get("/admin", PLAIN), wires.get("/", None), wires.get("/", DeflateFraming(15))]
        self.assertEqual(len({id(one) for one in (wire, *others)}), 4)

    def test_wires_of_clients_that_are_gone_are_forgotten(self) -> None:
        wires = Wires()
        kept = wires.get("/kept", None)
        for number in range(100):
            wires.get(f"/{number}", PLAIN)
        gc.collect()
        self.assertEqual(list(vars(wires)["_wires"].values()), [kept])

    def test_few_names_of_events_are_remembered_and_no_long_ones(self) -> None:
        wire = Wires().get("/", PLAIN)
        for number in range(3000):
            for name in (f"event{number}", "x" * number):
                self.assertIn(f'42["{name or "y"}",1]'.encode(), wire.event(name or "y", (1,)))
        heads = wire._heads
        self.assertLessEqual(len(heads), 1000)
        self.assertLess(max(map(len, heads)), 200)

    def test_a_wire_is_small(self) -> None:
        self.assertFalse(hasattr(SocketIoWire("/", polling_piece, bytes), "__dict__"))
