"""How many connections a user has, in every process."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import KEYS, Process
from wsservice.adapters.redis.marks import Marks
from wsservice.adapters.redis.nodes import Nodes
from wsservice.adapters.redis.users import Users
from wsservice.connection_limits import ConnectionLimits
from wsservice.errors import RedisUnavailable

USER = KEYS.user("alice")


class UsersTests(SynchronousTestCase):
    def prepare(self, **limits: Any) -> None:
        self.process = Process(limits=ConnectionLimits(**limits))
        self.link = self.process.link
        nodes = Nodes(self.link, KEYS, self.process.core.clock)
        self.marks = Marks(self.link, nodes, self.process.core.clock)
        self.replaced: list[str] = []
        self.users = Users(self.link, KEYS, self.marks, self.process.core.hub, self.replaced.append)
        self.link.come_up()
        self.link.asked.clear()

    def admit(self, answer: Any) -> bool:
        admitted = self.users.admit(self.connection)
        assert admitted is not None
        self.words = self.link.answer(answer)
        return self.successResultOf(admitted)

    @property
    def connection(self) -> Any:
        if not hasattr(self, "_connection"):
            self._connection = self.process.connect("alice").connection
        return self._connection

    def test_without_a_limit_nobody_is_counted(self) -> None:
        self.prepare()
        self.assertIsNone(self.users.admit(self.connection))
        self.users.removed(self.connection)
        self.assertEqual((self.link.asked, self.link.told), ([], []))

    def test_who_finds_a_place_is_let_in_and_marked(self) -> None:
        self.prepare(per_user=2)
        self.assertTrue(self.admit([1, b""]))
        self.assertEqual(self.words[:4], (USER, KEYS.nodes, KEYS.about_nodes, self.marks.field(self.connection.id)))
        self.assertEqual(self.words[5:7], (2, 0))
        self.assertEqual(self.link.told, [(b"EXPIRE", USER, 600)])
        self.users.removed(self.connection)
        self.assertEqual(self.link.told[1:], [(b"HDEL", USER, self.marks.field(self.connection.id))])

    def test_who_finds_none_is_not(self) -> None:
        self.prepare(per_user=2)
        self.assertFalse(self.admit([0, b""]))
        self.assertEqual((self.link.told, self.replaced), ([], []))

    def test_the_oldest_is_replaced_wherever_it_is(self) -> None:
        self.prepare(per_user=2, when_full="replace")
        self.assertTrue(self.admit([1, b"node.1:oldest"]))
        self.assertEqual(self.words[6], 1)
        self.assertEqual(self.replaced, ["oldest"])

    def test_who_leaves_before_the_answer_leaves_no_mark(self) -> None:
        self.prepare(per_user=2)
        admitted = self.users.admit(self.connection)
        assert admitted is not None
        self.connection.ended("transport close")
        self.link.answer([1, b""])
        self.assertTrue(self.successResultOf(admitted))
        self.assertEqual(self.link.told[-1], (b"HDEL", USER, self.marks.field(self.connection.id)))
        self.assertEqual(self.marks._marks, {})

    def test_without_redis_one_is_let_in_and_counted_later(self) -> None:
        self.prepare(per_user=2)
        self.link.up = False
        self.assertIsNone(self.users.admit(self.connection))
        self.link.come_up()
        self.assertIn((b"HSET", USER, self.marks.field(self.connection.id)), [words[:3] for words in self.link.told])

    def test_where_the_count_fails_one_is_let_in(self) -> None:
        self.prepare(per_user=2)
        self.assertTrue(self.admit(RedisUnavailable("gone")))
        self.assertEqual(self.process.core.counters.get("cluster_faults", "count"), 1)
        self.assertEqual(self.link.told[0][:3], (b"HSET", USER, self.marks.field(self.connection.id)))
