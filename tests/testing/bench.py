"""What the tests of the service in memory share: an app, served anew for each."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice import App, ClientError, Connection
from wsservice.testing import Client, ServiceInMemory

PROTOCOLS = ("raw", "socketio", "polling")


class Base(SynchronousTestCase):
    """An app that is called by name, served anew for each test."""

    def setUp(self) -> None:
        self.app = App()
        self.told: list[Any] = []
        app = self.app

        @app.on_disconnect
        def goodbye(connection: Connection, reason: str) -> None:
            self.told.append((connection.user.id, reason))

        @app.on("echo")
        def echo(connection: Connection, *data: Any) -> Any:
            return data if len(data) > 1 else data[0]

        @app.on("message")
        def message(connection: Connection, data: Any) -> None:
            app.emit("message", data)

        @app.on("who")
        def who(connection: Connection, data: Any = None) -> Any:
            user = connection.user
            return [user.id, user.username, sorted(user.roles), user.session]

        @app.on("broken")
        def broken(connection: Connection, data: Any = None) -> None:
            raise ZeroDivisionError("in a handler")

        @app.on("refused")
        async def refused(connection: Connection, data: Any) -> None:
            raise ClientError("sold_out", "Nothing is left.", {"more": data})

    def serve(self, **settings: Any) -> ServiceInMemory:
        return ServiceInMemory(self.app, **settings)

    def each(self, service: ServiceInMemory, **options: Any) -> list[Client]:
        """A client of each protocol."""
        return [service.connect(f"user-{protocol}", protocol=protocol, **options) for protocol in PROTOCOLS]
