"""What waited for Redis is held until the others are back."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import FakeLink
from wsservice.adapters.redis.gathering import PATIENCE, Gathering
from wsservice.errors import RedisUnavailable

CHANNEL = b"socket.io-request#/#"


class GatheringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.link, self.clock = FakeLink(), Clock()
        self.gathering = Gathering(self.link, lambda: CHANNEL, self.clock)
        self.gathering.start()

    def count(self, number: int) -> None:
        """Redis says how many there are."""
        self.assertEqual(self.link.answer([CHANNEL, number]), (b"PUBSUB", b"NUMSUB", CHANNEL))

    def usual(self, number: int) -> None:
        self.clock.advance(1)
        self.count(number)

    def test_at_the_first_time_nobody_is_waited_for(self) -> None:
        gathered = self.link.before_messages()
        self.count(0)
        self.successResultOf(gathered)

    def test_as_many_as_before_are_waited_for(self) -> None:
        self.usual(3)
        gathered = self.link.before_messages()
        for number in (0, 1, 2):
            self.count(number)
            self.assertNoResult(gathered)
            self.clock.advance(0.1)
        self.count(3)
        self.successResultOf(gathered)
        self.gathering.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_they_are_waited_for_only_so_long(self) -> None:
        self.usual(3)
        gathered = self.link.before_messages()
        for _ in range(int(PATIENCE / 0.1) + 2):
            if self.link.asked:
                self.count(2)
                self.clock.advance(0.1)
        self.successResultOf(gathered)
        self.usual(2)
        gathered = self.link.before_messages()
        self.count(2)
        self.successResultOf(gathered)

    def test_redis_may_be_gone_again(self) -> None:
        self.usual(3)
        gathered = self.link.before_messages()
        self.link.answer(RedisUnavailable("gone"))
        self.successResultOf(gathered)
        self.clock.advance(1)
        self.link.answer(RedisUnavailable("gone"))
        self.link.up = False
        self.clock.advance(1)
        self.assertEqual(self.link.asked, [])

    def test_a_node_that_stops_waits_for_nobody(self) -> None:
        self.usual(3)
        gathered = self.link.before_messages()
        self.count(1)
        self.gathering.stop()
        self.successResultOf(gathered)
        self.assertEqual(self.clock.getDelayedCalls(), [])
