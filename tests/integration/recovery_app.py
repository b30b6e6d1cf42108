"""The app of the tests of recovery over nodes: rooms, notes, and broadcasts with numbers."""

from __future__ import annotations

from typing import Any

from wsservice import App, Connection

app = App()


@app.on("join")
def join(connection: Connection, room: str) -> bool:
    """Enter a room."""
    connection.join(room)
    return True


@app.on("note")
def note(connection: Connection, name: str, value: Any) -> bool:
    """Keep something with the connection."""
    connection.data[name] = value
    return True


@app.on("state")
def state(connection: Connection) -> dict[str, Any]:
    """What the connection has."""
    return {
        "id": connection.id,
        "recovered": connection.recovered,
        "rooms": sorted(connection.rooms),
        "data": connection.data,
    }


@app.on("say")
def say(connection: Connection, room: str | None, *args: Any) -> bool:
    """Send to a room, or to all."""
    app.emit("said", *args, room=room)
    return True


@app.on("ask")
def ask(connection: Connection, question: list[Any]) -> Any:
    """The same for raw clients, whose events have one argument."""
    event, *args = question
    return {"join": join, "note": note, "state": state, "say": say}[event](connection, *args)
