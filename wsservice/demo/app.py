"""The app that runs without `--app`: whatever a client says, everybody hears; who asks is told who is here."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from wsservice.app import App
from wsservice.connection import Connection
from wsservice.demo.flood import flood
from wsservice.demo.presence import Watch


def make_app(clock: IReactorTime) -> App:
    """A new demo app.

    `message` is broadcast with its sender, `customEvent` is answered, `ping` returns what it brought, `who` is
    answered by a list of those who are here and brings the event `presence` whenever that changes, `flood` brings
    the asker as many events as it wants.

    Args:
        clock: the reactor.
    """
    app = App()
    watch = Watch(app, clock)

    @app.on("message")
    def message(connection: Connection, text: Any) -> dict[str, bool]:
        app.emit("message", {"user": connection.user.id, "message": text})
        return {"delivered": True}

    @app.on("customEvent")
    def custom_event(connection: Connection, data: Any) -> None:
        connection.emit("customResponse", {"message": "Hello from the server", "received": data})

    @app.on("ping")
    def ping(connection: Connection, data: Any) -> Any:
        return data

    @app.on("who")
    async def who(connection: Connection, data: Any = None) -> list[dict[str, Any]]:
        return await watch.begin(connection)

    @app.on("flood")
    async def flooded(connection: Connection, asked: Any) -> dict[str, int]:
        return await flood(connection, asked, clock)

    return app
