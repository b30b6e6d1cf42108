"""Tests of wsservice.counters."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.counters import Counters


class CountersTests(SynchronousTestCase):
    def test_what_was_never_counted_is_zero_and_is_not_listed(self) -> None:
        counters = Counters()
        self.assertEqual(counters.get("handshakes", "ok"), 0)
        self.assertEqual(counters.items(), [])

    def test_a_count_grows_by_one_or_by_an_amount(self) -> None:
        counters = Counters()
        counters.add("handshakes", "ok")
        counters.add("handshakes", "ok", 4)
        self.assertEqual(counters.get("handshakes", "ok"), 5)

    def test_reasons_are_counted_apart_and_listed_in_order(self) -> None:
        counters = Counters()
        counters.add("handshakes", "ok")
        counters.add("deliveries", amount=3)
        counters.add("handshakes", "expired")
        self.assertEqual(
            counters.items(), [("deliveries", "", 3), ("handshakes", "expired", 1), ("handshakes", "ok", 1)]
        )

    def test_the_summary_is_lines_that_no_log_cuts_off(self) -> None:
        counters = Counters()
        for number in range(100):
            counters.add("protocol_violations", f"reason {number}")
        lines = counters.summary()
        self.assertLessEqual(max(map(len, lines)), 200)
        self.assertEqual(
            " ".join(lines), " ".join(f"{name}/{reason}={count}" for name, reason, count in counters.items())
        )
        self.assertFalse([line for line in lines if not line.startswith("protocol_violations/")])

    def test_a_short_summary_is_one_line(self) -> None:
        counters = Counters()
        self.assertEqual(counters.summary(), ["nothing"])
        counters.add("deliveries", amount=3)
        counters.add("handshakes", "ok")
        self.assertEqual(counters.summary(), ["deliveries=3 handshakes/ok=1"])

    def test_durations_are_kept_by_their_words_and_listed_in_order(self) -> None:
        counters = Counters()
        counters.histogram("provider", "keys", "ok").observe(1.5)
        counters.histogram("provider", "keys", "ok").observe(1.0)
        counters.histogram("fan_out").observe(0.1)
        found = [(name, labels, one.total) for name, labels, one in counters.histograms()]
        self.assertEqual(found, [("fan_out", (), 0.1), ("provider", ("keys", "ok"), 2.5)])
