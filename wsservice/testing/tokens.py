"""Keys and tokens as a Cognito user pool issues them.

    issuer = Issuer()
    cookie = "authToken=" + issuer.token(sub="alice", **{"cognito:groups": ["admin"]})
    key_set = issuer.jwks()          # what the provider's JWKS address answers

`Issuer` makes good tokens; each claim can be changed or, by `OMIT`, left out. `make_token` and `compact` make
any other. An RSA key takes a tenth of a second to make: `private_key` makes each one once in a process.
"""

from __future__ import annotations

import base64
import functools
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from wsservice.auth.keys import VerifyKey
from wsservice.auth.tokens import Rules

#: the value of a claim or header member that leaves it out
OMIT: Final = object()

REGION = "eu-central-1"
USER_POOL = f"{REGION}_TestPool1"
ISSUER = f"https://cognito-idp.{REGION}.amazonaws.com/{USER_POOL}"
CLIENT_ID = "test-client-id"
#: seconds that an issuer's tokens live; Cognito's default
LIFETIME = 3600

_RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)


def private_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The RSA key of that number: made at the first call, the same one ever after in this process."""
    return _private_key(number, bits)


@functools.cache
def _private_key(number: int, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def compact(header: bytes, payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Put a token together (RFC 7515 section 3.1) of whatever bytes.

    Args:
        sign: gets the signing input and returns the signature.
    """
    signing_input = f"{base64url(header)}.{base64url(payload)}"
    return f"{signing_input}.{base64url(sign(signing_input.encode('ascii')))}"


def make_token(
    claims: Mapping[str, Any], *, header: Mapping[str, Any] | None = None, key: rsa.RSAPrivateKey | None = None
) -> str:
    """Sign claims by RS256, however wrong they are; members that are `OMIT` are left out.

    Args:
        header: members on top of `{"kid": "key-0", "alg": "RS256"}`.
        key: signs; by default the first key of `private_key`.
    """
    signer = private_key() if key is None else key
    members = {"kid": "key-0", "alg": "RS256", **(header or {})}
    return compact(_encode(members), _encode(claims), lambda signing_input: _RS256.sign(signing_input, signer))


def jwk(kid: str, key: rsa.RSAPublicKey, /, **changes: Any) -> dict[str, Any]:
    """A public key as a member of a JWKS document, in Cognito's form; `changes` as for `make_token`."""
    numbers = RSAAlgorithm.to_jwk(key, as_dict=True)
    members = {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": numbers["n"], "e": numbers["e"], **changes}
    return _without_omitted(members)


def jwks_document(keys: Iterable[Mapping[str, Any]]) -> bytes:
    """The body of a JWKS document that holds these keys; see `jwk`."""
    return json.dumps({"keys": list(keys)}).encode()


class Issuer:
    """A user pool's token factory with one current key.

    Args:
        issuer: the claim `iss`.
        client_id: the app client of the tokens.
        kid: the id of the first key.
        now: the time in POSIX seconds, such as `Clock().seconds`.
        first_key: the number of the first key for `private_key`; give two issuers different ones.
    """

    def __init__(
        self,
        issuer: str = ISSUER,
        client_id: str = CLIENT_ID,
        kid: str = "key-0",
        *,
        now: Callable[[], float] = time.time,
        first_key: int = 0,
    ) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.kid = kid
        self._now = now
        self._next_key = first_key + 1
        self._keys = {kid: private_key(first_key)}

    def token(self, sub: str = "11111111-2222-4333-8444-555555555555", **claims: Any) -> str:
        """An access token with Cognito's claims; `claims` changes them, adds to them or, by `OMIT`, removes them.

        `exp` is an hour ahead unless given; `username` is the `sub`; `origin_jti` and `jti` are new.
        """
        access = {"client_id": self.client_id, "username": sub, "scope": "aws.cognito.signin.user.admin", "version": 2}
        return self._sign({**self._common("access", sub), **access, **claims})

    def id_token(self, sub: str = "11111111-2222-4333-8444-555555555555", **claims: Any) -> str:
        """An ID token with Cognito's claims; see `token`."""
        identity = {"aud": self.client_id, "cognito:username": sub, "email": "user@example.com", "email_verified": True}
        return self._sign({**self._common("id", sub), **identity, **claims})

    def jwks(self) -> bytes:
        """The JWKS document with every key that is not retired."""
        return jwks_document(jwk(kid, key.public_key()) for kid, key in self._keys.items())

    def key(self, kid: str | None = None) -> VerifyKey:
        """The public key of an id, by default the current one.

        Raises:
            KeyError: if there is no such key, or no longer.
        """
        kid = self.kid if kid is None else kid
        return VerifyKey.from_public_key(kid, self._keys[kid].public_key())

    def keys(self) -> dict[str, VerifyKey]:
        """Every key that is not retired, by id: what `parse_key_set(issuer.jwks())` gives."""
        return {kid: self.key(kid) for kid in self._keys}

    def rotate(self, kid: str | None = None, *, keep: bool = True) -> str:
        """Sign with a new key from now on; return its id.

        Args:
            kid: the id of the new key; by default `key-1`, `key-2` and so on.
            keep: leave the old keys in the document (as Cognito does while its tokens live), or retire them.
        """
        number, self._next_key = self._next_key, self._next_key + 1
        self.kid = f"key-{number}" if kid is None else kid
        self._keys = {**(self._keys if keep else {}), self.kid: private_key(number)}
        return self.kid

    def rules(self, **changes: Any) -> Rules:
        """The rules by which a service that serves this pool and client checks a token; `changes` are fields."""
        return Rules(**{"issuers": frozenset({self.issuer}), "clients": frozenset({self.client_id}), **changes})

    def _common(self, token_use: str, sub: str) -> dict[str, Any]:
        now = int(self._now())
        return {
            "sub": sub,
            "iss": self.issuer,
            "token_use": token_use,
            "origin_jti": str(uuid.uuid4()),
            "jti": str(uuid.uuid4()),
            "auth_time": now,
            "iat": now,
            "exp": now + LIFETIME,
        }

    def _sign(self, claims: Mapping[str, Any]) -> str:
        return make_token(claims, header={"kid": self.kid}, key=self._keys[self.kid])


def _without_omitted(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not OMIT}


def _encode(members: Mapping[str, Any]) -> bytes:
    return json.dumps(_without_omitted(members), separators=(",", ":")).encode()
