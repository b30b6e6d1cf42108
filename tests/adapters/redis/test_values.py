"""Tests of wsservice.adapters.redis.values."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.adapters.redis.foreign import MAX_DEPTH, ForeignMessage
from wsservice.adapters.redis.values import MAX_JSON_VALUES, cleaned, is_plain, js_text, load_json, load_object


def nested(depth: int) -> Any:
    """Lists within each other."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


class Number(NamedTuple):
    """A number, and what `String()` of Node 20 makes of it."""

    name: str
    number: float
    text: str


NUMBERS = [
    Number("one", 1, "1"),
    Number("one as a float", 1.0, "1"),
    Number("half", 1.5, "1.5"),
    Number("tenth", 0.1, "0.1"),
    Number("sum", 0.1 + 0.2, "0.30000000000000004"),
    Number("20 digits", 1e20, "100000000000000000000"),
    Number("21 digits", 123456789012345680000, "123456789012345680000"),
    Number("22 digits", 1e21, "1e+21"),
    Number("negative", -1e21, "-1e+21"),
    Number("inexact", 12345678901234567890, "12345678901234567000"),
    Number("2 to 64", 2**64, "18446744073709552000"),
    Number("2 to 53", 2**53, "9007199254740992"),
    Number("micro", 0.000001, "0.000001"),
    Number("tenth of a micro", 1e-7, "1e-7"),
    Number("with a fraction", 1.5e-7, "1.5e-7"),
    Number("least", 5e-324, "5e-324"),
    Number("most", 1.7976931348623157e308, "1.7976931348623157e+308"),
    Number("minus zero", -0.0, "0"),
    Number("nan", math.nan, "NaN"),
    Number("infinity", math.inf, "Infinity"),
    Number("minus infinity", -math.inf, "-Infinity"),
    Number("beyond", -(10**400), "-Infinity"),
]


@by_row
class ValuesTests(SynchronousTestCase):
    @rows(NUMBERS)
    def test_a_number_is_written_as_in_javascript(self, row: Number) -> None:
        self.assertEqual(js_text(row.number), row.text)

    def test_plain_is_what_json_has_and_bytes(self) -> None:
        self.assertTrue(is_plain(["x", 1, 1.5, None, True, b"x", [], {}, (1,), {"a": [{"b": 1}]}]))
        for odd in ({1: 2}, {"a": {b"b": 1}}, {1}, object(), bytearray(b"x"), [[object()]]):
            self.assertFalse(is_plain([odd]), odd)

    def test_plain_is_not_too_deep(self) -> None:
        self.assertTrue(is_plain(nested(MAX_DEPTH)))
        self.assertFalse(is_plain(nested(MAX_DEPTH + 1)))

    def test_json_is_as_deep_as_a_clients_packet_may_be(self) -> None:
        for text in (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH):
            load_json(text)
        for depth in (MAX_DEPTH + 1, 5000, 100_000):
            text = b"[" * depth + b"]" * depth
            self.assertEqual(self.assertRaises(ForeignMessage, load_json, text).word, "nested too deep")

    def test_json_of_javascript_is_taken_as_the_rest_of_the_service_can_hold_it(self) -> None:
        text = (
            b'["\\ud83d","\\ud83d\\ude00","\xff",18446744073709551616,-9223372036854775809,1e400,18446744073709551615]'
        )
        expected = ["\ufffd", "\U0001f600", "\ufffd", float(2**64), -float(2**63), math.inf, 2**64 - 1]
        self.assertEqual(load_json(text), expected)
        self.assertEqual(type(load_json(text)[3]), float)
        for text in (b"1%s", b"-1%s", b"[1%s]", b"[0, 1%s]", b'{"a":1%s}', b'{"a":\n1%s}', b"[-1%s]", b"[0,-1%s]"):
            self.assertIn("e+20", repr(load_json(text % (b"0" * 20))))
        self.assertEqual(load_json(b'["12345678901234567890",1234567890123456789]')[1], 1234567890123456789)
        self.assertEqual(load_json(b'{"\\udc00":1}'), {"\ufffd": 1})

    def test_constants_are_taken_from_python_only(self) -> None:
        self.assertTrue(math.isnan(load_json(b"[NaN]", constants=True)[0]))
        self.assertEqual(load_json(b"[-Infinity]", constants=True), [-math.inf])
        self.assertEqual(self.assertRaises(ForeignMessage, load_json, b"[NaN]").word, "malformed")

    def test_json_of_too_many_values_is_refused_at_once(self) -> None:
        text = b"[" + b"1," * MAX_JSON_VALUES + b"1]"
        self.assertEqual(self.assertRaises(ForeignMessage, load_json, text).word, "too many values")

    def test_a_number_of_too_many_digits_is_refused(self) -> None:
        self.assertEqual(self.assertRaises(ForeignMessage, load_json, b"1" * 100_000).word, "malformed")

    def test_an_object_is_one(self) -> None:
        self.assertEqual(load_object(b'{"a":1}'), {"a": 1})
        for text in (b"", b"[]", b"1", b"{", b'{"a":1}x', b"{}{}"):
            self.assertEqual(self.assertRaises(ForeignMessage, load_object, text).word, "malformed")

    @given(st.binary())
    def test_nothing_else_is_raised(self, text: bytes) -> None:
        try:
            value = load_json(text)
        except ForeignMessage:
            return
        self.assertEqual(repr(cleaned(value)), repr(value))
