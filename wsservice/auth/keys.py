"""Public keys out of a JWKS document (RFC 7517): which of them may verify a token.

A key is checked once, when it is loaded, so that verifying a token is one RSA operation. What does not fit
(another type or algorithm, a short modulus, a purpose other than signatures) is skipped and spoils nothing;
two different keys under one id are both skipped, for nobody could say which of them is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from wsservice.auth.strict_json import NotStrictJson, decode_object

#: RFC 7518 section 3.3 asks for at least 2048 bits; OpenSSL handles at most 16384
MIN_BITS = 2048
MAX_BITS = 16384
#: OpenSSL's own bound on the exponent of a large key; in practice it is 65537
MAX_EXPONENT_BITS = 64
#: keys of a document; providers publish two or three
MAX_KEYS = 100
#: characters of a key id
MAX_KID = 256

_RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class KeySetError(ValueError):
    """A document with no usable key; `str(error)` is for the log."""


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public key that may verify RS256 signatures. Make it by `parse_key_set` or `from_public_key`.

    Attributes:
        kid: the id by which a token's header names it.
    """

    kid: str
    _key: RSAPublicKey = field(repr=False, hash=False)

    @classmethod
    def from_public_key(cls, kid: str, key: RSAPublicKey) -> VerifyKey:
        """Take a key that is not from a document.

        Raises:
            ValueError: if the key or its id breaks a rule of AUTH.md.
        """
        check_kid(kid)
        numbers = key.public_numbers()
        _check_numbers(numbers.n, numbers.e)
        return cls(kid, key)

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's RSASSA-PKCS1-v1_5 with SHA-256 over `signing_input`."""
        return _RS256.verify(signing_input, self._key, signature)


def parse_key_set(body: bytes) -> dict[str, VerifyKey]:
    """Read a JWKS document and return its usable keys by id.

    Args:
        body: the document as it came, already bounded in size.

    Raises:
        KeySetError: if it is no JWKS document, or none of its keys is usable; the old keys should then stay.
    """
    try:
        entries = decode_object(body).get("keys")
    except NotStrictJson as error:
        raise KeySetError(f"the key set is not strict JSON: {error}") from None
    if not isinstance(entries, list):
        raise KeySetError("the key set has no list `keys`")
    if len(entries) > MAX_KEYS:
        raise KeySetError(f"the key set has {len(entries)} keys, more than {MAX_KEYS}")
    keys: dict[str, VerifyKey] = {}
    ambiguous: set[str] = set()
    reasons: dict[str, None] = {}  # a set that keeps the order
    for entry in entries:
        try:
            key = _parse_key(entry)
        except ValueError as error:
            reasons[str(error)] = None
            continue
        if keys.setdefault(key.kid, key) != key:
            ambiguous.add(key.kid)
            reasons["two different keys have one kid"] = None
    usable = {kid: key for kid, key in keys.items() if kid not in ambiguous}
    if not usable:
        raise KeySetError(f"none of the {len(entries)} keys is usable: {'; '.join(reasons) or 'the list is empty'}")
    return usable


def _parse_key(jwk: Any) -> VerifyKey:
    """One member of `keys` (RFC 7517 section 4, RFC 7518 section 6.3.1); ValueError says why it is not usable."""
    if not isinstance(jwk, dict):
        raise ValueError("a key is not an object")
    kid = check_kid(jwk.get("kid"))
    if jwk.get("kty") != "RSA":
        raise ValueError("`kty` is not RSA")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("`use` is not sig")
    if jwk.get("alg", "RS256") != "RS256":
        raise ValueError("`alg` is not RS256")
    operations = jwk.get("key_ops", ["verify"])
    if not (isinstance(operations, list) and "verify" in operations):
        raise ValueError("`key_ops` has no verify")
    public = {name: jwk.get(name) for name in ("kty", "n", "e")}  # never the private members
    if not all(isinstance(value, str) and _BASE64URL.fullmatch(value) for value in public.values()):
        raise ValueError("`n` or `e` is not base64url")
    key = cast(RSAPublicKey, RSAAlgorithm.from_jwk(public))
    return VerifyKey.from_public_key(kid, key)


def check_kid(kid: Any) -> str:
    """Return a key id, of a key or of a token's header, as the string that it must be, else raise ValueError."""
    if not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
        raise ValueError(f"`kid` is not a string of 1 to {MAX_KID} characters")
    return kid


def _check_numbers(modulus: int, exponent: int) -> None:
    if not MIN_BITS <= modulus.bit_length() <= MAX_BITS:
        raise ValueError(f"the modulus has {modulus.bit_length()} bits, not {MIN_BITS} to {MAX_BITS}")
    if modulus % 2 == 0:
        raise ValueError("the modulus is even")
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > MAX_EXPONENT_BITS:
        raise ValueError(f"the exponent is not an odd number from 3 up to {MAX_EXPONENT_BITS} bits")
