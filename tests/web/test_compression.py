"""Tests of wsservice.web.compression: RFC 9110 section 12.5.3, junk, and what a client's zlib reads."""

from __future__ import annotations

import gzip
import time
import zlib
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.web.compression import THRESHOLD, choose_coding, compress


class Offer(NamedTuple):
    name: str
    values: list[str]
    coding: str | None


OFFERS = [
    Offer("no header", [], None),
    Offer("an empty header", [""], None),
    Offer("what browsers send", ["gzip, deflate, br, zstd"], "gzip"),
    Offer("what Node sends", ["gzip, deflate"], "gzip"),
    Offer("deflate only", ["deflate"], "deflate"),
    Offer("capitals and spaces", [" GZip ;  Q=0.5 "], "gzip"),
    Offer("two headers", ["br", "deflate"], "deflate"),
    Offer("the better one", ["gzip;q=0.5, deflate;q=0.8"], "deflate"),
    Offer("the same weight", ["deflate;q=0.5, gzip;q=0.5"], "gzip"),
    Offer("a refusal", ["gzip;q=0"], None),
    Offer("a refusal with decimals", ["gzip;q=0.000, deflate;q=0.0"], None),
    Offer("a refusal of one of them", ["gzip;q=0, deflate"], "deflate"),
    Offer("anything", ["*"], "gzip"),
    Offer("anything else", ["gzip;q=0, *"], "deflate"),
    Offer("anything but nothing known", ["gzip;q=0, deflate;q=0, *;q=1"], None),
    Offer("nothing else", ["*;q=0"], None),
    Offer("nothing but one", ["deflate;q=0.1, *;q=0"], "deflate"),
    Offer("anything else is better", ["gzip;q=0.1, *;q=0.9"], "deflate"),
    Offer("identity only", ["identity"], None),
    Offer("identity refused", ["identity;q=0"], None),
    Offer("identity refused and anything", ["identity;q=0, *;q=0.5"], "gzip"),
    Offer("identity among others", ["identity, gzip;q=0.2"], "gzip"),
    Offer("codings that are not known", ["br, zstd, x-gzip"], None),
    Offer("another parameter", ["gzip;level=9"], "gzip"),
    Offer("another parameter before the weight", ["gzip;level=9;q=0"], None),
    Offer("spaces around the equals sign", ["gzip; q = 0"], None),
    Offer("a weight without a value", ["gzip;q="], None),
    Offer("a weight without an equals sign", ["gzip;q"], None),
    Offer("a weight in words", ["gzip;q=high"], None),
    Offer("a negative weight", ["gzip;q=-1"], None),
    Offer("a weight that is no number", ["gzip;q=nan"], None),
    Offer("nothing but commas", [",,,;;,"], None),
    Offer("commas around it", [",gzip,"], "gzip"),
]


@by_row
class ChoiceTests(SynchronousTestCase):
    @rows(OFFERS)
    def test_the_coding_is_chosen(self, row: Offer) -> None:
        self.assertEqual(choose_coding(row.values), row.coding)

    @given(st.lists(st.text(st.sampled_from("gzipdeflatq=0.51;, *-"))))
    def test_junk_chooses_or_refuses_and_never_fails(self, values: list[str]) -> None:
        self.assertIn(choose_coding(values), ("gzip", "deflate", None))

    def test_a_header_as_long_as_a_head_may_be_is_read_at_once(self) -> None:
        begun = time.perf_counter()
        choose_coding([",;" * 32_000, "gzip;" + "q=0;" * 16_000])
        self.assertLess(time.perf_counter() - begun, 1.0)


class CompressingTests(SynchronousTestCase):
    def decompress(self, data: bytes, coding: str) -> bytes:
        """As a client does that knows nothing of ours: gzip, and zlib's own format for `deflate` (RFC 9110 8.4.1)."""
        return gzip.decompress(data) if coding == "gzip" else zlib.decompress(data)

    @given(st.binary(max_size=5000), st.sampled_from(["gzip", "deflate"]))
    def test_any_body_comes_back(self, body: bytes, coding: str) -> None:
        self.assertEqual(self.decompress(compress(body, coding), coding), body)

    def test_a_body_of_a_megabyte_becomes_small(self) -> None:
        for coding in ("gzip", "deflate"):
            body = b'4["message",{"user":"alice"}]\x1e' * 35_000
            data = compress(body, coding)
            self.assertLess(len(data), len(body) // 50)
            self.assertEqual(self.decompress(data, coding), body)

    def test_the_same_body_gives_the_same_bytes(self) -> None:
        self.assertEqual(compress(b"a" * 2000, "gzip"), compress(b"a" * 2000, "gzip"))

    def test_the_threshold_is_that_of_the_reference(self) -> None:
        self.assertEqual(THRESHOLD, 1024)
