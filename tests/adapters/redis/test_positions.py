"""Positions: as numbers, and as clients carry them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.positions import (
    Mark,
    after,
    before,
    entry_of,
    mark_of,
    parse_position,
    with_mark,
    write_position,
)

_IDS = st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
_MARKS = st.builds(
    Mark, st.from_regex("[0-9a-f]{12}", fullmatch=True), st.integers(1, (1 << 39)), st.integers(0, 9_999_999)
)


class PositionTests(SynchronousTestCase):
    @given(_IDS, st.none() | _MARKS)
    def test_what_is_written_is_read(self, id: tuple[int, int], mark: Mark | None) -> None:
        entry = parse_position("{}-{}".format(*id))
        assert entry is not None
        number = with_mark(entry, mark)
        self.assertEqual(parse_position(write_position(number)), number)
        self.assertEqual((entry_of(number), mark_of(number)), (entry, mark))

    @given(_IDS, _IDS, _MARKS)
    def test_they_are_in_the_order_of_the_stream(self, one: tuple[int, int], two: tuple[int, int], mark: Mark) -> None:
        first, second = parse_position("{}-{}".format(*one)), parse_position("{}-{}".format(*two))
        assert first is not None
        assert second is not None
        self.assertEqual(first < second, one < two)
        if one < two:
            self.assertLess(with_mark(first, mark), second)

    def test_a_later_mark_is_a_later_position(self) -> None:
        entry = parse_position("5-0")
        assert entry is not None
        node = "0123456789ab"
        marks = [Mark(node, 0, 1), Mark(node, 1), Mark(node, 1, 1), Mark(node, 1, 2), Mark(node, 2)]
        numbers = [with_mark(entry, mark) for mark in marks]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_anything_else_is_none(self) -> None:
        for text in (
            "",
            "5",
            "5-",
            "-5",
            "5-0.1",
            "5-0.1.2",
            "5-0.1.2.xyz",
            "5-0 ",
            "\u0665-0",
            "5-0.1.0.0123456789AB",
        ):
            self.assertIs(parse_position(text), None, text)
        self.assertIs(parse_position(f"{1 << 64}-0"), None)
        self.assertIs(parse_position(f"5-0.{10**12 - 1}9.0.0123456789ab"), None)

    def test_before_and_after_an_entry_are_its_neighbours(self) -> None:
        entry = parse_position("5-0")
        assert entry is not None
        self.assertEqual(write_position(after(entry)), "5-1")
        self.assertEqual(write_position(before(entry)), f"4-{(1 << 64) - 1}")
        self.assertEqual(before(0), 0)
