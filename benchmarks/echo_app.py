"""The app that `benchmarks.compare` loads: an echo and a broadcast, raw and over Socket.IO."""

from __future__ import annotations

from wsservice import App, Connection

app = App()


@app.on("message")
def message(connection: Connection, text: str) -> None:
    """A raw text: `b...` goes to everybody, any other back."""
    if text[0] == "b":
        app.emit("message", text)
    else:
        connection.emit("message", text)


@app.on("echo")
def echo(connection: Connection, text: str) -> None:
    """Back to the sender."""
    connection.emit("echo", text)


@app.on("all")
def tell_all(connection: Connection, text: str) -> None:
    """To everybody."""
    app.emit("all", text)
