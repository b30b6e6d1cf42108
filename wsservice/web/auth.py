"""`/auth`: login, challenge, refresh, logout, and who is logged in.

The tokens go into cookies that no script can read; a body says no more than who the user is and until when.
A token that the provider issues is verified like any other before a cookie is made of it. A page of a foreign
origin can neither log somebody in (to an account of its own) nor out.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from twisted.logger import Logger

from wsservice.addresses import address_key
from wsservice.auth.providers.base import Challenge, Tokens
from wsservice.errors import InvalidToken, RateLimited, SessionExpired
from wsservice.handshake import Handshake
from wsservice.web.answers import Answer, json_answer
from wsservice.web.auth_parts import AuthParts, ForeignGrant, describe, user_key
from wsservice.web.forms import read_challenge_answer, read_credentials
from wsservice.web.request import WsRequest
from wsservice.web.resource import Branch, JsonResource, read_json
from wsservice.web.services import AuthServices, AuthSettings
from wsservice.web.session_cookies import RefreshGrant
from wsservice.web.shorten import Shortening
from wsservice.web.sign_out import SignOut

log = Logger()

Route = Callable[[WsRequest], Awaitable[Answer]]


def auth_resource(services: AuthServices, settings: AuthSettings) -> Branch:
    """The resource of `/auth`.

    With a provider that only verifies tokens `login`, `challenge` and `refresh` answer 404 `login_not_supported`;
    `logout` and `me` work. `dev/shorten` is there where `services.shorten` is.
    """
    parts = AuthParts(services, settings)
    routes = AuthRoutes(parts)
    branch = _branch(
        services,
        {
            b"login": ("POST", routes.login),
            b"challenge": ("POST", routes.challenge),
            b"refresh": ("POST", routes.refresh),
            b"logout": ("POST", routes.logout),
            b"me": ("GET", routes.me),
        },
    )
    if services.shorten is not None:
        branch.putChild(b"dev", _branch(services, {b"shorten": ("POST", Shortening(parts, services.shorten))}))
    return branch


def _branch(services: AuthServices, routes: Mapping[bytes, tuple[str, Route]]) -> Branch:
    branch = Branch()
    for path, (method, route) in routes.items():
        branch.putChild(path, JsonResource({method: route}, origins=services.origins))
    return branch


class AuthRoutes:
    """The handlers."""

    def __init__(self, parts: AuthParts) -> None:
        self._parts = parts
        self._services = parts.services
        self._settings = parts.settings
        self._sign_out = SignOut(parts)

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
        """204, whether there was a session or not; with `{"everywhere": true}` the end of all that the user has."""
        return await self._counted("logouts", self._sign_out, request)

    async def me(self, request: WsRequest) -> Answer:
        """200 with the user, or 401."""
        return await self._counted("me", self._me, request)

    async def _me(self, request: WsRequest) -> Answer:
        self._parts.sessions_of_address.take(address_key(request.handshake.peer))
        return json_answer(200, describe(await self._services.authenticate(request.handshake)))

    # -- login

    async def _login(self, request: WsRequest) -> Answer:
        self._parts.check_can_login()
        credentials = read_credentials(read_json(request))
        self._limit_logins(request.handshake, credentials.username)
        outcome = await self._services.provider.login(credentials.username, credentials.password)
        return await self._proceed(request.handshake, outcome)

    async def _answer_challenge(self, request: WsRequest) -> Answer:
        self._parts.check_can_login()
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
        principal = await self._parts.verify(outcome.token, handshake)
        if self._services.has_ended(principal):  # within the second in which the user signed out everywhere
            raise RateLimited("signed out everywhere a moment ago", retry_after=1)
        answer = json_answer(200, describe(principal), self._parts.cookies_for(handshake, outcome, principal))
        self._services.counters.add("logins", "ok")
        return answer

    def _limit_logins(self, handshake: Handshake, username: str) -> None:
        self._parts.logins_of_address.take(address_key(handshake.peer))
        if username:
            self._parts.logins_of_user.take(user_key(username))

    # -- refresh

    async def _refresh(self, request: WsRequest) -> Answer:
        self._parts.check_can_login()
        read_json(request, may_be_empty=True)
        handshake = request.handshake
        grant = self._read_grant(request)
        old = await self._parts.speaker(handshake)
        try:
            tokens, principal = await self._parts.refreshed(handshake, grant, old)
        except ForeignGrant:
            self._parts.take_cookies(request)
            raise
        except SessionExpired:
            if old is not None:
                self._services.sessions.end(old)
            self._parts.take_cookies(request)
            raise
        if self._services.has_ended(principal):  # a logout overtook it
            self._parts.take_cookies(request)
            raise SessionExpired("the session was signed out")
        kept = replace(tokens, refresh=tokens.refresh or grant.token)
        answer = json_answer(200, describe(principal), self._parts.cookies_for(handshake, kept, principal))
        self._services.sessions.renew(principal)
        self._services.counters.add("refreshes", "ok")
        return answer

    def _read_grant(self, request: WsRequest) -> RefreshGrant:
        try:
            grant = self._settings.cookies.read_refresh(request.handshake)
        except InvalidToken as error:
            self._parts.take_cookies(request)
            raise SessionExpired(str(error)) from error
        if grant is None:  # the token, if there is one, is good until it expires: no cookie is taken
            raise SessionExpired("no refresh cookie")
        return grant

    # -- shared

    async def _counted(self, name: str, route: Route, request: WsRequest) -> Answer:
        try:
            return await route(request)
        except Exception as error:
            self._services.counters.add(name, getattr(error, "word", "error"))
            raise
