"""Tests of wsservice.auth.providers.dev."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import jwt
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.providers import dev
from wsservice.auth.providers.base import Challenge, Tokens
from wsservice.auth.providers.dev import DEV_RULES, DevProvider, DevUser, default_users
from wsservice.errors import (
    ChallengeFailed,
    ExpiredToken,
    InvalidCredentials,
    InvalidToken,
    NotPermitted,
    PasswordPolicy,
    ProviderError,
    SessionExpired,
)

USERS = [
    DevUser("alice", "correct horse", groups=("admin",)),
    DevUser("bob", "battery staple"),
    DevUser("newuser", "temporary", must_change=True),
]


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 1_800_000_000.5
        self.dev = self.make()

    def make(self, **arguments: Any) -> DevProvider:
        return DevProvider(**({"now": lambda: self.time, "users": USERS} | arguments))

    def login(self, username: str = "alice", password: str = "correct horse") -> Tokens:
        tokens = self.successResultOf(self.dev.login(username, password))
        self.assertIsInstance(tokens, Tokens)
        return tokens

    def challenge(self) -> Challenge:
        challenge = self.successResultOf(self.dev.login("newuser", "temporary"))
        self.assertIsInstance(challenge, Challenge)
        return challenge


class UsersTests(SynchronousTestCase):
    def test_there_are_four_users_with_random_passwords(self) -> None:
        first, second = (DevProvider(now=lambda: 0.0).credentials for _ in range(2))
        self.assertEqual([name for name, _ in first], ["alice", "bob", "carol", "newuser"])
        passwords = [password for _, password in first + second]
        self.assertEqual(len(set(passwords)), 8)
        for password in passwords:
            self.assertRegex(password, r"\A[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\Z")

    def test_alice_is_an_admin_and_newuser_must_set_a_password(self) -> None:
        users = {user.username: user for user in default_users()}
        self.assertEqual([user.groups for user in users.values()], [("admin",), (), (), ()])
        self.assertEqual([name for name, user in users.items() if user.must_change], ["newuser"])

    def test_a_password_does_not_stand_in_a_repr(self) -> None:
        self.assertNotIn("correct horse", repr(USERS))


class LoginTests(Case):
    def test_the_token_that_a_login_gives_is_verified(self) -> None:
        principal = self.successResultOf(self.dev.verify(self.login().token))
        self.assertEqual(principal.username, "alice")
        self.assertEqual(principal.roles, {"admin"})
        self.assertEqual(principal.scopes, {"aws.cognito.signin.user.admin"})
        self.assertEqual(principal.expires_at, 1_800_003_600)

    def test_the_claims_are_those_of_cognitos_access_tokens(self) -> None:
        claims = claims_of(self.login().token)
        self.assertEqual(
            set(claims),
            {
                *("sub", "cognito:groups", "iss", "version", "client_id", "origin_jti", "event_id", "token_use"),
                *("scope", "auth_time", "exp", "iat", "jti", "username"),
            },
        )
        self.assertEqual((claims["token_use"], claims["version"], claims["iat"]), ("access", 2, 1_800_000_000))

    def test_a_user_without_groups_has_no_such_claim(self) -> None:
        self.assertNotIn("cognito:groups", claims_of(self.login("bob", "battery staple").token))

    def test_a_user_keeps_the_id_and_every_login_is_a_session_of_its_own(self) -> None:
        first, second = claims_of(self.login().token), claims_of(self.login().token)
        other = claims_of(self.login("bob", "battery staple").token)
        self.assertEqual(first["sub"], second["sub"])
        self.assertNotEqual(first["sub"], other["sub"])
        self.assertNotEqual(first["origin_jti"], second["origin_jti"])

    def test_a_wrong_user_and_a_wrong_password_are_the_same(self) -> None:
        failures = [
            self.failureResultOf(self.dev.login(username, password), InvalidCredentials).value
            for username, password in (
                ("alice", "wrong"),
                ("nobody", "wrong"),
                ("nobody", self.dev._nobodys_password),
                ("Alice", "correct horse"),
                ("alice", ""),
                ("", ""),
                ("alice", "correct horse "),
                ("alice", "\ud800"),
            )
        ]
        self.assertEqual(len({(type(error), str(error)) for error in failures}), 1)

    def test_every_refusal_is_a_provider_error(self) -> None:
        self.failureResultOf(self.dev.login("alice", "wrong"), ProviderError)

    def test_a_token_ends_after_its_lifetime(self) -> None:
        self.dev = self.make(lifetime=2)
        token = self.login().token
        self.time += 1
        self.successResultOf(self.dev.verify(token))
        self.time += 1
        self.failureResultOf(self.dev.verify(token), ExpiredToken)

    def test_a_lifetime_of_nothing_is_refused(self) -> None:
        self.assertRaises(ValueError, self.make, lifetime=0)

    def test_a_token_of_another_process_is_refused(self) -> None:
        self.failureResultOf(self.make().verify(self.login().token), InvalidToken)

    def test_groups_can_be_required(self) -> None:
        self.dev = self.make(rules=replace(DEV_RULES, required_groups=frozenset({"admin"})))
        self.successResultOf(self.dev.verify(self.login().token))
        self.failureResultOf(self.dev.verify(self.login("bob", "battery staple").token), NotPermitted)

    def test_it_is_ready_from_the_start(self) -> None:
        self.dev.start()
        self.assertTrue(self.dev.readiness().ready)
        self.assertTrue(self.dev.can_login)
        self.successResultOf(self.dev.stop())


class ChallengeTests(Case):
    def test_the_new_user_sets_a_password_and_is_in(self) -> None:
        challenge = self.challenge()
        self.assertEqual((challenge.name, challenge.username), ("NEW_PASSWORD_REQUIRED", "newuser"))
        tokens = self.successResultOf(self.dev.answer(challenge, {"NEW_PASSWORD": "my own one"}))
        assert isinstance(tokens, Tokens)
        self.assertEqual(self.successResultOf(self.dev.verify(tokens.token)).username, "newuser")
        self.login("newuser", "my own one")
        self.failureResultOf(self.dev.login("newuser", "temporary"), InvalidCredentials)
        self.assertIn(("newuser", "my own one"), self.dev.credentials)

    def test_a_challenge_is_answered_once(self) -> None:
        challenge = self.challenge()
        self.successResultOf(self.dev.answer(challenge, {"NEW_PASSWORD": "my own one"}))
        self.failureResultOf(self.dev.answer(challenge, {"NEW_PASSWORD": "my own two"}), ChallengeFailed)

    def test_a_weak_password_is_refused_and_another_one_taken(self) -> None:
        challenge = self.challenge()
        self.failureResultOf(self.dev.answer(challenge, {"NEW_PASSWORD": "1234567"}), PasswordPolicy)
        self.successResultOf(self.dev.answer(challenge, {"NEW_PASSWORD": "12345678"}))

    def test_a_late_or_foreign_or_empty_answer_fails(self) -> None:
        challenge = self.challenge()
        good = {"NEW_PASSWORD": "my own one"}
        self.failureResultOf(self.dev.answer(replace(challenge, session="forged"), good), ChallengeFailed)
        self.failureResultOf(self.dev.answer(replace(challenge, name="SMS_MFA"), good), ChallengeFailed)
        self.failureResultOf(self.dev.answer(challenge, {}), ChallengeFailed)
        self.time += 180
        self.failureResultOf(self.dev.answer(challenge, good), ChallengeFailed)

    def test_whose_password_is_set_is_not_for_the_answer_to_say(self) -> None:
        forged = replace(self.challenge(), username="alice")
        self.successResultOf(self.dev.answer(forged, {"NEW_PASSWORD": "my own one"}))
        self.login()


class RefreshTests(Case):
    def refresh(self, token: str | None) -> Tokens:
        assert token is not None
        return self.successResultOf(self.dev.refresh(token, None))

    def assert_expired(self, token: str | None) -> None:
        assert token is not None
        self.failureResultOf(self.dev.refresh(token), SessionExpired)

    def test_a_refresh_gives_a_new_token_of_the_same_session_and_login(self) -> None:
        tokens = self.login()
        self.time += 1000
        before, after = claims_of(tokens.token), claims_of(self.refresh(tokens.refresh).token)
        for claim in ("sub", "origin_jti", "auth_time", "username", "cognito:groups"):
            self.assertEqual(before[claim], after[claim])
        self.assertEqual(after["exp"], before["exp"] + 1000)
        self.assertNotEqual(before["jti"], after["jti"])

    def test_a_refresh_token_is_opaque_and_rotates(self) -> None:
        tokens = self.login()
        assert tokens.refresh is not None
        self.assertNotIn(".", tokens.refresh)
        self.assertNotIn(tokens.refresh, repr(tokens))
        again = self.refresh(tokens.refresh)
        self.assertNotEqual(again.refresh, tokens.refresh)
        self.refresh(again.refresh)

    def test_two_tabs_may_refresh_at_once(self) -> None:
        tokens = self.login()
        first, second = self.refresh(tokens.refresh), self.refresh(tokens.refresh)
        self.assertEqual(first.refresh, second.refresh)
        self.successResultOf(self.dev.verify(second.token))

    def test_a_spent_refresh_token_works_for_ten_seconds(self) -> None:
        tokens = self.login()
        self.refresh(tokens.refresh)
        self.time += 9
        self.refresh(tokens.refresh)
        self.time += 1
        self.assert_expired(tokens.refresh)

    def test_a_refresh_token_lives_thirty_days(self) -> None:
        tokens = self.login()
        self.time += 30 * 86400
        self.assert_expired(tokens.refresh)

    def test_an_unknown_refresh_token_is_refused(self) -> None:
        self.assert_expired("forged")

    def test_a_revoked_session_cannot_be_refreshed_by_any_of_its_tokens(self) -> None:
        tokens = self.login()
        newer = self.refresh(tokens.refresh)
        self.successResultOf(self.dev.revoke(tokens.refresh or ""))
        self.assert_expired(tokens.refresh)
        self.assert_expired(newer.refresh)

    def test_revoking_one_session_leaves_the_others(self) -> None:
        one, other = self.login(), self.login()
        self.successResultOf(self.dev.revoke(one.refresh or ""))
        self.refresh(other.refresh)

    def test_revoking_what_is_unknown_is_harmless(self) -> None:
        self.successResultOf(self.dev.revoke("forged"))

    def test_signing_out_ends_all_sessions_of_the_user_and_no_other(self) -> None:
        one, other, bob = self.login(), self.login(), self.login("bob", "battery staple")
        newer = self.refresh(other.refresh)
        self.successResultOf(self.dev.sign_out(one.token))
        for tokens in (one, other, newer):
            self.assert_expired(tokens.refresh)
        self.refresh(bob.refresh)
        self.refresh(self.login().refresh)

    def test_a_token_that_is_not_its_own_signs_nobody_out(self) -> None:
        tokens = self.login()
        self.failureResultOf(self.dev.sign_out(self.make().issue("alice")), InvalidToken)
        self.refresh(tokens.refresh)

    def test_the_memory_is_bounded(self) -> None:
        with patch.object(dev, "CAPACITY", 3):
            first, *others = [self.login() for _ in range(4)]
            self.assert_expired(first.refresh)
            for tokens in others[1:]:
                self.refresh(tokens.refresh)
            for _ in range(5):
                self.challenge()
            self.assertLessEqual(len(self.dev._grants), 3)
            self.assertLessEqual(len(self.dev._challenges), 3)


class IssueTests(Case):
    def test_a_token_can_be_had_without_a_login(self) -> None:
        principal = self.successResultOf(self.dev.verify(self.dev.issue("bob")))
        self.assertEqual((principal.username, principal.expires_at), ("bob", 1_800_003_600))

    def test_its_lifetime_can_be_ordered(self) -> None:
        principal = self.successResultOf(self.dev.verify(self.dev.issue("bob", 5)))
        self.assertEqual(principal.expires_at, 1_800_000_005)
        self.failureResultOf(self.dev.verify(self.dev.issue("bob", -5)), ExpiredToken)

    def test_a_token_can_be_shortened_and_is_of_the_same_session(self) -> None:
        token = self.login().token
        self.time += 1000
        principal = self.successResultOf(self.dev.verify(token))
        before, after = claims_of(token), claims_of(self.dev.shorten(principal, 10))
        for claim in ("sub", "origin_jti", "auth_time", "username", "cognito:groups", "scope"):
            self.assertEqual(before[claim], after[claim])
        self.assertEqual((after["iat"], after["exp"]), (before["iat"] + 1000, before["iat"] + 1011))
        self.assertNotEqual(before["jti"], after["jti"])

    def test_an_unknown_user_is_refused_with_the_names_that_there_are(self) -> None:
        with self.assertRaisesRegex(ValueError, "alice, bob, newuser"):
            self.dev.issue("nobody")
