"""Tests of wsservice.admin.sessions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.admin.sessions import CAPACITY, AdminSessions


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.0
        self.sessions = AdminSessions(lambda: self.now, 60)

    def test_one_is_found_by_its_id_until_it_ends(self) -> None:
        session_id, _, end = self.sessions.begin()
        self.assertEqual((end, self.sessions.end_of(session_id)), (1060, 1060))
        self.now = 1060
        self.assertIsNone(self.sessions.end_of(session_id))
        self.assertEqual(len(self.sessions), 0)

    def test_nothing_else_finds_one(self) -> None:
        _, digest, _ = self.sessions.begin()
        for other in (None, "", 7, ["x"], digest, "x" * 101, "\udc80"):
            self.assertIsNone(self.sessions.end_of(other))

    def test_one_of_another_process_is_known_by_its_digest_and_lives_no_longer_than_ours(self) -> None:
        elsewhere = AdminSessions(lambda: self.now, 600)
        session_id, digest, end = elsewhere.begin()
        self.sessions.note(digest, end)
        self.assertEqual(self.sessions.end_of(session_id), 1060)

    def test_they_are_bounded(self) -> None:
        first, *_ = [self.sessions.begin()[0] for _ in range(CAPACITY + 1)]
        self.assertEqual(len(self.sessions), CAPACITY)
        self.assertIsNone(self.sessions.end_of(first))
