"""Any OpenID Connect issuer, for verification only: its login is its own."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail

from wsservice.auth.keys import VerifyKey
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import IdentityProvider, KeySource, Readiness
from wsservice.auth.tokens import Rules, UnverifiedToken, parse_token, verify_token
from wsservice.auth.verified import VerifiedTokens
from wsservice.errors import InvalidToken


class OidcProvider(IdentityProvider):
    """Verifies tokens by rules and a source of keys; the base of every provider that issues JWTs.

    Args:
        keys: started and stopped with the provider.
        rules: what a token must say.
        now: POSIX seconds.
    """

    def __init__(self, keys: KeySource, rules: Rules, *, now: Callable[[], float]) -> None:
        self._keys = keys
        self._rules = rules
        self._now = now
        self._verified = VerifiedTokens()

    def recall(self, token: str) -> Principal | None:
        """A token that was good is so still, with the same key and before its end."""
        found = self._verified.find(token)
        if found is None:
            return None
        if self._keys.known(found.key.kid) is found.key and found.principal.expires_at > self._now():
            return found.principal
        self._verified.drop(token)
        return None

    def verify(self, token: str) -> Deferred[Principal]:
        """Check a token whole; the Deferred has already fired when the key is at hand.

        Fails with `InvalidToken`, `ExpiredToken`, `NotPermitted` or `KeysUnavailable`.
        """
        try:
            unverified = parse_token(token)
        except InvalidToken as error:
            return fail(error)
        return self._keys.get(unverified.kid).addCallback(self._check, token, unverified)

    def _check(self, key: VerifyKey, token: str, unverified: UnverifiedToken) -> Principal:
        now = self._now()
        principal = verify_token(unverified, key, self._rules, now)
        self._verified.add(token, key, principal, now=now)
        return principal

    def readiness(self) -> Readiness:
        """Ready with at least one key."""
        return self._keys.readiness()

    def start(self) -> None:
        """Begin fetching the keys."""
        self._keys.start()

    def stop(self) -> Deferred[None]:
        """End it; fires when no connection and no timer is left."""
        return self._keys.stop()
