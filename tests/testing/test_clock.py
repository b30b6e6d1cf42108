"""A clock that stops at everything that is due."""

from __future__ import annotations

from twisted.internet.task import Clock, LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from wsservice.testing import SteppingClock


class SteppingClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = SteppingClock(1000.0)
        self.seen: list[float] = []

    def note(self) -> None:
        self.seen.append(self.clock.seconds())

    def test_each_call_sees_its_own_time(self) -> None:
        looping = LoopingCall(self.note)
        looping.clock = self.clock
        looping.start(10.0, now=False)
        self.clock.advance(35)
        self.assertEqual((self.seen, self.clock.seconds()), ([1010.0, 1020.0, 1030.0], 1035.0))

    def test_what_is_due_at_once_runs_in_its_order_and_what_it_leads_to_as_well(self) -> None:
        self.clock.callLater(0, lambda: self.clock.callLater(0, self.note))
        self.clock.callLater(1, self.note)
        self.clock.advance(0)
        self.assertEqual(self.seen, [1000.0])

    def test_between_two_moments_everything_comes_to_rest(self) -> None:
        steps: list[float] = []
        self.clock.settle = lambda: steps.append(self.clock.seconds())
        for delay in (1, 2, 2):
            self.clock.callLater(delay, self.note)
        self.clock.advance(3)
        self.assertEqual((steps, self.seen), ([1000.0, 1001.0, 1002.0], [1001.0, 1002.0, 1002.0]))

    def test_time_does_not_run_backwards(self) -> None:
        self.assertRaises(ValueError, self.clock.advance, -1)

    def test_what_never_ends_is_told(self) -> None:
        def again() -> None:
            self.clock.callLater(0, again)

        again()
        self.assertRaises(AssertionError, self.clock.advance, 1)

    def test_it_is_a_clock_of_twisted(self) -> None:
        self.assertIsInstance(self.clock, Clock)
