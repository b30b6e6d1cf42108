"""Tests of wsservice.pings."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.pings import Pings


class Peer:
    """Answers as long as it is well."""

    def __init__(self, pings: Pings, clock: Clock) -> None:
        self.pings, self.clock = pings, clock
        self.pong_awaited = False
        self.ping_slot: int | None = None
        self.answers = True
        self.pinged_at: list[float] = []
        self.gone_at: float | None = None

    def ping(self) -> None:
        self.pinged_at.append(self.clock.seconds())
        if self.answers:
            self.pong_awaited = False

    def pong_missing(self) -> None:
        self.gone_at = self.clock.seconds()
        self.pings.discard(self)


class PingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pings = Pings(self.clock, interval=25, timeout=20)

    def peer(self) -> Peer:
        peer = Peer(self.pings, self.clock)
        self.pings.add(peer)
        return peer

    def run_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)

    def test_each_is_pinged_once_an_interval(self) -> None:
        first = self.peer()
        self.run_for(7)
        second = self.peer()
        self.run_for(80)
        self.assertEqual((first.pinged_at, second.pinged_at), ([25, 50, 75], [32, 57, 82]))
        self.assertEqual((first.gone_at, second.gone_at), (None, None))

    def test_who_does_not_answer_is_gone_after_the_timeout(self) -> None:
        peer = self.peer()
        peer.answers = False
        self.run_for(44)
        self.assertIsNone(peer.gone_at)
        self.run_for(1)
        self.assertEqual(peer.gone_at, 45)
        self.assertEqual((len(self.pings), self.clock.getDelayedCalls()), (0, []))

    def test_a_late_answer_within_the_timeout_is_one(self) -> None:
        peer = self.peer()
        peer.answers = False
        self.run_for(44)
        peer.pong_awaited = False
        self.run_for(5)
        self.assertIsNone(peer.gone_at)

    def test_there_is_one_timer_and_none_without_connections(self) -> None:
        peers = [self.peer() for _ in range(100)]
        self.run_for(30)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for peer in peers:
            self.pings.discard(peer)
            self.pings.discard(peer)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.pings)), ([], 0))
        self.assertFalse(any(self.pings._slots) or any(self.pings._awaited))

    def test_one_that_breaks_does_not_spare_the_others(self) -> None:
        first, second = self.peer(), self.peer()
        for peer in (first, second):
            self.patch(peer, "ping", lambda: 1 / 0)
        third = self.peer()
        self.run_for(25)
        self.assertEqual(third.pinged_at, [25])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_short_intervals_have_short_ticks(self) -> None:
        pings = Pings(self.clock, interval=0.5, timeout=0.5)
        peer = Peer(pings, self.clock)
        pings.add(peer)
        peer.answers = False
        for _ in range(130):
            self.clock.advance(0.01)
        self.assertLess(abs(peer.pinged_at[0] - 0.5), 0.1)
        assert peer.gone_at is not None
        self.assertLess(abs(peer.gone_at - 1.0), 0.2)

    @settings(max_examples=100)
    @given(
        st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=20),
        st.sampled_from([10, 5, 3]),
    )
    def test_whoever_comes_and_goes_no_well_one_is_lost_and_nothing_stays(
        self, steps: list[tuple[int, bool, bool]], timeout: int
    ) -> None:
        clock = Clock()
        pings = Pings(clock, interval=10, timeout=timeout)
        peers: list[Peer] = []
        for seconds, answers, leaves in steps:
            for _ in range(seconds):
                clock.advance(1)
            if leaves and peers:
                left = peers.pop(0)
                pings.discard(left)
                self.assertFalse(any(left in slot for slot in (*pings._slots, *pings._awaited)))
            else:
                peers.append(Peer(pings, clock))
                peers[-1].answers = answers
                pings.add(peers[-1])
        for _ in range(30):
            clock.advance(1)
        for peer in peers:
            self.assertEqual(peer.gone_at is None, peer.answers)
            pings.discard(peer)
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertFalse(any(pings._slots) or any(pings._awaited))
