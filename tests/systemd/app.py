"""The app of these tests: who sends anything is answered, and `block` stops the event loop for good."""

from __future__ import annotations

import time
from typing import Any

from wsservice import App

app = App()


@app.on("message")
def message(connection: Any, text: str) -> None:
    """Send it back."""
    connection.emit("message", text)


@app.on("block")
def block(connection: Any, data: Any) -> None:
    """Until systemd ends the process."""
    while True:
        time.sleep(1)


@app.on("fail")
def fail(connection: Any, data: Any) -> None:
    """An error for the journal."""
    raise ValueError("as asked")
