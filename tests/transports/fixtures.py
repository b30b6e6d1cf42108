"""What the tests of the transports share: a hub with an app, and an authenticator that does as it is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from wsservice.app import App
from wsservice.auth.principal import Principal
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.errors import HandshakeError
from wsservice.expiry import Expirations
from wsservice.handshake import Handshake
from wsservice.hub import Hub
from wsservice.registry import Registry
from wsservice.transports.websocket import RawFactory, Settings

ALICE = Principal(id="alice", username="alice", session="s1", expires_at=3600.0)


class FakeAuthenticator:
    """Answers every handshake with `answer`: a principal, an error, or a Deferred of either."""

    def __init__(self) -> None:
        self.answer: Any = ALICE
        self.origin_error: HandshakeError | None = None
        self.seen: list[Handshake] = []
        self.revoked: set[str] = set()

    def is_revoked(self, principal: Principal) -> bool:
        return principal.session in self.revoked

    def check_origin(self, handshake: Handshake) -> None:
        if self.origin_error is not None:
            raise self.origin_error

    def decide(self, handshake: Handshake) -> Principal | Deferred[Principal]:
        """Of a principal, as where its token was seen before."""
        deciding = self.authenticate(handshake)
        return self.answer if isinstance(self.answer, Principal) else deciding

    def authenticate(self, handshake: Handshake) -> Deferred[Principal]:
        self.seen.append(handshake)
        if isinstance(self.answer, Deferred):
            return self.answer
        if isinstance(self.answer, Exception):
            from twisted.internet.defer import fail

            return fail(self.answer)
        return succeed(self.answer)


class Service:
    """The parts behind a raw WebSocket, on a Clock."""

    def __init__(self, *, hub: dict[str, Any] | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.app = App()
        self.registry: Registry[Connection] = Registry(self.counters)
        self.expirations = Expirations(self.clock, self.clock.seconds)
        self.hub = Hub(self.app, self.registry, self.expirations, self.clock, self.counters, **(hub or {}))
        self.app.serve(self.hub)
        self.authenticator = FakeAuthenticator()
        self.factory = RawFactory(self.hub, self.authenticator, Settings(**settings), self.clock)  # type: ignore[arg-type]
