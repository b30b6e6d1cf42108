"""Tests of wsservice.adapters.redis.beginning: clients wait for a node that has just been started, and not for ever."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.beginning import PATIENCE, Beginning


class BeginningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.beginning = Beginning(self.clock)
        self.beginning.start()

    def test_who_comes_before_it_is_over_waits(self) -> None:
        first, second = self.beginning.wait(), self.beginning.wait()
        assert first is not None
        assert second is not None
        self.assertNoResult(first)
        self.beginning.over()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertIsNone(self.beginning.wait())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_waits_for_a_redis_that_cannot_be_had(self) -> None:
        waiting = self.beginning.wait()
        assert waiting is not None
        self.clock.advance(PATIENCE)
        self.successResultOf(waiting)
        self.beginning.over()
        self.assertIsNone(self.beginning.wait())
