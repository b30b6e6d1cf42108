"""Tests of wsservice.adapters.redis.msgpack_values."""

from __future__ import annotations

import math
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.adapters.redis.foreign import MAX_DEPTH, ForeignMessage
from wsservice.adapters.redis.msgpack_values import MAX_VALUES, is_dense, iso_time, unpack, unpack_exactly

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Good(NamedTuple):
    """Bytes, in hex, and what Node's JSON clients would get of them."""

    name: str
    text: str
    value: Any


GOOD = [
    Good("ill-formed text", "a3 78 ff 79", "x\ufffdy"),
    Good("a surrogate in UTF-8", "a3 ed a0 bd", "\ufffd\ufffd\ufffd"),
    Good("undefined of notepack 2", "91 d4 00 00", [None]),
    Good("ArrayBuffer of notepack 2", "c7 02 00 01 02", b"\1\2"),
    Good("long ArrayBuffer", "c8 0002 00 01 02", b"\1\2"),
    Good("longer ArrayBuffer", "c9 00000002 00 01 02", b"\1\2"),
    Good("date of notepack 2", "d7 00 0000018b cfe5687b", "2023-11-14T22:13:20.123Z"),
    Good("timestamp of 4 bytes", "d6 ff 6553f100", "2023-11-14T22:13:20.000Z"),
    Good("timestamp of 8 bytes", "d7 ff 1d535300 6553f100", "2023-11-14T22:13:20.123Z"),
    Good("timestamp before 1970", "c7 0c ff 3b8b87c0 ffffffff ffffffff", "1969-12-31T23:59:59.999Z"),
    Good("timestamp at JavaScript's end", "c7 0c ff 00000000 000007db a8218000", "+275760-09-13T00:00:00.000Z"),
    Good("timestamp past it", "c7 0c ff 00000000 000007db a8218001", None),
    Good("timestamp far past it", "c7 0c ff 00000000 7fffffff ffffffff", None),
    Good("unknown extension of 1 byte", "d4 05 07", [5, b"\7"]),
    Good("unknown extension, negative", "d5 fe 0102", [-2, b"\1\2"]),
    Good("unknown extension of 16 bytes", f"d8 01 {'00' * 16}", [1, bytes(16)]),
    Good("unknown extension of 3 bytes", "c7 03 07 010203", [7, b"\1\2\3"]),
    Good("a timestamp of a wrong size", "c7 01 ff 01", [-1, b"\1"]),
    Good("numbers as keys", "82 01 02 cb3ff8000000000000 03", {"1": 2, "1.5": 3}),
    Good("other keys", "84 c0 01 c3 02 c2 03 c4 01 61 04", {"null": 1, "true": 2, "false": 3, "a": 4}),
    Good("the last of the same key", "82 a1 61 01 a1 61 02", {"a": 2}),
    Good("every length", "93 d9 01 78 da 0001 79 db 00000001 7a", ["x", "y", "z"]),
    Good("every length of bytes", "93 c4 01 78 c5 0001 79 c6 00000001 7a", [b"x", b"y", b"z"]),
    Good("every length of arrays", "92 dc 0001 c0 dd 00000001 c0", [[None], [None]]),
    Good("every length of maps", "92 de 0001 a0 c0 df 00000001 a0 c0", [{"": None}, {"": None}]),
    Good("numbers", "96 ca 3fc00000 ff e0 d0 80 d1 8000 d2 80000000", [1.5, -1, -32, -128, -32768, -(2**31)]),
]


class Bad(NamedTuple):
    """Bytes that are no message, and the word."""

    name: str
    payload: bytes
    word: str


BAD = [
    Bad("nothing", b"", "malformed"),
    Bad("never used", b"\xc1", "malformed"),
    Bad("trailing bytes", b"\x01\x02", "malformed"),
    Bad("short text", b"\xa5abc", "malformed"),
    Bad("short bytes", b"\xc6\xff\xff\xff\xffabc", "malformed"),
    Bad("huge array", b"\xdd\xff\xff\xff\xff", "malformed"),
    Bad("huge map", b"\xdf\xff\xff\xff\xff", "malformed"),
    Bad("huge arrays in each other", b"\xdd\xff\xff\xff\xff" * 1000, "malformed"),
    Bad("huge extension", b"\xc9\xff\xff\xff\xff\x00", "malformed"),
    Bad("array as a key", b"\x81\x91\x01\x01", "a key that is no text"),
    Bad("deep", b"\x91" * 100_000, "nested too deep"),
    Bad("deep and whole", b"\x91" * 201 + b"\xc0", "nested too deep"),
    Bad("deep by an extension", b"\x91" * 200 + b"\xd4\x05\x00", "nested too deep"),
    Bad("deep maps", b"\x81\xa0" * 100_000, "nested too deep"),
    Bad("deep keys", b"\x81" * 100_000, "nested too deep"),
    Bad("wide", b"\xdd" + (4_900_000).to_bytes(4, "big") + b"\x90" * 4_900_000, "too many values"),
    Bad("wide in parts", b"\x9f" + (b"\xdc\xff\xff" + b"\xa0" * 65535) * 15, "too many values"),
]


@by_row
class MessagePackTests(SynchronousTestCase):
    @rows(GOOD)
    def test_it_is_read_as_notepack_does(self, row: Good) -> None:
        payload = bytes.fromhex(row.text)
        self.assertEqual(unpack(payload), row.value)
        self.assertEqual(unpack_exactly(payload), row.value)

    @rows(BAD)
    def test_what_is_none_is_refused_with_flat_memory(self, row: Bad) -> None:
        tracemalloc.start()
        try:
            self.assertEqual(self.assertRaises(ForeignMessage, unpack, row.payload).word, row.word)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 40_000_000)

    @given(VALUES)
    def test_both_ways_read_the_same(self, value: Any) -> None:
        payload = msgspec.msgpack.encode(value)
        self.assertEqual(repr(unpack(payload)), repr(unpack_exactly(payload)))
        self.assertEqual(repr(unpack(payload)), repr(value))

    @given(st.binary())
    def test_nothing_else_is_raised(self, payload: bytes) -> None:
        outcomes = []
        for read in (unpack, unpack_exactly):
            try:
                outcomes.append(repr(read(payload)))
            except ForeignMessage as error:
                outcomes.append(error.word)
        self.assertEqual(outcomes[0], outcomes[1])

    def test_the_bound_of_depth_is_a_clients(self) -> None:
        for read in (unpack, unpack_exactly):
            read(b"\x91" * (MAX_DEPTH - 1) + b"\x90")
            self.assertRaises(ForeignMessage, read, b"\x91" * MAX_DEPTH + b"\x90")

    def test_large_texts_and_bytes_are_not_taken_for_many_values(self) -> None:
        picture, text = bytes(range(256)) * 12_000, "\u0440\u0443\u0441\u0441\u043a\u0438\u0439" * 200_000
        for value in ([picture], [text], list(range(300_000))):
            self.assertEqual(unpack(msgspec.msgpack.encode(value)), value)

    def test_only_what_may_hold_many_values_is_dense(self) -> None:
        self.assertFalse(is_dense(b"\x90" * 60_000))
        self.assertFalse(is_dense(b"x" * 1_000_000))
        self.assertTrue(is_dense(b"\x90" * MAX_VALUES))

    @given(st.integers(-62135596800000, 253402300799999))
    def test_dates_are_those_of_the_calendar(self, milliseconds: int) -> None:
        text = (EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")
        self.assertEqual(iso_time(milliseconds), text.replace("+00:00", "Z"))

    def test_dates_out_of_range_are_null(self) -> None:
        self.assertEqual(iso_time(-8.64e15), "-271821-04-20T00:00:00.000Z")
        for milliseconds in (8.64e15 + 1, -8.64e15 - 1, math.inf, math.nan):
            self.assertIs(iso_time(milliseconds), None)
