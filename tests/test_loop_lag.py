"""Tests of wsservice.loop_lag."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.histogram import Histogram
from wsservice.loop_lag import INTERVAL, LoopLag


class LoopLagTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.lags = Clock(), Histogram((0.0, 0.5, 1.0))
        self.lag = LoopLag(self.clock, self.lags)
        self.lag.start()

    def test_a_loop_that_is_in_time_has_no_lag(self) -> None:
        self.clock.pump([INTERVAL] * 4)
        self.assertEqual(self.lags.cumulated(), [4, 4, 4, 4])

    def test_a_loop_that_was_blocked_shows_by_how_long_and_the_next_look_is_in_time(self) -> None:
        self.clock.advance(INTERVAL + 0.75)
        self.assertEqual((self.lags.cumulated(), self.lags.total), ([0, 0, 1, 1], 0.75))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.lags.cumulated(), [1, 1, 2, 2])

    def test_a_clock_that_is_set_back_is_no_lag(self) -> None:
        self.clock.rightNow -= 5
        self.clock.advance(5 + INTERVAL)
        self.assertEqual(self.lags.total, 0.0)

    def test_there_is_one_timer_and_none_after_the_stop(self) -> None:
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.lag.stop()
        self.lag.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
