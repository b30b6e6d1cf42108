"""`POST /auth/logout`: the end of one session, or of every session that its user has.

One session ends for whoever shows its token, an expired one, too: nobody else has it. Every session of a user ends
only for who is that user now, by a token that has not expired, or by a refresh token that the provider still takes:
a token of last year, found in some backup, must not be able to throw somebody out again and again. Who has neither
ends the session of the expired token, as without `everywhere`.

First comes what is in our own hands: whatever happens to the provider, the sockets are closed by then.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wsservice.addresses import address_key
from wsservice.auth.principal import Principal
from wsservice.errors import AuthenticationError, InvalidToken, ProviderError
from wsservice.handshake import Handshake
from wsservice.messages import EndUser
from wsservice.web.answers import Answer, bad_request, empty_answer
from wsservice.web.auth_parts import AuthParts
from wsservice.web.request import WsRequest
from wsservice.web.resource import read_json
from wsservice.web.session_cookies import RefreshGrant

log = Logger()

#: what is logged when the provider did not do it
_NOT_ONE = "the refresh token was not revoked"
_NOT_ALL = "the user's other sessions were not ended at the provider"


class SignOut:
    """The handler."""

    def __init__(self, parts: AuthParts) -> None:
        self._parts = parts
        self._services = parts.services
        self._settings = parts.settings

    async def __call__(self, request: WsRequest) -> Answer:
        """204 and no cookies any more, whether there was a session or not.

        Raises:
            RequestRefused: `everywhere` is neither true nor false.
            RateLimited: too often from this address.
        """
        everywhere = read_json(request, may_be_empty=True).get("everywhere", False)
        if not isinstance(everywhere, bool):
            raise bad_request("everywhere must be true or false.")
        handshake = request.handshake
        self._parts.sessions_of_address.take(address_key(handshake.peer))
        ended = await self._end_all(handshake) if everywhere else await self._end(handshake)
        self._services.counters.add("logouts", ended)
        return empty_answer(self._settings.cookies.clear(handshake))

    async def _end(self, handshake: Handshake) -> str:
        """End the request's session, here and at the provider."""
        principal = await self._parts.speaker(handshake)
        if principal is not None:
            self._services.sessions.end(principal)
        await self._revoke(handshake)
        return "ok"

    async def _end_all(self, handshake: Handshake) -> str:
        """End every session of the user, if the request is theirs; returns what to count."""
        user = await self._user(handshake)
        if user is None:
            log.info(
                "nothing shows who wants to be signed out everywhere: one session is ended, if any ({request_id})",
                request_id=handshake.request_id,
                log_flood="sign-outs everywhere without a user",
            )
            return await self._end(handshake)
        principal, token, grant = user
        message = self._services.sessions.end_all(principal)
        self._services.sessions.end(principal)
        if not await self._sign_out(handshake, principal, token, grant):
            # The other sessions' refresh tokens are still good at the provider: ours must go on refusing them.
            self._services.sessions.keep_ended(message, self._settings.cookies.refresh_lifetime)
            if grant is not None:
                await self._revoke_grant(handshake, grant)
        log.info(
            "signed out everywhere ({request_id})",
            request_id=handshake.request_id,
            log_flood="signed out everywhere",
        )
        await self._pass(message)
        return "everywhere"

    async def _user(self, handshake: Handshake) -> tuple[Principal, str, RefreshGrant | None] | None:
        """Who the request is from, by which token, and the refresh token; None where nothing shows that."""
        grant = self._grant(handshake)
        try:
            principal = await self._services.authenticate(handshake)
            return principal, self._services.find_token(handshake), grant
        except AuthenticationError as error:
            old = getattr(error, "principal", None)
        if grant is None:
            return None
        refreshing = Deferred.fromCoroutine(self._parts.refreshed(handshake, grant, old))
        try:
            tokens, principal = await refreshing.addTimeout(self._settings.revoke_timeout, self._services.clock)
        except (AuthenticationError, ProviderError, defer.TimeoutError):
            return None
        if self._services.has_ended(principal):
            return None
        return principal, tokens.token, RefreshGrant(tokens.refresh or grant.token, grant.username)

    def _grant(self, handshake: Handshake) -> RefreshGrant | None:
        if not self._services.provider.can_login:
            return None
        try:
            return self._settings.cookies.read_refresh(handshake)
        except InvalidToken:
            return None

    async def _sign_out(
        self, handshake: Handshake, principal: Principal, token: str, grant: RefreshGrant | None
    ) -> bool:
        """Tell the provider to end all; returns whether it did, which is so where there is nobody to be told."""
        provider = self._services.provider
        if not provider.can_login:
            return True
        refresh = grant.token if grant is not None else None
        return await self._ask(handshake, _NOT_ALL, lambda: provider.sign_out(token, refresh, principal.username))

    async def _revoke(self, handshake: Handshake) -> None:
        """Tell the provider to end one session; a logout does not fail by it."""
        if not self._services.provider.can_login:
            return
        try:
            grant = self._settings.cookies.read_refresh(handshake)
        except InvalidToken as error:
            _warn(handshake, _NOT_ONE, error)
            return
        if grant is not None:
            await self._revoke_grant(handshake, grant)

    async def _revoke_grant(self, handshake: Handshake, grant: RefreshGrant) -> None:
        await self._ask(handshake, _NOT_ONE, lambda: self._services.provider.revoke(grant.token))

    async def _ask(self, handshake: Handshake, failed: str, ask: Callable[[], Deferred[None]]) -> bool:
        """Ask the provider to revoke tokens; returns whether it did, else logs `failed`."""
        try:
            self._parts.refreshes_of_address.take(address_key(handshake.peer))
            await ask().addTimeout(self._settings.revoke_timeout, self._services.clock)
        except (AuthenticationError, ProviderError, defer.TimeoutError) as error:
            _warn(handshake, failed, error)
            return False
        except Exception:
            log.failure("asking the provider to revoke tokens failed ({request_id})", request_id=handshake.request_id)
            return False
        return True

    async def _pass(self, message: EndUser) -> None:
        """Wait, for a second at most, until a new login gives a token that is newer than what was ended."""
        remaining = message.before - self._services.now()
        if remaining > 0:
            await deferLater(self._services.clock, remaining)


def _warn(handshake: Handshake, failed: str, error: Exception) -> None:
    log.warn(
        failed + ": {reason} ({request_id})",
        reason=type(error).__name__,
        request_id=handshake.request_id,
        log_flood=failed,
    )
