"""Foreign messages: counted, and said once for each kind."""

from __future__ import annotations

from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.refusals import Refusals
from wsservice.counters import Counters


class RefusalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = Counters()
        self.refusals = Refusals(self.counters)
        self.lines: list[LogEvent] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: LogEvent) -> None:
        if event["log_namespace"].endswith("refusals"):
            self.lines.append(event)

    def test_each_is_counted_and_the_first_of_a_kind_is_said(self) -> None:
        for _ in range(100):
            self.refusals.refuse(b"socket.io#/#", "malformed")
        self.refusals.refuse(b"socket.io#/#", "too large")
        self.refusals.refuse(b"socketio", "malformed")
        self.assertEqual(self.counters.get("cluster_refused", "malformed"), 101)
        self.assertEqual([line["word"] for line in self.lines], ["malformed", "too large", "malformed"])

    def test_channels_are_written_in_ascii_and_cut_off(self) -> None:
        self.refusals.refuse("socket.io#/#é\n".encode() + b"\xff" * 1000, "malformed")
        (line,) = self.lines
        self.assertTrue(line["channel"].isascii())
        self.assertNotIn("\n", line["channel"])
        self.assertLess(len(line["channel"]), 500)

    def test_of_very_many_kinds_only_some_are_said(self) -> None:
        for number in range(1000):
            self.refusals.refuse(b"socket.io#/#%d#" % number, "malformed")
        self.assertEqual(len(self.lines), 50)
        self.assertEqual(self.counters.get("cluster_refused", "malformed"), 1000)
