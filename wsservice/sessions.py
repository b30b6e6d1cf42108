"""What happens to a session happens to all its connections: renewed by a refresh, ended by a logout."""

from __future__ import annotations

from collections.abc import Callable

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.auth.revocations import Revocations
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection
from wsservice.history import History
from wsservice.messages import Renew
from wsservice.registry import Registry

#: the longest life that Cognito gives a token (seconds): an ended session may have newer ones than we saw
LONGEST_TOKEN = 86400.0


class Sessions:
    """Renews and ends sessions in this process.

    Args:
        revocations: remembers ended sessions, whose tokens would still verify.
        now: the wall clock, POSIX seconds.
        history: has connections that broke, and must not come back.
    """

    def __init__(
        self,
        registry: Registry[Connection],
        revocations: Revocations,
        now: Callable[[], float],
        history: History | None = None,
    ) -> None:
        self._history = history
        self._registry = registry
        self._revocations = revocations
        self._now = now

    def renew(self, principal: Principal) -> None:
        """A refresh made a new token: the session's connections live until it expires."""
        self._registry.renew(Renew(principal.session, principal.id, principal.expires_at))

    def end(self, principal: Principal) -> None:
        """A user signed out: close the session's connections, and accept its tokens no more."""
        self._revocations.revoke(principal.session, max(principal.expires_at, self._now() + LONGEST_TOKEN))
        if self._history is not None:
            self._history.forget(principal.session)
        self._registry.end_session(principal.session, CloseCode.POLICY_VIOLATION, close_codes.SIGNED_OUT)
