"""Tests of `adapters.redis.line` and `connections`: when a connection is made, given up, and made again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.memory import Bench


class LineTests(SynchronousTestCase):
    def detail(self, bench: Bench) -> str:
        return bench.link.readiness().detail

    def test_both_connections_come_up(self) -> None:
        bench = Bench().start()
        self.assertTrue(bench.link.is_up)
        self.assertEqual((bench.redis.attempts, bench.told), (2, ["up"]))

    def test_a_redis_that_is_away_is_tried_less_and_less_often(self) -> None:
        bench = Bench()
        bench.redis.mode = "away"
        bench.start()
        tries = []
        for _ in range(60):
            before = bench.redis.attempts
            bench.advance(1)
            tries.append((bench.redis.attempts - before) // 2)
        self.assertEqual(tries[:8], [3, 1, 0, 1, 0, 0, 1, 0])
        self.assertEqual(sum(tries[10:]), 10)
        self.assertIn("no commands for 60 s: Connection was refused", self.detail(bench))

    def test_nodes_do_not_come_back_all_at_once(self) -> None:
        bench = Bench()
        bench.redis.mode = "away"
        chances = iter([0.0, 1.0, *[0.5] * 10])
        for line in (bench.link._commands, bench.link._subscriber):
            line._chance = lambda: next(chances)
        bench.start()
        self.assertEqual(sorted(call.getTime() for call in bench.clock.getDelayedCalls()), [0.05, 0.1])

    def test_a_connection_that_held_for_long_is_made_again_soon(self) -> None:
        bench = Bench()
        bench.redis.mode = "away"
        bench.start()
        bench.advance(20)
        bench.redis.mode = "up"
        bench.advance(5)
        self.assertTrue(bench.link.is_up)
        bench.advance(10)
        for one in bench.redis.open:
            one.lose()
        bench.advance(0.15)
        self.assertTrue(bench.link.is_up)
        self.assertEqual(bench.told, ["up", "down", "up"])

    def test_a_redis_that_closes_at_once_makes_no_busy_loop(self) -> None:
        bench = Bench().start()
        for _ in range(1200):
            for one in bench.redis.open:
                one.lose()
            bench.advance(0.05)
        self.assertLess(bench.redis.attempts, 2 * 20)

    def test_who_never_connects_is_given_up(self) -> None:
        bench = Bench(timeout=3.0)
        bench.redis.mode = "lost"
        bench.start()
        bench.advance(3.05)
        self.assertEqual(bench.redis.cancelled, 2)
        self.assertEqual(self.detail(bench).count("no connection in 3 s"), 2)
        bench.redis.mode = "up"
        bench.advance(0.2)
        self.assertTrue(bench.link.is_up)

    def test_who_never_greets_is_given_up(self) -> None:
        bench = Bench("redis://:geheim@cache/2", timeout=3.0)
        bench.redis.is_silent = True
        bench.start()
        bench.advance(3.05)
        self.assertEqual(self.detail(bench).count("no answer in 3 s"), 2)
        self.assertEqual([one.closes[0] for one in bench.redis.transports[:2]], ["abort"] * 2)
        bench.redis.is_silent = False
        bench.advance(0.2)
        self.assertTrue(bench.link.is_up)
        self.assertEqual(bench.sent(b"SELECT"), [[b"SELECT", b"2"]])
        self.assertEqual(bench.sent(b"AUTH"), [[b"AUTH", b"geheim"]] * 2)

    def test_a_user_is_named_with_the_password(self) -> None:
        bench = Bench("redis://ann:geheim@cache").start()
        self.assertEqual(bench.sent(b"AUTH"), [[b"AUTH", b"ann", b"geheim"]] * 2)

    def test_a_wrong_password_is_tried_again(self) -> None:
        bench = Bench("redis://:geheim@cache")
        bench.redis.answers[b"AUTH"] = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        bench.start()
        bench.advance(10)
        self.assertEqual(self.detail(bench).count("could not auth: WRONGPASS"), 2)
        self.assertNotIn("geheim", self.detail(bench))
        self.assertLess(bench.redis.attempts, 2 * 10)
        bench.redis.answers.clear()
        bench.advance(5)
        self.assertTrue(bench.link.is_up)

    def test_a_database_that_is_not_there(self) -> None:
        bench = Bench("redis://cache/99")
        bench.redis.answers[b"SELECT"] = b"-ERR DB index is out of range\r\n"
        bench.start()
        self.assertIn("DB index is out of range", self.detail(bench))

    def test_a_redis_that_still_reads_its_files_is_not_up(self) -> None:
        bench = Bench()
        bench.redis.answers[b"PING"] = b"-LOADING Redis is loading the dataset in memory\r\n"
        bench.start()
        self.assertEqual(self.detail(bench).count("LOADING"), 2)
        bench.redis.answers.clear()
        bench.advance(0.2)
        self.assertTrue(bench.link.is_up)

    def test_a_redis_that_falls_silent_is_left(self) -> None:
        bench = Bench(timeout=5.0).start()
        bench.advance(60)
        self.assertEqual(bench.redis.attempts, 2)
        bench.redis.is_silent = True
        bench.advance(4)
        self.assertTrue(bench.link.is_up)
        bench.advance(5)
        self.assertFalse(bench.link.is_up)
        self.assertEqual(self.detail(bench).count("no answer in 5 s"), 2)

    def test_how_long_redis_takes_to_answer_is_known(self) -> None:
        bench = Bench(timeout=5.0).start()
        bench.advance(4)
        self.assertEqual(bench.link.load().lags, {"commands": 0.0, "subscriptions": 0.0})
        bench.redis.is_silent = True
        bench.advance(4)  # of which a PING was under way for two to four
        for lag in bench.link.load().lags.values():
            self.assertTrue(1.5 < lag <= 4, lag)
        bench.redis.is_silent = False
        bench.settle()
        for lag in bench.link.load().lags.values():
            self.assertTrue(1.5 < lag <= 4, lag)
        bench.advance(4)
        self.assertTrue(all(lag < 0.5 for lag in bench.link.load().lags.values()))

    def test_one_that_is_away_has_no_lag(self) -> None:
        bench = Bench(timeout=5.0).start()
        bench.redis.is_silent = True
        bench.advance(9)
        self.assertEqual(bench.link.load().lags, {})

    def test_what_is_heard_counts_as_an_answer(self) -> None:
        bench = Bench(timeout=5.0).start()
        bench.redis.is_silent = True
        for _ in range(30):
            bench.subscriber.receive(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n")
            bench.advance(1)
        self.assertTrue(bench.link._subscriber.is_up)
        self.assertFalse(bench.link._commands.is_up)

    def test_a_process_that_stood_still_blames_itself(self) -> None:
        bench = Bench(timeout=5.0).start()
        bench.advance(3)
        bench.redis.is_silent = True
        bench.clock.advance(1)
        bench.clock.advance(100)
        self.assertTrue(bench.link.is_up)
        bench.redis.is_silent = False
        bench.settle()
        bench.advance(30)
        self.assertEqual(bench.redis.attempts, 2)

    def test_an_answer_that_is_not_redis_ends_the_connection(self) -> None:
        bench = Bench().start()
        for one in bench.redis.open:
            one.receive(b"HTTP/1.1 200 OK\r\n\r\n")
        bench.clock.advance(0)
        self.assertEqual(self.detail(bench).count("not Redis's"), 2)

    def test_a_ping_that_is_refused_ends_the_connection(self) -> None:
        bench = Bench().start()
        bench.redis.answers[b"PING"] = b"-NOAUTH Authentication required.\r\n"
        bench.advance(2.05)
        self.assertEqual(self.detail(bench).count("NOAUTH"), 2)

    def test_an_outage_is_one_line_of_the_log_for_each_reason(self) -> None:
        from tests.web.memory import LogCapture

        with LogCapture() as log:
            bench = Bench()
            bench.redis.mode = "away"
            bench.start()
            bench.advance(60)
            self.assertEqual(len(log.named("Redis: no connection")), 2)
            bench.redis.mode = "up"
            bench.advance(5)
            self.assertEqual(len(log.named("Redis: the connection for {name} is up")), 2)


class StopTests(SynchronousTestCase):
    def stopped(self, bench: Bench) -> None:
        """A stop ends at once and leaves nothing behind."""
        done = bench.link.stop()
        bench.settle()
        self.successResultOf(done)
        self.assertEqual((bench.clock.getDelayedCalls(), bench.redis.open), ([], []))
        bench.advance(60)
        self.assertEqual(bench.clock.getDelayedCalls(), [])
        self.assertNotIn("down", bench.told)

    def test_before_the_start(self) -> None:
        self.stopped(Bench())

    def test_while_it_connects(self) -> None:
        bench = Bench()
        bench.redis.mode = "lost"
        self.stopped(bench.start())
        self.assertEqual(bench.redis.cancelled, 2)

    def test_while_it_waits_for_the_next_try(self) -> None:
        bench = Bench()
        bench.redis.mode = "away"
        self.stopped(bench.start())

    def test_while_it_greets(self) -> None:
        bench = Bench()
        bench.redis.is_silent = True
        self.stopped(bench.start())

    def test_while_it_is_up(self) -> None:
        bench = Bench().start()
        self.stopped(bench)
        self.assertEqual([one.closes for one in bench.redis.transports], [["lose"]] * 2)

    def test_twice(self) -> None:
        bench = Bench().start()
        self.stopped(bench)
        self.stopped(bench)

    def test_a_redis_that_does_not_close_is_left_after_a_second(self) -> None:
        bench = Bench().start()
        for one in bench.redis.open:
            one.is_polite = False
        done = bench.link.stop()
        bench.advance(0.9)
        self.assertNoResult(done)
        bench.advance(0.2)
        self.successResultOf(done)
        self.assertEqual(bench.clock.getDelayedCalls(), [])
