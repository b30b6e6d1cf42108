"""The app under test for Socket.IO clients: one table of handlers, in `/`, in `/admin` and in every `/room-N`.

    twistd -n wsservice --dev --app tests.integration.socketio_app:app

Events do what their names say; the scenarios in tests/integration/node/ and test_socketio_python.py use them.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from wsservice import App, CallTimeout, ClientError, Connection
from wsservice.namespace import Namespace

#: who is told that a connection ended
WATCHERS = "watchers"

app = App()
#: saves that were asked for and not released yet
saving: dict[str, list[Deferred[None]]] = {}


def here(connection: Connection) -> Namespace:
    """The namespace of a connection."""
    return app.namespace(connection.namespace)


def check_ticket(connection: Connection) -> None:
    if connection.handshake.auth.get("ticket") == "torn":
        raise ClientError("no_entry", "This ticket is torn", {"office": 7})


def tell_watchers(connection: Connection, reason: str) -> None:
    here(connection).emit("left", connection.id, reason, room=WATCHERS)


def who_am_i(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "user": connection.user.username,
        "sub": connection.user.id,
        "namespace": connection.namespace,
        "auth": dict(connection.handshake.auth),
        "query": connection.handshake.query.get("place"),
        "rooms": sorted(connection.rooms),
        "data": connection.data,
        "recovered": connection.recovered,
    }


def echo(connection: Connection, *args: Any) -> tuple[Any, ...]:
    return args


def say(connection: Connection, *args: Any) -> None:
    connection.emit("said", *args)


def refuse(connection: Connection, *args: Any) -> None:
    raise ClientError("not_today", "Come back tomorrow", {"args": list(args)})


def remember(connection: Connection, key: str, value: Any) -> None:
    connection.data[key] = value


def enter(connection: Connection, room: str) -> None:
    try:
        connection.join(room)
    except ValueError as error:
        raise ClientError("no_entry", str(error)) from None


def leave(connection: Connection, room: str) -> None:
    connection.leave(room)


def tell(connection: Connection, options: dict[str, Any], event: str, *args: Any) -> None:
    """`options` are those of `emit`."""
    here(connection).emit(event, *args, **options)


def shout(connection: Connection, room: str | None, event: str, *args: Any) -> None:
    connection.broadcast(event, *args, room=room)


async def ask_me(connection: Connection, seconds: float, event: str, *args: Any) -> Any:
    try:
        answer = await connection.call(event, *args, timeout=seconds)
    except CallTimeout:
        return "no answer"
    return list(answer) if isinstance(answer, tuple) else answer


async def ask_all(connection: Connection, room: str, seconds: float, event: str, *args: Any) -> Any:
    try:
        return await here(connection).call(event, *args, room=room, timeout=seconds)
    except CallTimeout as late:
        return {"late": list(late.answers)}


def who_is_in(connection: Connection, room: str) -> list[str]:
    return sorted(one.id for one in here(connection).connections(room=room))


def move(connection: Connection, room: str, to: str) -> None:
    here(connection).join(to, room=room)
    here(connection).leave(room, room=room)


def disconnect_room(connection: Connection, room: str) -> None:
    here(connection).disconnect(room=room)


def disconnect_me(connection: Connection) -> None:
    connection.disconnect()


def burst(connection: Connection, count: int) -> None:
    """Volatile ones, then one that is not."""
    for number in range(count):
        connection.emit("tick", number, volatile=True)
    connection.emit("burst over")


def stream(connection: Connection, room: str, count: int) -> None:
    """Numbers, each in a turn of the event loop of its own; returns before."""

    async def emit_all() -> None:
        for number in range(count):
            here(connection).emit("number", number, room=room)
            await deferLater(reactor, 0.001)

    ensureDeferred(emit_all())


async def save(connection: Connection, what: str) -> str:
    """Tell the watchers, and wait for `release`."""
    waiting: Deferred[None] = Deferred()
    saving.setdefault(what, []).append(waiting)
    here(connection).emit("saving", what, room=WATCHERS)
    await waiting
    return f"{what} is saved"


def release(connection: Connection, what: str) -> int:
    waiting = saving.pop(what, [])
    for one in waiting:
        one.callback(None)
    return len(waiting)


def message(connection: Connection, text: Any) -> None:
    """What a raw client's bare text is, too: everybody hears it."""
    here(connection).emit("message", {"user": connection.user.username, "message": text})


for namespace in (app, app.namespace("/admin"), app.namespace(re.compile(r"/room-[0-9]+"))):
    namespace.use(check_ticket)
    namespace.on_disconnect(tell_watchers)
    for handler in (
        who_am_i,
        echo,
        say,
        refuse,
        remember,
        enter,
        leave,
        tell,
        shout,
        ask_me,
        ask_all,
        who_is_in,
        move,
        disconnect_room,
        disconnect_me,
        burst,
        stream,
        save,
        release,
        message,
    ):
        namespace.on(handler.__name__.replace("_", " "))(handler)
