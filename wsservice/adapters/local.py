"""What other processes of a cluster do to the connections of this one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from wsservice.adapters.base import Present, RemoteConnection
from wsservice.calls import bound_call
from wsservice.client_calls import ask_clients
from wsservice.errors import ClientError
from wsservice.messages import Broadcast, Disconnect, EndSession, EndUser, Join, Leave, Renew, Target

if TYPE_CHECKING:
    from wsservice.app import App
    from wsservice.connection import Connection
    from wsservice.hub import Hub
    from wsservice.registry import Registry
    from wsservice.sessions import Sessions

#: as JavaScript writes a date
_JS_DATE = "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"


class Local:
    """See the module's docstring; nothing here is passed on.

    Args:
        app: has the handlers of events between servers.
        sessions: ends and renews them.
    """

    def __init__(self, hub: Hub, app: App, sessions: Sessions) -> None:
        self.hub = hub
        self._app = app
        self._sessions = sessions

    def has_room(self, namespace: str, room: str) -> bool:
        """Whether anybody here is in a room, or has that id: what is for a room without members is dropped unread."""
        return self.hub.registry.has_room(namespace, room)

    def namespaces(self) -> set[str]:
        """The namespaces that are served here: those of fixed names, and those of patterns that have clients."""
        return {*self._app.names(), *self.hub.registry.namespaces()}

    def serves(self, namespace: str) -> bool:
        """Whether clients can join a namespace here."""
        return self._app.find(namespace) is not None

    def has_namespace(self, namespace: str) -> bool:
        """Whether it is one of these."""
        return self.hub.registry.has_namespace(namespace) or namespace in self._app.names()

    def deliver(self, broadcast: Broadcast) -> int:
        """Deliver a broadcast; returns to how many. Raises as `Hub.deliver` does."""
        return self.hub.deliver(broadcast)

    def ask(
        self, broadcast: Broadcast, timeout: float, answered: Callable[[Any], None], lost: Callable[[], None]
    ) -> int:
        """Ask the target's clients for their acknowledgement; returns how many are asked.

        Args:
            answered: gets each answer that is no error; several arguments as a tuple.
            lost: is called for each client that will not answer, or has not in time.

        Raises:
            TypeError, ValueError: as `Hub.deliver` does.
        """
        asked = ask_clients(self.hub, broadcast.event, broadcast.args, [broadcast.target])
        for answer in asked:
            bound_call(answer, self.hub.clock, timeout)
            answer.addCallbacks(answered, lambda failure: lost())
        return len(asked)

    def join(self, message: Join) -> None:
        """Let the target enter rooms; those who may not (`--max-rooms`) stay outside."""
        for connection in self.hub.registry.select(message.target):
            for room in message.rooms:
                with suppress(ClientError):
                    connection.join(room)

    def leave(self, message: Leave) -> None:
        """Let the target leave rooms."""
        for connection in self.hub.registry.select(message.target):
            for room in message.rooms:
                connection.leave(room)

    def disconnect(self, message: Disconnect) -> None:
        """Close the target's connections."""
        self.hub.registry.disconnect(message)

    def renew(self, message: Renew) -> None:
        """A session was refreshed elsewhere."""
        self.hub.registry.renew(message)

    def end_session(self, message: EndSession) -> None:
        """A session was signed out elsewhere."""
        self._sessions.ended(message)

    def end_user(self, message: EndUser) -> None:
        """A user signed out everywhere, at another process."""
        self._sessions.ended_user(message)

    def ended_sessions(self) -> list[EndSession]:
        """The sessions that were signed out and whose tokens have not expired."""
        return self._sessions.ended_sessions()

    def ended_users(self) -> list[EndUser]:
        """The users that signed out everywhere, while tokens of before can be shown."""
        return self._sessions.ended_users()

    def fetch(self, target: Target) -> list[RemoteConnection]:
        """The target's connections, as others may see them."""
        return [describe(connection) for connection in self.hub.registry.select(target)]

    def rooms(self, namespace: str) -> set[str]:
        """Every room, those of connections' ids among them."""
        registry = self.hub.registry
        return registry.rooms(namespace) | {connection.id for connection in registry.select(Target(namespace))}

    def server_event(self, namespace: str, event: str, args: tuple[Any, ...]) -> Deferred[Any] | None:
        """Another server's event, for the application; None where it has no handler. Never fails: see `on_server`."""
        found = self._app.find(namespace)
        return None if found is None else found.handle_server_event(event, args)


def present(registry: Registry[Connection], namespace: str, room: str | None) -> tuple[Present, ...]:
    """Who of this process is in a room, or in the namespace."""
    target = Target(namespace, frozenset() if room is None else frozenset({room}))
    return tuple(Present(one.id, one.user.id) for one in registry.select(target))


def describe(connection: Connection) -> RemoteConnection:
    """A connection as others may see it, without its secrets."""
    handshake = connection.handshake
    query = handshake.query_string
    return RemoteConnection(
        connection.id,
        connection.namespace,
        frozenset(connection.rooms),
        connection.saved_data,
        {
            "headers": dict(handshake.headers),
            "query": dict(handshake.query),
            "auth": handshake.given_auth or {},
            "address": handshake.peer,
            "time": time.strftime(_JS_DATE, time.gmtime(handshake.issued)),
            "issued": int(handshake.issued * 1000),
            "xdomain": bool(handshake.header("origin")),
            "secure": handshake.secure,
            "url": f"{handshake.path}?{query}" if query else handshake.path,
        },
        connection.user.id,
    )
