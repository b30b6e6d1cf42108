"""Who is in the cluster: signs of life, and what follows when one is not given."""

from __future__ import annotations

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import KEYS, FakeLink
from wsservice.adapters.redis.nodes import CUT_AFTER, DEAD_AFTER, INTERVAL, Node, Nodes
from wsservice.errors import RedisRefused, RedisUnavailable


class NodesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.link, self.clock = FakeLink(), Clock()
        self.nodes = Nodes(self.link, KEYS, self.clock)
        self.died: list[set[str]] = []
        self.anew: list[str] = []
        self.nodes.on_died.append(lambda nodes: self.died.append(set(nodes)))
        self.nodes.on_anew.append(lambda: self.anew.append(self.nodes.own.tag))

    def beat(self, *live: Node, silent: tuple[Node, ...] = (), known: bool = True) -> None:
        """Answer the sign of life that was given last."""
        found = [b"secret", b"1" if known else b"0"]
        for nodes, word in ((live, b"1"), (silent, b"0")):
            for node in nodes:
                found += [word, msgspec.json.encode(node)]
        self.link.answer(found)

    def start(self) -> None:
        self.nodes.start()
        self.link.come_up()

    def test_a_sign_of_life_is_given_when_redis_is_there_and_each_second(self) -> None:
        self.link.up = False
        self.nodes.start()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.link.asked, [])
        self.link.come_up()
        self.assertEqual(len(self.link.asked), 1)
        words = self.link.asked[0][0]
        self.assertEqual(words[:4], (KEYS.nodes, KEYS.about_nodes, KEYS.secret, self.nodes.id))
        self.assertEqual(msgspec.json.decode(words[4], type=Node), self.nodes.own)
        self.beat(known=False)
        self.assertEqual(self.nodes.secret, b"secret")
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.link.asked), 1)
        self.nodes.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_others_are_known_with_what_they_say(self) -> None:
        self.start()
        a, b = Node("a", 3, "tcp:host=10.0.0.2:port=1"), Node("b", 1)
        self.beat(self.nodes.own, a, silent=(b,))
        self.assertEqual(self.nodes.live.keys(), {"a", self.nodes.id})
        self.assertEqual(self.nodes.others, {"a", "b"})
        self.assertEqual(self.nodes.address_of("a"), "tcp:host=10.0.0.2:port=1")
        self.assertIsNone(self.nodes.address_of("b"))
        self.assertTrue(self.nodes.is_live("a.3"))
        self.assertTrue(self.nodes.is_live(self.nodes.own.tag))
        for tag in ("a.2", "a.4", "a", "b.1", "c.1", "", f"{self.nodes.id}.0"):
            self.assertFalse(self.nodes.is_live(tag), tag)

    def test_who_is_not_heard_of_any_more_is_told_once(self) -> None:
        self.start()
        self.beat(Node("a", 1), Node("b", 1))
        self.clock.advance(INTERVAL)
        self.beat(Node("b", 1), silent=(Node("a", 1),))
        self.assertEqual(self.died, [{"a"}])
        self.clock.advance(INTERVAL)
        self.beat(silent=(Node("a", 1),))
        self.assertEqual(self.died, [{"a"}, {"b"}])
        self.clock.advance(INTERVAL)
        self.beat(Node("a", 1), Node("b", 1))
        self.assertEqual(len(self.died), 2)

    def test_it_begins_anew_with_each_connection_and_when_it_was_taken_for_dead(self) -> None:
        self.start()
        self.beat(known=False)
        self.assertEqual(self.anew, [f"{self.nodes.id}.1"])
        self.link.come_up()
        self.beat(known=False)
        self.assertEqual(self.anew[1:], [f"{self.nodes.id}.2"])
        self.clock.advance(INTERVAL)
        self.beat(known=True)
        self.clock.advance(INTERVAL)
        self.clock.advance(INTERVAL)  # two signs under way
        self.beat(known=False)
        self.assertEqual(self.anew[2:], [f"{self.nodes.id}.3"])
        self.assertEqual(self.nodes.last_tag, f"{self.nodes.id}.2")
        self.beat(known=False)  # of the time before
        self.beat(known=False)  # the first of the new time
        self.assertEqual(len(self.anew), 3)

    def test_an_answer_that_does_not_come_changes_nothing(self) -> None:
        self.start()
        self.beat(Node("a", 1))
        looking = self.nodes.look()
        self.link.answer(RedisUnavailable("gone"))
        self.successResultOf(looking)
        self.assertIn("a", self.nodes.live)
        self.link.up = False
        self.successResultOf(self.nodes.look())

    def test_a_sign_of_life_that_is_refused_is_told_until_one_is_taken(self) -> None:
        self.start()
        self.beat(known=False)
        self.assertTrue(self.nodes.readiness().ready)
        for _ in range(2):
            self.clock.advance(INTERVAL)
            self.link.answer(RedisRefused("OOM command not allowed when used memory > 'maxmemory'."))
            readiness = self.nodes.readiness()
            self.assertFalse(readiness.ready)
            self.assertIn("OOM command not allowed", readiness.detail)
        self.clock.advance(INTERVAL)
        self.link.answer(RedisUnavailable("gone"))
        self.assertFalse(self.nodes.readiness().ready)
        self.clock.advance(INTERVAL)
        self.beat()
        self.assertTrue(self.nodes.readiness().ready)

    def test_what_redis_did_not_take_is_written_anew_and_not_more_often_than_it_must(self) -> None:
        self.start()
        self.beat(known=False)
        self.link.unwritten = True
        self.clock.advance(INTERVAL)
        self.beat()
        self.assertEqual(len(self.anew), 2)
        self.beat(known=False)
        for _ in range(9):
            self.link.unwritten = True
            self.clock.advance(INTERVAL)
            self.beat()
        self.assertEqual(len(self.anew), 2)
        self.clock.advance(INTERVAL)
        self.beat()
        self.assertEqual(len(self.anew), 3)

    def test_what_is_no_nodes_is_left_alone(self) -> None:
        self.start()
        self.link.answer([b"secret", b"1", b"1", b"junk", b"1", b"", b"0", b"\xff", b"1", b'{"id":5,"epoch":1}'])
        self.assertEqual(self.nodes.others, frozenset())

    def test_who_stops_says_so(self) -> None:
        self.start()
        self.nodes.stop()
        words = [words for words, _ in self.link.asked]
        self.assertIn((b"ZREM", KEYS.nodes, self.nodes.id), words)
        self.assertIn((b"HDEL", KEYS.about_nodes, self.nodes.id), words)

    def silence(self, seconds: float) -> None:
        """`a` is silent for so long, as this node sees it."""
        for _ in range(int(seconds / INTERVAL)):
            self.clock.advance(INTERVAL)
            self.beat(silent=(Node("a", 1),))
            if self.link.asked:
                return

    def test_the_subscriptions_of_one_that_is_silent_for_long_are_ended_once(self) -> None:
        self.start()
        self.beat(silent=(Node("a", 1),))
        self.silence(CUT_AFTER - DEAD_AFTER - INTERVAL)
        self.assertEqual(self.link.asked, [])
        self.silence(2 * INTERVAL)
        clients = (
            b"id=5 addr=127.0.0.1:9 name=wsservice-b sub=9\n"
            b"id=17 addr=127.0.0.1:9 name=wsservice-a sub=9\n"
            b"id=18 addr=127.0.0.1:9 name= sub=2\n"
        )
        self.assertEqual(self.link.answer(clients), (b"CLIENT", b"LIST", b"TYPE", b"pubsub"))
        self.assertEqual(self.link.told, [(b"CLIENT", b"KILL", b"ID", b"17")])
        self.silence(60)
        self.assertEqual(self.link.told[1:], [])
        self.assertEqual(self.link.asked, [])

    def test_one_that_may_not_end_them_goes_on(self) -> None:
        self.start()
        self.beat(silent=(Node("a", 1),))
        self.silence(60)
        self.link.answer(RedisUnavailable("no"))
        self.silence(3)
        self.assertEqual(self.link.told, [])

    def test_its_own_subscriptions_bear_its_name(self) -> None:
        self.assertEqual(self.link.name, f"wsservice-{self.nodes.id}")
