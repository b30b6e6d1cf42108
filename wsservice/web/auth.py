"""`/auth`: login, challenge, refresh, logout, and who is logged in.

The tokens go into cookies that no script can read; a body says no more than who the user is and until when.
A token that the provider issues is verified like any other before a cookie is made of it. A page of a foreign
origin can neither log somebody in (to an account of its own) nor out.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsservice.addresses import address_key
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import Challenge, Tokens
from wsservice.errors import (
    AuthenticationError,
    ExpiredToken,
    InvalidToken,
    LoginNotSupported,
    ProviderError,
    ProviderUnavailable,
    SessionExpired,
)
from wsservice.handshake import Handshake
from wsservice.headers import Headers
from wsservice.web.answers import Answer, empty_answer, json_answer
from wsservice.web.forms import read_challenge_answer, read_credentials
from wsservice.web.rates import Buckets
from wsservice.web.refreshes import SharedCalls
from wsservice.web.request import WsRequest
from wsservice.web.resource import Branch, JsonResource, read_json
from wsservice.web.services import AuthServices, AuthSettings
from wsservice.web.session_cookies import RefreshGrant

log = Logger()

Route = Callable[[WsRequest], Awaitable[Answer]]


def auth_resource(services: AuthServices, settings: AuthSettings) -> Branch:
    """The resource of `/auth`.

    With a provider that only verifies tokens `login`, `challenge` and `refresh` answer 404 `login_not_supported`;
    `logout` and `me` work.
    """
    routes = AuthRoutes(services, settings)
    branch = Branch()
    for path, method, route in (
        (b"login", "POST", routes.login),
        (b"challenge", "POST", routes.challenge),
        (b"refresh", "POST", routes.refresh),
        (b"logout", "POST", routes.logout),
        (b"me", "GET", routes.me),
    ):
        branch.putChild(path, JsonResource({method: route}, origins=services.origins))
    return branch


class AuthRoutes:
    """The handlers."""

    def __init__(self, services: AuthServices, settings: AuthSettings) -> None:
        self._services = services
        self._settings = settings
        full = partial(services.counters.add, "tables_full")
        buckets = partial(Buckets, now=services.clock.seconds, forgot=partial(full, "rates"))
        self._logins_of_address = buckets(settings.login_rate)
        self._logins_of_user = buckets(settings.login_rate)
        self._refreshes_of_address = buckets(settings.refresh_rate)
        self._refreshes_of_user = buckets(settings.user_refresh_rate)
        self._sessions_of_address = buckets(settings.session_rate)
        self._refreshing: SharedCalls[tuple[Tokens, Principal]] = SharedCalls(
            services.clock, keep=settings.refresh_keep, forgot=partial(full, "refreshes")
        )

    async def login(self, request: WsRequest) -> Answer:
        """`{"username" or "email", "password"}`: 200 with cookies, or 200 with a challenge."""
        return await self._counted("logins", self._login, request)

    async def challenge(self, request: WsRequest) -> Answer:
        """The challenge as it was given and what answers it: as `login`."""
        return await self._counted("logins", self._answer_challenge, request)

    async def refresh(self, request: WsRequest) -> Answer:
        """By the refresh cookie: 200 with new cookies, or 401, after which there are none."""
        return await self._counted("refreshes", self._refresh, request)

    async def logout(self, request: WsRequest) -> Answer:
        """204, whether there was a session or not."""
        return await self._counted("logouts", self._logout, request)

    async def me(self, request: WsRequest) -> Answer:
        """200 with the user, or 401."""
        return await self._counted("me", self._me, request)

    async def _me(self, request: WsRequest) -> Answer:
        self._sessions_of_address.take(address_key(request.handshake.peer))
        return json_answer(200, _describe(await self._services.authenticate(request.handshake)))

    # -- login

    async def _login(self, request: WsRequest) -> Answer:
        self._check_can_login()
        credentials = read_credentials(read_json(request))
        self._limit_logins(request.handshake, credentials.username)
        outcome = await self._services.provider.login(credentials.username, credentials.password)
        return await self._proceed(request.handshake, outcome)

    async def _answer_challenge(self, request: WsRequest) -> Answer:
        self._check_can_login()
        challenge, responses = read_challenge_answer(read_json(request))
        self._limit_logins(request.handshake, challenge.username)
        outcome = await self._services.provider.answer(challenge, responses)
        return await self._proceed(request.handshake, outcome)

    async def _proceed(self, handshake: Handshake, outcome: Tokens | Challenge) -> Answer:
        if isinstance(outcome, Challenge):
            self._services.counters.add("logins", "challenge")
            return json_answer(
                200,
                {
                    "challenge": outcome.name,
                    "session": outcome.session,
                    "username": outcome.username,
                    "parameters": outcome.parameters,
                },
            )
        principal = await self._verify(outcome.token, handshake)
        answer = json_answer(200, _describe(principal), self._cookies_for(handshake, outcome, principal))
        self._services.counters.add("logins", "ok")
        return answer

    def _limit_logins(self, handshake: Handshake, username: str) -> None:
        self._logins_of_address.take(address_key(handshake.peer))
        if username:
            self._logins_of_user.take(_user_key(username))

    # -- refresh

    async def _refresh(self, request: WsRequest) -> Answer:
        self._check_can_login()
        read_json(request, may_be_empty=True)
        handshake = request.handshake
        grant = self._read_grant(request)
        old = await self._speaker(handshake)
        try:
            tokens, principal = await self._refreshing.share(grant.token, lambda: self._renew(handshake, grant, old))
        except SessionExpired:
            if old is not None:
                self._services.sessions.end(old)
            self._take_cookies(request)
            raise
        if not _is_same_user(principal, old, grant):
            log.error("a refresh gave another user's token: refused ({request_id})", request_id=handshake.request_id)
            self._take_cookies(request)
            raise SessionExpired("the refresh token belongs to another user than the token")
        if self._services.is_revoked(principal.session):  # a logout overtook it
            self._take_cookies(request)
            raise SessionExpired("the session was signed out")
        kept = replace(tokens, refresh=tokens.refresh or grant.token)
        answer = json_answer(200, _describe(principal), self._cookies_for(handshake, kept, principal))
        self._services.sessions.renew(principal)
        self._services.counters.add("refreshes", "ok")
        return answer

    def _renew(
        self, handshake: Handshake, grant: RefreshGrant, old: Principal | None
    ) -> Deferred[tuple[Tokens, Principal]]:
        self._refreshes_of_address.take(address_key(handshake.peer))
        username = grant.username or (old.username if old else None)
        if username:
            self._refreshes_of_user.take(_user_key(username))

        async def renew() -> tuple[Tokens, Principal]:
            tokens = await self._services.provider.refresh(grant.token, username)
            return tokens, await self._verify(tokens.token, handshake)

        return Deferred.fromCoroutine(renew())

    def _read_grant(self, request: WsRequest) -> RefreshGrant:
        try:
            grant = self._settings.cookies.read_refresh(request.handshake)
        except InvalidToken as error:
            self._take_cookies(request)
            raise SessionExpired(str(error)) from error
        if grant is None:  # the token, if there is one, is good until it expires: no cookie is taken
            raise SessionExpired("no refresh cookie")
        return grant

    # -- logout

    async def _logout(self, request: WsRequest) -> Answer:
        read_json(request, may_be_empty=True)
        handshake = request.handshake
        self._sessions_of_address.take(address_key(handshake.peer))
        # First what is in our own hands: whatever happens to the provider, the sockets are closed by then.
        principal = await self._speaker(handshake)
        if principal is not None:
            self._services.sessions.end(principal)
        await self._revoke(handshake)
        self._services.counters.add("logouts", "ok")
        return empty_answer(self._settings.cookies.clear(handshake))

    async def _revoke(self, handshake: Handshake) -> None:
        """Tell the provider; a logout does not fail by it."""
        if not self._services.provider.can_login:
            return
        try:
            grant = self._settings.cookies.read_refresh(handshake)
            if grant is None:
                return
            self._refreshes_of_address.take(address_key(handshake.peer))
            revoked = self._services.provider.revoke(grant.token)
            await revoked.addTimeout(self._settings.revoke_timeout, self._services.clock)
        except (InvalidToken, ProviderError, defer.TimeoutError) as error:
            log.warn(
                "the refresh token was not revoked: {reason} ({request_id})",
                reason=type(error).__name__,
                request_id=handshake.request_id,
                log_flood="refresh tokens that were not revoked",
            )
        except Exception:
            log.failure("revoking the refresh token failed ({request_id})", request_id=handshake.request_id)

    # -- shared

    async def _counted(self, name: str, route: Route, request: WsRequest) -> Answer:
        try:
            return await route(request)
        except Exception as error:
            self._services.counters.add(name, getattr(error, "word", "error"))
            raise

    def _check_can_login(self) -> None:
        if not self._services.provider.can_login:
            raise LoginNotSupported

    async def _verify(self, token: str, handshake: Handshake) -> Principal:
        """The principal of a token that the provider has just issued."""
        try:
            return await self._services.provider.verify(token)
        except InvalidToken as error:
            log.error(
                "the provider issued a token that is not accepted: {reason} ({request_id})",
                reason=str(error),
                request_id=handshake.request_id,
                log_flood="tokens of the provider that are not accepted",
            )
            raise ProviderUnavailable("the provider's token does not verify") from error

    async def _speaker(self, handshake: Handshake) -> Principal | None:
        """Whom the request speaks for, or spoke for until its token expired."""
        try:
            return await self._services.authenticate(handshake)
        except ExpiredToken as error:
            return error.principal
        except AuthenticationError:
            return None

    def _cookies_for(self, handshake: Handshake, tokens: Tokens, principal: Principal) -> Headers:
        return self._settings.cookies.set(
            handshake,
            tokens,
            username=principal.username,
            max_age=principal.expires_at - self._services.now(),
        )

    def _take_cookies(self, request: WsRequest) -> None:
        """Take the session from the browser along with the error that follows."""
        for name, value in self._settings.cookies.clear(request.handshake):
            request.responseHeaders.addRawHeader(name, value)


def _user_key(username: str) -> str:
    """Whom a limit by user name means, however the name is written."""
    return username.strip().casefold()


def _describe(principal: Principal) -> dict[str, Any]:
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
