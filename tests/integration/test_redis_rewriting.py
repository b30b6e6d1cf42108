"""What a node writes again when a real Redis was away: all of it, however much, and it costs no message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.integration.redis_server import PATIENCE, RedisServer
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.marks import Marks
from wsservice.adapters.redis.nodes import Nodes
from wsservice.adapters.redis.url import RedisUrl
from wsservice.counters import Counters

CHANNEL = b"socket.io#/#"
QUEUE_BYTES = 200_000
MARKS, ROOMS, MESSAGES = 20_000, 2000, 1000


class RewritingTests(TestCase):
    timeout = PATIENCE

    async def until(self, true: Callable[[], Any]) -> None:
        """Let the reactor turn until it is so; trial's timeout bounds it."""
        while not true():
            await deferLater(reactor, 0.01)

    async def until_counted(self, link: RedisLink, key: bytes, count: int, tag: str) -> None:
        """Until so many fields of the node's present tag are in the hash, and no others."""
        fields: list[bytes] = []
        while len(fields) != count or not all(field.startswith(tag.encode() + b":") for field in fields):
            await deferLater(reactor, 0.05)
            fields = await link.command(b"HKEYS", key)

    async def test_marks_are_written_again_and_held_messages_are_kept(self) -> None:
        server = RedisServer(self.mktemp(), keep=True)
        self.addCleanup(server.stop)
        counters = Counters()
        link = RedisLink(reactor, RedisUrl.parse(server.url), counters, queue_bytes=QUEUE_BYTES)
        self.addCleanup(link.stop)
        nodes = Nodes(link, Keys("socket.io"), reactor)
        marks = Marks(link, nodes, reactor)
        got: list[bytes] = []
        link.subscribe(CHANNEL, lambda channel, message: got.append(message))
        nodes.start()
        self.addCleanup(nodes.stop)
        link.start()
        await self.until(lambda: link.is_up)
        for number in range(MARKS):  # as when all enter a room
            marks.put(b"all", f"c{number}", b"user")
        for number in range(ROOMS):
            marks.put(b"room%d" % number, f"c{number}", b"user")
        await self.until_counted(link, b"all", MARKS, marks.tag)
        server.kill()
        await self.until(lambda: not link.is_up)
        heard: Deferred[None] = Deferred()  # messages wait until the subscriptions are in force, as in `gathering`
        link.before_messages = lambda: heard
        link.on_up.append(lambda: heard.callback(None))
        for number in range(MESSAGES):
            link.publish(CHANNEL, b"%d" % number)
        server.start()
        await self.until(lambda: link.is_up)
        await self.until_counted(link, b"all", MARKS, marks.tag)
        for number in (0, ROOMS // 2, ROOMS - 1):
            await self.until_counted(link, b"room%d" % number, 1, marks.tag)
        await self.until(lambda: len(got) == MESSAGES)
        self.assertEqual(got, [b"%d" % number for number in range(MESSAGES)])
        self.assertEqual(counters.get("cluster_dropped", "queue_full"), 0)
        self.assertEqual(counters.get("cluster_faults", "shed"), 0)
