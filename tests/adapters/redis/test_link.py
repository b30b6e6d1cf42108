"""Tests of `adapters.redis.link`: what goes out and in, in which order, and what is counted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.memory import Bench
from wsservice.adapters.redis.outbox import OVERHEAD, WINDOW
from wsservice.adapters.redis.resp import encode, encode_publish
from wsservice.adapters.redis.script import Script
from wsservice.errors import RedisRefused, RedisUnavailable

SCRIPT = Script("return 1")


class PublishTests(SynchronousTestCase):
    def test_the_messages_of_a_turn_are_one_write(self) -> None:
        bench = Bench().start()
        before = len(bench.commands.writes)
        messages = [b"%d" % number for number in range(100)]
        for message in messages:
            bench.link.publish(b"c", message)
        self.assertEqual(len(bench.commands.writes), before)
        self.assertEqual(len(bench.clock.getDelayedCalls()), 3)
        bench.clock.advance(0)
        self.assertEqual(bench.commands.writes[before:], [b"".join(encode_publish(b"c", one) for one in messages)])

    def test_messages_scripts_and_commands_go_out_in_the_order_of_the_calls(self) -> None:
        bench = Bench().start()
        bench.redis.log.clear()
        bench.link.publish(b"c", b"1")
        bench.link.command("SET", "k", 2)
        bench.link.queue_script(SCRIPT, ["k"], [3])
        bench.link.publish(b"c", b"4")
        bench.link.script(SCRIPT)
        bench.settle()
        self.assertEqual(
            bench.redis.log,
            [
                [b"PUBLISH", b"c", b"1"],
                [b"SET", b"k", b"2"],
                [b"SCRIPT", b"LOAD", b"return 1"],
                [b"EVALSHA", SCRIPT.sha, b"1", b"k", b"3"],
                [b"PUBLISH", b"c", b"4"],
                [b"EVALSHA", SCRIPT.sha, b"0"],
            ],
        )

    def test_what_is_published_while_redis_is_away_is_sent_when_it_is_back(self) -> None:
        bench = Bench()
        bench.redis.mode = "away"
        bench.start()
        for number in range(5):
            bench.link.publish(b"c", b"%d" % number)
        answer = bench.link.queue_script(SCRIPT)
        bench.advance(10)
        self.assertNoResult(answer)
        bench.redis.mode = "up"
        bench.advance(5)
        self.assertEqual([words[2] for words in bench.sent(b"PUBLISH")], [b"0", b"1", b"2", b"3", b"4"])
        self.successResultOf(answer)
        names = [words[0] for words in bench.redis.log]
        self.assertLess(names.index(b"SCRIPT"), names.index(b"PUBLISH"))
        self.assertEqual(bench.counters.items(), [])

    def test_past_the_bound_the_oldest_are_dropped_and_counted(self) -> None:
        size = len(encode_publish(b"c", b"0000")) + OVERHEAD
        bench = Bench(queue_bytes=100 * size)
        bench.redis.mode = "away"
        bench.start()
        oldest = bench.link.queue_script(SCRIPT)
        for number in range(1000):
            bench.link.publish(b"c", b"%04d" % number)
        self.failureResultOf(oldest, RedisUnavailable)
        bench.redis.mode = "up"
        bench.advance(5)
        self.assertEqual([int(words[2]) for words in bench.sent(b"PUBLISH")], list(range(900, 1000)))
        self.assertEqual(bench.counters.get("cluster_dropped", "queue_full"), 901)

    def test_what_was_not_answered_when_the_connection_broke_is_counted_and_not_repeated(self) -> None:
        bench = Bench().start()
        bench.redis.is_silent = True
        for number in range(10):
            bench.link.publish(b"c", b"%d" % number)
        uncertain = bench.link.queue_script(SCRIPT)
        asked = bench.link.command("GET", "k")
        bench.clock.advance(0)
        bench.commands.receive(b":1\r\n" * 4)
        bench.link.publish(b"c", b"in the same turn")
        bench.commands.lose()
        for answer in (uncertain, asked):
            self.failureResultOf(answer, RedisUnavailable)
        bench.redis.is_silent = False
        bench.redis.log.clear()
        bench.advance(1)
        self.assertEqual(bench.sent(b"PUBLISH"), [[b"PUBLISH", b"c", b"in the same turn"]])
        self.assertEqual(
            bench.counters.items(), [("cluster_connections_lost", "commands", 1), ("cluster_dropped", "uncertain", 7)]
        )

    def test_no_more_than_a_window_is_unanswered(self) -> None:
        bench = Bench().start()
        bench.redis.is_silent = True
        payload = b"x" * (WINDOW // 4)
        for _ in range(10):
            bench.link.publish(b"c", payload)
        bench.settle()
        transport = bench.commands
        self.assertEqual(len(transport.commands), 4)
        bench.link.publish(b"c", payload)
        bench.clock.advance(0)
        self.assertEqual(len(transport.commands), 4)
        transport.receive(b":1\r\n")
        self.assertEqual(len(transport.commands), 5)
        bench.redis.is_silent = False
        transport.commands.pop(0)
        bench.settle()
        self.assertEqual(len(bench.link._outbox), 0)
        self.assertEqual(bench.counters.items(), [])

    def test_what_redis_refuses_is_counted_and_told_once(self) -> None:
        bench = Bench().start()
        bench.redis.answers[b"PUBLISH"] = b"-NOPERM this user has no permissions\r\n"
        for _ in range(3):
            bench.link.publish(b"c", b"x")
        bench.settle()
        self.assertTrue(bench.link.is_up)
        self.assertEqual(bench.counters.items(), [("cluster_dropped", "refused", 3)])

    def test_a_script_that_redis_has_forgotten_is_sent_whole(self) -> None:
        bench = Bench().start()
        bench.redis.answers[b"EVALSHA"] = b"-NOSCRIPT No matching script.\r\n"
        bench.redis.answers[b"EVAL"] = b":7\r\n"
        answer = bench.link.queue_script(SCRIPT, ["k"], [1])
        bench.settle()
        self.assertEqual(self.successResultOf(answer), 7)
        self.assertEqual(bench.sent(b"EVAL"), [[b"EVAL", b"return 1", b"1", b"k", b"1"]])
        self.assertEqual(bench.counters.items(), [])


class CommandTests(SynchronousTestCase):
    def test_an_answer_is_bytes_as_they_came(self) -> None:
        bench = Bench().start()
        bench.redis.answers[b"HGETALL"] = b"*2\r\n$1\r\n1\r\n$2\r\n\xff\x00\r\n"
        answer = bench.link.command("HGETALL", b"k")
        bench.settle()
        self.assertEqual(self.successResultOf(answer), [b"1", b"\xff\x00"])

    def test_an_error_is_a_refusal(self) -> None:
        bench = Bench().start()
        bench.redis.answers[b"GET"] = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
        answer = bench.link.command("GET", "k")
        bench.settle()
        self.assertEqual(self.failureResultOf(answer, RedisRefused).value.code, "WRONGTYPE")

    def test_while_redis_is_away_it_fails_at_once(self) -> None:
        bench = Bench()
        bench.redis.mode = "away"
        bench.start()
        for answer in (bench.link.command("GET", "k"), bench.link.script(SCRIPT)):
            self.assertIn("refused", str(self.failureResultOf(answer, RedisUnavailable).value))

    def test_an_answer_that_comes_too_late_is_nobodys(self) -> None:
        bench = Bench(timeout=3.0).start()
        bench.redis.is_silent = True
        late = bench.link.command("GET", "k")
        bench.clock.advance(1)
        next_one = bench.link.command("GET", "k")
        bench.clock.advance(2)
        self.assertIn("no answer in 3 s", str(self.failureResultOf(late, RedisUnavailable).value))
        bench.redis.answers[b"GET"] = b"$1\r\nx\r\n"
        bench.redis.is_silent = False
        bench.settle()
        self.assertEqual(self.successResultOf(next_one), b"x")

    def test_what_waits_when_the_connection_breaks_is_not_asked_again(self) -> None:
        bench = Bench().start()
        answer = bench.link.command("GET", "k")
        bench.commands.lose()
        self.failureResultOf(answer, RedisUnavailable)
        bench.advance(1)
        self.assertEqual(bench.sent(b"GET"), [])


class SubscribeTests(SynchronousTestCase):
    def message(self, bench: Bench, channel: bytes, payload: bytes) -> None:
        bench.subscriber.receive(encode("message", channel, payload))

    def test_it_is_up_when_all_subscriptions_are_in_force(self) -> None:
        bench = Bench()
        bench.link.psubscribe(b"p*", lambda channel, message: None)
        bench.redis.is_silent = True
        bench.start()
        transport = bench.redis.open[1]
        confirmed = encode("subscribe", "c", 1) + encode("psubscribe", "p*", 2)
        transport.receive(confirmed)
        self.assertFalse(bench.link._subscriber.is_up)
        transport.receive(encode("pong", ""))
        self.assertTrue(bench.link._subscriber.is_up)

    def test_what_is_subscribed_during_the_greeting_counts_too(self) -> None:
        bench = Bench()
        bench.redis.is_silent = True
        bench.start()
        bench.link.subscribe(b"d", lambda channel, message: None)
        transport = bench.redis.open[1]
        transport.receive(encode("subscribe", "c", 1) + encode("pong", ""))
        self.assertFalse(bench.link._subscriber.is_up)
        self.assertIn([b"SUBSCRIBE", b"d"], transport.commands)
        transport.receive(encode("subscribe", "d", 1) + encode("pong", ""))
        self.assertTrue(bench.link._subscriber.is_up)

    def test_messages_are_given_to_their_receiver(self) -> None:
        bench = Bench().start()
        self.message(bench, b"c", b"1")
        self.message(bench, b"other", b"2")
        self.assertEqual(bench.got, [b"1"])

    def test_they_are_set_again_after_each_reconnection(self) -> None:
        bench = Bench().start()
        bench.link.psubscribe(b"p*", lambda channel, message: None)
        bench.link.subscribe(b"d", lambda channel, message: None)
        bench.link.unsubscribe(b"d")
        bench.link.unsubscribe(b"never")
        bench.settle()
        bench.redis.log.clear()
        bench.subscriber.lose()
        self.assertFalse(bench.link.is_up)
        bench.advance(1)
        self.assertTrue(bench.link.is_up)
        self.assertEqual(
            bench.sent(b"SUBSCRIBE") + bench.sent(b"PSUBSCRIBE"), [[b"SUBSCRIBE", b"c"], [b"PSUBSCRIBE", b"p*"]]
        )

    def test_what_ends_during_the_greeting_is_ended(self) -> None:
        bench = Bench()
        bench.redis.is_silent = True
        bench.start()
        bench.link.unsubscribe(b"c")
        bench.link.psubscribe(b"p*", lambda channel, message: None)
        bench.link.punsubscribe(b"p*")
        bench.redis.is_silent = False
        bench.settle()
        self.assertTrue(bench.link.is_up)
        self.assertEqual(bench.sent(b"UNSUBSCRIBE"), [[b"UNSUBSCRIBE", b"c"]])
        self.assertEqual(bench.sent(b"PSUBSCRIBE"), [])

    def test_a_channel_has_one_receiver(self) -> None:
        bench = Bench().start()
        self.assertRaises(ValueError, bench.link.subscribe, b"c", lambda channel, message: None)

    def test_a_subscription_that_is_refused_ends_the_connection(self) -> None:
        bench = Bench().start()
        bench.redis.answers[b"SUBSCRIBE"] = b"-NOPERM no permission for channel\r\n"
        bench.link.subscribe(b"d", lambda channel, message: None)
        bench.settle()
        self.assertIn("NOPERM", bench.link.readiness().detail)

    def test_a_change_that_cannot_be_handled_is_told_to_the_others_too(self) -> None:
        bench = Bench()
        bench.link.on_up.insert(0, lambda: 1 // 0)
        bench.start()
        self.assertEqual(bench.told, ["up"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_it_is_ready_when_it_is_up(self) -> None:
        bench = Bench()
        self.assertFalse(bench.link.readiness().ready)
        bench.start()
        bench.advance(3)
        self.assertEqual((bench.link.readiness().ready, bench.link.readiness().detail), (True, "connected for 3 s"))


class StopTests(SynchronousTestCase):
    def test_what_can_be_sent_is_sent(self) -> None:
        bench = Bench().start()
        payload = b"x" * (WINDOW // 2)
        for _ in range(5):
            bench.link.publish(b"c", payload)
        done = bench.link.stop()
        self.assertNoResult(done)
        bench.settle()
        self.successResultOf(done)
        self.assertEqual(len(bench.sent(b"PUBLISH")), 5)
        self.assertEqual((bench.counters.items(), bench.clock.getDelayedCalls()), ([], []))

    def test_what_cannot_be_sent_is_counted(self) -> None:
        bench = Bench().start()
        bench.redis.is_silent = True
        payload = b"x" * WINDOW
        for _ in range(3):
            bench.link.publish(b"c", payload)
        done = bench.link.stop()
        bench.advance(1.05)
        self.successResultOf(done)
        bench.link.publish(b"c", b"late")
        self.failureResultOf(bench.link.queue_script(SCRIPT), RedisUnavailable)
        self.failureResultOf(bench.link.command("PING"), RedisUnavailable)
        self.assertEqual(bench.counters.get("cluster_dropped", "uncertain"), 1)
        self.assertEqual(bench.counters.get("cluster_dropped", "stopped"), 4)
        self.assertEqual(bench.clock.getDelayedCalls(), [])

    def test_a_connection_that_breaks_meanwhile_ends_the_wait(self) -> None:
        bench = Bench().start()
        bench.redis.is_silent = True
        bench.link.publish(b"c", b"x")
        done = bench.link.stop()
        bench.commands.lose()
        bench.settle()
        self.successResultOf(done)
        self.assertEqual(bench.clock.getDelayedCalls(), [])
