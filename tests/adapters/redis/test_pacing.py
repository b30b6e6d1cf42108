"""Much that is written: a slice at a time."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import FakeLink
from wsservice.adapters.redis.pacing import SLICE, Pacing
from wsservice.errors import RedisUnavailable


class PacingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.link = FakeLink()
        self.pacing = Pacing(self.link)
        self.done: list[int] = []

    def steps(self, count: int, size: int = 1) -> Iterator[int]:
        for number in range(count):
            self.done.append(number)
            yield size

    def test_a_slice_is_written_when_the_one_before_is_answered(self) -> None:
        self.pacing.begin(self.steps(2 * SLICE + 1))
        self.assertEqual(len(self.done), SLICE)
        self.assertEqual(self.link.answer("PONG"), (b"PING",))
        self.assertEqual(len(self.done), 2 * SLICE)
        self.link.answer("PONG")
        self.assertEqual(self.done, list(range(2 * SLICE + 1)))
        self.assertEqual(self.link.asked, [])

    def test_steps_may_be_large(self) -> None:
        self.pacing.begin(self.steps(10, SLICE // 2))
        self.assertEqual(len(self.done), 2)

    def test_it_ends_when_redis_is_away_or_it_is_stopped_or_another_one_begins(self) -> None:
        self.pacing.begin(self.steps(2 * SLICE))
        self.link.answer(RedisUnavailable("gone"))
        self.pacing.begin(self.steps(2 * SLICE))
        self.link.up = False
        self.link.answer("PONG")
        self.pacing.begin(self.steps(2 * SLICE))
        self.assertEqual(len(self.done), 2 * SLICE)
        self.link.up = True
        self.pacing.begin(self.steps(2 * SLICE))
        self.pacing.begin(self.steps(2 * SLICE))
        self.link.answer("PONG")
        self.assertEqual(len(self.done), 4 * SLICE)
        self.pacing.stop()
        self.link.answer("PONG")
        self.assertEqual(len(self.done), 4 * SLICE)
