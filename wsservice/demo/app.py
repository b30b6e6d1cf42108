"""The app that runs without `--app`: whatever a client says, everybody hears."""

from __future__ import annotations

from typing import Any

from wsservice.app import App
from wsservice.connection import Connection


def make_app() -> App:
    """A new demo app: `message` is broadcast with its sender, `customEvent` is answered, `ping` returns."""
    app = App()

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

    return app
