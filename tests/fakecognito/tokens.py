"""The fake pool's keys and tokens: two RSA keys, as Cognito has, one for each kind of token."""

from __future__ import annotations

import json
import uuid
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


@cache
def _key(kid: str) -> rsa.RSAPrivateKey:
    """One key for each id in a test run: making one takes longer than most tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TokenMaker:
    """Signs the tokens of one pool."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.kids = {"id": "fake-id-key=", "access": "fake-access-key="}

    def jwks(self) -> dict[str, Any]:
        """The public keys, as the pool's key set shows them."""
        return {"keys": [self._public(kid) for kid in self.kids.values()]}

    def _public(self, kid: str) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(_key(kid).public_key()))
        return {"kty": "RSA", "e": public["e"], "n": public["n"], "kid": kid, "alg": "RS256", "use": "sig"}

    def access(self, user: Any, client: Any, *, now: int, origin: str, auth_time: int) -> str:
        """An access token with the claims of a login by the API."""
        claims = self._common(user, "access", now=now, origin=origin, auth_time=auth_time, lifetime=client.lifetime)
        claims |= {"client_id": client.client_id, "username": user.username, "version": 2}
        return self._signed(claims | {"scope": "aws.cognito.signin.user.admin"})

    def id(self, user: Any, client: Any, *, now: int, origin: str, auth_time: int) -> str:
        """An ID token."""
        claims = self._common(user, "id", now=now, origin=origin, auth_time=auth_time, lifetime=client.lifetime)
        claims |= {"aud": client.client_id, "cognito:username": user.username}
        return self._signed(claims | {"email": user.email, "email_verified": True})

    def _common(self, user: Any, use: str, *, now: int, origin: str, auth_time: int, lifetime: int) -> dict[str, Any]:
        claims = {"sub": user.sub, "iss": self.issuer, "token_use": use, "auth_time": auth_time, "iat": now}
        claims |= {"exp": now + lifetime, "jti": str(uuid.uuid4()), "origin_jti": origin, "event_id": str(uuid.uuid4())}
        return claims | ({"cognito:groups": list(user.groups)} if user.groups else {})

    def _signed(self, claims: dict[str, Any]) -> str:
        kid = self.kids[claims["token_use"]]
        return jwt.encode(claims, _key(kid), "RS256", headers={"kid": kid, "typ": None})
