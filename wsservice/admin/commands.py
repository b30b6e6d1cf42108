"""What people can do in the admin view: emit, join, leave, disconnect; to all of a namespace, or to a room of it.

The room of a connection's id is that connection. What is done reaches every process of a cluster, and is logged with
who did it; the arguments of an event are not.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from wsservice.audience import Audience
from wsservice.connection import Connection
from wsservice.errors import ClientError
from wsservice.hub import Hub
from wsservice.messages import Target
from wsservice.namespace import Namespace

log = Logger()

#: for the client that is disconnected
REASON = "Disconnected by an administrator"
#: by the UI's names; each is a button
FEATURES = ("EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
#: between servers
_CLOSE = "admin_close"


class Commands:
    """Handlers of the admin namespace.

    Args:
        find: the handlers of a namespace; None if the application has none.
    """

    def __init__(self, hub: Hub, namespace: Namespace, find: Any) -> None:
        self._hub = hub
        self._namespace = namespace
        self._find = find
        namespace.on("emit")(self._emit)
        namespace.on("join")(self._join)
        namespace.on("leave")(self._leave)
        namespace.on("_disconnect")(self._disconnect)
        namespace.on_server(_CLOSE)(self._close_here)

    def _emit(self, connection: Connection, name: Any, room: Any = None, event: Any = None, *args: Any) -> None:
        reach = self._reach(name, room)
        if not isinstance(event, str):
            raise _wrong()
        try:
            reach.emit(event, *args, room=room or None)
        except ValueError as error:
            raise ClientError("bad_arguments", str(error)) from None
        self._log(connection, "emit", name, room, event)

    def _join(self, connection: Connection, name: Any, to: Any, room: Any = None) -> None:
        reach = self._reach(name, room)
        if not isinstance(to, str) or not to:
            raise _wrong()
        reach.join(to, room=room or None)
        self._log(connection, "join", name, room, to)

    def _leave(self, connection: Connection, name: Any, from_: Any, room: Any = None) -> None:
        reach = self._reach(name, room)
        if not isinstance(from_, str) or not from_:
            raise _wrong()
        reach.leave(from_, room=room or None)
        self._log(connection, "leave", name, room, from_)

    def _disconnect(self, connection: Connection, name: Any, close: Any = False, room: Any = None) -> None:
        reach = self._reach(name, room)
        if close is True:
            self._close_here(name, room)
            self._namespace.server_emit(_CLOSE, name, room)
        else:
            reach.disconnect(room=room or None, everybody=not room, reason=REASON)
        self._log(connection, "disconnect", name, room, "")

    def _close_here(self, name: Any, room: Any = None) -> None:
        """Close the clients whole, with their other namespaces."""
        if isinstance(name, str) and isinstance(room, str | None):
            for one in self._hub.registry.select(_target(name, room)):
                one.disconnect(reason=REASON, close=True)

    def _reach(self, name: Any, room: Any) -> Audience:
        """Whom the client means: a room is a text, or there is none; anything else must not be everybody."""
        if not isinstance(name, str) or not isinstance(room, str | None):
            raise _wrong()
        if self._find(name) is None:
            raise ClientError("unknown_namespace", "There is no such namespace.")
        return _Reach(self._hub, name)

    def _log(self, connection: Connection, command: str, name: str, room: str | None, what: str) -> None:
        self._hub.counters.add("admin_commands", command)
        log.info(
            "{user} used the admin view: {command} {what} in {namespace}, {whom}",
            user=connection.user.username,
            command=command,
            what=ascii(what[:64]),
            namespace=ascii(name[:64]),
            whom=ascii(room[:64]) if room else "all",
            connection_id=connection.id,
        )


class _Reach(Audience):
    """Those of one namespace, whether the application has named it or a client."""

    def __init__(self, hub: Hub, name: str) -> None:
        self._hub = hub
        self._name = name

    def _names(self) -> list[str]:
        return [self._name]


def _target(name: str, room: str | None) -> Target:
    return Target(name, frozenset({room} if room else ()))


def _wrong() -> ClientError:
    return ClientError("bad_arguments", "The arguments are not those that the admin UI sends.")
