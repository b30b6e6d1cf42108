"""Tokens as a Cognito user pool issues them."""

from __future__ import annotations

import jwt
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.keys import VerifyKey, parse_key_set
from wsservice.auth.principal import Principal
from wsservice.auth.tokens import parse_token, verify_token
from wsservice.errors import ExpiredToken, InvalidToken
from wsservice.testing import CLIENT_ID, ISSUER, OMIT, Issuer, jwk, make_token, private_key


class IssuerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.issuer = Issuer(now=self.clock.seconds)

    def verify(self, token: str, key: VerifyKey | None = None) -> Principal:
        return verify_token(parse_token(token), key or self.issuer.key(), self.issuer.rules(), self.clock.seconds())

    def test_its_tokens_are_good_for_an_hour(self) -> None:
        for token in (self.issuer.token(), self.issuer.id_token()):
            self.assertEqual(self.verify(token).expires_at, 1_800_003_600)
        self.clock.advance(3600)
        with self.assertRaises(ExpiredToken):
            self.verify(token)

    def test_they_have_the_claims_of_cognito(self) -> None:
        common = {"sub", "iss", "token_use", "auth_time", "exp", "iat", "jti", "origin_jti"}
        access, identity = (self.verify(token).claims for token in (self.issuer.token(), self.issuer.id_token()))
        self.assertEqual(access.keys(), common | {"client_id", "scope", "username", "version"})
        self.assertEqual(identity.keys(), common | {"aud", "cognito:username", "email", "email_verified"})
        self.assertEqual((access["iss"], access["client_id"], identity["aud"]), (ISSUER, CLIENT_ID, CLIENT_ID))

    def test_claims_can_be_changed_added_and_left_out(self) -> None:
        token = self.issuer.token("alice", jti=OMIT, exp=1_900_000_000, **{"cognito:groups": ["admin"]})
        principal = self.verify(token)
        self.assertEqual((principal.id, principal.username, principal.roles), ("alice", "alice", {"admin"}))
        self.assertEqual(principal.expires_at, 1_900_000_000)
        self.assertNotIn("jti", principal.claims)

    def test_each_token_is_a_session_of_its_own_unless_it_is_said(self) -> None:
        one, two = self.verify(self.issuer.token()), self.verify(self.issuer.token())
        self.assertNotEqual(one.session, two.session)
        self.assertEqual(self.verify(self.issuer.token(origin_jti="s")).session, "s")

    def test_its_document_holds_its_keys(self) -> None:
        self.assertEqual(parse_key_set(self.issuer.jwks()), self.issuer.keys())
        self.assertEqual(self.issuer.keys(), {"key-0": self.issuer.key("key-0")})

    def test_rotation_keeps_the_old_key(self) -> None:
        old = self.issuer.token()
        self.assertEqual(self.issuer.rotate(), "key-1")
        self.assertEqual(list(parse_key_set(self.issuer.jwks())), ["key-0", "key-1"])
        self.assertEqual(parse_token(self.issuer.token()).kid, "key-1")
        self.verify(old, self.issuer.key("key-0"))

    def test_rotation_can_retire_the_old_key(self) -> None:
        self.issuer.rotate("new", keep=False)
        self.assertEqual(list(parse_key_set(self.issuer.jwks())), ["new"])
        with self.assertRaises(KeyError):
            self.issuer.key("key-0")

    def test_a_new_key_under_the_old_id_is_another_key(self) -> None:
        old, token = self.issuer.key(), self.issuer.token()
        self.issuer.rotate("key-0")
        self.assertNotEqual(self.issuer.key(), old)
        with self.assertRaises(InvalidToken):
            self.verify(token)

    def test_two_issuers_can_have_different_keys_of_one_id(self) -> None:
        other = Issuer(now=self.clock.seconds, first_key=1)
        self.assertNotEqual(other.key(), self.issuer.key())
        with self.assertRaises(InvalidToken):
            self.verify(other.token())

    def test_by_default_time_is_the_machine_s(self) -> None:
        token = Issuer().token("alice")
        self.assertEqual(jwt.decode(token, private_key().public_key(), ["RS256"], issuer=ISSUER)["sub"], "alice")


class KeyTests(SynchronousTestCase):
    def test_a_key_is_made_once(self) -> None:
        self.assertIs(private_key(), private_key(0))
        self.assertIs(private_key(1), private_key(1))
        self.assertIsNot(private_key(0), private_key(1))

    def test_any_token_and_key_can_be_made(self) -> None:
        token = make_token({"sub": 7, "x": OMIT}, header={"kid": OMIT, "typ": "JWT"}, key=private_key(1))
        self.assertEqual(jwt.get_unverified_header(token), {"alg": "RS256", "typ": "JWT"})
        self.assertEqual(jwt.decode(token, options={"verify_signature": False}), {"sub": 7})
        entry = jwk("k", private_key().public_key(), use=OMIT, kid="other")
        self.assertEqual((entry["kid"], entry.keys()), ("other", {"kid", "kty", "alg", "n", "e"}))
