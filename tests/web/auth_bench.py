"""The routes of `/auth` over a scripted provider, a real authenticator and a test issuer's tokens, on a Clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from tests.web.memory import Browser, RecordedSessions, ScriptedProvider, make_origins
from wsservice.auth.authenticator import Authenticator
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import IdentityProvider, KeySource, Tokens
from wsservice.auth.revocations import Revocations
from wsservice.counters import Counters
from wsservice.messages import EndUser
from wsservice.registry import Registry
from wsservice.sessions import Sessions
from wsservice.testing import Issuer
from wsservice.web.auth import auth_resource
from wsservice.web.rates import Rate
from wsservice.web.request import WsSite
from wsservice.web.resource import Branch
from wsservice.web.services import AuthServices, AuthSettings

NOW = 1_800_000_000.0
GENEROUS = AuthSettings(login_rate=Rate(1000, 1.0), refresh_rate=Rate(1000, 1.0))


class RevokingSessions(RecordedSessions):
    """Records, and remembers ended sessions as the service does."""

    def __init__(self, revocations: Revocations, now: Callable[[], float]) -> None:
        super().__init__()
        self._revocations = revocations
        self._real = Sessions(Registry(Counters()), revocations, now)

    def end(self, principal: Principal) -> None:
        super().end(principal)
        self._revocations.revoke(principal.session, principal.expires_at + 86400)

    def end_all(self, principal: Principal) -> EndUser:
        super().end_all(principal)
        return self._real.end_all(principal)

    def keep_ended(self, message: EndUser, seconds: float) -> None:
        super().keep_ended(message, seconds)
        self._real.keep_ended(message, seconds)


class AuthBench:
    """A site with `/auth`."""

    def __init__(
        self,
        settings: AuthSettings = GENEROUS,
        *,
        provider: IdentityProvider | None = None,
        keys: KeySource | None = None,
        shorten: Callable[[Principal, int], str] | None = None,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.counters = Counters()
        self.issuer = Issuer(now=self.clock.seconds)
        self.scripted = ScriptedProvider(self.issuer, self.clock.seconds, keys)
        self.revocations = Revocations(self.clock.seconds)
        self.sessions = RevokingSessions(self.revocations, self.clock.seconds)
        origins = make_origins()
        used = provider or self.scripted
        authenticator = Authenticator(
            used,
            cookie_name=settings.cookies.token_name,
            origins=origins,
            revocations=self.revocations,
            counters=self.counters,
        )
        self.services = AuthServices(
            provider=used,
            authenticate=authenticator.authenticate,
            sessions=self.sessions,
            find_token=authenticator.find_token,
            has_ended=self.revocations.has_ended,
            origins=origins,
            counters=self.counters,
            clock=self.clock,
            now=self.clock.seconds,
            shorten=shorten,
        )
        root = Branch()
        root.putChild(b"auth", auth_resource(self.services, settings))
        self.site = WsSite(root, clock=self.clock, counters=self.counters)

    @property
    def script(self) -> list[Any]:
        """The results of the provider's next calls."""
        return self.scripted.script

    def browser(self, **options: Any) -> Browser:
        """A browser without cookies."""
        return Browser(self.site, **options)

    def tokens(self, user: str = "alice", *, session: str = "session-1", refresh: str | None = "refresh-1") -> Tokens:
        """What the provider gives for a user."""
        return Tokens(self.issuer.token(user, origin_jti=session), refresh)

    def logged_in(self, user: str = "alice", *, session: str = "session-1", refresh: str = "refresh-1") -> Browser:
        """A browser with a session."""
        browser = self.browser()
        self.script.append(self.tokens(user, session=session, refresh=refresh))
        answer = browser.post("/auth/login", {"username": user, "password": "x"})
        assert answer.status == 200, answer
        return browser
