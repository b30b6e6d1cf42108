"""Tests of wsservice.deadlines, against a table that is searched from end to end."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.deadlines import Deadlines, RunningClock


class Blockable:
    """A loop on a Clock, and the monotonic time, which runs on while the loop is blocked."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.blocked = 0.0
        self.clock = RunningClock(lambda: self.reactor.seconds() + self.blocked)
        self.deadlines = Deadlines(self.reactor, self.clock)

    def run(self, seconds: float) -> None:
        """The loop runs so long, with no timer later than it should be."""
        end = self.reactor.seconds() + seconds
        while True:
            times = [call.getTime() for call in self.reactor.getDelayedCalls()]
            if not times or min(times) > end:
                break
            self.reactor.advance(max(0.0, min(times) - self.reactor.seconds()))
        self.reactor.advance(end - self.reactor.seconds())

    def block(self, seconds: float) -> None:
        """A handler blocks the loop so long."""
        self.blocked += seconds
        self.reactor.rightNow += seconds
        self.blocked -= seconds
        self.reactor.advance(0)


class FakeOwner:
    """Remembers when it was called, and sets a new deadline `every` so many seconds."""

    def __init__(self, deadlines: Deadlines, every: float | None = None) -> None:
        self.deadlines = deadlines
        self.every = every
        self.called: list[float] = []

    def set(self, when: float | None) -> None:
        self.deadlines.set(self, when)

    def handle_timer(self, now: float) -> None:
        self.called.append(now)
        self.set(None if self.every is None else now + self.every)


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Blockable()
        self.deadlines = self.loop.deadlines
        self.reactor = self.loop.reactor

    def owner(self, when: float | None = None, every: float | None = None) -> FakeOwner:
        owner = FakeOwner(self.deadlines, every)
        if when is not None:
            owner.set(when)
        return owner

    def timers(self) -> list[float]:
        return [call.getTime() for call in self.reactor.getDelayedCalls()]

    def nothing_is_left(self) -> None:
        """All owners are gone."""
        tables = {name: value for name, value in vars(self.deadlines).items() if isinstance(value, dict | list)}
        self.assertEqual(tables, dict.fromkeys(tables) | {name: type(value)() for name, value in tables.items()})
        self.assertEqual((len(self.deadlines), self.timers()), (0, []))


class DeadlinesTests(Base):
    def test_an_owner_is_called_when_its_deadline_has_come_and_not_before(self) -> None:
        owner = self.owner(5.0)
        self.reactor.advance(4.5)
        self.assertEqual(owner.called, [])
        self.reactor.advance(0.5)
        self.assertEqual(owner.called, [5.0])
        self.nothing_is_left()

    def test_a_deadline_in_the_past_comes_at_once_but_not_within_the_call_and_costs_no_time(self) -> None:
        self.reactor.advance(10)
        owner = self.owner(3.0)
        self.assertEqual(owner.called, [])
        self.reactor.advance(0)
        self.assertEqual((owner.called, self.loop.clock.seconds()), ([10.0], 10.0))

    def test_the_earlier_deadline_comes_first_whatever_the_order_of_setting(self) -> None:
        owners = [self.owner(when) for when in (3.0, 1.0, 2.0)]
        self.loop.run(3)
        self.assertEqual([owner.called for owner in owners], [[3.0], [1.0], [2.0]])

    def test_a_deadline_that_moves_into_the_future_costs_no_timer(self) -> None:
        owner = self.owner(5.0)
        (timer,) = self.reactor.getDelayedCalls()
        for when in range(6, 100):
            owner.set(float(when))
        self.assertEqual(self.reactor.getDelayedCalls(), [timer])
        self.assertEqual(len(vars(self.deadlines)["_heap"]), 1)
        self.loop.run(98)
        self.assertEqual(owner.called, [])
        self.loop.run(1)
        self.assertEqual(owner.called, [99.0])

    def test_a_deadline_that_moves_nearer_comes_nearer_and_once(self) -> None:
        owner = self.owner(50.0)
        for when in (40.0, 30.0, 45.0, 20.0):
            owner.set(when)
        self.loop.run(60)
        self.assertEqual(owner.called, [20.0])
        self.nothing_is_left()

    def test_a_deadline_that_was_taken_away_does_not_come(self) -> None:
        first, second = self.owner(1.0), self.owner(2.0)
        first.set(None)
        first.set(None)
        self.loop.run(3)
        self.assertEqual((first.called, second.called), ([], [2.0]))
        self.nothing_is_left()

    def test_a_deadline_may_be_taken_away_and_set_again(self) -> None:
        first, second = self.owner(1.0), self.owner(9.0)
        first.set(None)
        first.set(1.0)
        self.loop.run(2)
        self.assertEqual((first.called, second.called), ([1.0], []))

    def test_there_is_one_timer_for_any_number_of_owners(self) -> None:
        owners = [self.owner(10.0 - number / 200, every=5.0) for number in range(1000)]
        for _ in range(8):
            self.assertEqual(len(self.timers()), 1)
            self.loop.run(5)
        self.assertEqual({len(owner.called) for owner in owners}, {7})
        for owner in owners:
            owner.set(None)
        self.nothing_is_left()

    def test_an_owner_may_take_away_and_set_those_of_others(self) -> None:
        first, second, third = (self.owner(1.0) for _ in range(3))

        def meddle(now: float) -> None:
            second.set(None)
            third.set(4.0)
            first.set(None)

        first.handle_timer = meddle  # type: ignore[method-assign]
        self.loop.run(3)
        self.assertEqual((second.called, third.called), ([], []))
        self.loop.run(1)
        self.assertEqual(third.called, [4.0])
        self.nothing_is_left()

    def test_the_last_owner_may_go_while_it_is_called(self) -> None:
        self.owner(1.0)
        self.loop.run(1)
        self.nothing_is_left()

    def test_an_owner_that_stays_due_is_asked_again_later_and_the_others_in_time(self) -> None:
        stubborn, other = self.owner(), self.owner(1.5)
        stubborn.handle_timer = stubborn.called.append  # type: ignore[method-assign]
        stubborn.set(1.0)
        self.loop.run(3)
        self.assertEqual((stubborn.called, other.called), ([1.0, 2.0, 3.0], [1.5]))

    def test_an_owner_that_fails_is_asked_again_later_and_the_others_in_time(self) -> None:
        broken, other = self.owner(), self.owner(1.0)

        def fail(now: float) -> None:
            broken.called.append(now)
            raise ZeroDivisionError

        broken.handle_timer = fail  # type: ignore[method-assign]
        broken.set(1.0)
        later = self.owner(1.0)
        self.loop.run(1)
        self.assertEqual((broken.called, other.called, later.called), ([1.0], [1.0], [1.0]))
        self.loop.run(1)
        self.assertEqual(broken.called, [1.0, 2.0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        broken.set(None)
        self.nothing_is_left()


class RunningClockTests(Base):
    def test_it_is_the_clock_without_what_was_lost(self) -> None:
        now = 100.0
        clock = RunningClock(lambda: now)
        self.assertEqual(clock.seconds(), 100.0)
        clock.lose(30)
        clock.lose(0.5)
        self.assertEqual(clock.seconds(), 69.5)
        now = 110.0
        self.assertEqual(clock.seconds(), 79.5)

    def test_while_the_loop_is_blocked_time_stands_still(self) -> None:
        nearest, next_one = self.owner(10.0, every=10.0), self.owner(15.0)
        self.loop.run(5)
        self.loop.block(100)
        self.assertEqual((nearest.called, next_one.called), ([10.0], []))
        self.assertEqual((self.loop.clock.seconds(), self.reactor.seconds()), (10.0, 105.0))
        self.loop.run(4)
        self.assertEqual(next_one.called, [])
        self.loop.run(1)
        self.assertEqual(next_one.called, [15.0])
        self.loop.run(5)
        self.assertEqual(nearest.called, [10.0, 20.0])

    def test_who_asks_before_the_timer_runs_finds_that_it_stands_still(self) -> None:
        owner = self.owner(10.0)
        self.reactor.rightNow += 100
        self.assertEqual(self.loop.clock.seconds(), 10.0)
        self.assertEqual(owner.called, [])
        self.reactor.advance(0)
        self.assertEqual((owner.called, self.loop.clock.seconds()), ([10.0], 10.0))
        self.nothing_is_left()

    def test_a_wall_clock_that_is_set_back_does_not_keep_deadlines_away(self) -> None:
        owner = self.owner(10.0, every=10.0)
        self.reactor.rightNow -= 3600
        self.loop.blocked += 3600
        self.loop.run(12)
        self.assertEqual(owner.called, [])
        self.assertEqual(self.loop.clock.seconds(), 10.0)  # somebody asks
        self.loop.run(0)
        self.assertEqual(owner.called, [10.0])
        self.loop.run(10)
        self.assertEqual(owner.called, [10.0, 20.0])

    def test_a_loop_that_is_a_little_late_loses_nothing(self) -> None:
        owner = self.owner(10.0)
        self.reactor.advance(11)
        self.assertEqual((owner.called, self.loop.clock.seconds()), ([11.0], 11.0))

    def test_a_wall_clock_that_jumps_ahead_brings_no_deadline_nearer(self) -> None:
        owner = self.owner(100.0)
        self.loop.blocked -= 50  # the reactor's time is the wall clock's, the deadlines' is not
        self.reactor.advance(50)
        self.reactor.advance(50)
        self.assertEqual((owner.called, self.loop.clock.seconds()), ([], 50.0))
        self.loop.run(50)
        self.assertEqual(owner.called, [100.0])


NUMBERS = st.integers(0, 4)
TIMES = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 7.0])


class DeadlinesMachine(RuleBasedStateMachine):
    """Deadlines against a plain table."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Blockable()
        self.owners = [FakeOwner(self.loop.deadlines) for _ in range(5)]
        self.when: dict[int, float] = {}
        self.expected: list[list[float]] = [[] for _ in self.owners]

    @rule(number=NUMBERS, delay=TIMES)
    def set(self, number: int, delay: float) -> None:
        when = self.loop.clock.seconds() + delay
        self.owners[number].set(when)
        self.when[number] = when

    @rule(number=NUMBERS, delay=TIMES)
    def repeat(self, number: int, delay: float) -> None:
        """From now on a call sets a new deadline; one of 0 seconds would never let the time pass."""
        self.owners[number].every = delay or None

    @rule(number=NUMBERS)
    def take_away(self, number: int) -> None:
        self.owners[number].set(None)
        self.when.pop(number, None)

    @rule(seconds=TIMES)
    def run(self, seconds: float) -> None:
        end = self.loop.clock.seconds() + seconds
        while self.when and min(self.when.values()) <= end:
            number = min(self.when, key=lambda one: self.when[one])
            due = self.when.pop(number)
            self.expected[number].append(due)
            every = self.owners[number].every
            if every is not None:
                self.when[number] = due + every
        self.loop.run(seconds)

    @rule(seconds=st.sampled_from([0.5, 2.0, 50.0, 10_000.0]))
    def block(self, seconds: float) -> None:
        """Whoever is called was due, not long ago, in a time that did not run faster than the loop."""
        before, begun = [len(owner.called) for owner in self.owners], self.loop.clock.seconds()
        self.loop.block(seconds)
        now = self.loop.clock.seconds()
        assert begun <= now <= begun + seconds
        for number, owner in enumerate(self.owners):
            for called in owner.called[before[number] :]:
                assert self.when[number] <= called <= min(now, self.when[number] + 1.0)
                self.expected[number].append(called)
                if owner.every is None:
                    del self.when[number]
                else:
                    self.when[number] = called + owner.every
        assert all(when > now for when in self.when.values())

    @invariant()
    def the_same_were_called(self) -> None:
        assert [owner.called for owner in self.owners] == self.expected

    @invariant()
    def there_is_one_timer_where_there_is_a_deadline(self) -> None:
        assert len(self.loop.deadlines) == len(self.when)
        assert len(self.loop.reactor.getDelayedCalls()) == bool(self.when)
        if not self.when:
            tables = vars(self.loop.deadlines)
            assert [tables[name] for name in ("_when", "_looks", "_heap")] == [{}, {}, []]


class ModelTests(SynchronousTestCase):
    def test_whatever_is_set_the_same_owners_are_called_at_the_same_times(self) -> None:
        run_state_machine_as_test(
            DeadlinesMachine, settings=settings(deadline=None, max_examples=100, stateful_step_count=30)
        )
