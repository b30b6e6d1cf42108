"""Tests of wsservice.histogram."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.histogram import BOUNDS, Histogram


class HistogramTests(SynchronousTestCase):
    def test_an_observation_counts_in_every_bucket_from_its_own_on(self) -> None:
        histogram = Histogram((1.0, 2.0, 4.0))
        for value in (0.5, 1.0, 1.5, 4.0, 9.0):
            histogram.observe(value)
        self.assertEqual(histogram.cumulated(), [2, 3, 4, 5])
        self.assertEqual(histogram.total, 16.0)

    def test_the_bounds_ascend(self) -> None:
        self.assertEqual(list(BOUNDS), sorted(set(BOUNDS)))
        self.assertEqual(Histogram().cumulated(), [0] * (len(BOUNDS) + 1))
