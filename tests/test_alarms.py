"""Tests of wsservice.alarms."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from wsservice.alarms import WATCHED, Alarms
from wsservice.counters import Counters


class AlarmsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.alarms = Alarms(self.counters, self.clock.seconds)
        self.lines: list[LogEvent] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: LogEvent) -> None:
        if event["log_namespace"] == "wsservice.alarms":
            self.lines.append(event)

    def test_each_time_is_counted_and_few_are_logged(self) -> None:
        for _ in range(1000):
            self.alarms.hit("connections", "--max-connections")
        self.assertEqual(self.counters.get("limits_hit", "connections"), 1000)
        self.assertEqual(len(self.lines), 1)
        self.clock.advance(10)
        self.alarms.hit("connections", "--max-connections", "192.0.2.1")
        self.assertEqual([line["more"] for line in self.lines], ["", ", and 999 times since the last such line"])
        self.assertEqual(self.lines[1]["about"], ": 192.0.2.1")

    def test_each_limit_has_lines_of_its_own(self) -> None:
        self.alarms.hit("a", "--a")
        self.alarms.hit("b", "--b")
        self.assertEqual([line["option"] for line in self.lines], ["--a", "--b"])

    def test_what_bit_within_a_minute_is_known(self) -> None:
        self.assertEqual(self.alarms.recent(), [])
        self.alarms.hit("b", "--b")
        self.clock.advance(59)
        self.alarms.hit("a", "--a")
        self.assertEqual(self.alarms.recent(), ["a", "b"])
        self.clock.advance(1)
        self.assertEqual(self.alarms.recent(), ["a"])

    def test_limits_that_are_far_away_are_seen_by_their_counts(self) -> None:
        self.alarms.watch()
        for (name, reason), (limit, _) in WATCHED.items():
            before = self.counters.get("limits_hit", limit)
            self.counters.add(name, reason)
            self.assertEqual(self.counters.get("limits_hit", limit), before + 1)
        self.counters.add("logins", "ok")
        self.assertEqual(self.alarms.recent(), sorted({limit for limit, _ in WATCHED.values()}))
