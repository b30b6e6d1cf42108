"""Broadcasts that are recorded: each client gets each once, in the stream's order, whatever breaks."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.cluster import Client, Cluster, Node


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.first, self.second = self.cluster.start(), self.cluster.start()
        self.one, self.two = self.cluster.client(self.first), self.cluster.client(self.second)

    def assertGot(self, client: Client, *numbers: int) -> None:
        self.cluster.settle()
        self.assertEqual(client.events, list(numbers))

    def move(self, client: Client, node: object) -> None:
        client.come(node)  # type: ignore[arg-type]
        self.cluster.settle()
        self.assertTrue(client.recovered)


class RecordedTests(Case):
    def test_everybody_gets_it_once_when_it_comes_back(self) -> None:
        self.first.say(1)
        self.one.hear()
        self.assertEqual(self.one.events, [])
        self.assertGot(self.one, 1)
        self.assertGot(self.two, 1)

    def test_what_was_missed_is_replayed_elsewhere(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.one.cut()
        self.second.say(2)
        self.cluster.settle()
        self.first.say(3)
        self.cluster.settle()
        self.move(self.one, self.second)
        self.assertGot(self.one, 1, 2, 3)

    def test_a_namespace_without_clients_here_is_followed_all_the_same(self) -> None:
        self.first.say(1)
        self.first.bench.app.namespace("/other").emit("said", 2)
        self.second.bench.app.namespace("/other").emit("said", 3)
        self.cluster.settle()
        self.assertEqual(len(self.first.bench.history or ()), 3)
        self.assertEqual(len(self.second.bench.history or ()), 3)
        self.assertEqual(len(self.first.adapter._broadcasts._own), 0)  # type: ignore[union-attr]

    def test_what_a_handler_sends_when_redis_is_back_is_recorded_once(self) -> None:
        self.one.cut()
        self.first.link.cut_commands()
        self.first.link.connect()
        self.one.come(self.first)  # waits for what is being read
        self.cluster.settle()
        self.first.say(1)
        self.assertGot(self.one, 1)
        self.assertGot(self.two, 1)


class EarlyTests(Case):
    def test_while_redis_is_away_clients_here_get_it_at_once_and_others_later(self) -> None:
        self.first.link.cut_commands()
        self.first.say(1)
        self.first.say(2)
        self.assertGot(self.one, 1, 2)
        self.assertGot(self.two)
        self.second.say(3)
        self.assertGot(self.one, 1, 2, 3)  # its subscription holds
        self.cluster.heal()
        self.assertGot(self.two, 3, 1, 2)
        self.assertGot(self.one, 1, 2, 3)

    def test_the_order_of_early_events_is_theirs(self) -> None:
        self.first.say(1)
        self.first.link.cut_subscriptions()
        self.first.say(2)
        self.assertGot(self.one, 1, 2)
        self.cluster.heal()
        self.assertGot(self.one, 1, 2)
        self.assertGot(self.two, 1, 2)

    def test_a_redis_that_hangs_holds_up_nobody_for_long(self) -> None:
        self.first.say(1)
        self.cluster.clock.advance(1.5)
        self.one.hear()
        self.assertEqual(self.one.events, [1])
        self.assertGot(self.one, 1)
        self.assertGot(self.two, 1)

    def test_who_got_it_early_and_moves_gets_it_no_second_time(self) -> None:
        self.first.say(1)
        self.cluster.clock.advance(1.5)
        self.one.hear()
        self.first.link.cut_commands(late=True)
        for before in (True, False):
            with self.subTest(before=before):
                self.move(self.one, self.second)
                self.assertGot(self.one, 1)
                self.cluster.heal()
                self.assertGot(self.one, 1)
                self.assertGot(self.two, 1)

    def test_who_has_moved_when_what_it_got_early_is_recorded_gets_it_no_second_time(self) -> None:
        self.first.link.cut_commands()
        self.first.say(1)
        self.move(self.one, self.second)
        self.assertGot(self.one, 1)
        self.cluster.heal()
        self.first.say(2)
        self.assertGot(self.one, 1, 2)
        self.assertGot(self.two, 1, 2)
        history = self.second.bench.history
        self.assertEqual(history._ahead, {})  # type: ignore[union-attr]

    def test_who_was_away_when_it_was_delivered_early_gets_it_once(self) -> None:
        self.one.cut()
        self.first.link.cut_commands()
        self.first.say(1)
        self.cluster.heal()
        self.move(self.one, self.first)
        self.assertGot(self.one, 1)

    def test_who_comes_with_another_nodes_mark_gets_what_it_missed_here(self) -> None:
        self.first.link.cut_commands()
        for number in (1, 2, 3):
            self.first.say(number)
        self.move(self.one, self.second)
        self.one.cut()
        self.second.link.cut_commands()
        self.second.say(4)
        self.second.link.connect()
        self.second.link.sent.clear()  # Redis has not done it yet
        self.one.come(self.second)
        self.cluster.advance(11.0)
        self.cluster.redis.links[1].cut_subscriptions()
        self.cluster.heal()
        self.assertEqual(sorted(self.one.events), [1, 2, 3, 4])

    def test_a_node_that_sends_before_it_has_read_the_stream_repeats_nothing(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        third = Node(self.cluster)
        self.cluster.nodes.append(third)
        third.say(2)
        third.link.connect()
        self.one.come(third)
        self.cluster.settle()
        self.assertGot(self.one, 1, 2)
        self.assertGot(self.two, 1, 2)

    def test_who_got_it_early_at_a_node_that_is_killed_gets_it_no_second_time(self) -> None:
        self.first.say(1)
        self.cluster.clock.advance(1.5)
        self.one.hear()
        self.first.link.execute()
        self.first.kill()
        self.move(self.one, self.second)
        self.assertGot(self.one, 1)
        self.assertGot(self.two, 1)

    def test_who_comes_to_a_node_that_has_delivered_early_gets_it(self) -> None:
        self.first.link.cut_subscriptions()
        self.first.say(1)
        self.one.hear()
        self.first.link.connect()
        self.first.say(2)  # early, too: the stream is not read yet
        self.two.come(self.first)
        self.assertGot(self.two, 1, 2)
        self.assertGot(self.one, 1, 2)

    def test_who_comes_from_elsewhere_while_an_early_event_is_not_recorded_gets_it_once(self) -> None:
        self.first.say(1)
        sent = list(self.first.link.sent)
        self.first.link.sent.clear()  # Redis takes its time with this one
        self.cluster.clock.advance(1.5)
        self.move(self.two, self.first)
        self.assertGot(self.two, 1)
        self.first.link.sent.extend(sent)
        self.assertGot(self.two, 1)
        self.assertGot(self.one, 1)
        self.two.cut()
        self.move(self.two, self.second)
        self.assertGot(self.two, 1)

    def test_what_the_application_changes_after_it_was_sent_is_sent_as_it_was(self) -> None:
        numbers = [1]
        self.first.say(numbers)
        numbers.append(2)
        self.cluster.clock.advance(1.5)
        self.assertGot(self.one, [1])  # type: ignore[arg-type]
        self.assertGot(self.two, [1])  # type: ignore[arg-type]


class UncertainTests(Case):
    def test_what_was_recorded_though_its_answer_was_lost_is_sent_once(self) -> None:
        self.first.say(1)
        self.first.link.execute()
        self.first.link.cut_commands()
        self.first.link.cut_subscriptions()
        self.cluster.heal()
        self.assertGot(self.one, 1)
        self.assertGot(self.two, 1)

    def test_what_redis_does_for_a_connection_that_is_gone_counts_once(self) -> None:
        self.first.say(1)
        self.first.link.cut_commands(late=True)
        self.first.link.connect()
        late, self.cluster.redis.late = self.cluster.redis.late, type(self.cluster.redis.late)()
        self.cluster.settle()  # it has read the stream, and sent it again
        self.cluster.redis.late = late
        self.first.say(2)
        self.assertGot(self.one, 1, 2)
        self.assertGot(self.two, 1, 2)
        self.assertEqual(len(self.cluster.redis.stream), 4)  # the beginning, and one of them twice
        self.two.cut()
        self.move(self.two, self.first)
        self.assertGot(self.two, 1, 2)


class LossTests(Case):
    def test_a_redis_that_has_forgotten_everything_loses_nothing_that_waits(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.first.say(2)
        self.first.link.execute()
        self.cluster.redis.restart()
        self.first.say(3)
        self.cluster.heal()
        self.assertGot(self.one, 1, 2, 3)
        self.assertGot(self.two, 1, 2, 3)
        self.assertEqual((self.first.count("cluster_gaps"), self.second.count("cluster_gaps")), (1, 1))
        self.assertEqual(self.second.count("cluster_lost"), 0)

    def test_what_one_node_has_heard_and_the_other_not_is_counted(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.first.say(2)
        self.first.say(3)
        self.first.link.execute()
        self.first.link.hear()
        self.cluster.redis.restart()
        self.cluster.heal()
        self.first.say(4)
        self.assertGot(self.one, 1, 2, 3, 4)
        self.assertGot(self.two, 1, 4)
        self.assertEqual(self.second.count("cluster_lost"), 2)

    def test_what_was_heard_before_the_loss_is_kept(self) -> None:
        self.second.link.cut_commands()
        self.first.say(1)
        self.first.link.execute()
        self.second.link.hear()
        self.assertGot(self.two, 1)
        self.second.link.cut_subscriptions()
        self.second.link.connect(commands=False)
        self.first.say(2)
        self.first.link.execute()
        self.first.link.hear()
        self.second.link.hear()  # of a subscription that may have missed something
        self.assertEqual(self.two.events, [1])
        self.cluster.redis.restart()
        self.cluster.heal()
        self.first.say(3)
        self.assertGot(self.two, 1, 2, 3)
        self.assertEqual(self.second.count("cluster_lost"), 0)

    def assertGotNow(self, client: Client, *numbers: int) -> None:
        client.hear()
        self.assertEqual(client.events, list(numbers))

    def lose_the_last(self, count: int) -> None:
        """Redis is killed, and starts with what it had written before."""
        kept = self.cluster.redis.stream[:-count]
        self.cluster.redis.restart()
        self.cluster.redis.stream, self.cluster.redis.last = kept, kept[-1][0]

    def test_what_was_heard_and_redis_has_not_kept_comes_in_its_place(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.second.link.cut_subscriptions()
        self.second.link.cut_commands()
        self.second.link.connect(commands=False)
        self.first.say(2)
        self.cluster.clock.advance(0)
        self.first.link.execute()
        self.first.link.hear()
        self.second.link.hear()
        self.cluster.clock.advance(0.5)
        del self.cluster.redis.stream[-1]
        self.first.say(3)
        self.cluster.settle()
        self.cluster.heal()
        self.assertGot(self.two, 1, 2, 3)

    def test_who_had_more_elsewhere_than_redis_has_kept_is_not_recovered(self) -> None:
        self.second.say(1)
        self.cluster.settle()
        for number in (2, 3):
            self.cluster.clock.advance(0.1)
            self.second.say(number)
            self.second.link.execute()
            self.second.link.hear()
            self.two.hear()
        self.first.link.hear(1)
        self.assertGotNow(self.one, 1, 2)
        self.two.cut()
        self.second.say(4)
        self.second.link.execute()
        self.second.link.hear()
        self.assertEqual(self.two.events, [1, 2, 3])
        self.lose_the_last(3)
        self.cluster.clock.advance(0.1)
        self.cluster.redis.add([b"m", b"an older one"])
        self.cluster.heal()
        self.two.come(self.first)
        self.cluster.settle()
        self.assertFalse(self.two.recovered)

    def test_a_clock_that_goes_back_when_redis_is_started_again_stops_nothing(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.cluster.redis.skew = -30.0
        self.cluster.redis.restart()
        self.cluster.heal()
        self.first.say(2)
        self.second.say(3)
        self.assertGot(self.one, 1, 2, 3)
        self.assertGot(self.two, 1, 2, 3)
        self.two.cut()
        self.first.say(4)
        self.cluster.settle()
        self.move(self.two, self.first)
        self.assertGot(self.two, 1, 2, 3, 4)

    def test_past_the_bound_the_oldest_are_dropped_and_the_numbers_are_right(self) -> None:
        first = self.cluster.start(queue_bytes=20_000)
        here = self.cluster.client(first)
        first.say(0)
        self.cluster.settle()
        first.link.cut_commands()
        for number in range(1, 101):
            first.say(number)
        self.cluster.heal()
        self.assertGot(here, *range(101))
        lost = 101 - len(self.two.events)
        self.assertGreater(lost, 10)
        self.assertEqual(self.two.events[1:], list(range(lost + 1, 101)))
        self.assertEqual(first.count("cluster_dropped", "queue_full"), lost)
        self.assertEqual(self.second.count("cluster_lost"), lost)

    def test_what_was_trimmed_meanwhile_is_counted_and_nobody_recovers_across_it(self) -> None:
        self.cluster.redis.max_entries = 5
        self.first.say(1)
        self.cluster.settle()
        away = self.cluster.client(self.second)
        away.cut()
        self.second.link.cut_subscriptions()
        for number in range(2, 12):
            self.first.say(number)
            self.cluster.settle()
        self.cluster.heal()
        self.assertGot(self.two, 1, *range(7, 12))
        self.assertEqual((self.second.count("cluster_gaps"), self.second.count("cluster_lost")), (1, 5))
        away.come(self.second)
        self.cluster.settle()
        self.assertFalse(away.recovered)

    def test_a_node_that_starts_knows_what_is_trimmed(self) -> None:
        self.cluster.redis.max_entries = 5
        self.first.say(1)
        self.cluster.settle()
        self.one.cut()
        for number in range(2, 12):
            self.first.say(number)
            self.cluster.settle()
        third = self.cluster.start()
        self.one.come(third)
        self.cluster.settle()
        self.assertFalse(self.one.recovered)
        self.two.cut()
        self.first.say(12)
        self.cluster.settle()
        self.move(self.two, third)
        self.assertGot(self.two, *range(1, 13))


OOM = "OOM command not allowed when used memory > 'maxmemory'."


class RefusedTests(Case):
    """Redis is full: it records nothing, and publishes all the same."""

    def test_everybody_gets_it_unrecorded_and_it_is_told(self) -> None:
        self.cluster.redis.refuses = OOM
        self.first.say(1)
        self.second.say(2)
        self.assertGot(self.one, 1, 2)
        self.assertGot(self.two, 1, 2)
        for node in (self.first, self.second):
            readiness = node.adapter.readiness()
            self.assertFalse(readiness.ready)
            self.assertIn(OOM, readiness.detail)
            self.assertEqual(node.count("cluster_faults", "unrecorded"), 1)
            self.assertEqual((node.count("cluster_dropped", "refused"), node.count("cluster_lost")), (0, 0))

    def test_what_is_recorded_before_and_after_keeps_its_place(self) -> None:
        for number in (1, 2, 3):
            self.first.say(number)
        self.first.link.execute(1)
        self.cluster.redis.refuses = OOM
        self.first.link.execute(1)
        self.cluster.redis.refuses = ""
        self.assertGot(self.one, 1, 2, 3)
        self.assertGot(self.two, 1, 2, 3)
        self.assertEqual(self.second.count("cluster_lost"), 0)

    def test_who_moves_gets_it_no_second_time(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.cluster.redis.refuses = OOM
        self.first.say(2)
        self.cluster.settle()
        self.cluster.redis.refuses = ""
        self.first.say(3)
        self.cluster.settle()
        self.move(self.one, self.second)
        self.move(self.two, self.first)
        self.assertGot(self.one, 1, 2, 3)
        self.assertGot(self.two, 1, 2, 3)

    def test_it_is_ready_again_when_nothing_was_refused_for_a_while(self) -> None:
        self.cluster.redis.refuses = OOM
        self.first.say(1)
        self.cluster.settle()
        self.cluster.redis.refuses = ""
        self.cluster.advance(9.0)
        self.assertFalse(self.first.adapter.readiness().ready)
        self.cluster.advance(2.0)
        self.assertTrue(self.first.adapter.readiness().ready)
        self.first.say(2)
        self.assertGot(self.two, 1, 2)

    def test_signs_of_life_that_are_refused_are_told_at_once(self) -> None:
        self.cluster.advance(1.0)
        self.assertTrue(self.second.adapter.readiness().ready)
        self.cluster.redis.refuses = OOM
        self.cluster.advance(1.5)
        self.assertIn("signs of life", self.second.adapter.readiness().detail)
        self.cluster.redis.refuses = ""
        self.cluster.advance(1.5)
        self.assertTrue(self.second.adapter.readiness().ready)


class TrimTests(Case):
    def test_what_nobody_comes_back_to_is_not_kept_but_for_the_last(self) -> None:
        for number in (1, 2, 3):
            self.first.say(number)
            self.cluster.settle()
        self.cluster.advance(200.0)
        self.assertEqual(len(self.cluster.redis.stream), 1)
        self.first.say(4)
        self.cluster.settle()
        self.cluster.advance(60.0)
        self.assertEqual(len(self.cluster.redis.stream), 2)

    def test_a_quiet_node_that_was_cut_off_has_lost_nothing(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.cluster.advance(200.0)
        self.second.link.cut_subscriptions()
        self.first.say(2)
        self.cluster.settle()
        self.cluster.advance(50.0)
        self.cluster.heal()
        self.assertGot(self.two, 1, 2)
        self.assertEqual((self.second.count("cluster_gaps"), self.second.count("cluster_lost")), (0, 0))

    def test_who_was_quiet_for_long_comes_back_to_a_node_that_has_just_been_started(self) -> None:
        self.first.say(1)
        self.cluster.settle()
        self.cluster.advance(200.0)
        self.one.cut()
        self.second.say(2)
        self.cluster.settle()
        third = self.cluster.start()
        self.move(self.one, third)
        self.assertGot(self.one, 1, 2)
