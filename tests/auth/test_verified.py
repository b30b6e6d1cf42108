"""Tests of wsservice.auth.verified, and of the provider that uses it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth import tokens
from wsservice.auth.keys import VerifyKey
from wsservice.auth.principal import Principal
from wsservice.auth.providers import oidc
from wsservice.auth.providers.base import KeySource, Readiness
from wsservice.auth.verified import VerifiedTokens
from wsservice.errors import ExpiredToken, InvalidToken, KeysUnavailable
from wsservice.testing import Issuer

NOW = 1_800_000_000


class VerifiedTokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.key = Issuer().key()

    def principal(self, name: str) -> Principal:
        return Principal(name, name, "s", NOW + 60.0)

    def test_a_token_is_found_until_it_is_dropped(self) -> None:
        verified = VerifiedTokens()
        verified.add("a", self.key, self.principal("alice"), now=NOW)
        found = verified.find("a")
        assert found is not None
        self.assertEqual((found.key, found.principal.id, verified.find("b")), (self.key, "alice", None))
        verified.drop("a")
        verified.drop("a")
        self.assertEqual((verified.find("a"), len(verified)), (None, 0))

    def test_the_one_that_was_used_longest_ago_makes_room(self) -> None:
        verified = VerifiedTokens(capacity=2)
        for name in ("a", "b"):
            verified.add(name, self.key, self.principal(name), now=NOW)
        verified.find("a")
        verified.add("c", self.key, self.principal("c"), now=NOW)
        self.assertEqual([name for name in "abc" if verified.find(name)], ["a", "c"])

    def test_those_that_expired_unused_make_room(self) -> None:
        verified = VerifiedTokens()
        for name in ("a", "b"):
            verified.add(name, self.key, self.principal(name), now=NOW)
        verified.add("c", self.key, Principal("c", "c", "s", NOW + 120.0), now=NOW + 60)
        self.assertEqual(([name for name in "abc" if verified.find(name)], len(verified)), (["c"], 1))

    def test_one_that_counts_only_by_the_leeway_is_not_kept(self) -> None:
        verified = VerifiedTokens()
        verified.add("a", self.key, self.principal("a"), now=NOW + 61)
        self.assertEqual(len(verified), 0)

    def test_no_token_is_kept(self) -> None:
        verified = VerifiedTokens()
        verified.add("secret", self.key, self.principal("alice"), now=NOW)
        verified.find("\ud800")
        self.assertNotIn("secret", repr(vars(verified)))


class Keys(KeySource):
    """The keys that the test says."""

    def __init__(self, keys: dict[str, VerifyKey]) -> None:
        self.keys = keys
        self.error: Exception | None = None

    def get(self, kid: str) -> Deferred[VerifyKey]:
        if self.error is not None:
            return fail(self.error)
        return succeed(self.keys[kid]) if kid in self.keys else fail(InvalidToken("no such key"))

    def known(self, kid: str) -> VerifyKey | None:
        return self.keys.get(kid) if self.error is None else None

    def readiness(self) -> Readiness:
        return Readiness(True, "")


class ProviderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = float(NOW)
        self.issuer = Issuer(now=lambda: self.now)
        self.keys = Keys(self.issuer.keys())
        self.provider = oidc.OidcProvider(self.keys, self.issuer.rules(), now=lambda: self.now)
        self.verified: list[Any] = []
        verify = tokens.verify_token

        def counting(*args: Any) -> Principal:
            self.verified.append(args)
            return verify(*args)

        self.patch(oidc, "verify_token", counting)
        self.token = self.issuer.token("alice", exp=NOW + 60)

    def verify(self, token: str) -> Deferred[Principal]:
        """As the authenticator does it."""
        principal = self.provider.recall(token)
        return self.provider.verify(token) if principal is None else succeed(principal)

    def test_a_token_is_verified_once(self) -> None:
        first, second = (self.successResultOf(self.verify(self.token)) for _ in range(2))
        self.assertIs(first, second)
        self.assertEqual(len(self.verified), 1)
        self.successResultOf(self.verify(self.issuer.token("bob")))
        self.assertEqual(len(self.verified), 2)

    def test_its_end_counts_all_the_same(self) -> None:
        self.successResultOf(self.verify(self.token))
        self.now += 60
        error = self.failureResultOf(self.verify(self.token), ExpiredToken).value
        self.assertEqual(error.principal.id, "alice")
        self.failureResultOf(self.verify(self.token), ExpiredToken)

    def test_it_dies_with_its_key(self) -> None:
        self.successResultOf(self.verify(self.token))
        self.keys.keys.clear()
        self.failureResultOf(self.verify(self.token), InvalidToken)

    def test_another_key_of_the_id_verifies_it_anew(self) -> None:
        self.successResultOf(self.verify(self.token))
        kid = self.issuer.kid
        self.keys.keys = Issuer(kid=kid, first_key=5).keys()
        self.failureResultOf(self.verify(self.token), InvalidToken)
        self.keys.keys = self.issuer.keys()
        self.successResultOf(self.verify(self.token))
        self.assertEqual(len(self.verified), 3)

    def test_a_bad_token_is_not_remembered(self) -> None:
        bad = self.token[:-6] + "AAAAAA"
        for _ in range(2):
            self.failureResultOf(self.verify(bad), InvalidToken)
        self.assertEqual(len(self.verified), 2)

    def test_a_source_that_cannot_tell_its_keys_has_each_token_verified(self) -> None:
        self.patch(self.keys, "known", lambda kid: KeySource.known(self.keys, kid))
        for _ in range(2):
            self.successResultOf(self.verify(self.token))
        self.assertEqual(len(self.verified), 2)

    def test_without_keys_nobody_is_let_in(self) -> None:
        self.successResultOf(self.verify(self.token))
        self.keys.error = KeysUnavailable("too old")
        self.failureResultOf(self.verify(self.token), KeysUnavailable)
