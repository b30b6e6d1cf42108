"""Who was signed out, remembered while a token of theirs could still be shown.

A token that is verified offline stays good until its `exp`, whatever the provider was told. So a logout is
remembered here, in this process, until then: of one session, all whose tokens are refused; or of a user in every
session, whose tokens from before that moment are refused, so that a new login counts. The memory is bounded: of
what was forgotten to make room the tokens are good again, and somebody is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from wsservice.auth.marks import CAPACITY, Marks
from wsservice.auth.principal import Principal


class Revocations:
    """Sessions and users that were signed out.

    Args:
        now: POSIX seconds.
        capacity: sessions at most, and users at most.
        forgot: called for each of them that made room for another.
    """

    def __init__(
        self, now: Callable[[], float], capacity: int = CAPACITY, *, forgot: Callable[[], None] = lambda: None
    ) -> None:
        self._sessions = Marks(now, capacity, forgot=forgot)
        self._users = Marks(now, capacity, forgot=forgot)

    def revoke(self, session: str, until: float) -> None:
        """Refuse a session's tokens up to `until` (POSIX seconds): the latest `exp` that any of them can have."""
        self._sessions.put(session, until)

    def revoke_user(self, user: str, before: float, until: float) -> bool:
        """Refuse a user's tokens that were issued before `before`, up to `until`; returns whether that is news."""
        known = self._users.before(user)
        self._users.put(user, until, before)
        return self._users.before(user) != known

    def is_revoked(self, session: str) -> bool:
        """Whether the session was signed out and its end has not come."""
        return self._sessions.before(session) is not None

    def refuses(self, principal: Principal) -> bool:
        """Whether a token must not be accepted: its session was signed out, or its user everywhere since it was issued.

        A token that does not say when it was issued (`iat`) cannot show that it is newer.
        """
        if self.is_revoked(principal.session):
            return True
        before = self._users.before(principal.id)
        return before is not None and _moment(principal.claims, "iat") < before

    def has_ended(self, principal: Principal) -> bool:
        """The same, of the login that a token comes from (`auth_time`), however new the token is: no refresh helps it.

        For the tokens of a provider that this service logs people in at; of others `auth_time` may mean more than
        a login here.
        """
        if self.refuses(principal):
            return True
        before = self._users.before(principal.id)
        if before is None:
            return False
        claims = principal.claims
        return "auth_time" in claims and _moment(claims, "auth_time") < before

    def sessions(self) -> list[tuple[str, float]]:
        """The sessions that are refused now, each with its end."""
        return [(session, until) for session, until, _ in self._sessions.items()]

    def users(self) -> list[tuple[str, float, float]]:
        """The users that are refused now, each with `before` and `until`."""
        return [(user, before, until) for user, until, before in self._users.items()]


def _moment(claims: Mapping[str, Any], name: str) -> float:
    """A time that was checked when the token was; long ago where there is none."""
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) else -inf
