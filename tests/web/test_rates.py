"""Token buckets."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.errors import RateLimited
from wsservice.web.rates import Buckets, Rate


class BucketsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.forgotten: list[None] = []
        self.buckets = Buckets(
            Rate(5, 30.0), self.clock.seconds, capacity=100, forgot=lambda: self.forgotten.append(None)
        )

    def allowed(self, key: str = "a") -> bool:
        try:
            self.buckets.take(key)
        except RateLimited:
            return False
        return True

    def exhaust(self, key: str = "a") -> None:
        while self.allowed(key):
            pass

    def test_a_burst_passes_and_no_more(self) -> None:
        self.assertEqual([self.allowed() for _ in range(7)], [True] * 5 + [False] * 2)

    def test_then_one_passes_in_each_interval(self) -> None:
        self.exhaust()
        for _ in range(3):
            self.clock.advance(29)
            self.assertFalse(self.allowed())
            self.clock.advance(1)
            self.assertTrue(self.allowed())
            self.assertFalse(self.allowed())

    def test_many_pass_as_one_does_and_are_paid_for_later(self) -> None:
        self.buckets.take("a", 8)
        self.clock.advance(4 * 30 - 1)
        error = self.assertRaises(RateLimited, self.buckets.take, "a", 2)
        self.assertEqual(error.retry_after, 1)
        self.clock.advance(1)
        self.assertTrue(self.allowed())

    def test_a_bucket_fills_up_to_the_burst(self) -> None:
        self.exhaust()
        self.clock.advance(10_000)
        self.assertEqual(sum(self.allowed() for _ in range(20)), 5)

    def test_it_is_told_when_to_come_again(self) -> None:
        self.exhaust()
        self.clock.advance(10.5)
        with self.assertRaises(RateLimited) as caught:
            self.buckets.take("a")
        self.assertEqual(caught.exception.retry_after, 20)
        self.clock.advance(20)
        self.assertTrue(self.allowed())

    def test_what_is_refused_does_not_count(self) -> None:
        self.exhaust()
        for _ in range(100):
            self.assertFalse(self.allowed())
        self.clock.advance(30)
        self.assertTrue(self.allowed())

    def test_keys_do_not_share(self) -> None:
        self.exhaust("a")
        self.assertTrue(self.allowed("b"))

    def test_full_buckets_are_forgotten(self) -> None:
        for number in range(50):
            self.allowed(str(number))
        self.clock.advance(31)
        self.allowed("new")
        self.assertEqual((len(self.buckets), self.forgotten), (1, []))

    def test_the_memory_is_bounded(self) -> None:
        for number in range(1000):
            self.allowed(str(number))
        self.assertEqual(len(self.buckets), 100)
        self.assertEqual(len(self.forgotten), 900)

    def test_the_key_that_was_used_longest_ago_makes_room(self) -> None:
        self.exhaust("old")
        self.exhaust("kept")
        for number in range(99):
            self.allowed(str(number))
        self.assertFalse(self.allowed("kept"))
        self.assertTrue(self.allowed("old"))

    def test_a_rate_must_let_something_through(self) -> None:
        for burst, seconds in ((0, 1.0), (1, 0.0), (1, -1.0), (1, float("nan"))):
            with self.assertRaises(ValueError):
                Rate(burst, seconds)
