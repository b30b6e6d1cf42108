"""Tests of wsservice.auth.marks."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.marks import Marks


def is_marked(marks: Marks, name: str) -> bool:
    return marks.before(name) is not None


class MarksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 1000.0

    def make(self, capacity: int = 3) -> Marks:
        self.forgotten = 0
        return Marks(lambda: self.time, capacity, forgot=self.forget)

    def forget(self) -> None:
        self.forgotten += 1

    def test_a_name_that_nobody_marked_is_not_marked(self) -> None:
        self.assertFalse(is_marked(self.make(), "a"))

    def test_a_marked_name_is_marked_until_its_end_and_not_at_it(self) -> None:
        marks = self.make()
        marks.put("a", 1010)
        self.assertTrue(is_marked(marks, "a"))
        self.time = 1009.9
        self.assertTrue(is_marked(marks, "a"))
        self.time = 1010
        self.assertFalse(is_marked(marks, "a"))

    def test_ended_marks_leave_the_memory_at_the_next_one(self) -> None:
        marks = self.make()
        marks.put("a", 1010)
        marks.put("b", 1020)
        self.time = 1015
        marks.put("c", 1030)
        self.assertEqual((len(marks), self.forgotten), (2, 0))

    def test_an_end_in_the_past_is_not_remembered(self) -> None:
        marks = self.make()
        marks.put("a", 1000)
        self.assertEqual(len(marks), 0)

    def test_when_full_the_mark_that_ends_first_goes(self) -> None:
        marks = self.make(capacity=2)
        marks.put("late", 1030)
        marks.put("first", 1010)
        marks.put("new", 1020)
        self.assertEqual([is_marked(marks, name) for name in ("late", "first", "new")], [True, False, True])
        self.assertEqual(self.forgotten, 1)

    def test_a_prolonged_mark_is_not_the_first_to_go(self) -> None:
        marks = self.make(capacity=2)
        marks.put("a", 1010)
        marks.put("b", 1020)
        marks.put("a", 1030)
        marks.put("c", 1040)
        self.assertEqual([is_marked(marks, name) for name in "abc"], [True, False, True])

    def test_marking_again_prolongs_and_never_shortens(self) -> None:
        marks = self.make()
        marks.put("a", 1010)
        marks.put("a", 1020)
        marks.put("a", 1005)
        self.time = 1015
        self.assertTrue(is_marked(marks, "a"))

    def test_prolonging_one_mark_for_ever_does_not_fill_the_memory(self) -> None:
        marks = self.make(capacity=5)
        for number in range(1000):
            marks.put("a", 1010 + number)
        self.assertLessEqual(len(marks._queue), 10)
        self.assertTrue(is_marked(marks, "a"))

    def test_everything_is_meant_unless_a_moment_is_given_which_only_moves_on(self) -> None:
        marks = self.make()
        for before, expected in ((900.0, 900.0), (950.0, 950.0), (920.0, 950.0), (inf, inf), (960.0, inf)):
            marks.put("a", 1010, before)
            self.assertEqual(marks.before("a"), expected)
        marks.put("b", 1020, 980.0)
        self.assertEqual(marks.items(), [("a", 1010, inf), ("b", 1020, 980.0)])

    def test_a_later_moment_counts_though_the_end_stays(self) -> None:
        marks = self.make()
        marks.put("a", 1010, 900.0)
        marks.put("a", 1005, 950.0)
        self.assertEqual(marks.items(), [("a", 1010, 950.0)])

    def test_a_moment_goes_with_its_mark(self) -> None:
        marks = self.make(capacity=1)
        marks.put("a", 1010, 900.0)
        marks.put("b", 1020, 900.0)
        marks.put("a", 1030)
        self.assertEqual(marks.items(), [("a", 1030, inf)])
        self.assertEqual(marks._before, {})

    def test_a_capacity_of_nothing_is_refused(self) -> None:
        self.assertRaises(ValueError, self.make, 0)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9), st.integers(-5, 60)), max_size=60))
    def test_it_agrees_with_a_plain_dictionary(self, steps: list[tuple[int, int, int]]) -> None:
        self.time = 0.0
        marks = self.make(capacity=100)
        model: dict[str, float] = {}
        for wait, name, lifetime in steps:
            self.time += wait
            until = self.time + lifetime
            marks.put(str(name), until)
            model[str(name)] = max(until, model.get(str(name), 0))
            for marked, end in model.items():
                self.assertEqual(is_marked(marks, marked), end > self.time)
