"""Tests of `adapters.redis.outbox`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.outbox import OVERHEAD, Outbox, Replies
from wsservice.counters import Counters
from wsservice.errors import RedisRefused, RedisUnavailable


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = Counters()
        self.outbox = Outbox(self.counters, 5 * (10 + OVERHEAD))

    def data(self, size: int = 1 << 20) -> list[bytes]:
        return [command[0] for command in self.outbox.take(size)]

    def test_what_goes_in_comes_out_in_order(self) -> None:
        for number in range(5):
            self.outbox.add(b"%010d" % number)
        self.assertEqual(self.data(), [b"%010d" % number for number in range(5)])
        self.assertEqual((len(self.outbox), self.data()), (0, []))

    def test_past_the_bound_the_oldest_are_dropped_and_counted(self) -> None:
        for number in range(8):
            self.outbox.add(b"%010d" % number)
        self.assertEqual(self.counters.items(), [("cluster_dropped", "queue_full", 3)])
        self.assertEqual(self.data(), [b"%010d" % number for number in range(3, 8)])

    def test_one_alone_may_be_larger(self) -> None:
        self.outbox.add(b"x")
        self.outbox.add(b"x" * 10_000)
        self.assertEqual(self.data(), [b"x" * 10_000])
        self.outbox.add(b"y")
        self.assertEqual(self.data(), [b"y"])

    def test_so_many_bytes_are_taken_and_the_rest_stays(self) -> None:
        for number in range(5):
            self.outbox.add(b"%010d" % number)
        self.assertEqual(len(self.data(11)), 2)
        self.assertEqual(len(self.data(10)), 1)
        for number in range(4):
            self.outbox.add(b"%010d" % number)
        self.assertEqual(self.counters.get("cluster_dropped", "queue_full"), 1)
        self.assertEqual(len(self.data()), 5)

    def test_who_waits_for_a_dropped_one_is_told(self) -> None:
        message: Deferred[Any] = Deferred()
        question: Deferred[Any] = Deferred()
        self.outbox.add(b"m", message)
        self.outbox.add(b"q", question, False)
        self.outbox.drop_all("stopped")
        for answer in (message, question):
            self.assertEqual(str(self.failureResultOf(answer, RedisUnavailable).value), "it was not sent: stopped")
        self.assertEqual(self.counters.items(), [("cluster_dropped", "stopped", 1)])

    def test_questions_do_not_wait_for_another_connection(self) -> None:
        question: Deferred[Any] = Deferred()
        self.outbox.add(b"1")
        self.outbox.add(b"q", question, False)
        self.outbox.add(b"2")
        self.outbox.hold("lost")
        self.outbox.release()
        self.failureResultOf(question, RedisUnavailable)
        self.assertEqual(self.data(), [b"1", b"2"])
        self.assertEqual(self.counters.items(), [])

    def test_while_messages_are_held_all_else_passes_them(self) -> None:
        self.outbox.add(b"1")
        self.outbox.hold("lost")
        self.outbox.add(b"2")
        self.outbox.add(b"q", Deferred(), False)
        self.assertTrue(self.outbox.is_ready)
        self.assertEqual(self.data(), [b"q"])
        self.assertFalse(self.outbox.is_ready)
        self.assertEqual((len(self.outbox), self.data()), (2, []))
        self.outbox.hold("lost again")
        self.outbox.release()
        self.outbox.add(b"3")
        self.assertEqual(self.data(), [b"1", b"2", b"3"])

    def test_those_that_are_held_count_for_the_bound(self) -> None:
        self.outbox.hold("lost")
        for number in range(8):
            self.outbox.add(b"%010d" % number)
        self.assertEqual(self.counters.items(), [("cluster_dropped", "queue_full", 3)])
        self.outbox.release()
        self.assertEqual(self.data(), [b"%010d" % number for number in range(3, 8)])

    def test_a_part_is_taken_while_others_are_held(self) -> None:
        self.outbox.hold("lost")
        self.outbox.add(b"1")
        for name in (b"q1", b"q2"):
            self.outbox.add(name, None, False)
        self.assertEqual(self.data(2), [b"q1"])
        self.outbox.drop_all("stopped")
        self.assertEqual(self.counters.items(), [("cluster_dropped", "stopped", 1)])

    def test_other_commands_cost_no_message_its_place(self) -> None:
        for number in range(5):
            self.outbox.add(b"%010d" % number)
        for _ in range(1000):
            self.outbox.add(b"tell", None, False)
        self.assertEqual(self.counters.items(), [])
        self.assertEqual(self.data()[:5], [b"%010d" % number for number in range(5)])

    def test_nor_one_that_is_held(self) -> None:
        self.outbox.hold("lost")
        for number in range(5):
            self.outbox.add(b"%010d" % number)
        for _ in range(1000):
            self.outbox.add(b"tell", None, False)
        self.assertEqual(len(self.data()), 1000)
        self.outbox.release()
        self.assertEqual(self.data(), [b"%010d" % number for number in range(5)])
        self.assertEqual(self.counters.items(), [])

    def test_messages_and_others_keep_their_order_whatever_is_dropped(self) -> None:
        for number in range(8):
            self.outbox.add(b"%010d" % number)
            self.outbox.add(b"q%d" % number, None, False)
        self.assertEqual(self.data(1), [b"q0"])
        self.assertEqual(self.data(1), [b"q1"])
        expected = [b"q2", b"%010d" % 3, b"q3", b"%010d" % 4, b"q4", b"%010d" % 5, b"q5", b"%010d" % 6]
        self.assertEqual(self.data(sum(map(len, expected))), expected)
        self.assertEqual(self.data(), [b"q6", b"%010d" % 7, b"q7"])
        self.assertEqual(self.counters.get("cluster_dropped", "queue_full"), 3)

    def test_others_have_a_bound_of_their_own_and_it_is_told_when_it_was_reached(self) -> None:
        outbox = Outbox(self.counters, 1 << 20, 3 * (2 + OVERHEAD))
        question: Deferred[Any] = Deferred()
        outbox.add(b"q0", question, False)
        outbox.add(b"m")
        for number in range(1, 3):
            outbox.add(b"q%d" % number, None, False)
        self.assertFalse(outbox.has_shed)
        outbox.add(b"q3", None, False)
        self.assertTrue(outbox.has_shed)
        self.failureResultOf(question, RedisUnavailable)
        self.assertEqual([one[0] for one in outbox.take(1 << 20)], [b"m", b"q1", b"q2", b"q3"])
        self.assertEqual(self.counters.items(), [("cluster_faults", "shed", 1)])


class RepliesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = Counters()
        self.refused: list[Exception] = []
        self.replies = Replies(self.counters, self.refused.append)

    def test_answers_are_given_in_the_order_of_the_commands(self) -> None:
        first, second = self.replies.get(), Deferred[Any]()
        self.replies.sent([(b"xyz", None, True), (b"ab", second, False)], 5)
        self.assertEqual(self.replies.unanswered, 5)
        self.replies.put("PONG")
        self.replies.put(1)
        self.assertEqual(self.replies.unanswered, 2)
        self.replies.put(None)
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("PONG", None))
        self.assertEqual((self.replies.unanswered, len(self.replies.waiting)), (0, 0))

    def test_an_answer_that_nobody_asked_for(self) -> None:
        self.assertRaises(RedisUnavailable, self.replies.put, 1)

    def test_errors_are_for_who_waits_and_those_of_messages_are_counted(self) -> None:
        waits: Deferred[Any] = Deferred()
        self.replies.sent([(b"1", None, True), (b"2", waits, True), (b"3", Deferred().addErrback(id), False)], 3)
        error = RedisRefused("OOM")
        for _ in range(3):
            self.replies.put(error)
        self.failureResultOf(waits, RedisRefused)
        self.assertEqual(self.refused, [error])
        self.assertEqual(self.counters.items(), [("cluster_dropped", "refused", 2)])

    def test_a_script_that_must_be_loaded_is_sent_again_and_not_counted(self) -> None:
        waits: Deferred[Any] = Deferred()
        self.replies.sent([(b"2", waits, True)], 1)
        self.replies.put(RedisRefused("NOSCRIPT No matching script."))
        self.failureResultOf(waits, RedisRefused)
        self.assertEqual(self.counters.items(), [])

    def test_what_a_lost_connection_leaves_is_uncertain(self) -> None:
        waits: Deferred[Any] = Deferred()
        asked: Deferred[Any] = Deferred()
        ping = self.replies.get()
        self.replies.sent([(b"1", None, True), (b"2", waits, True), (b"3", asked, False)], 3)
        self.replies.lost("reset")
        for answer in (ping, waits, asked):
            self.assertIn("reset", str(self.failureResultOf(answer, RedisUnavailable).value))
        self.assertEqual(self.counters.items(), [("cluster_dropped", "uncertain", 2)])
        self.assertEqual(self.replies.unanswered, 0)

    def test_a_write_that_redis_takes_from_nobody_is_remembered(self) -> None:
        self.replies.sent([(b"1", None, False)] * 3, 3)
        self.replies.put(RedisRefused("NOPERM no"))
        self.replies.put("OK")
        self.assertFalse(self.replies.has_refused)
        self.replies.put(RedisRefused("OOM command not allowed when used memory > 'maxmemory'."))
        self.assertTrue(self.replies.has_refused)
        self.assertEqual(self.counters.items(), [])
