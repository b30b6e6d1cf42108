"""Tests of wsservice.auth.providers.oidc."""

from __future__ import annotations

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.keys import VerifyKey
from wsservice.auth.providers.base import KeySource, Readiness
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.auth.tokens import Rules
from wsservice.errors import ExpiredToken, InvalidToken, KeysUnavailable, LoginNotSupported, NotPermitted

NOW = 1_800_000_000
PRIVATE = rsa.generate_private_key(65537, 2048)
KEY = VerifyKey.from_public_key("k1", PRIVATE.public_key())
RULES = Rules(issuers=frozenset({"https://issuer.example"}), clients=frozenset({"app"}), style="oidc")


class Keys(KeySource):
    """Answers what the test says, and notes what it is asked."""

    def __init__(self, answer: Deferred[VerifyKey] | None = None) -> None:
        self.answer = answer or succeed(KEY)
        self.asked: list[str] = []

    def get(self, kid: str) -> Deferred[VerifyKey]:
        self.asked.append(kid)
        return self.answer

    def readiness(self) -> Readiness:
        return Readiness(True, "as the test says")

    def start(self) -> None:
        self.asked.append("start")

    def stop(self) -> Deferred[None]:
        self.asked.append("stop")
        return succeed(None)


def token(**claims: Any) -> str:
    claims = {"iss": "https://issuer.example", "aud": "app", "sub": "u1", "exp": NOW + 60} | claims
    return jwt.encode(claims, PRIVATE, algorithm="RS256", headers={"kid": "k1"})


class OidcProviderTests(SynchronousTestCase):
    def make(self, keys: Keys | None = None, rules: Rules = RULES) -> OidcProvider:
        self.keys = keys or Keys()
        return OidcProvider(self.keys, rules, now=lambda: NOW)

    def test_a_good_token_becomes_its_principal_at_once(self) -> None:
        principal = self.successResultOf(self.make().verify(token(sub="u7")))
        self.assertEqual(principal.id, "u7")
        self.assertEqual(self.keys.asked, ["k1"])

    def test_a_token_in_the_wrong_form_is_refused_without_asking_for_a_key(self) -> None:
        self.failureResultOf(self.make().verify("not a token"), InvalidToken)
        self.assertEqual(self.keys.asked, [])

    def test_an_expired_token_is_told_apart(self) -> None:
        self.failureResultOf(self.make().verify(token(exp=NOW)), ExpiredToken)

    def test_a_foreign_token_is_refused(self) -> None:
        self.failureResultOf(self.make().verify(token(iss="https://other.example")), InvalidToken)

    def test_the_required_groups_are_asked_for(self) -> None:
        rules = Rules(RULES.issuers, RULES.clients, "oidc", required_groups=frozenset({"staff"}))
        self.failureResultOf(self.make(rules=rules).verify(token()), NotPermitted)

    def test_a_missing_key_is_passed_on(self) -> None:
        provider = self.make(Keys(fail(KeysUnavailable("away"))))
        self.failureResultOf(provider.verify(token()), KeysUnavailable)

    def test_it_waits_for_a_key_that_is_not_there_yet(self) -> None:
        coming: Deferred[VerifyKey] = Deferred()
        verified = self.make(Keys(coming)).verify(token())
        self.assertNoResult(verified)
        coming.callback(KEY)
        self.assertEqual(self.successResultOf(verified).id, "u1")

    def test_the_time_that_counts_is_that_of_the_verification(self) -> None:
        clock = [float(NOW)]
        coming: Deferred[VerifyKey] = Deferred()
        verified = OidcProvider(Keys(coming), RULES, now=lambda: clock[0]).verify(token())
        clock[0] += 61
        coming.callback(KEY)
        self.failureResultOf(verified, ExpiredToken)

    def test_it_starts_stops_and_answers_for_its_keys(self) -> None:
        provider = self.make()
        provider.start()
        self.assertEqual(provider.readiness(), Readiness(True, "as the test says"))
        self.successResultOf(provider.stop())
        self.assertEqual(self.keys.asked, ["start", "stop"])

    def test_it_does_not_log_in(self) -> None:
        provider = self.make()
        self.assertFalse(provider.can_login)
        self.failureResultOf(provider.login("alice", "x"), LoginNotSupported)

    def test_the_wall_clock_fits(self) -> None:
        provider = OidcProvider(Keys(), RULES, now=time.time)
        self.successResultOf(provider.verify(token(exp=time.time() + 60)))
