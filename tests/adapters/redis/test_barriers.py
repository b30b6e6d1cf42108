"""Whether everything has come that was recorded before."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.fake_redis import FakeLink, FakeRedis
from wsservice.adapters.redis.barriers import Barriers
from wsservice.errors import ClusterError, RedisRefused, RedisUnavailable


class BarriersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.link = FakeLink(FakeRedis(Clock()))
        self.held: list[Callable[[], None]] = []
        self.barriers = Barriers(self.link, b"barrier", self.held.append)  # type: ignore[arg-type]

    def test_it_is_passed_behind_what_is_held(self) -> None:
        self.link.connect()
        first, second = self.barriers.set(), self.barriers.set()
        self.link.execute()
        self.link.hear()
        self.link.answer()
        self.assertNoResult(first)
        self.held[0]()
        self.assertIs(self.successResultOf(first), None)
        self.assertNoResult(second)
        self.held[1]()
        self.assertIs(self.successResultOf(second), None)
        self.held[1]()  # heard twice

    def test_without_redis_it_fails_at_once_and_when_redis_goes(self) -> None:
        self.failureResultOf(self.barriers.set(), RedisUnavailable)
        self.link.connect()
        waiting = self.barriers.set()
        self.barriers.fail()
        self.failureResultOf(waiting, RedisUnavailable)

    def test_one_that_cannot_be_sent_is_not_waited_for(self) -> None:
        self.link.connect()
        waiting = self.barriers.set()
        _, answer = self.link.sent.popleft()
        answer.errback(RedisRefused("NOPERM this user has no permissions to access one of the channels"))
        self.failureResultOf(waiting, ClusterError)
