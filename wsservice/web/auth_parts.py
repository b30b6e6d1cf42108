"""What the routes of `/auth` share: whom a request speaks for, its refresh token, its cookies, and their rates."""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsservice.addresses import address_key
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import Tokens
from wsservice.errors import (
    AuthenticationError,
    ExpiredToken,
    InvalidToken,
    LoginNotSupported,
    ProviderUnavailable,
    SessionExpired,
)
from wsservice.handshake import Handshake
from wsservice.headers import Headers
from wsservice.web.rates import Buckets
from wsservice.web.refreshes import SharedCalls
from wsservice.web.request import WsRequest
from wsservice.web.services import AuthServices, AuthSettings
from wsservice.web.session_cookies import RefreshGrant

log = Logger()


class AuthParts:
    """See the module's docstring. The rates are by address or by user name."""

    def __init__(self, services: AuthServices, settings: AuthSettings) -> None:
        self.services = services
        self.settings = settings
        full = partial(services.counters.add, "tables_full")
        buckets = partial(Buckets, now=services.clock.seconds, forgot=partial(full, "rates"))
        self.logins_of_address = buckets(settings.login_rate)
        self.logins_of_user = buckets(settings.login_rate)
        self.refreshes_of_address = buckets(settings.refresh_rate)
        self.refreshes_of_user = buckets(settings.user_refresh_rate)
        self.sessions_of_address = buckets(settings.session_rate)
        self._refreshing: SharedCalls[tuple[Tokens, Principal]] = SharedCalls(
            services.clock, keep=settings.refresh_keep, forgot=partial(full, "refreshes")
        )

    def check_can_login(self) -> None:
        """Raises `LoginNotSupported` where the provider only verifies."""
        if not self.services.provider.can_login:
            raise LoginNotSupported

    async def speaker(self, handshake: Handshake) -> Principal | None:
        """Whom the request speaks for, or spoke for until its token expired."""
        try:
            return await self.services.authenticate(handshake)
        except ExpiredToken as error:
            return error.principal
        except AuthenticationError:
            return None

    async def verify(self, token: str, handshake: Handshake) -> Principal:
        """The principal of a token that the provider has just issued."""
        try:
            return await self.services.provider.verify(token)
        except InvalidToken as error:
            log.error(
                "the provider issued a token that is not accepted: {reason} ({request_id})",
                reason=str(error),
                request_id=handshake.request_id,
                log_flood="tokens of the provider that are not accepted",
            )
            raise ProviderUnavailable("the provider's token does not verify") from error

    async def refreshed(
        self, handshake: Handshake, grant: RefreshGrant, old: Principal | None
    ) -> tuple[Tokens, Principal]:
        """New tokens by a refresh token, once for all who ask with it at the same time.

        Args:
            old: whom the request speaks for, or spoke for.

        Raises:
            SessionExpired: the provider refuses the token.
            ForeignGrant: it belongs to another user than the request.
            ProviderError: it could not be asked.
        """
        tokens, principal = await self._refreshing.share(grant.token, lambda: self._renew(handshake, grant, old))
        if not _is_same_user(principal, old, grant):
            log.error("a refresh gave another user's token: refused ({request_id})", request_id=handshake.request_id)
            raise ForeignGrant("the refresh token belongs to another user than the token")
        return tokens, principal

    def _renew(
        self, handshake: Handshake, grant: RefreshGrant, old: Principal | None
    ) -> Deferred[tuple[Tokens, Principal]]:
        self.refreshes_of_address.take(address_key(handshake.peer))
        username = grant.username or (old.username if old else None)
        if username:
            self.refreshes_of_user.take(user_key(username))

        async def renew() -> tuple[Tokens, Principal]:
            tokens = await self.services.provider.refresh(grant.token, username)
            return tokens, await self.verify(tokens.token, handshake)

        return Deferred.fromCoroutine(renew())

    def cookies_for(self, handshake: Handshake, tokens: Tokens, principal: Principal) -> Headers:
        """The headers that give a browser a session."""
        return self.settings.cookies.set(
            handshake,
            tokens,
            username=principal.username,
            max_age=principal.expires_at - self.services.now(),
        )

    def take_cookies(self, request: WsRequest) -> None:
        """Take the session from the browser along with the error that follows."""
        for name, value in self.settings.cookies.clear(request.handshake):
            request.responseHeaders.addRawHeader(name, value)


class ForeignGrant(SessionExpired):
    """The refresh token belongs to another user than the request: somebody planted it."""


def user_key(username: str) -> str:
    """Whom a limit by user name means, however the name is written."""
    return username.strip().casefold()


def describe(principal: Principal) -> dict[str, Any]:
    """The user, and until when, as the front end is told."""
    user: dict[str, Any] = {
        "id": principal.id,
        "username": principal.username,
        "roles": sorted(principal.roles),
    }
    if principal.scopes:
        user["scopes"] = sorted(principal.scopes)
    return {"user": user, "expiresAt": int(principal.expires_at)}


def _is_same_user(principal: Principal, old: Principal | None, grant: RefreshGrant) -> bool:
    """Whether a refreshed token is for the user who asked: a planted refresh cookie must not change that."""
    if old is not None:
        return principal.id == old.id
    return grant.username in (None, principal.username)
