"""Tests of `adapters.redis.subscriptions`."""

from __future__ import annotations

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.resp import TooLarge
from wsservice.adapters.redis.subscriptions import Subscriptions
from wsservice.counters import Counters


class SubscriptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = Counters()
        self.subscriptions = Subscriptions(self.counters)
        self.got: list[tuple[bytes, bytes]] = []
        self.subscriptions.channels[b"a"] = lambda *message: self.got.append(message)
        self.subscriptions.patterns[b"a*"] = lambda *message: self.got.append(message)

    def test_messages_go_to_their_receiver(self) -> None:
        self.assertTrue(self.subscriptions.deliver([b"message", b"a", b"1"]))
        self.assertTrue(self.subscriptions.deliver([b"pmessage", b"a*", b"ab", b"2"]))
        self.assertEqual(self.got, [(b"a", b"1"), (b"ab", b"2")])

    def test_what_nobody_wants_any_more_is_dropped(self) -> None:
        self.assertTrue(self.subscriptions.deliver([b"message", b"b", b"1"]))
        self.assertTrue(self.subscriptions.deliver([b"pmessage", b"b*", b"b", b"2"]))
        self.assertEqual(self.got, [])

    def test_answers_are_no_messages(self) -> None:
        for reply in ([b"subscribe", b"a", 1], [b"pong", b""]):
            self.assertFalse(self.subscriptions.deliver(reply))

    def test_a_message_that_was_not_kept_is_counted(self) -> None:
        self.subscriptions.deliver([b"message", b"a", TooLarge(9_000_000)])
        self.assertEqual(self.got, [])
        self.assertEqual(self.counters.items(), [("cluster_refused", "too_large", 1)])

    def test_and_told_once_for_each_channel(self) -> None:
        lines: list[LogEvent] = []

        def observe(event: LogEvent) -> None:
            if "redis" in event["log_namespace"]:
                lines.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.subscriptions.channels[b"b"] = self.subscriptions.channels[b"a"]
        for channel in (b"a", b"b", b"a", b"b", b"a"):
            self.subscriptions.deliver([b"message", channel, TooLarge(9_000_000)])
        self.assertEqual([line["channel"] for line in lines], ["'a'", "'b'"])
        self.assertIn("it has 9000000 bytes", formatEvent(lines[0]))
        self.assertEqual(self.counters.items(), [("cluster_refused", "too_large", 5)])

    def test_a_receiver_that_fails_hurts_nobody_else(self) -> None:
        self.subscriptions.channels[b"bad"] = lambda *message: 1 // 0
        self.subscriptions.deliver([b"message", b"bad", b"1"])
        self.subscriptions.deliver([b"message", b"a", b"2"])
        self.assertEqual(self.got, [(b"a", b"2")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
