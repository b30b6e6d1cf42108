"""The short way of the common frame: the same as Autobahn's, whatever the bytes and wherever they are cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode

from tests.transports.fixtures import Service
from tests.transports.memory import MemoryClient
from wsservice.transports.common_frames import next_common_frame
from wsservice.transports.slim import SlimProtocol

MASK = b"\x01\x02\x03\x04"


def masked(payload: bytes, opcode: int = 1, *, fin: bool = True, rsv: int = 0, form: int | None = None) -> bytes:
    """A frame; `form` is the length's form (7, 16 or 64 bits) where it is not the shortest."""
    size = len(payload)
    form = form or (7 if size < 126 else 16 if size < 65536 else 64)
    head = bytes([(0x80 if fin else 0) | rsv | opcode, 0x80 | {7: size & 0x7F, 16: 126, 64: 127}[form]])
    extended = b"" if form == 7 else size.to_bytes(form // 8, "big")
    return head + extended + MASK + xor(payload, MASK)


def xor(payload: bytes, mask: bytes) -> bytes:
    """By the words of RFC 6455 section 5.3."""
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class NextCommonFrameTests(SynchronousTestCase):
    @given(st.binary(max_size=400), st.binary(min_size=4, max_size=4))
    def test_unmasking_is_an_xor(self, payload: bytes, mask: bytes) -> None:
        data = masked(payload, 2)
        data = data[: len(data) - len(payload) - 4] + mask + xor(payload, mask)
        self.assertEqual(next_common_frame(data, 0, 400), (payload, len(payload), len(data)))

    def test_a_common_frame_is_taken_wherever_it_begins(self) -> None:
        for payload in (b"", b"x", b"x" * 125, b"x" * 126, "é".encode() * 100, b"x" * 65535):
            for opcode, message in ((1, payload.decode()), (2, payload)):
                data = b"before" + masked(payload, opcode) + b"behind"
                self.assertEqual(next_common_frame(data, 6, 65536), (message, len(payload), len(data) - 6))

    def test_a_frame_of_the_websockets_library_is_taken(self) -> None:
        data = Frame(Opcode.TEXT, b"hello").serialize(mask=True)
        self.assertEqual(next_common_frame(data, 0, 100), ("hello", 5, len(data)))

    def test_everything_else_is_left_alone(self) -> None:
        for data in (
            masked(b"x", 0),
            masked(b"x", 8),
            masked(b"x", 9),
            masked(b"x", 3),
            masked(b"x", fin=False),
            masked(b"x", rsv=0x40),
            masked(b"x" * 200, form=64),
            masked(b"x" * 100, form=16),
            masked(b"\xff"),
            masked(b"x" * 101),
            Frame(Opcode.TEXT, b"x").serialize(mask=False),
        ):
            self.assertIsNone(next_common_frame(data, 0, 100))
        whole = masked(b"x" * 200)
        for end in range(len(whole)):
            self.assertIsNone(next_common_frame(whole[:end], 0, 1000))


class Recorder:
    """One service with one client that sends bytes; what came of them."""

    def __init__(self, *, short_way: bool) -> None:
        self.service = Service(max_message_size=300)
        self.seen: list[Any] = []
        self.service.app.on_any(lambda connection, name, *args: self.seen.append((name, args)))
        self.service.app.on_disconnect(lambda connection, reason: self.seen.append(reason))
        self.client = MemoryClient(self.service.factory)
        self.client.deliver()
        if not short_way:
            self.client.protocol.dataReceived = self.client.protocol._dataReceived
        assert isinstance(self.client.protocol, SlimProtocol)

    def feed(self, pieces: list[bytes]) -> tuple[list[Any], bytes, str | None]:
        self.client.transport.clear()
        for piece in pieces:
            self.client.current.dataReceived(piece)
        output = self.client.transport.value()
        ended = self.client.transport.ended
        self.client.transport.finish()
        return self.seen, output, ended


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


FRAMES = st.builds(
    masked,
    st.one_of(st.binary(max_size=140), st.text(max_size=80).map(str.encode), st.sampled_from([b"x" * 299, b"x" * 301])),
    st.sampled_from([1, 1, 1, 2, 2, 0, 8, 9, 10, 3]),
    fin=st.sampled_from([True, True, True, False]),
    rsv=st.sampled_from([0, 0, 0, 0, 0x40, 0x10]),
)


class SameTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=300)
    @given(st.lists(FRAMES, max_size=8), st.binary(max_size=3), st.lists(st.integers(0, 2000), max_size=12))
    def test_both_ways_see_the_same_and_answer_the_same(
        self, frames: list[bytes], rest: bytes, places: list[int]
    ) -> None:
        data = b"".join(frames) + rest
        short = Recorder(short_way=True).feed(cut(data, places))
        long = Recorder(short_way=False).feed(cut(data, places))
        self.assertEqual(short, long)
