"""Tests of wsservice.auth.revocations."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.principal import Principal
from wsservice.auth.revocations import Revocations


def user(name: str = "alice", session: str = "s1", **claims: Any) -> Principal:
    return Principal(name, name, session, 5000.0, payload=msgspec.json.encode(claims))


class RevocationsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 1000.0
        self.forgotten = 0
        self.revocations = Revocations(lambda: self.time, 2, forgot=self.forget)

    def forget(self) -> None:
        self.forgotten += 1

    def test_of_a_session_every_token_is_refused_until_its_end(self) -> None:
        self.revocations.revoke("s1", 1010)
        for principal, expected in ((user(iat=2000), True), (user(session="s2", iat=900), False)):
            self.assertEqual(self.revocations.refuses(principal), expected)
            self.assertEqual(self.revocations.has_ended(principal), expected)
        self.assertTrue(self.revocations.is_revoked("s1"))
        self.time = 1010
        self.assertFalse(self.revocations.refuses(user(iat=900)))
        self.assertEqual(self.revocations.sessions(), [])

    def test_of_a_user_the_tokens_of_before_are_refused_until_the_end(self) -> None:
        self.assertTrue(self.revocations.revoke_user("alice", 1001.0, 1100.0))
        for principal, expected in (
            (user(iat=1000), True),
            (user(session="s2", iat=1000.9), True),
            (user(iat=1001), False),
            (user("bob", iat=900), False),
            (user(), True),  # nothing shows that it is newer
        ):
            self.assertEqual(self.revocations.refuses(principal), expected, principal)
        self.time = 1100.0
        self.assertFalse(self.revocations.refuses(user(iat=1000)))

    def test_a_new_token_of_an_old_login_is_seen_through_where_it_is_asked_for(self) -> None:
        self.revocations.revoke_user("alice", 1001.0, 1100.0)
        refreshed = user(iat=1050, auth_time=900)
        self.assertEqual((self.revocations.refuses(refreshed), self.revocations.has_ended(refreshed)), (False, True))
        for principal in (user(iat=1050, auth_time=1050), user(iat=1050), user("bob", auth_time=900)):
            self.assertFalse(self.revocations.has_ended(principal))

    def test_signing_out_again_is_news_only_if_it_is_later(self) -> None:
        told = [self.revocations.revoke_user("alice", before, 1100.0) for before in (1001.0, 1001.0, 990.0, 1002.0)]
        self.assertEqual(told, [True, False, False, True])
        self.assertEqual(self.revocations.users(), [("alice", 1002.0, 1100.0)])

    def test_what_is_over_is_no_news(self) -> None:
        self.assertFalse(self.revocations.revoke_user("alice", 900.0, 1000.0))
        self.assertEqual(self.revocations.users(), [])

    def test_users_and_sessions_have_each_their_room(self) -> None:
        for name in "ab":
            self.revocations.revoke(name, 1100.0)
            self.revocations.revoke_user(name, 1001.0, 1100.0)
        self.assertEqual(self.forgotten, 0)
        self.revocations.revoke_user("c", 1001.0, 1200.0)
        self.assertEqual((self.forgotten, len(self.revocations.users()), len(self.revocations.sessions())), (1, 2, 2))
