"""Tests of wsservice.auth.keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.auth.keys import MAX_KEYS, KeySetError, VerifyKey, parse_key_set
from wsservice.testing import OMIT, Issuer, base64url, jwk, jwks_document, private_key

PUBLIC = private_key().public_key()
MODULUS = PUBLIC.public_numbers().n


def integer(value: int) -> str:
    """Base64urlUInt (RFC 7518 section 2)."""
    data = value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")
    return base64url(data)


def changed(**changes: Any) -> dict[str, Any]:
    """The good key with other members."""
    return jwk("key", PUBLIC, **changes)


OTHER = jwk("key", private_key(1).public_key())


@dataclass
class Row:
    """A key as it stands in a document, and why it is skipped; without a reason it is usable."""

    name: str
    entry: Any
    reason: str = ""
    kid: str = field(default="key")


def elliptic() -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True), "kid": "key"}


def with_private_members() -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(private_key(), as_dict=True), "kid": "key", "key_ops": ["sign", "verify"]}


ENTRIES = [
    Row("as Cognito publishes it", changed()),
    Row("nothing but what is needed", changed(alg=OMIT, use=OMIT)),
    Row("unknown members", changed(x5t="abc", x5c=["junk"], extra={"a": 1})),
    Row("key_ops with verify", changed(key_ops=["verify"])),
    Row("private members are ignored", with_private_members()),
    Row("broken private members are ignored", changed(d="!", p=7, q=None)),
    Row("modulus with a leading zero byte", changed(n=base64url(b"\0" + MODULUS.to_bytes(256, "big")))),
    Row("exponent 3", changed(e=integer(3))),
    Row("the shortest kid", changed(kid="k"), kid="k"),
    Row("the longest kid", changed(kid="k" * 256), kid="k" * 256),
    Row("kid that is not ASCII", changed(kid="schlüssel"), kid="schlüssel"),
    Row("not an object", "key", "not an object"),
    Row("null", None, "not an object"),
    Row("list", [], "not an object"),
    Row("no kid", changed(kid=OMIT), "`kid`"),
    Row("empty kid", changed(kid=""), "`kid`"),
    Row("kid a number", changed(kid=7), "`kid`"),
    Row("kid a list", changed(kid=["key"]), "`kid`"),
    Row("kid too long", changed(kid="k" * 257), "`kid`"),
    Row("elliptic curve key", elliptic(), "`kty`"),
    Row("Ed25519 key", {"kty": "OKP", "crv": "Ed25519", "kid": "key", "x": integer(2**255 - 19)}, "`kty`"),
    Row("symmetric key", {"kty": "oct", "kid": "key", "k": "c2VjcmV0"}, "`kty`"),
    Row("kty missing", changed(kty=OMIT), "`kty`"),
    Row("kty in lower case", changed(kty="rsa"), "`kty`"),
    Row("kty a list", changed(kty=["RSA"]), "`kty`"),
    Row("for encryption", changed(use="enc"), "`use`"),
    Row("use null", changed(use=None), "`use`"),
    Row("use a list", changed(use=["sig"]), "`use`"),
    Row("alg RS512", changed(alg="RS512"), "`alg`"),
    Row("alg PS256", changed(alg="PS256"), "`alg`"),
    Row("alg HS256", changed(alg="HS256"), "`alg`"),
    Row("alg none", changed(alg="none"), "`alg`"),
    Row("alg null", changed(alg=None), "`alg`"),
    Row("key_ops without verify", changed(key_ops=["encrypt"]), "`key_ops`"),
    Row("key_ops empty", changed(key_ops=[]), "`key_ops`"),
    Row("key_ops a string", changed(key_ops="verify"), "`key_ops`"),
    Row("1024 bits", jwk("key", private_key(0, 1024).public_key()), "1024 bits"),
    Row("2047 bits", changed(n=integer(2**2046 + 1)), "2047 bits"),
    Row("too many bits", changed(n=integer(2**16384 + 1)), "16385 bits"),
    Row("even modulus", changed(n=integer(MODULUS + 1)), "even"),
    Row("n missing", changed(n=OMIT), "base64url"),
    Row("n empty", changed(n=""), "base64url"),
    Row("n a number", changed(n=MODULUS), "base64url"),
    Row("n padded", changed(n=integer(MODULUS) + "=="), "base64url"),
    Row("n in the other alphabet", changed(n="+/" + integer(MODULUS)), "base64url"),
    Row("n with a line break", changed(n=integer(MODULUS) + "\n"), "base64url"),
    Row("n of one letter", changed(n="A"), "base64|number of data characters"),
    Row("n zero", changed(n="AA"), "n must be"),
    Row("e missing", changed(e=OMIT), "base64url"),
    Row("e null", changed(e=None), "base64url"),
    Row("e of one", changed(e=integer(1)), "e must be"),
    Row("e even", changed(e=integer(65536)), "e must be odd"),
    Row("e larger than n", changed(e=integer(MODULUS + 2)), "e must be"),
    Row("e of 65 bits", changed(e=integer(2**64 + 1)), "exponent"),
]  # fmt: skip


@dataclass
class Document:
    name: str
    body: Callable[[], bytes]
    reason: str


DOCUMENTS = [
    Document("empty", lambda: b"", "strict JSON"),
    Document("HTML", lambda: b"<!doctype html><title>502</title>", "strict JSON"),
    Document("a list", lambda: b"[]", "not a JSON object"),
    Document("a string", lambda: b'"keys"', "not a JSON object"),
    Document("half a document", lambda: Issuer().jwks()[:-5], "strict JSON"),
    Document("byte order mark", lambda: b"\xef\xbb\xbf" + Issuer().jwks(), "strict JSON"),
    Document("not UTF-8", lambda: b'{"keys":[],"x":"\xff"}', "UTF-8"),
    Document("keys twice", lambda: b'{"keys":[],' + Issuer().jwks()[1:], "duplicate"),
    Document("a member of a key twice", lambda: Issuer().jwks().replace(b'"kty"', b'"use": "sig", "kty"'), "duplicate"),
    Document("nesting bomb", lambda: b'{"keys":' + b"[" * 100_000, "nested"),
    Document("no keys", lambda: b"{}", "no list `keys`"),
    Document("an error of AWS", lambda: b'{"message":"User pool does not exist."}', "no list `keys`"),
    Document("keys null", lambda: b'{"keys":null}', "no list `keys`"),
    Document("keys an object", lambda: b'{"keys":{"0":{}}}', "no list `keys`"),
    Document("keys empty", lambda: b'{"keys":[]}', "none of the 0 keys is usable: the list is empty"),
    Document("too many keys", lambda: jwks_document([changed()] * (MAX_KEYS + 1)), "more than 100"),
    Document("no usable key", lambda: jwks_document([changed(use="enc"), changed(alg="RS512")]), "`use`.*; `alg`"),
    Document("two keys of one kid", lambda: jwks_document([changed(), OTHER]), "two different keys"),
]  # fmt: skip


@by_row
class ParseKeySetTests(SynchronousTestCase):
    @rows(ENTRIES)
    def test_key(self, row: Row) -> None:
        body = jwks_document([jwk("good", PUBLIC), row.entry])
        self.assertEqual(list(parse_key_set(body)), ["good"] if row.reason else ["good", row.kid])
        if row.reason:
            with self.assertRaisesRegex(KeySetError, row.reason):
                parse_key_set(jwks_document([row.entry]))

    @rows(DOCUMENTS)
    def test_unusable_document(self, row: Document) -> None:
        with self.assertRaisesRegex(KeySetError, row.reason):
            parse_key_set(row.body())

    def test_a_document_as_cognito_sends_it(self) -> None:
        issuer = Issuer()
        issuer.rotate()
        self.assertEqual(parse_key_set(issuer.jwks()), issuer.keys())
        self.assertEqual(list(parse_key_set(issuer.jwks())), ["key-0", "key-1"])

    def test_as_many_keys_as_allowed(self) -> None:
        keys = [jwk(f"key-{number}", PUBLIC) for number in range(MAX_KEYS)]
        self.assertEqual(len(parse_key_set(jwks_document(keys))), MAX_KEYS)

    def test_the_same_key_twice_is_one_key(self) -> None:
        self.assertEqual(list(parse_key_set(jwks_document([changed(), changed(alg=OMIT)]))), ["key"])

    def test_two_different_keys_of_one_kid_are_both_skipped_however_often_they_come(self) -> None:
        keys = parse_key_set(jwks_document([changed(), OTHER, changed(), jwk("good", PUBLIC)]))
        self.assertEqual(list(keys), ["good"])

    def test_an_unusable_key_takes_no_kid_from_a_usable_one(self) -> None:
        self.assertEqual(list(parse_key_set(jwks_document([elliptic(), changed(), changed(use="enc")]))), ["key"])

    def test_each_reason_is_told_once(self) -> None:
        with self.assertRaises(KeySetError) as caught:
            parse_key_set(jwks_document([changed(use="enc")] * 50))
        self.assertEqual(str(caught.exception), "none of the 50 keys is usable: `use` is not sig")

    @settings(deadline=None, database=None)
    @given(st.binary() | st.text().map(str.encode))
    def test_any_bytes_give_keys_or_the_named_error(self, body: bytes) -> None:
        with self.assertRaises(KeySetError):  # no usable key comes about by chance
            parse_key_set(body)

    @settings(deadline=None, database=None)
    @given(
        st.dictionaries(
            st.sampled_from(["kty", "use", "alg", "key_ops", "kid", "n", "e", "d"]),
            st.sampled_from(["RSA", "sig", "RS256", "AQAB", "key", integer(MODULUS), "AA", "", 1, None, True, 1.5])
            | st.lists(st.sampled_from(["verify", "sign", 1]), max_size=2)
            | st.text(max_size=5),
        )
    )
    def test_any_members_give_a_key_or_the_named_error(self, members: dict[str, Any]) -> None:
        entry = {**changed(), **members}
        try:
            keys = parse_key_set(json.dumps({"keys": [entry]}).encode())
        except KeySetError:
            return
        self.assertEqual(list(keys), [entry["kid"]])
        self.assertEqual((entry["kty"], entry["use"], entry["alg"]), ("RSA", "sig", "RS256"))


class VerifyKeyTests(SynchronousTestCase):
    def test_a_key_that_is_no_document_s(self) -> None:
        key = VerifyKey.from_public_key("mine", PUBLIC)
        self.assertEqual(key.kid, "mine")
        self.assertEqual(key, parse_key_set(jwks_document([jwk("mine", PUBLIC)]))["mine"])
        self.assertEqual(hash(key), hash(VerifyKey.from_public_key("mine", PUBLIC)))

    def test_it_is_checked_like_one_of_a_document(self) -> None:
        with self.assertRaisesRegex(ValueError, "1024 bits"):
            VerifyKey.from_public_key("mine", private_key(0, 1024).public_key())
        with self.assertRaisesRegex(ValueError, "kid"):
            VerifyKey.from_public_key("", PUBLIC)

    def test_even_numbers_are_refused_wherever_they_come_from(self) -> None:
        even = rsa.RSAPublicNumbers(65537, MODULUS + 1).public_key()
        with self.assertRaisesRegex(ValueError, "even"):
            VerifyKey.from_public_key("mine", even)

    def test_it_verifies_what_another_library_has_signed(self) -> None:
        signing_input, _, signature = jwt.encode({"sub": "a"}, private_key(), "RS256").encode().rpartition(b".")
        raw = base64.urlsafe_b64decode(signature + b"==")
        key = VerifyKey.from_public_key("mine", PUBLIC)
        self.assertTrue(key.verify(signing_input, raw))
        self.assertFalse(key.verify(signing_input + b"x", raw))
        self.assertFalse(key.verify(signing_input, raw[:-1]))
        self.assertFalse(key.verify(signing_input, b""))
        self.assertFalse(key.verify(signing_input, b"\0" + raw))
        self.assertFalse(VerifyKey.from_public_key("mine", private_key(1).public_key()).verify(signing_input, raw))

    def test_a_large_key_with_the_largest_exponent_can_be_used(self) -> None:
        numbers = rsa.RSAPublicNumbers(2**64 - 1, 2**16383 + 1)
        self.assertFalse(VerifyKey.from_public_key("large", numbers.public_key()).verify(b"x", b"y" * 2048))

    def test_its_repr_shows_no_more_than_the_id(self) -> None:
        self.assertEqual(repr(VerifyKey.from_public_key("mine", PUBLIC)), "VerifyKey(kid='mine')")

    def test_it_cannot_be_changed(self) -> None:
        with self.assertRaises(AttributeError):
            VerifyKey.from_public_key("mine", PUBLIC).kid = "other"  # type: ignore[misc]
