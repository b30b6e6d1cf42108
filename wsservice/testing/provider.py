"""A user pool in memory: whoever a test names has a session there; its tokens are signed and verified for real."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from wsservice.auth.providers.base import Tokens
from wsservice.auth.providers.dev import FixedKeySet
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.auth.tokens import Rules
from wsservice.errors import SessionExpired
from wsservice.testing.tokens import LIFETIME, Issuer


@dataclass(slots=True)
class Session:
    """One login of one user.

    Attributes:
        id: the claim `origin_jti`.
        refresh: the refresh token.
        token: the newest one.
        expires_at: of that, POSIX seconds.
    """

    user: str
    claims: dict[str, Any]
    id: str
    refresh: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    token: str = field(default="", repr=False)
    expires_at: float = 0.0
    has_ended: bool = False


class UserPool(OidcProvider):
    """Verifies by the issuer's key and the service's own rules; refreshes and revokes what it issued.

    Args:
        now: POSIX seconds.
        rules: changes to the issuer's, such as required groups.
    """

    can_login = True

    def __init__(self, issuer: Issuer, *, now: Callable[[], float], **rules: Any) -> None:
        checked: Rules = issuer.rules(**rules)
        super().__init__(FixedKeySet(issuer.key()), checked, now=now)
        self._issuer = issuer
        self._sessions: dict[str, Session] = {}

    def sessions(self, user: str) -> list[Session]:
        """The user's sessions that have not ended, the oldest first."""
        return [one for one in self._sessions.values() if one.user == user and not one.has_ended]

    def session(
        self,
        user: str,
        *,
        roles: Iterable[str] | None = None,
        claims: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> Session:
        """The user's newest session that fits and has not expired; or a new one.

        Args:
            roles, claims: None: whatever they are in that session.
            id: of the session; None: whichever.
        """
        wanted = dict(claims or {})
        if roles is not None:
            wanted["cognito:groups"] = sorted(roles)
        for one in reversed(self.sessions(user)):
            is_same = (roles is claims is None) or one.claims == wanted
            if is_same and one.expires_at > self._now() and id in (None, one.id):
                return one
        session = Session(user, wanted, id or str(uuid.uuid4()))
        self._sessions[session.refresh] = session
        self._sign(session)
        return session

    def refresh(self, refresh_token: str, username: str | None = None) -> Deferred[Tokens]:
        """A new token of the same session, with the same claims."""
        session = self._sessions.get(refresh_token)
        if session is None or session.has_ended:
            return fail(SessionExpired("the refresh token is unknown, or its session has ended"))
        self._sign(session)
        return succeed(Tokens(session.token))

    def revoke(self, refresh_token: str) -> Deferred[None]:
        """End the session of a refresh token."""
        session = self._sessions.get(refresh_token)
        if session is not None:
            session.has_ended = True
        return succeed(None)

    def sign_out(self, token: str, refresh_token: str | None = None, username: str | None = None) -> Deferred[None]:
        """End every session of the user."""
        return self.verify(token).addCallback(lambda principal: self._end_all(principal.id))

    def _end_all(self, user: str) -> None:
        for session in self.sessions(user):
            session.has_ended = True

    def _sign(self, session: Session) -> None:
        claims = {"sub": session.user, "username": session.user, "origin_jti": session.id, **session.claims}
        session.token = self._issuer.token(**claims)
        session.expires_at = float(session.claims.get("exp", int(self._now()) + LIFETIME))
