"""Prints what python-socketio publishes: run it where python-socketio and redis are installed, with a redis-server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any


def record(url: str) -> None:
    """Do all that a RedisManager can do, and print the messages."""
    import redis
    import socketio

    spy = redis.Redis.from_url(url).pubsub()
    spy.subscribe("socketio")
    writer = socketio.RedisManager(url, write_only=True)
    server = socketio.Server(client_manager=socketio.RedisManager(url), async_mode="threading")
    server.manager_initialized = True
    full = server.manager
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("emit", lambda: writer.emit("ev", ("a", 1), namespace="/x", room="r", skip_sid="s")),
        ("none", lambda: writer.emit("ev", None)),
        ("empty tuple", lambda: writer.emit("ev", ())),
        ("list", lambda: writer.emit("ev", [1, 2])),
        ("dict", lambda: writer.emit("ev", {"a": float("nan")})),
        ("rooms", lambda: writer.emit("ev", "x", room=["a", "b"], skip_sid=["s", "t"])),
        ("empty rooms", lambda: writer.emit("ev", "x", room=[])),
        ("binary", lambda: writer.emit("ev", (b"\x01\x02", {"deep": [b"\x03"]}))),
        ("int room", lambda: writer.emit("ev", "x", room=7)),
        ("surrogate", lambda: writer.emit("ev", "\ud83d é")),
        ("big", lambda: writer.emit("ev", 2**70)),
        ("callback", lambda: full.emit("ev", "x", room="sid1", callback=print)),
        ("return_callback", lambda: full._return_callback("ab" * 16, "sid1", "/", 1, "ans")),
        ("disconnect", lambda: full.can_disconnect("sid1", "/")),
        ("enter", lambda: full.enter_room("sid1", "/", "room")),
        ("leave", lambda: full.leave_room("sid1", "/", "room")),
        ("close", lambda: writer.close_room("room")),
    ]
    for label, step in steps:
        step()
        time.sleep(0.1)
        while message := spy.get_message(timeout=0.05):
            if message["type"] == "message":
                print(label, message["data"].decode(), sep=" | ")


if __name__ == "__main__":
    record(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)  # its thread listens for ever
