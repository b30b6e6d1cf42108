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
from wsservice.messages import EndUser
from wsservice.web.rates import Rate
from wsservice.web.refreshes import KEEP
from wsservice.web.session_cookies import SessionCookies


class Sessions(Protocol):
    """What must happen to the connections of a session."""

    def renew(self, principal: Principal) -> None:
        """A refresh made a new token: they live until it expires."""

    def end(self, principal: Principal) -> None:
        """The session is over: close them, and accept its tokens no more."""

    def end_all(self, principal: Principal) -> EndUser:
        """The user signs out everywhere: close all their connections, and accept no token of before."""

    def keep_ended(self, message: EndUser, seconds: float) -> None:
        """What `end_all` returned is to hold for at least so long."""


@dataclass(frozen=True, slots=True)
class AuthServices:
    """What the routes work with.

    Attributes:
        authenticate: who a request speaks for; see `Authenticator.authenticate`.
        find_token: the token of a request that `authenticate` accepted.
        has_ended: whether the login that a token comes from was signed out.
        origins: which pages may call.
        counters: counts `logins` (`ok`, `challenge`), `refreshes` (`ok`) and `logouts` (`ok`, `everywhere`), and each
            by its error's word.
        clock: for timeouts and rates.
        now: POSIX seconds, for the lifetime of cookies.
        shorten: a token of the same session that ends in so many seconds; None but for development.
    """

    provider: IdentityProvider
    authenticate: Callable[[Handshake], Deferred[Principal]]
    sessions: Sessions
    find_token: Callable[[Handshake], str]
    has_ended: Callable[[Principal], bool]
    origins: OriginPolicy
    counters: Counters
    clock: IReactorTime
    now: Callable[[], float]
    shorten: Callable[[Principal, int], str] | None = None


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
