"""Who is in a room, in every process."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import KEYS, Process
from wsservice.adapters.base import Present
from wsservice.adapters.redis.marks import Marks
from wsservice.adapters.redis.nodes import Node, Nodes
from wsservice.adapters.redis.presence import RoomPresence
from wsservice.errors import RedisRefused, RedisUnavailable


class PresenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.process = Process()
        self.link, clock = self.process.link, self.process.core.clock
        self.nodes = Nodes(self.link, KEYS, clock)
        self.marks = Marks(self.link, self.nodes, clock)
        self.presence = RoomPresence(self.link, KEYS, self.marks, self.nodes, self.process.core.registry)
        self.link.come_up()
        self.link.asked.clear()
        self.nodes._live = {"a": Node("a", 1)}

    def marked(self) -> list[bytes]:
        return [words[1] for words in self.link.told if words[0] == b"HSET"]

    def test_a_connection_is_marked_in_its_namespace_and_its_rooms(self) -> None:
        connection = self.process.connect("ann").connection
        connection.join("r")
        self.presence.added(connection)
        self.assertEqual(self.marked(), [b"socket.io:ws:all:/", b"socket.io:ws:in:/,r"])
        connection.join("s")
        self.presence.joined(connection, "s")
        self.assertEqual(self.marked()[2:], [b"socket.io:ws:in:/,s"])
        self.link.told.clear()
        connection.leave("s")
        self.presence.left(connection, "s")
        self.presence.removed(connection)
        self.assertEqual(
            [words[:2] for words in self.link.told],
            [(b"HDEL", KEYS.room("/", "s")), (b"HDEL", KEYS.room("/", None)), (b"HDEL", KEYS.room("/", "r"))],
        )

    def test_those_of_living_nodes_are_read_with_one_command(self) -> None:
        reading = self.presence.read("/", "r")
        words = self.link.answer([b"a.1:c1", b"ann", b"a.1:c2", b"ann", self.marks.field("c3"), b"ben"])
        self.assertEqual(words, (b"HGETALL", KEYS.room("/", "r")))
        found = self.successResultOf(reading)
        self.assertEqual(found.members, (Present("c1", "ann"), Present("c2", "ann"), Present("c3", "ben")))
        self.assertTrue(found.complete)
        self.assertEqual(found.users, {"ann", "ben"})
        self.assertEqual(self.link.asked, [])

    def test_one_that_is_not_known_may_be_new_and_is_dead_if_it_is_not(self) -> None:
        reading = self.presence.read("/", "r")
        self.link.answer([b"new.1:c1", b"ann", b"dead.1:c2", b"ben", b"a.1:c3", b"cat"])
        self.assertNoResult(reading)
        self.link.answer(
            [b"secret", b"1", b"1", msgspec.json.encode(Node("new", 1)), b"1", msgspec.json.encode(Node("a", 1))]
        )
        self.assertEqual(self.successResultOf(reading).users, {"ann", "cat"})
        self.assertEqual(self.link.told, [(b"HDEL", KEYS.room("/", "r"), b"dead.1:c2")])

    def test_without_redis_this_process_tells_whom_it_has(self) -> None:
        ann, _ = self.process.connect("ann"), self.process.connect("ben")
        ann.connection.join("r")
        for error in (RedisUnavailable("gone"), RedisRefused("WRONGTYPE a key of another kind")):
            reading = self.presence.read("/", "r")
            self.link.answer(error)
            found = self.successResultOf(reading)
            self.assertEqual((found.users, found.complete), ({"ann"}, False))
        self.link.up = False
        self.assertEqual(self.successResultOf(self.presence.read("/", None)).users, {"ann", "ben"})
