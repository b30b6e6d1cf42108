"""Tests of wsservice.engineio.heartbeat."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.engineio.heartbeat import Beat, Heartbeat, is_due
from wsservice.engineio.settings import Settings

SETTINGS = Settings(ping_interval=25, ping_timeout=20)


class HeartbeatTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.heart = Heartbeat(SETTINGS, 100)

    def test_the_first_ping_is_an_interval_after_the_start(self) -> None:
        self.assertEqual(self.heart.deadline, 125)
        self.assertIs(self.heart.handle_timer(124.9), Beat.NOTHING)
        self.assertIs(self.heart.handle_timer(125), Beat.PING)
        self.assertIs(self.heart.handle_timer(125), Beat.NOTHING)

    def test_the_next_one_is_an_interval_after_the_pong(self) -> None:
        self.heart.handle_timer(125)
        self.heart.pong(130)
        self.assertEqual(self.heart.deadline, 155)
        self.assertIs(self.heart.handle_timer(155), Beat.PING)

    def test_no_pong_is_death(self) -> None:
        self.heart.handle_timer(125)
        self.assertEqual(self.heart.deadline, 145)
        self.assertIs(self.heart.handle_timer(144.9), Beat.NOTHING)
        self.assertIs(self.heart.handle_timer(145), Beat.DEATH)
        self.assertIs(self.heart.handle_timer(200), Beat.DEATH)

    def test_a_late_timer_does_not_put_off_the_death(self) -> None:
        self.assertIs(self.heart.handle_timer(144), Beat.PING)
        self.assertIs(self.heart.handle_timer(145), Beat.DEATH)

    def test_nobody_has_to_look_in_between(self) -> None:
        self.assertIs(self.heart.handle_timer(145), Beat.DEATH)

    def test_unsolicited_pongs_only_move_the_next_ping(self) -> None:
        for _ in range(10_000):
            self.heart.pong(110)
        self.assertEqual(self.heart.deadline, 135)
        self.assertIs(self.heart.handle_timer(135), Beat.PING)
        self.assertIs(self.heart.handle_timer(135), Beat.NOTHING)

    def test_other_traffic_puts_off_the_death_once_for_each_ping(self) -> None:
        self.heart.traffic(120)
        self.assertEqual(self.heart.deadline, 125, "nothing is awaited")
        self.heart.handle_timer(125)
        for now in (135, 140, 150):
            self.heart.traffic(now)
        self.assertEqual(self.heart.deadline, 155)
        self.assertIs(self.heart.handle_timer(155), Beat.DEATH)

    def test_the_next_ping_may_be_put_off_again(self) -> None:
        self.heart.handle_timer(125)
        self.heart.traffic(130)
        self.heart.pong(140)
        self.heart.handle_timer(165)
        self.heart.traffic(170)
        self.assertEqual(self.heart.deadline, 190)

    @given(st.floats(0, 1e9), st.floats(0.001, 1e3), st.floats(0.001, 1e3))
    def test_sums_of_floats_do_not_keep_it_alive(self, now: float, interval: float, timeout: float) -> None:
        heart = Heartbeat(Settings(ping_interval=interval, ping_timeout=timeout), now)
        self.assertIs(heart.handle_timer(now + (interval + timeout)), Beat.DEATH)

    def test_who_is_not_listened_to_does_not_die_of_it(self) -> None:
        self.heart.listen(120, is_deaf=True)
        self.assertIs(self.heart.handle_timer(150), Beat.PING)  # no matter how late
        self.assertEqual(self.heart.deadline, 170)
        self.assertIs(self.heart.handle_timer(170), Beat.NOTHING)
        self.assertEqual(self.heart.deadline, 190)
        self.heart.listen(189, is_deaf=False)
        self.assertEqual(self.heart.deadline, 209)  # time for a pong
        self.heart.listen(200, is_deaf=False)
        self.assertIs(self.heart.handle_timer(209), Beat.DEATH)

    def test_not_listening_puts_off_no_ping(self) -> None:
        self.heart.listen(120, is_deaf=True)
        self.heart.listen(121, is_deaf=False)
        self.assertEqual(self.heart.deadline, 125)

    def test_a_deadline_is_due_when_it_has_come(self) -> None:
        self.assertTrue(is_due(1.0, 1.0))
        self.assertTrue(is_due(0.1 + 0.2, 0.3))
        self.assertFalse(is_due(1.0, 0.999))
