"""Tests of `adapters.redis.resp`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.resp import MAX_LINE, Reader, TooLarge, encode, encode_publish
from wsservice.errors import RedisRefused, RedisUnavailable

REPLIES = st.recursive(
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.binary(max_size=30)
    | st.from_regex(r"[A-Za-z ]{0,9}", fullmatch=True),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def as_redis_writes(reply: Any) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, str):
        return b"+%b\r\n" % reply.encode()
    return b"*%d\r\n%b" % (len(reply), b"".join(as_redis_writes(item) for item in reply))


def read(data: bytes, max_bulk: int = 1000, step: int = 0) -> list[Any]:
    reader = Reader(max_bulk)
    if not step:
        return reader.feed(data)
    return [reply for start in range(0, len(data), step) for reply in reader.feed(data[start : start + step])]


class EncodeTests(SynchronousTestCase):
    def test_a_command_is_an_array_of_strings(self) -> None:
        self.assertEqual(encode("SET", b"k\xff", 12), b"*3\r\n$3\r\nSET\r\n$2\r\nk\xff\r\n$2\r\n12\r\n")
        self.assertEqual(encode("GET", "käse"), "*2\r\n$3\r\nGET\r\n$5\r\nkäse\r\n".encode())

    def test_publish_is_such_a_command(self) -> None:
        self.assertEqual(encode_publish(b"c", b"m\r\n"), encode("PUBLISH", b"c", b"m\r\n"))


class ReaderTests(SynchronousTestCase):
    @given(st.lists(REPLIES, max_size=5), st.integers(1, 40))
    def test_replies_come_out_however_they_are_cut(self, replies: list[Any], step: int) -> None:
        data = b"".join(as_redis_writes(reply) for reply in replies)
        self.assertEqual(read(data), replies)
        self.assertEqual(read(data, step=step), replies)

    @given(st.lists(REPLIES, max_size=5), st.integers(1, 40), st.integers(0, 8))
    def test_strings_that_are_too_long_are_skipped(self, replies: list[Any], step: int, most: int) -> None:
        def without(reply: Any) -> Any:
            if isinstance(reply, list):
                return [without(item) for item in reply]
            return TooLarge(len(reply)) if isinstance(reply, bytes) and len(reply) > most else reply

        data = b"".join(as_redis_writes(reply) for reply in replies)
        self.assertEqual(read(data, most, step), [without(reply) for reply in replies])

    @given(st.binary(max_size=60) | st.text("$*+-:0123456789\r\n", max_size=40).map(str.encode), st.integers(1, 9))
    def test_anything_else_is_refused_in_one_way(self, data: bytes, step: int) -> None:
        try:
            read(data, step=step)
        except RedisUnavailable:
            pass

    def test_a_number_in_a_string_stays_a_string(self) -> None:
        self.assertEqual(read(b"$2\r\n12\r\n"), [b"12"])

    def test_an_error_is_a_value(self) -> None:
        (error,) = read(b"-NOSCRIPT No matching script. \xff\r\n")
        self.assertIsInstance(error, RedisRefused)
        self.assertEqual((error.code, str(error)), ("NOSCRIPT", "NOSCRIPT No matching script. \ufffd"))

    def test_an_error_within_an_array(self) -> None:
        ((first, error),) = read(b"*2\r\n:1\r\n-ERR x\r\n")
        self.assertEqual((first, str(error)), (1, "ERR x"))

    def test_an_array_of_null(self) -> None:
        self.assertEqual(read(b"*-1\r\n*0\r\n"), [None, []])

    def test_what_is_not_redis(self) -> None:
        for data in (
            b"HTTP/1.1 400 Bad Request\r\n",
            b"$x\r\n",
            b":\r\n",
            b"\r\n",
            b"+" + b"x" * (MAX_LINE + 1),
            b"*1\r\n" * 100,
            b"*4294967296\r\n",
        ):
            self.assertRaises(RedisUnavailable, read, data)

    def test_a_long_string_that_comes_in_pieces_is_put_together_once(self) -> None:
        reader = Reader(1 << 30)
        payload = bytes(range(256)) * 65536
        data = as_redis_writes([b"message", b"c", payload])
        found = [reply for start in range(0, len(data), 4096) for reply in reader.feed(data[start : start + 4096])]
        self.assertEqual(found, [[b"message", b"c", payload]])

    def test_nothing_of_a_skipped_string_is_kept(self) -> None:
        reader = Reader(100)
        reader.feed(b"*2\r\n$1000000\r\n")
        for _ in range(100):
            reader.feed(b"x" * 9000)
            self.assertEqual((reader._buffer, reader._pieces), (b"", []))
        self.assertEqual(reader.feed(b"x" * 100_000 + b"\r\n:1\r\n:2\r\n"), [[TooLarge(1_000_000), 1], 2])
