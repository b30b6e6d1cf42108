"""Reading the stream when it does not go as it should."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.cluster import Cluster
from wsservice.adapters.redis import catching_up
from wsservice.errors import RedisRefused


class CatchingUpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.first, self.second = self.cluster.start(), self.cluster.start()
        self.one, self.two = self.cluster.client(self.first), self.cluster.client(self.second)

    def test_what_is_no_event_is_passed_by(self) -> None:
        self.second.link.cut_subscriptions()
        for fields in ([b"begins", b""], [b"m"], [b"m", b"nonsense"], [b"m", b"\x93\x01\x02\x03"], [b"x", b"y"]):
            self.cluster.redis.add(fields)
        self.first.say(1)
        self.cluster.settle()
        self.cluster.heal()
        self.assertEqual(self.two.events, [1])
        self.assertEqual(self.second.count("cluster_refused", "ill-typed"), 1)
        self.cluster.redis.add([b"x", b"y"])
        for _ in range(2):
            self.second.link.cut_subscriptions()
            self.cluster.heal()
        self.assertEqual(self.second.count("cluster_gaps"), 0)

    def test_pages_are_small_where_entries_are_large(self) -> None:
        mib = 1024 * 1024
        self.assertEqual(catching_up._next_page(50, 50 * 100), 100)
        self.assertEqual(catching_up._next_page(400, 400 * 100), 500)
        self.assertEqual(catching_up._next_page(50, 0), 100)
        self.assertEqual(catching_up._next_page(50, 50 * 5 * mib), 1)
        self.assertEqual(catching_up._next_page(1, 8 * mib), 1)
        self.assertEqual(catching_up._next_page(1, 1000), 2)

    def test_more_than_a_page_is_read(self) -> None:
        self.patch(catching_up, "_FIRST_PAGE", 3)
        self.second.link.cut_subscriptions()
        for number in range(10):
            self.first.say(number)
        self.cluster.settle()
        self.cluster.heal()
        self.assertEqual(self.two.events, list(range(10)))

    def test_what_is_heard_while_it_is_read_and_is_too_much_is_read(self) -> None:
        self.second.link.cut_subscriptions()
        self.first.say(0)
        self.cluster.settle()
        self.second.adapter._broadcasts._held._max_bytes = 100  # type: ignore[union-attr]
        self.second.link.connect()
        for number in range(1, 6):
            self.first.say(number)
        self.first.link.execute()
        self.second.link.hear()
        self.assertTrue(self.second.adapter._broadcasts._held.has_let_go)  # type: ignore[union-attr]
        self.cluster.settle()
        self.assertEqual((self.one.events, self.two.events), ([*range(6)], [*range(6)]))

    def test_a_redis_that_refuses_is_asked_again_and_clients_here_do_not_wait(self) -> None:
        self.second.link.cut_subscriptions()
        self.second.link.connect()
        for _, asked in list(self.second.link.sent):
            asked.errback(RedisRefused("LOADING Redis is loading the dataset in memory"))
        self.second.link.sent.clear()
        self.second.say(1)
        self.cluster.settle()
        self.assertEqual((self.one.events, self.two.events), ([], [1]))
        self.assertEqual(self.second.count("cluster_faults", "catch_up"), 1)
        self.cluster.advance(2.0)
        self.assertEqual((self.one.events, self.two.events), ([1], [1]))

    def test_a_break_while_it_is_read_begins_anew(self) -> None:
        for steps in range(6):
            self.second.link.cut_subscriptions()
            number = self.cluster.number()
            self.first.say(number)
            self.cluster.clock.advance(0)
            self.first.link.execute()
            self.second.link.connect()
            for _ in range(steps):
                self.second.link.execute(1)
                self.second.link.answer(1)
            self.second.link.cut_commands(late=bool(steps % 2))
            self.cluster.heal()
            self.assertEqual(self.two.events, list(range(1, number + 1)))
