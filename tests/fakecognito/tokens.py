"""The fake pool's keys and tokens: two RSA keys, as Cognito has, one for each kind of token."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from wsservice.testing import jwk, make_token, private_key

if TYPE_CHECKING:
    from tests.fakecognito.pool import AppClientRecord, User

#: token_use -> (number of the key, key id)
_KEYS = {"id": (0, "fake-id-key="), "access": (1, "fake-access-key=")}


class TokenMaker:
    """Signs the tokens of one pool."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def jwks(self) -> dict[str, Any]:
        """The public keys, as the pool's key set shows them."""
        return {"keys": [jwk(kid, private_key(number).public_key()) for number, kid in _KEYS.values()]}

    def access(self, user: User, client: AppClientRecord, **moments: Any) -> str:
        """An access token with the claims of a login by the API; `moments`: see `_token`."""
        own = {"client_id": client.client_id, "username": user.username, "version": 2}
        own["scope"] = "aws.cognito.signin.user.admin"
        return self._token("access", user, own, lifetime=client.lifetime, **moments)

    def id(self, user: User, client: AppClientRecord, **moments: Any) -> str:
        """An ID token."""
        own = {"aud": client.client_id, "cognito:username": user.username, "email": user.email, "email_verified": True}
        return self._token("id", user, own, lifetime=client.lifetime, **moments)

    def _token(
        self, use: str, user: User, own: dict[str, Any], *, lifetime: int, now: int, origin: str, auth_time: int
    ) -> str:
        claims = {"sub": user.sub, "iss": self.issuer, "token_use": use, "auth_time": auth_time, "iat": now}
        claims |= {"exp": now + lifetime, "jti": str(uuid.uuid4()), "origin_jti": origin, "event_id": str(uuid.uuid4())}
        if user.groups:
            claims["cognito:groups"] = list(user.groups)
        number, kid = _KEYS[use]
        return make_token(claims | own, header={"kid": kid}, key=private_key(number))
