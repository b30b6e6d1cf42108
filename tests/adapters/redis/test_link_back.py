"""The link when Redis is back: what is held until the others are there, and what passes it. See `gathering`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.memory import Bench
from wsservice.adapters.redis.connections import MAX_MESSAGE
from wsservice.adapters.redis.resp import encode
from wsservice.errors import RedisUnavailable


class BackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench().start()
        self.gathered: list[Deferred[None]] = []
        self.bench.link.before_messages = self.gather

    def gather(self) -> Deferred[None]:
        self.gathered.append(Deferred())
        return self.gathered[-1]

    def published(self) -> list[bytes]:
        return [words[2] for words in self.bench.sent(b"PUBLISH")]

    def break_and_mend(self) -> None:
        self.bench.redis.mode = "away"
        self.bench.commands.lose()
        self.bench.link.publish(b"c", b"away")
        self.bench.redis.mode = "up"
        self.bench.advance(6)

    def test_messages_are_held_until_the_others_are_back_and_commands_pass(self) -> None:
        link = self.bench.link
        self.break_and_mend()
        self.assertTrue(link.is_up)
        link.publish(b"c", b"later")
        answer = link.command("GET", "k")
        link.say(b"c", b"answer")
        self.bench.settle()
        self.assertEqual(self.successResultOf(answer), "OK")
        self.assertEqual(self.published(), [b"answer"])
        self.gathered[0].callback(None)
        link.publish(b"c", b"last")
        self.bench.settle()
        self.assertEqual(self.published(), [b"answer", b"away", b"later", b"last"])
        self.assertEqual(self.bench.counters.items(), [("cluster_connections_lost", "commands", 1)])

    def test_what_was_waited_for_on_a_connection_that_broke_releases_nothing(self) -> None:
        self.break_and_mend()
        self.break_and_mend()
        first, second = self.gathered
        first.callback(None)
        self.bench.settle()
        self.assertEqual(self.published(), [])
        second.callback(None)
        self.bench.settle()
        self.assertEqual(self.published(), [b"away", b"away"])

    def test_a_stop_does_not_wait_for_the_others(self) -> None:
        self.break_and_mend()
        stopped = self.bench.link.stop()
        self.bench.settle()
        self.bench.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(self.published(), [b"away"])

    def test_what_is_said_while_redis_is_away_is_left_out(self) -> None:
        self.bench.redis.mode = "away"
        self.bench.commands.lose()
        self.bench.link.say(b"c", b"answer")
        self.bench.redis.mode = "up"
        self.bench.advance(6)
        self.gathered[0].callback(None)
        self.bench.settle()
        self.assertEqual(self.published(), [])
        self.bench.link.say(b"c", bytes(MAX_MESSAGE + 1))
        self.assertEqual(self.bench.counters.get("cluster_dropped", "too_large"), 1)


class SubscriberTests(SynchronousTestCase):
    def test_its_name_is_set_before_the_first_subscription(self) -> None:
        bench = Bench()
        bench.link.name = "wsservice-1"
        bench.start()
        names = [words[0] for words in bench.redis.log if words[0] in (b"CLIENT", b"SUBSCRIBE")]
        self.assertEqual(names, [b"CLIENT", b"SUBSCRIBE"])
        self.assertEqual(bench.sent(b"CLIENT"), [[b"CLIENT", b"SETNAME", b"wsservice-1"]])

    def test_who_may_not_set_it_does_without(self) -> None:
        bench = Bench()
        bench.link.name = "wsservice-1"
        bench.redis.answers[b"CLIENT"] = b"-NOPERM this user has no permissions\r\n"
        bench.start()
        self.assertTrue(bench.link.is_up)

    def test_it_is_told_when_a_new_subscription_is_in_force(self) -> None:
        bench = Bench().start()
        bench.redis.is_silent = True
        bench.link.subscribe(b"d", lambda channel, message: None)
        waiting = bench.link.in_force()
        bench.settle()
        self.assertNoResult(waiting)
        bench.redis.is_silent = False
        bench.settle()
        self.successResultOf(waiting)

    def test_while_redis_is_away_none_is(self) -> None:
        bench = Bench().start()
        waiting = bench.link.in_force()
        bench.redis.mode = "away"
        bench.subscriber.lose()
        self.failureResultOf(waiting, RedisUnavailable)
        self.failureResultOf(bench.link.in_force(), RedisUnavailable)


READONLY = b"-READONLY You can't write against a read only replica.\r\n"


class ReplicaTests(SynchronousTestCase):
    """A master that has become a replica."""

    def hello(self, role: str) -> bytes:
        return encode("server", "redis", "proto", "2", "role", role)

    def demote(self, refusal: bytes = READONLY) -> Bench:
        bench = Bench().start()
        bench.redis.answers |= {b"HSET": refusal, b"HELLO": self.hello("replica")}
        bench.link.tell(b"HSET", b"k", b"f", b"v")
        bench.settle()
        return bench

    def test_both_connections_are_made_again_and_wait_for_a_master(self) -> None:
        bench = self.demote()
        self.assertFalse(bench.link.is_up)
        bench.advance(5)
        self.assertFalse(bench.link.is_up)
        self.assertEqual(bench.link.readiness().detail.count("it is a replica, which takes no writes"), 2)
        self.assertEqual(bench.told, ["up", "down"])
        bench.redis.answers = {b"HELLO": self.hello("master")}
        bench.advance(6)
        self.assertEqual(bench.told, ["up", "down", "up"])
        asked = len(bench.sent(b"HELLO"))
        for one in bench.redis.open:
            one.lose()
        bench.advance(6)
        self.assertEqual(len(bench.sent(b"HELLO")), asked)

    def test_who_may_not_ask_for_the_role_goes_on(self) -> None:
        bench = Bench().start()
        bench.redis.answers |= {b"HSET": READONLY, b"HELLO": b"-NOPERM no\r\n"}
        bench.link.tell(b"HSET", b"k", b"f", b"v")
        bench.settle()
        self.assertFalse(bench.link.is_up)
        bench.advance(1)
        self.assertTrue(bench.link.is_up)

    def test_an_older_redis_tells_it_in_other_words(self) -> None:
        bench = self.demote(
            b"-ERR Error running script (call to f_0123): @user_script:2: @user_script: 2: -READONLY You\r\n"
        )
        self.assertFalse(bench.link.is_up)

    def test_other_refusals_end_nothing(self) -> None:
        bench = self.demote(b"-OOM command not allowed when used memory > 'maxmemory'. READONLY \r\n")
        self.assertTrue(bench.link.is_up)
        self.assertTrue(bench.link.take_unwritten())
        self.assertFalse(bench.link.take_unwritten())


class SendTests(SynchronousTestCase):
    def test_what_is_sent_is_not_given_up_while_the_connection_holds(self) -> None:
        bench = Bench(timeout=3.0).start()
        bench.redis.is_silent = True
        answer = bench.link.send("PING")
        bench.clock.advance(2.9)
        self.assertNoResult(answer)
        bench.redis.is_silent = False
        bench.settle()
        self.successResultOf(answer)

    def test_it_fails_with_the_connection_and_while_there_is_none(self) -> None:
        bench = Bench().start()
        bench.redis.is_silent = True
        answer = bench.link.send("PING")
        bench.clock.advance(0)
        bench.commands.lose()
        self.failureResultOf(answer, RedisUnavailable)
        self.failureResultOf(bench.link.send("PING"), RedisUnavailable)
