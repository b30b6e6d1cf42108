"""What the routes of `/auth` work with, and how they are set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import IdentityProvider
from wsservice.counters import Counters
from wsservice.handshake import Handshake
from wsservice.web.rates import Rate
from wsservice.web.refreshes import KEEP
from wsservice.web.session_cookies import SessionCookies


class Sessions(Protocol):
    """What must happen to the connections of a session."""

    def renew(self, principal: Principal) -> None:
        """A refresh made a new token: they live until it expires."""

    def end(self, principal: Principal) -> None:
        """The session is over: close them, and accept its tokens no more."""


@dataclass(frozen=True, slots=True)
class AuthServices:
    """What the routes work with.

    Attributes:
        authenticate: who a request speaks for; see `Authenticator.authenticate`.
        is_revoked: whether a session was signed out.
        origins: which pages may call.
        counters: counts `logins` (`ok`, `challenge`), `refreshes` and `logouts` (`ok`), and each by its error's word.
        clock: for timeouts and rates.
        now: POSIX seconds, for the lifetime of cookies.
    """

    provider: IdentityProvider
    authenticate: Callable[[Handshake], Deferred[Principal]]
    sessions: Sessions
    is_revoked: Callable[[str], bool]
    origins: OriginPolicy
    counters: Counters
    clock: IReactorTime
    now: Callable[[], float]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """How the routes behave; times in seconds.

    Attributes:
        cookies: names and attributes.
        login_rate: of logins and answered challenges, for each address and for each user name; precedent: Synapse's
            `rc_login` has a burst of 5, too, and a far slower rate.
        refresh_rate: of refreshes and revocations that reach the provider, for each address.
        user_refresh_rate: of refreshes for each user name, who may have a thousand connections and many sessions.
        session_rate: of questions who the user is, and of logouts, for each address; many users may share one.
        refresh_keep: how long a refresh's result serves others who come with the same token.
        revoke_timeout: that a logout waits for the provider.
    """

    cookies: SessionCookies = field(default_factory=SessionCookies)
    login_rate: Rate = field(default_factory=lambda: Rate(5, 30.0))
    refresh_rate: Rate = field(default_factory=lambda: Rate(60, 1.0))
    user_refresh_rate: Rate = field(default_factory=lambda: Rate(300, 0.1))
    session_rate: Rate = field(default_factory=lambda: Rate(1000, 0.02))
    refresh_keep: float = KEEP
    revoke_timeout: float = 2.0
