"""Tests of wsservice.frames, with the parser of the `websockets` library as the judge."""

from __future__ import annotations

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from wsservice.frames import BINARY, COMPRESSION_THRESHOLD, PLAIN, TEXT, DeflateFraming, deflate_framing, frame

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 65537, 1_000_000]


def parse(data: bytes, window_bits: int | None = None) -> Frame:
    """The one frame in `data`, as a client reads it; raises for anything else."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    extensions = []
    if window_bits is not None:
        extensions.append(
            PerMessageDeflate(
                remote_no_context_takeover=True,
                local_no_context_takeover=True,
                remote_max_window_bits=window_bits,
                local_max_window_bits=15,
            )
        )
    parsing = Frame.parse(reader.read_exact, mask=False, extensions=extensions)
    try:
        next(parsing)
    except StopIteration as stop:
        result = stop.value
    else:
        raise ProtocolError("an incomplete frame")
    end = reader.at_eof()
    try:
        next(end)
    except StopIteration as stop:
        if stop.value:
            assert isinstance(result, Frame)
            return result
    raise ProtocolError("more than one frame")


class FrameTests(SynchronousTestCase):
    def test_a_payload_of_any_length_comes_back(self) -> None:
        for size in SIZES:
            payload = b"x" * size
            for opcode in (TEXT, BINARY):
                self.assertEqual(parse(frame(payload, opcode)), Frame(Opcode(opcode), payload))

    def test_the_length_is_written_in_the_shortest_form(self) -> None:
        for size, header in ((125, 2), (126, 4), (65535, 4), (65536, 10)):
            self.assertEqual(len(frame(b"x" * size)), header + size)

    def test_it_is_what_the_websockets_library_writes(self) -> None:
        for size in SIZES:
            payload = b"x" * size
            self.assertEqual(frame(payload), Frame(Opcode.TEXT, payload).serialize(mask=False))

    @settings(deadline=None)
    @given(st.binary(max_size=70000))
    def test_plain_framing_keeps_every_payload(self, payload: bytes) -> None:
        self.assertEqual(parse(PLAIN.finish(payload, BINARY)).data, payload)


class DeflateTests(SynchronousTestCase):
    def test_messages_from_1_kib_on_are_compressed(self) -> None:
        payload = b"x" * 1023
        self.assertEqual(deflate_framing(15).finish(payload), frame(payload))
        self.assertEqual(COMPRESSION_THRESHOLD, 1024)
        self.assertLess(len(deflate_framing(15).finish(payload + b"x")), 50)

    def test_a_long_one_is_compressed_for_every_window(self) -> None:
        payload = b'{"user":"alice","message":"hello"}' * 3000
        for bits in range(9, 16):
            data = deflate_framing(bits).finish(payload)
            self.assertLess(len(data), len(payload) // 10)
            self.assertFalse(data.endswith(b"\x00\x00\xff\xff"), "RFC 7692 section 7.2.1")
            self.assertEqual(parse(data, bits), Frame(Opcode.TEXT, payload))

    def test_the_inflater_of_the_smallest_window_that_was_agreed_is_enough(self) -> None:
        payload = bytes(range(256)) * 1000
        for bits in range(9, 16):
            data = deflate_framing(bits).finish(payload, BINARY)
            header = {126: 4, 127: 10}.get(data[1], 2)
            self.assertEqual(data[0], 0x80 | 0x40 | BINARY)
            inflater = zlib.decompressobj(wbits=-bits)
            self.assertEqual(inflater.decompress(data[header:] + b"\x00\x00\xff\xff"), payload)

    def test_frames_do_not_depend_on_those_before(self) -> None:
        payload = b"again and again " * 100
        framing = DeflateFraming(15)
        first, second = framing.finish(payload), framing.finish(payload)
        self.assertEqual(first, second)
        self.assertEqual(parse(second, 15).data, payload)

    def test_connections_of_one_window_share_one_framing(self) -> None:
        self.assertIs(deflate_framing(12), deflate_framing(12))
        self.assertIsNot(deflate_framing(12), deflate_framing(13))

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=50), st.integers(1, 2000), st.integers(9, 15))
    def test_any_payload_comes_back(self, seed: bytes, times: int, bits: int) -> None:
        payload = seed * times
        self.assertEqual(parse(deflate_framing(bits).finish(payload, BINARY), bits).data, payload)
