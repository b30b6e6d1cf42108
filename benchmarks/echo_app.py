"""The app that `benchmarks.compare` loads: an echo, a broadcast and rooms, raw and over Socket.IO."""

from __future__ import annotations

from wsservice import App, Connection

app = App()


@app.on("message")
def message(connection: Connection, text: str) -> None:
    """A raw text: `b...` goes to everybody, `r012...` to a room; `j012` joins it; that and any other goes back."""
    if text[0] == "b":
        app.emit("message", text)
    elif text[0] == "r":
        app.emit("message", text, room=text[1:4])
    else:
        if text[0] == "j":
            connection.join(text[1:4])
        connection.emit("message", text)


@app.on("echo")
def echo(connection: Connection, text: str) -> None:
    """Back to the sender."""
    connection.emit("echo", text)


@app.on("answer")
def answer(connection: Connection, text: str) -> str:
    """Back to the sender, as the answer that a raw client asked for by an id."""
    return text


@app.on("all")
def tell_all(connection: Connection, text: str) -> None:
    """To everybody."""
    app.emit("all", text)


@app.on("join")
def join(connection: Connection, room: str) -> None:
    """Join a room, and tell the sender."""
    connection.join(room)
    connection.emit("join", room)


@app.on("room")
def tell_room(connection: Connection, room: str, text: str) -> None:
    """To one room."""
    app.emit("room", text, room=room)
