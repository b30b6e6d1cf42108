"""The app of the soak: it numbers what it tells, so that every client knows what it should have heard.

    twistd -n wsservice --dev --app soak.app:app

A *scope* is whom a message is for: `all`, `user:<name>`, `room:<number>`, `firehose`. Each counts its messages from
1, and the number of the last one is its *head*. `hello`, `join`, `leave` and `sync` tell heads, in the same turn of the
event loop in which they take effect: a client that was told 7 has got all up to 7, and 8 comes next.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from wsservice import App, CallError, CallTimeout, ClientError, Connection

log = Logger()

ALL, FIREHOSE = "all", "firehose"
#: whatever a message is padded by
_PAD = "All work and no play makes Jack a dull boy. " * 1500
#: of the connections that are let in only after a while
_LATE = 0.2

app = App()
side = app.namespace("/side")
_heads: Counter[str] = Counter()
_faults: Counter[str] = Counter()
_ids: dict[str, str] = {}
_rng = random.Random(4)  # noqa: S311 - no secret
_pump = LoopingCall(lambda: _fill())


def _own(connection: Connection) -> dict[str, int]:
    scopes = [ALL, f"user:{connection.user.username}", *connection.rooms]
    return {scope: _heads[scope] for scope in scopes}


def _say(scope: str, size: int, by: Connection | None = None) -> int:
    """Tell a scope its next message; `by` knows it already."""
    _heads[scope] += 1
    message = {"scope": scope, "n": _heads[scope], "pad": _PAD[:size]}
    if scope == ALL:
        app.emit("said", message)
    elif scope.startswith("user:"):
        app.emit("said", message, user=_ids[scope])
    elif by is not None:
        by.broadcast("said", message, room=scope)
    else:
        app.emit("said", message, room=scope)
    return _heads[scope]


def _fill() -> None:
    if app.connections(room=FIREHOSE):
        _say(FIREHOSE, int(os.environ.get("SOAK_PUMP_BYTES", "50000")))


@app.on_connect
async def greet(connection: Connection) -> None:
    """Tell the heads; sometimes let the client wait, while others talk."""
    if not _pump.running:
        _pump.start(float(os.environ.get("SOAK_PUMP_INTERVAL", "0.05"))).addErrback(
            lambda failure: log.failure("the pump failed", failure)
        )
    _ids[f"user:{connection.user.username}"] = connection.user.id
    connection.data["published"] = 0
    connection.emit("hello", {"user": connection.user.username, "heads": _own(connection)})
    if _rng.random() < _LATE:
        await deferLater(reactor, 0.05)


@app.on_disconnect
def part(connection: Connection, reason: str) -> None:
    """Note what must not happen: a connection that has ended and is still known."""
    if connection in app.connections(user=connection.user.id):
        _faults["ended and still known"] += 1


@app.on("join")
def join(connection: Connection, scope: str) -> int:
    """Enter a room; gives its head."""
    connection.join(scope)
    return _heads[scope]


@app.on("leave")
def leave(connection: Connection, scope: str) -> int:
    """Leave a room; gives its head."""
    connection.leave(scope)
    return _heads[scope]


@app.on("sync")
def sync(connection: Connection, _: Any) -> dict[str, int]:
    """The heads of everything that the client is in."""
    return _own(connection)


@app.on("publish")
def publish(connection: Connection, order: Mapping[str, Any]) -> int:
    """Tell a scope; gives the message's number. `order["count"]` counts what this client has published."""
    if order["count"] != connection.data["published"] + 1:
        _faults["a publish was lost or came twice"] += 1
    connection.data["published"] = order["count"]
    by = connection if order.get("shout") and order["scope"] in connection.rooms else None
    return _say(order["scope"], order["size"], by)


@app.on("tick")
def tick(connection: Connection, _: Any) -> None:
    """Tell everybody what may be dropped."""
    app.emit("tick", volatile=True)


@app.on("echo")
async def echo(connection: Connection, order: Mapping[str, Any]) -> Any:
    """Give back what came, perhaps after a while."""
    if order.get("wait"):
        await deferLater(reactor, order["wait"])
    return order["value"]


@app.on("ask me")
async def ask_me(connection: Connection, question: Any) -> Any:
    """Ask back, and give the client its own answer."""
    try:
        return await connection.call("question", question, timeout=30)
    except CallError as error:
        raise ClientError("no_answer", type(error).__name__) from error


@app.on("ask room")
async def ask_room(connection: Connection, scope: str) -> list[int]:
    """Ask everybody in a room; gives how many answered, and how many there were."""
    asked = len(app.connections(room=scope))
    try:
        return [len(await app.call("question", "room", room=scope, timeout=5)), asked]
    except CallTimeout as late:
        return [len(late.answers), asked]


@app.on("message")
def blob(connection: Connection, payload: Any) -> None:
    """Bytes go back as bytes."""
    connection.emit("message", payload)


@side.on("echo")
def echo_aside(connection: Connection, order: Mapping[str, Any]) -> Any:
    """The same in the other namespace."""
    return order["value"]


# For who watches


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and newer."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks")
    ] + [("keepcost", ctypes.c_size_t)]


def _malloc() -> dict[str, int]:
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return {}
    mallinfo.restype = _Mallinfo
    info = mallinfo()
    return {"in_use": info.uordblks, "free": info.fordblks, "mapped": info.hblkhd}


def _name(kind: type) -> str:
    """A class made by `type()` of one with a metaclass is said to be in the metaclass's module."""
    module = kind.__mro__[1].__module__ if kind.__module__ == "abc" and len(kind.__mro__) > 1 else kind.__module__
    return f"{module}.{kind.__qualname__}"


@app.on("counts", roles=["admin"])
def counts(connection: Connection, _: Any) -> dict[str, Any]:
    """What a sample has of the inside."""
    return {"connections": len(app.connections()), "aside": len(side.connections()), "faults": dict(_faults)}


@app.on("counters", roles=["admin"])
def counters(connection: Connection, _: Any) -> list[tuple[str, str, int]]:
    """The service's own counters."""
    return app._served().counters.items()


@app.on("census", roles=["admin"])
def census(connection: Connection, collect: bool) -> dict[str, Any]:
    """How many objects of which types there are; takes a part of a second, in which nobody is served."""
    if collect:
        gc.collect()
    types = Counter(_name(type(one)) for one in gc.get_objects())
    ours = {name: count for name, count in types.items() if name.startswith(("wsservice.", "twisted."))}
    return {"objects": types.total(), "most": types.most_common(30), "ours": ours, "malloc": _malloc()}
