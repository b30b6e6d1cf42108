"""Tests of wsservice.auth.strict_json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.auth.strict_json import MAX_DEPTH, NotStrictJson, decode_object, decode_value


@dataclass
class Row:
    name: str
    document: bytes
    reason: str = ""


def nested(levels: int) -> bytes:
    """An object that is nested so many levels deep."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


GOOD = [
    Row("empty object", b"{}"),
    Row("white space around", b' \t\r\n{ "a" : 1 } \n'),
    Row("colons inside strings", b'{"a:b":"c:d","e":":"}'),
    Row("braces inside strings", b'{"{":"}{[","a":["{","}"]}'),
    Row("escaped quotes and colons", rb'{"a\":1,\"a":"\\","b":"\\\":"}'),
    Row("one name in two objects", b'{"a":{"x":1},"b":{"x":1}}'),
    Row("names that differ in case", b'{"a":1,"A":2}'),
    Row("objects in lists", b'{"a":[{"x":1},{"x":2}],"b":[]}'),
    Row("as deep as allowed", nested(MAX_DEPTH)),
    Row("objects as deep as allowed", b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH),
    Row("wide and not deep", b'{"a":[' + b",".join([b"[]"] * 100) + b"]}"),
    Row("long integer", b'{"a":' + b"9" * 400 + b"}"),
]

BAD = [
    Row("nothing", b"", "truncated"),
    Row("white space only", b" \n", "truncated"),
    Row("list", b"[]", "not a JSON object"),
    Row("string", b'"a"', "not a JSON object"),
    Row("number", b"1", "not a JSON object"),
    Row("null", b"null", "not a JSON object"),
    Row("byte order mark", b"\xef\xbb\xbf{}", "invalid character"),
    Row("UTF-16", '{"a":1}'.encode("utf-16"), "invalid character"),
    Row("not UTF-8", b'{"a":"\xff"}', "not UTF-8"),
    Row("not UTF-8 in a name", b'{"\xff":1}', "not UTF-8"),
    Row("overlong UTF-8", b'{"a":"\xc0\xaf"}', "not UTF-8"),
    Row("surrogate in UTF-8", b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
    Row("lone surrogate escaped", rb'{"a":"\ud800"}', "malformed|truncated"),
    Row("control character", b'{"a":"\x01"}', "invalid character"),
    Row("line break in a string", b'{"a":"\n"}', "invalid character"),
    Row("NaN", b'{"a":NaN}', "invalid character"),
    Row("Infinity", b'{"a":Infinity}', "invalid character"),
    Row("minus Infinity", b'{"a":-Infinity}', "invalid character"),
    Row("number beyond a double", b'{"a":1e400}', "out of range"),
    Row("integer of five thousand digits", b'{"a":' + b"9" * 5000 + b"}", "out of range"),
    Row("leading zero", b'{"a":01}', "invalid number"),
    Row("trailing comma", b'{"a":1,}', "trailing comma"),
    Row("trailing text", b"{}x", "trailing characters"),
    Row("second object", b"{}{}", "trailing characters"),
    Row("trailing NUL", b"{}\0", "trailing characters"),
    Row("single quotes", b"{'a':1}", "object keys"),
    Row("comment", b'{"a":1/**/}', "malformed"),
    Row("duplicate members", b'{"a":1,"a":2}', "duplicate"),
    Row("duplicate members with equal values", b'{"a":1,"a":1}', "duplicate"),
    Row("duplicate members with white space", b'{"a" :1,"a"\n:2}', "duplicate"),
    Row("duplicate members, one of them escaped", rb'{"sub":1,"s\u0075b":2}', "duplicate"),
    Row("duplicate members further down", b'{"a":{"b":1,"b":2}}', "duplicate"),
    Row("duplicate members in a list", b'{"a":[{"b":1,"b":2}]}', "duplicate"),
    Row("duplicate members that hold objects", b'{"a":{"x":1},"a":{"y":1}}', "duplicate"),
    Row("duplicate empty names", b'{"":1,"":2}', "duplicate"),
    Row("a level too deep", nested(MAX_DEPTH + 1), "nested too deep"),
    Row("objects a level too deep", b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested too deep"),
    Row("nesting bomb", b'{"a":' + b"[" * 100_000, "nested too deep"),
    Row("nesting bomb that is closed", nested(50_000), "nested too deep"),
]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def decode_by_the_book(document: bytes) -> Any:
    """The same by the standard library, slower: its decoder tells of every member."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("duplicate members")
        return dict(pairs)

    return json.loads(document.decode("utf-8"), object_pairs_hook=members)


@by_row
class DecodeObjectTests(SynchronousTestCase):
    @rows(GOOD)
    def test_good(self, row: Row) -> None:
        self.assertEqual(decode_object(row.document), json.loads(row.document))

    @rows(BAD)
    def test_bad(self, row: Row) -> None:
        with self.assertRaisesRegex(NotStrictJson, row.reason):
            decode_object(row.document)

    def test_the_reason_holds_nothing_of_the_document(self) -> None:
        for document in (b'{"hunter2":1,"hunter2":2}', b'{"hunter2":\xff}', b"hunter2", b'{"a":"hunter2}'):
            with self.assertRaises(NotStrictJson) as caught:
                decode_object(document)
            self.assertNotIn("hunter2", str(caught.exception))

    @settings(deadline=None, database=None)
    @given(st.dictionaries(st.text(), VALUES), st.booleans())
    def test_every_object_comes_back(self, value: dict[str, Any], ascii_only: bool) -> None:
        document = json.dumps(value, ensure_ascii=ascii_only).encode()
        self.assertEqual(decode_object(document), value)

    @settings(deadline=None, database=None)
    @given(st.binary() | st.text().map(str.encode))
    def test_any_bytes_give_an_object_or_the_named_error(self, document: bytes) -> None:
        try:
            self.assertIsInstance(decode_object(document), dict)
        except NotStrictJson:
            pass

    @settings(deadline=None, database=None)
    @given(st.text(alphabet='{}[]:,"\\ab1 u00', max_size=40).map(lambda text: b'{"a":' + text.encode() + b"}"))
    def test_what_is_accepted_the_standard_library_reads_alike_and_without_duplicates(self, document: bytes) -> None:
        try:
            value = decode_object(document)
        except NotStrictJson:
            return
        self.assertEqual(value, decode_by_the_book(document))

    @settings(deadline=None, database=None)
    @given(st.lists(st.tuples(st.sampled_from(["a", "b", "a:", '"', "\\"]), VALUES), max_size=4))
    def test_duplicates_are_found_wherever_the_standard_library_finds_them(self, pairs: list[tuple[str, Any]]) -> None:
        document = b"{" + b",".join(f"{json.dumps(name)}:{json.dumps(value)}".encode() for name, value in pairs) + b"}"
        unique = len({name for name, _ in pairs}) == len(pairs)
        if unique:
            self.assertEqual(decode_object(document), dict(pairs))
        else:
            with self.assertRaisesRegex(NotStrictJson, "duplicate"):
                decode_object(document)


class DecodeValueTests(SynchronousTestCase):
    def test_any_value_is_decoded(self) -> None:
        for document in (b"null", b"5", b'"a:b"', b"[]", b'[{"a": 1}, {"b": {"c": [":"]}}]', b'{"a": [{}]}'):
            self.assertEqual(decode_value(document), json.loads(document))

    def test_duplicates_are_refused_wherever_they_are(self) -> None:
        for document in (b'[{"a": 1, "a": 2}]', b'{"b": {"a": 1, "a": 2}}', b'[[{"a": 1, "\\u0061": 2}]]'):
            self.assertIn("duplicate", str(self.assertRaises(NotStrictJson, decode_value, document)))

    def test_how_deep_is_for_the_caller_to_say(self) -> None:
        for depth in (1, 40, 200):
            self.assertEqual(
                decode_value(b"[" * depth + b"]" * depth, depth=depth), json.loads("[" * depth + "]" * depth)
            )
            for document in (b"[" * (depth + 1) + b"]" * (depth + 1), b"[" * depth + b'{"a": 1}' + b"]" * depth):
                self.assertIn("deep", str(self.assertRaises(NotStrictJson, decode_value, document, depth=depth)))
