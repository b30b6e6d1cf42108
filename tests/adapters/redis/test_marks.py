"""Marks of connections in Redis, and what becomes of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import KEYS, FakeLink
from wsservice.adapters.redis.marks import Marks
from wsservice.adapters.redis.nodes import Node, Nodes


class MarksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.link, self.clock = FakeLink(), Clock()
        self.nodes = Nodes(self.link, KEYS, self.clock)
        self.marks = Marks(self.link, self.nodes, self.clock)
        self.link.come_up()

    def field(self, name: str, epoch: int = 1) -> bytes:
        return f"{self.nodes.id}.{epoch}:{name}".encode()

    def told(self) -> list[tuple[Any, ...]]:
        told, self.link.told = self.link.told, []
        return told

    def test_a_mark_is_put_and_dropped_and_the_hash_prolonged_at_the_first(self) -> None:
        self.marks.put(b"k", "c1", b"v")
        self.marks.put(b"k", "c2", b"w")
        self.assertEqual(
            self.told(),
            [(b"HSET", b"k", self.field("c1"), b"v"), (b"EXPIRE", b"k", 600), (b"HSET", b"k", self.field("c2"), b"w")],
        )
        self.marks.drop(b"k", "c1")
        self.marks.drop(b"k", "c1")
        self.marks.drop(b"other", "c1")
        self.assertEqual(self.told(), [(b"HDEL", b"k", self.field("c1"))])

    def test_one_that_a_script_has_put_is_only_remembered(self) -> None:
        self.marks.put(b"k", "c1", b"v", is_there=True)
        self.assertEqual(self.told(), [(b"EXPIRE", b"k", 600)])
        self.marks.drop(b"k", "c1")
        self.assertEqual(self.told(), [(b"HDEL", b"k", self.field("c1"))])

    def test_all_are_put_again_when_the_node_begins_anew(self) -> None:
        self.marks.put(b"k", "c1", b"v")
        self.link.up = False
        self.marks.put(b"k", "c2", b"w")
        self.marks.put(b"l", "c3", b"x")
        self.marks.drop(b"k", "c1")
        self.told()
        self.link.come_up()
        self.clock.advance(0)
        self.assertEqual(
            self.told(),
            [
                (b"HDEL", b"k", self.field("c2").decode()),
                (b"HSET", b"k", self.field("c2", 2), b"w"),
                (b"EXPIRE", b"k", 600),
                (b"HDEL", b"l", self.field("c3").decode()),
                (b"HSET", b"l", self.field("c3", 2), b"x"),
                (b"EXPIRE", b"l", 600),
            ],
        )

    def test_very_many_are_written_in_slices_each_when_the_last_is_answered_and_what_goes_meanwhile_is_not(
        self,
    ) -> None:
        for number in range(1200):
            self.marks.put(b"k%d" % number, "c", b"v")
        self.told()
        self.link.come_up()
        self.assertEqual(len(self.told()), 3 * 500)
        self.marks.drop(b"k1199", "c")
        self.told()
        self.clock.advance(1)
        self.assertEqual(self.told(), [])
        self.next_slice()
        self.assertEqual(len(self.told()), 3 * 500)
        self.next_slice()
        self.assertEqual(len(self.told()), 3 * 199)
        self.assertEqual(self.link.asked, [])

    def test_one_hash_of_very_many_is_written_in_slices_too(self) -> None:
        for number in range(1200):
            self.marks.put(b"k", f"c{number}", b"v")
        self.told()
        self.link.come_up()
        fields: list[bytes] = []
        for expected in (500, 500, 200):
            written = [words for words in self.told() if words[0] == b"HSET"]
            found = [field for words in written for field in words[2::2]]
            self.assertEqual(len(found), expected)
            fields += found
            if expected == 500:
                self.next_slice()
        self.assertEqual(fields, [self.field(f"c{number}", 2) for number in range(1200)])
        self.assertEqual(self.link.asked, [])

    def test_what_has_begun_anew_meanwhile_is_not_continued(self) -> None:
        for number in range(1200):
            self.marks.put(b"k", f"c{number}", b"v")
        self.link.come_up()
        self.told()
        self.link.come_up()
        self.assertEqual(len(self.told()), 2 * 5 + 1)
        slices = [waiting for words, waiting in self.link.asked if words == (b"PING",)]
        for waiting in slices:
            waiting.callback("PONG")
        self.assertEqual(len(self.told()), 2 * 5)

    def next_slice(self) -> None:
        """Redis has answered the one before."""
        pings = [one for one in self.link.asked if one[0] == (b"PING",)]
        self.assertEqual(len(pings), 1)
        self.link.asked = []
        pings[0][1].callback("PONG")
        self.link.asked = [one for one in self.link.asked if one[0] == (b"PING",)]

    def test_they_are_prolonged_while_the_node_lives_and_taken_back_when_it_stops(self) -> None:
        self.marks.start()
        self.marks.put(b"k", "c1", b"v")
        self.told()
        self.clock.advance(200)
        self.assertEqual(self.told(), [(b"EXPIRE", b"k", 600)])
        self.link.up = False
        self.clock.advance(200)
        self.link.up = True
        self.marks.stop()
        self.assertEqual(self.told(), [(b"HDEL", b"k", self.field("c1"))])
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_those_of_living_nodes_count_and_those_of_dead_ones_are_cleaned(self) -> None:
        self.nodes._live = {"a": Node("a", 2)}
        self.assertTrue(self.marks.is_live(b"a.2:c"))
        self.assertTrue(self.marks.is_live(self.field("c")))
        for field in (b"a.1:c", b"b.1:c", b"", b"\xff", b":", self.field("c", 0)):
            self.assertFalse(self.marks.is_live(field), field)
        self.marks.clean(b"k", [b"a.1:c", b"b.1:c"])
        self.marks.clean(b"k", [])
        self.assertEqual(self.told(), [(b"HDEL", b"k", b"a.1:c", b"b.1:c")])
