"""Tests of wsservice.traffic."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice import traffic
from wsservice.traffic import Traffic, TrafficLimits, Traffics


class TrafficTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)

    def make(self, messages: float = 0, octets: float = 0, burst: float = 2) -> Traffic:
        return Traffic(TrafficLimits(messages, octets, burst), self.clock.seconds)

    def test_a_burst_passes_and_then_the_rate(self) -> None:
        traffic = self.make(messages=10)
        self.assertEqual([traffic.take(1) for _ in range(20)], [0.0] * 20)
        self.assertAlmostEqual(traffic.take(1), 0.1)
        self.clock.advance(0.2)
        self.assertEqual(traffic.take(1), 0.0)
        self.assertGreater(traffic.take(1), 0.0)

    def test_bytes_count_for_themselves(self) -> None:
        traffic = self.make(octets=1000)
        self.assertEqual(traffic.take(2000), 0.0)
        self.assertAlmostEqual(traffic.take(500), 0.5)

    def test_who_is_forgiven_owes_no_more_than_a_burst(self) -> None:
        traffic = self.make(messages=10, octets=1000)
        self.assertGreater(traffic.take(1_000_000, 490_000), 1000)
        traffic.forgive()
        self.clock.advance(2.2)
        self.assertEqual(traffic.take(1), 0.0)

    def test_the_longer_wait_counts(self) -> None:
        traffic = self.make(messages=1, octets=10, burst=1)
        self.assertEqual(traffic.take(10), 0.0)
        self.assertAlmostEqual(traffic.take(30), 3.0)

    def test_an_idle_client_saves_up_two_bursts_and_no_more(self) -> None:
        traffic = self.make(messages=10)
        self.clock.advance(3600)
        self.assertEqual([traffic.take(1) for _ in range(100)].count(0.0), 41)

    def test_without_limits_anything_passes(self) -> None:
        traffic = self.make()
        self.assertFalse(TrafficLimits().are_set)
        self.assertTrue(TrafficLimits(messages=1).are_set and TrafficLimits(octets=1).are_set)
        self.assertEqual({traffic.take(10**9) for _ in range(1000)}, {0.0})

    @given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 500)), min_size=1))
    def test_who_waits_as_told_never_passes_the_rate(self, steps: list[tuple[float, int]]) -> None:
        clock = Clock()
        traffic = Traffic(TrafficLimits(messages=5, octets=100, burst=2), clock.seconds)
        messages = octets = 0
        for pause, size in steps:
            clock.advance(pause)
            wait = traffic.take(size)
            messages, octets = messages + 1, octets + size
            clock.advance(wait)
            self.assertLessEqual(messages, 10 + 5 * clock.seconds() + 1e-6)
            self.assertLessEqual(octets, 200 + 100 * clock.seconds() + 1e-6)


class TrafficsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.traffics = Traffics(TrafficLimits(messages=10), Clock().seconds)

    def test_connections_of_one_user_share_what_the_user_may_send(self) -> None:
        first, second, other = self.traffics.of("alice"), self.traffics.of("alice"), self.traffics.of("bob")
        self.assertEqual([first.take(1) for _ in range(20)], [0.0] * 20)
        self.assertGreater(second.take(1), 0.0)
        self.assertEqual(other.take(1), 0.0)

    def test_who_is_not_known_has_his_own(self) -> None:
        self.assertIsNot(self.traffics.of(None), self.traffics.of(None))

    def test_who_comes_back_does_not_start_anew(self) -> None:
        for _ in range(20):
            self.traffics.of("alice").take(1)
        self.assertGreater(self.traffics.of("alice").take(1), 0.0)

    def test_only_the_latest_are_remembered_without_a_connection(self) -> None:
        self.patch(traffic, "_RECENT", 10)
        held = self.traffics.of("held")
        for number in range(20):
            self.traffics.of(f"user-{number}").take(0, 20)
        gc.collect()
        self.assertIs(self.traffics.of("held"), held)
        self.assertEqual(self.traffics.of("user-0").take(0, 20), 0.0)
        self.assertGreater(self.traffics.of("user-19").take(0), 0.0)
