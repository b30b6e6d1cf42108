"""A service in memory with the admin view on."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.admin.passwords import make_hash
from wsservice.app import App
from wsservice.testing import ServiceInMemory
from wsservice.testing.client import Client

PASSWORD = "correct horse battery staple"
HASH = make_hash(PASSWORD, (14, 8, 1))
RIGHT = {"username": "ann", "password": PASSWORD}


class AdminCase(SynchronousTestCase):
    """Starts it, and ends it."""

    def start(self, app: App | None = None, **settings: Any) -> ServiceInMemory:
        """A service; its events are told at once in these tests, and its figures every two seconds."""
        given = {"admin_user": "ann", "admin_password_hash": HASH, **settings}
        self.service = service = ServiceInMemory(app or App(), **given)
        if service.parts.admin is not None:
            service.parts.admin.start()
            self.addCleanup(service.parts.admin.stop)
        return service

    def look(self, auth: dict[str, Any] | None = None, **options: Any) -> Client:
        """Somebody who looks at the admin view; without a session of the application."""
        options = {"user": None, "protocol": "socketio", "namespace": "/admin", **options}
        return self.service.connect(auth=RIGHT if auth is None else auth, **options)

    def heard(self, viewer: Client, *events: str) -> list[tuple[Any, ...]]:
        """What it has been told, a moment later."""
        self.service.advance(0.2)
        return viewer.received(*events)

    def counted(self, name: str, reason: str = "") -> int:
        """How often."""
        return self.service.parts.hub.counters.get(name, reason)
