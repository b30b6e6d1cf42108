"""Tests of wsservice.engineio.packet."""

from __future__ import annotations

import base64
import string
import tracemalloc
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.engineio import packet as packet_module
from wsservice.engineio.packet import (
    Packet,
    PacketType,
    ParseError,
    count_messages,
    decode_frame,
    decode_payload,
    encode_frame,
    encode_packet,
    frames_of_piece,
)

MESSAGE = PacketType.MESSAGE
#: text that a payload can carry: no separator, no lone surrogate
TEXT = st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]))
PACKETS = st.one_of(
    st.builds(Packet, st.sampled_from(PacketType), TEXT), st.builds(Packet, st.just(MESSAGE), st.binary())
)
#: beginnings and ends that a parser might stumble over
HOSTILE = st.lists(st.sampled_from([b"\x1e", b"4", b"b", b"=", b"-_", b"QQ", b"\xff", b"7", b"\xc3\xa9", b"\n"])).map(
    b"".join
)


class CountTests(SynchronousTestCase):
    def test_a_message_counts_once_with_what_belongs_to_it(self) -> None:
        for body, count in ((b"6", 0), (b"4", 1), (b"2\x1e4a\x1ebAQID\x1e44\x1e3", 2), (b'0{"4":4}\x1e40', 1)):
            self.assertEqual(count_messages(body), count, body)


class FrameTests(SynchronousTestCase):
    def test_the_first_character_of_a_text_is_the_type(self) -> None:
        for kind in PacketType:
            self.assertEqual(decode_frame(f"{int(kind)}"), Packet(kind))
            self.assertEqual(decode_frame(f"{int(kind)}some data"), Packet(kind, "some data"))
            self.assertEqual(encode_frame(Packet(kind, "some data")), f"{int(kind)}some data")

    def test_bytes_are_a_binary_message_with_nothing_around_it(self) -> None:
        for data in (b"", b"4", b"\x00\xff"):
            self.assertEqual(decode_frame(data), Packet(MESSAGE, data))
            self.assertEqual(encode_frame(Packet(MESSAGE, data)), data)

    def test_text_that_begins_with_b_is_base64(self) -> None:
        self.assertEqual(decode_frame("bAQID"), Packet(MESSAGE, b"\1\2\3"))
        self.assertEqual(decode_frame("b"), Packet(MESSAGE, b""))

    def test_a_separator_in_a_frame_is_text(self) -> None:
        self.assertEqual(decode_frame("4a\x1eb"), Packet(MESSAGE, "a\x1eb"))

    def test_only_the_seven_ascii_digits_are_types(self) -> None:
        for text in (
            "",
            "7",
            "9",
            "a",
            "B",
            " 4",
            "-1",
            "+4",
            "\u0664hello",
            "\u00b2",
            "\uff14",
            "\x1e",
            "\ud800",
            "ab",
        ):
            with self.assertRaises(ParseError, msg=ascii(text)):
                decode_frame(text)

    def test_an_error_says_what_is_wrong_in_ascii(self) -> None:
        for text, reason in (("", "an empty packet"), ("\u0664", r"an unknown packet type '\u0664'")):
            with self.assertRaises(ParseError) as caught:
                decode_frame(text)
            self.assertEqual(str(caught.exception), reason)

    @given(PACKETS)
    def test_every_packet_comes_back(self, packet: Packet) -> None:
        self.assertEqual(decode_frame(encode_frame(packet)), packet)

    @given(st.one_of(st.text(), st.binary(), HOSTILE.map(lambda data: data.decode(errors="replace"))))
    def test_anything_is_a_packet_or_a_parse_error(self, payload: str | bytes) -> None:
        try:
            self.assertIsInstance(decode_frame(payload), Packet)
        except ParseError:
            pass


class Base64Tests(SynchronousTestCase):
    def test_both_alphabets_are_read_with_and_without_padding(self) -> None:
        for size in range(8):
            data = bytes(range(0xFB, 0xFF))[:size] + b"\xff" * max(0, size - 4)
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                text = encode(data).decode()
                self.assertEqual(decode_frame("b" + text).data, data)
                self.assertEqual(decode_frame("b" + text.rstrip("=")).data, data)

    def test_what_is_written_is_standard_and_padded(self) -> None:
        self.assertEqual(encode_packet(Packet(MESSAGE, b"\xfb\xff\xfe\xfd")), b"b+//+/Q==")

    def test_junk_is_refused(self) -> None:
        padding = ["QQQQ====", "QQ=", "QQ=Q", "QQ==QQ==", "QQ==Q", "QQQ==", "QQQQ=", "=", "====", "Q", "AAAAA"]
        others = ["QQ!Q", "QQ Q", "QQQQ\n", "\nQQQQ", "QQQQ\x00", "QQ\u00e9Q", "QQ\u0664Q", "QQ\ud800Q", "Q\u00adQQQ"]
        for text in padding + others:
            with self.assertRaises(ParseError, msg=ascii(text)):
                decode_frame("b" + text)


class PayloadTests(SynchronousTestCase):
    def test_the_example_of_the_protocol(self) -> None:
        body = b"4hello\x1e2\x1e4world"
        self.assertEqual(
            decode_payload(body), [Packet(MESSAGE, "hello"), Packet(PacketType.PING), Packet(MESSAGE, "world")]
        )
        self.assertEqual(
            decode_payload(b"4hello\x1ebAQIDBA=="), [Packet(MESSAGE, "hello"), Packet(MESSAGE, b"\1\2\3\4")]
        )

    def test_an_empty_packet_is_refused_wherever_it_is(self) -> None:
        for body in (b"", b"\x1e", b"\x1e4", b"4\x1e", b"4\x1e\x1e4", b"\x1e\x1e"):
            with self.assertRaises(ParseError, msg=repr(body)) as caught:
                decode_payload(body)
            self.assertEqual(str(caught.exception), "an empty packet")

    def test_what_is_not_utf_8_is_refused(self) -> None:
        for data in (b"4\xff", b"4\xed\xa0\x80", b"4\xc0\xaf", b"4\xf4\x90\x80\x80", b"4\xe2\x82"):
            with self.assertRaises(ParseError, msg=repr(data)):
                decode_payload(data)

    def test_unknown_types_are_refused(self) -> None:
        for data in ("4a\x1e7", "\ufeff4a", "4a\x1e\u0664", "4a\x1e\x004", "4a\x1e\n"):
            with self.assertRaises(ParseError, msg=ascii(data)):
                decode_payload(data.encode())

    @given(st.lists(PACKETS, min_size=1))
    def test_every_payload_comes_back(self, packets: list[Packet]) -> None:
        self.assertEqual(decode_payload(b"\x1e".join(map(encode_packet, packets))), packets)

    @given(st.one_of(st.binary(), HOSTILE, st.text().map(lambda text: text.encode(errors="surrogatepass"))))
    @example(b"b=")
    def test_any_body_is_packets_or_a_parse_error(self, body: bytes) -> None:
        try:
            packets = decode_payload(body)
        except ParseError:
            return
        self.assertEqual(len(packets), body.count(b"\x1e") + 1)

    def test_text_with_a_separator_cannot_be_sent_by_polling(self) -> None:
        with self.assertRaises(ValueError) as caught:
            encode_packet(Packet(MESSAGE, "a\x1eb"))
        self.assertIn("U+001E", str(caught.exception))
        self.assertEqual(encode_frame(Packet(MESSAGE, "a\x1eb")), "4a\x1eb")

    def test_text_with_a_lone_surrogate_cannot_be_sent_by_polling(self) -> None:
        self.assertRaises(ValueError, encode_packet, Packet(MESSAGE, "\ud800"))

    def test_only_a_message_can_be_binary(self) -> None:
        for kind in set(PacketType) - {MESSAGE}:
            self.assertRaises(ValueError, encode_packet, Packet(kind, b"data"))
            self.assertRaises(ValueError, encode_frame, Packet(kind, b"data"))


class PieceTests(SynchronousTestCase):
    def test_a_piece_of_several_packets_is_as_many_frames(self) -> None:
        self.assertEqual(frames_of_piece(b"451-[1]\x1ebAQID"), ["451-[1]", b"\1\2\3"])
        self.assertEqual(frames_of_piece(b"2"), ["2"])
        self.assertEqual(frames_of_piece(b"b"), [b""])

    @given(st.lists(PACKETS, min_size=1))
    def test_they_are_the_frames_of_the_same_packets(self, packets: list[Packet]) -> None:
        piece = b"\x1e".join(map(encode_packet, packets))
        self.assertEqual(frames_of_piece(piece), [encode_frame(packet) for packet in packets])


class CostTests(SynchronousTestCase):
    """CVE-2020-36048: the cost of a payload grows as its size does. Counted, not timed."""

    def calls(self, body: bytes) -> int:
        """How many packets the parser looks at."""
        count = 0

        def counting(text: str, decode: Callable[[str], Packet] = packet_module._decode) -> Packet:
            nonlocal count
            count += 1
            return decode(text)

        patch = self.patch(packet_module, "_decode", counting)
        try:
            decode_payload(body)
        except ParseError:
            pass
        finally:
            patch.restore()
        return count

    def peak(self, body: bytes) -> int:
        """The most bytes that parsing takes."""
        tracemalloc.start()
        try:
            decode_payload(body)
        except ParseError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak

    def test_a_megabyte_of_separators_is_refused_before_it_is_split(self) -> None:
        body = b"\x1e" * 1_000_000
        self.assertEqual(self.calls(body), 0)
        self.assertLess(self.peak(body), 2_000_000)

    def test_the_first_bad_packet_ends_it(self) -> None:
        self.assertEqual(self.calls(b"4\x1ex" + b"\x1e4" * 100_000), 2)
        self.assertEqual(self.calls(b"\x1e4" * 100_000), 1)

    def test_each_packet_is_looked_at_once(self) -> None:
        for packet in (b"4", b"b", b"3", b"4a", b"bQQ"):
            for count in (1000, 10_000):
                self.assertEqual(self.calls(b"\x1e".join([packet] * count)), count)

    def test_packets_of_one_character_are_made_once(self) -> None:
        for character in "0123456b":
            first, second = decode_payload(f"{character}\x1e{character}".encode())
            self.assertIs(first, second)

    def test_memory_grows_with_the_size(self) -> None:
        for packet in (b"4", b"4a", b"bQQ", b"4" + string.ascii_letters.encode()):
            small, large = (self.peak(b"\x1e".join([packet] * count)) for count in (10_000, 100_000))
            self.assertLess(large, small * 20, packet)
