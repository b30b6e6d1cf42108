"""What happens to a session happens to all its connections: renewed by a refresh, ended by a logout.

A logout can be of one session, or of all that its user has.

In a cluster, to those of every process: what happens here is passed on to its adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.auth.revocations import Revocations
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection
from wsservice.history import History
from wsservice.messages import EndSession, EndUser, Renew
from wsservice.registry import Registry

if TYPE_CHECKING:
    from wsservice.adapters.base import Adapter

#: the longest life that Cognito gives a token (seconds): an ended session may have newer ones than we saw
LONGEST_TOKEN = 86400.0


class Sessions:
    """Renews and ends sessions.

    Args:
        revocations: remembers who signed out, since their tokens would still verify.
        now: the wall clock, POSIX seconds.
        history: has connections that broke, and must not come back.
        adapter: tells the other processes of a cluster.
    """

    def __init__(
        self,
        registry: Registry[Connection],
        revocations: Revocations,
        now: Callable[[], float],
        history: History | None = None,
        adapter: Adapter | None = None,
    ) -> None:
        self._history = history
        self._registry = registry
        self._revocations = revocations
        self._now = now
        self._adapter = adapter

    def renew(self, principal: Principal) -> None:
        """A refresh made a new token: the session's connections live until it expires."""
        message = Renew(principal.session, principal.id, principal.expires_at)
        self._registry.renew(message)
        if self._adapter is not None:
            self._adapter.renew(message)

    def end(self, principal: Principal) -> None:
        """A user signed out: close the session's connections, and accept its tokens no more."""
        message = EndSession(principal.session, max(principal.expires_at, self._now() + LONGEST_TOKEN))
        self.ended(message)
        if self._adapter is not None:
            self._adapter.end_session(message)

    def end_all(self, principal: Principal) -> EndUser:
        """A user signed out everywhere: close all their connections, and accept no token of before.

        Tokens say when they were issued in whole seconds, so those of the second that runs are refused, too: who
        answers the user waits until it is over (`EndUser.before`), and what they log in with then is newer.

        Returns what others were told, for `keep_ended`.
        """
        now = self._now()
        message = EndUser(principal.id, floor(now) + 1.0, max(principal.expires_at, now + LONGEST_TOKEN))
        self._end_user(message)
        return message

    def keep_ended(self, message: EndUser, seconds: float) -> None:
        """Refuse what `end_all` ended for at least so long: the provider may go on making tokens of those sessions."""
        self._end_user(replace(message, until=max(message.until, self._now() + seconds)))

    def ended_sessions(self) -> list[EndSession]:
        """Those whose tokens are refused now."""
        return [EndSession(session, until) for session, until in self._revocations.sessions()]

    def ended_users(self) -> list[EndUser]:
        """Those whose older tokens are refused now."""
        return [EndUser(user, before, until) for user, before, until in self._revocations.users()]

    def ended(self, message: EndSession) -> None:
        """A user signed out, here or in another process."""
        self._revocations.revoke(message.session, message.until)
        if self._history is not None:
            self._history.forget(message.session)
        self._registry.end_session(message.session, CloseCode.POLICY_VIOLATION, close_codes.SIGNED_OUT)

    def ended_user(self, message: EndUser) -> None:
        """A user signed out everywhere, here or in another process; it may be told again, long after."""
        if not self._revocations.revoke_user(message.user, message.before, message.until):
            return
        if self._history is not None:
            self._history.forget_user(message.user)
        self._registry.end_user(
            message.user,
            CloseCode.POLICY_VIOLATION,
            close_codes.SIGNED_OUT,
            is_meant=self._revocations.refuses,  # who has logged in since stays
        )

    def _end_user(self, message: EndUser) -> None:
        self.ended_user(message)
        if self._adapter is not None:
            self._adapter.end_user(message)
