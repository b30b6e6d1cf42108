"""The app under attack: it echoes, it misbehaves to order, and it tells what the process holds.

twistd -n wsservice --dev --app tests.integration.abuse_app:app
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from wsservice import App, Connection
from wsservice.assembly import Parts

app = App()
#: seconds between two pieces of a flood
TICK = 0.05


@app.on("echo")
def echo(connection: Connection, data: Any) -> Any:
    return data


@app.on("boom")
def boom(connection: Connection, data: Any) -> None:
    raise RuntimeError("the application's own trouble")


@app.on("never")
def never(connection: Connection, data: Any) -> Deferred[None]:
    return Deferred()


@app.on("late")
async def late(connection: Connection, seconds: float) -> float:
    await deferLater(reactor, seconds)
    return seconds


@app.on("block")
def block(connection: Connection, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.on("join")
def join(connection: Connection, room: str) -> None:
    connection.join(room)


@app.on("members")
def members(connection: Connection, room: str) -> int:
    return len(list(app.connections(room=room)))


@app.on("big")
def big(connection: Connection, size: int) -> None:
    connection.send(os.urandom(size // 2).hex())


@app.on("flood")
def flood(connection: Connection, options: dict[str, Any]) -> None:
    """Send so many bytes a second to a room, in messages of `size`, for some seconds."""
    room, size, rate, seconds = (options[name] for name in ("room", "size", "rate", "seconds"))
    until = time.monotonic() + seconds
    text = "x" * size
    sent, began = 0, time.monotonic()

    def more() -> None:
        nonlocal sent
        now = time.monotonic()
        while sent < (min(now, until) - began) * rate:
            app.emit("flood", text, room=room)
            sent += size
        if now >= until:
            loop.stop()

    loop = LoopingCall(more)
    loop.start(TICK)


@app.on("burst")
def burst(connection: Connection, options: dict[str, Any]) -> None:
    """Send so many messages of `size` to a room, all at once."""
    for _ in range(options["count"]):
        app.emit("flood", "x" * options["size"], room=options["room"])


@app.on("state")
def state(connection: Connection, data: Any) -> dict[str, Any]:
    """What the process holds, and what it has counted."""
    parts = _parts()
    hub, port = parts.hub, parts.port
    return {
        "counters": {f"{name} {reason}".strip(): number for name, reason, number in hub.counters.items()},
        "tables": {
            "connections": len(hub.registry),
            "running": hub.running,
            "admitted": len(port.admission),
            "addresses": len(port.admission._by_address),
            "heads": len(port.waiting),
            "raw": len(parts.raw.live),
            "pinged": len(parts.raw.pings),
            "socketio": len(parts.socketio.live),
            "clients": len(parts.clients),
            "deadlines": len(parts.clients.deadlines),
            "channels": len(parts.web.channels),
        },
    }


@app.on("trim")
def trim(connection: Connection, data: Any) -> None:
    """Give back what is free: else nobody could tell a leak from malloc's own stock."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _parts(found: list[Parts] = []) -> Parts:  # noqa: B006 - a cache: looking takes a while
    if not found:
        found += [one for one in gc.get_objects() if isinstance(one, Parts)]
    return found[0]
