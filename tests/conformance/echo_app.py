"""The app that the test suite talks to: every message goes back as it came, text as text and bytes as bytes."""

from __future__ import annotations

from wsservice import App
from wsservice.connection import Connection

app = App()


@app.on("message")
def echo(connection: Connection, payload: str | bytes) -> None:
    """Send the frame's payload back verbatim.

    The suite sends no JSON object with a member `event`, so all of its frames are `message`.
    """
    connection.send(payload)
