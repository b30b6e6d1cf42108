"""Tests of wsservice.expiry."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.expiry import MAX_SLEEP, Expirations


class Member:
    """Remembers when it expired."""

    def __init__(self, world: World, expires_at: float) -> None:
        self.world = world
        self.expires_at = expires_at
        self.expired: list[float] = []

    def expire(self) -> None:
        self.expired.append(self.world.wall)


class World:
    """A monotonic clock for timers, and a wall clock that can be set."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.offset = 1000.0
        self.expirations = Expirations(self.clock, lambda: self.wall)

    @property
    def wall(self) -> float:
        return self.clock.seconds() + self.offset

    @property
    def timers(self) -> int:
        return len(self.clock.getDelayedCalls())

    def add(self, expires_at: float) -> Member:
        member = Member(self, expires_at)
        self.expirations.add(member)
        return member

    def move(self, member: Member, expires_at: float) -> None:
        self.expirations.discard(member)
        member.expires_at = expires_at
        self.expirations.add(member)

    def run(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, in steps."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)


class ExpirationsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_nothing_to_watch_needs_no_timer(self) -> None:
        self.assertEqual(self.world.timers, 0)

    def test_a_connection_ends_within_a_second_after_its_time_and_once(self) -> None:
        members = [self.world.add(1010 + tenths / 10) for tenths in range(11)]
        self.world.run(60, 0.25)
        for member in members:
            self.assertEqual(len(member.expired), 1)
            self.assertGreaterEqual(member.expired[0], member.expires_at)
            self.assertLess(member.expired[0], member.expires_at + 1)

    def test_what_has_expired_already_ends_at_once_but_not_within_add(self) -> None:
        member = self.world.add(5)
        self.assertEqual(member.expired, [])
        self.world.clock.advance(0)
        self.assertEqual(member.expired, [1000])

    def test_many_connections_share_one_timer(self) -> None:
        for seconds in (500, 300, 400, 300, 100, 600, 100.5):
            self.world.add(1000 + seconds)
            self.assertEqual(self.world.timers, 1)
        self.world.run(200)
        self.assertEqual(self.world.timers, 1)

    def test_those_of_one_second_do_not_set_the_timer_anew(self) -> None:
        self.world.add(1003)
        timer = self.world.clock.getDelayedCalls()[0]
        for _ in range(1000):
            self.world.add(1003)
        self.assertEqual(self.world.clock.getDelayedCalls(), [timer])
        self.assertEqual(timer.getTime(), 3)

    def test_one_that_is_discarded_does_not_expire(self) -> None:
        member, other = self.world.add(1010), self.world.add(1010)
        self.world.expirations.discard(member)
        self.world.run(60)
        self.assertEqual((member.expired, len(other.expired)), ([], 1))

    def test_discarding_what_is_not_watched_does_nothing(self) -> None:
        member = Member(self.world, 1010)
        self.world.expirations.discard(member)
        self.world.add(1010)
        self.world.expirations.discard(member)
        self.assertEqual(member.expired, [])

    def test_one_that_is_moved_expires_at_its_new_time_only(self) -> None:
        later, sooner = self.world.add(1010), self.world.add(1100)
        self.world.move(later, 1050)
        self.world.move(sooner, 1020)
        self.world.run(200)
        self.assertEqual(len(later.expired), 1)
        self.assertEqual(len(sooner.expired), 1)
        self.assertGreaterEqual(later.expired[0], 1050)
        self.assertLess(sooner.expired[0], 1021)

    def test_a_wall_clock_that_is_set_forward_is_seen_soon(self) -> None:
        member = self.world.add(5000)
        self.world.run(10)
        self.world.offset += 10_000
        self.world.run(MAX_SLEEP)
        self.assertEqual(len(member.expired), 1)

    def test_a_wall_clock_that_is_set_back_gives_the_time_back(self) -> None:
        member = self.world.add(1010)
        self.world.offset -= 100
        self.world.run(50)
        self.assertEqual(member.expired, [])
        self.world.run(61)
        self.assertEqual(len(member.expired), 1)

    def test_an_end_in_the_far_future_needs_no_large_timer(self) -> None:
        for end in (1e15, 1e300, 10**400):
            self.world.add(end)
        self.world.run(20)
        self.assertEqual(self.world.timers, 1)
        self.assertLessEqual(self.world.clock.getDelayedCalls()[0].getTime() - self.world.clock.seconds(), MAX_SLEEP)

    def test_a_stop_leaves_no_timer_and_expires_nobody(self) -> None:
        member = self.world.add(1010)
        self.world.expirations.stop()
        self.assertEqual(self.world.timers, 0)
        self.world.run(60)
        self.assertEqual(member.expired, [])
        self.world.expirations.discard(member)
        self.world.expirations.stop()

    def test_it_works_on_after_a_stop(self) -> None:
        self.world.add(1010)
        self.world.expirations.stop()
        member = self.world.add(1010)
        self.world.run(20)
        self.assertEqual(len(member.expired), 1)

    def test_one_that_cannot_be_ended_does_not_keep_the_others(self) -> None:
        members = [self.world.add(1010) for _ in range(5)]
        for member in members[:2]:
            member.expire = lambda: 1 / 0  # type: ignore[method-assign,assignment]
        later = self.world.add(1020)
        self.world.run(60)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual([len(member.expired) for member in [*members[2:], later]], [1, 1, 1, 1])

    def test_connections_may_be_added_moved_and_discarded_while_one_expires(self) -> None:
        world = self.world
        added: list[Member] = []
        kept, moved, gone = world.add(1020), world.add(1020), world.add(1020)

        def expire() -> None:
            added.extend([world.add(1000), world.add(1015), world.add(1200)])
            world.move(moved, 1100)
            world.expirations.discard(gone)

        first = world.add(1010)
        first.expire = expire  # type: ignore[method-assign]
        world.run(50)
        self.assertEqual(world.timers, 1)
        self.assertEqual([len(member.expired) for member in (*added, kept, moved, gone)], [1, 1, 0, 1, 0, 0])
        world.run(200)
        self.assertEqual([len(member.expired) for member in (*added, kept, moved, gone)], [1, 1, 1, 1, 1, 0])
        self.assertEqual(world.timers, 0)

    def test_a_stop_while_one_expires_leaves_no_timer(self) -> None:
        member = self.world.add(1010)
        self.world.add(1050)
        member.expire = self.world.expirations.stop  # type: ignore[method-assign]
        self.world.run(20)
        self.assertEqual(self.world.timers, 0)

    @settings(deadline=None)
    @given(st.data())
    def test_whatever_happens_everyone_expires_in_time_and_once(self, data: Any) -> None:
        world = World()
        watched: list[Member] = []
        ended: list[Member] = []
        for _ in range(data.draw(st.integers(0, 12))):
            step = data.draw(st.sampled_from(["add", "add", "move", "discard", "wait"]))
            ends = world.wall + data.draw(st.floats(-5, 30))
            alive = [member for member in watched if not member.expired]
            if step == "add":
                watched.append(world.add(ends))
            elif step == "wait":
                world.run(data.draw(st.integers(0, 10)), 0.25)
            elif alive:
                member = data.draw(st.sampled_from(alive))
                if step == "move":
                    world.move(member, ends)
                else:
                    watched.remove(member)
                    world.expirations.discard(member)
                    ended.append(member)
            self.assertLessEqual(world.timers, 1)
        world.run(60, 0.25)
        for member in watched:
            self.assertEqual(len(member.expired), 1)
            self.assertGreaterEqual(member.expired[0], member.expires_at)
        self.assertEqual([member.expired for member in ended], [[]] * len(ended))
        self.assertEqual(world.timers, 0)
