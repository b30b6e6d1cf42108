"""Tests of wsservice.auth.revocations."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.revocations import Revocations


class RevocationsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 1000.0

    def make(self, capacity: int = 3) -> Revocations:
        self.forgotten = 0
        return Revocations(lambda: self.time, capacity, forgot=self.forget)

    def forget(self) -> None:
        self.forgotten += 1

    def test_a_session_that_nobody_revoked_is_not_revoked(self) -> None:
        self.assertFalse(self.make().is_revoked("a"))

    def test_a_revoked_session_is_revoked_until_its_end_and_not_at_it(self) -> None:
        revocations = self.make()
        revocations.revoke("a", 1010)
        self.assertTrue(revocations.is_revoked("a"))
        self.time = 1009.9
        self.assertTrue(revocations.is_revoked("a"))
        self.time = 1010
        self.assertFalse(revocations.is_revoked("a"))

    def test_ended_sessions_leave_the_memory_at_the_next_revocation(self) -> None:
        revocations = self.make()
        revocations.revoke("a", 1010)
        revocations.revoke("b", 1020)
        self.time = 1015
        revocations.revoke("c", 1030)
        self.assertEqual((len(revocations), self.forgotten), (2, 0))

    def test_an_end_in_the_past_is_not_remembered(self) -> None:
        revocations = self.make()
        revocations.revoke("a", 1000)
        self.assertEqual(len(revocations), 0)

    def test_when_full_the_session_that_ends_first_goes(self) -> None:
        revocations = self.make(capacity=2)
        revocations.revoke("late", 1030)
        revocations.revoke("first", 1010)
        revocations.revoke("new", 1020)
        self.assertEqual([revocations.is_revoked(name) for name in ("late", "first", "new")], [True, False, True])
        self.assertEqual(self.forgotten, 1)

    def test_a_prolonged_session_is_not_the_first_to_go(self) -> None:
        revocations = self.make(capacity=2)
        revocations.revoke("a", 1010)
        revocations.revoke("b", 1020)
        revocations.revoke("a", 1030)
        revocations.revoke("c", 1040)
        self.assertEqual([revocations.is_revoked(name) for name in "abc"], [True, False, True])

    def test_revoking_again_prolongs_and_never_shortens(self) -> None:
        revocations = self.make()
        revocations.revoke("a", 1010)
        revocations.revoke("a", 1020)
        revocations.revoke("a", 1005)
        self.time = 1015
        self.assertTrue(revocations.is_revoked("a"))

    def test_prolonging_one_session_for_ever_does_not_fill_the_memory(self) -> None:
        revocations = self.make(capacity=5)
        for number in range(1000):
            revocations.revoke("a", 1010 + number)
        self.assertLessEqual(len(revocations._queue), 10)
        self.assertTrue(revocations.is_revoked("a"))

    def test_a_capacity_of_nothing_is_refused(self) -> None:
        self.assertRaises(ValueError, self.make, 0)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9), st.integers(-5, 60)), max_size=60))
    def test_it_agrees_with_a_plain_dictionary(self, steps: list[tuple[int, int, int]]) -> None:
        self.time = 0.0
        revocations = self.make(capacity=100)
        model: dict[str, float] = {}
        for wait, name, lifetime in steps:
            self.time += wait
            until = self.time + lifetime
            revocations.revoke(str(name), until)
            model[str(name)] = max(until, model.get(str(name), 0))
            for session, end in model.items():
                self.assertEqual(revocations.is_revoked(session), end > self.time)
