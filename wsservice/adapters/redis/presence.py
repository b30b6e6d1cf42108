"""Who is in a room, in every process: read from Redis with one command, and no process is asked."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from wsservice.adapters.base import Presence, Present
from wsservice.adapters.local import present
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.marks import Marks
from wsservice.adapters.redis.nodes import Nodes
from wsservice.connection import Connection
from wsservice.errors import ClusterError
from wsservice.registry import Registry


class RoomPresence:
    """Marks this process's connections in their rooms, and reads everybody's."""

    def __init__(self, link: RedisLink, keys: Keys, marks: Marks, nodes: Nodes, registry: Registry[Connection]) -> None:
        self._link = link
        self._keys = keys
        self._marks = marks
        self._nodes = nodes
        self._registry = registry

    def added(self, connection: Connection) -> None:
        """Mark a connection in its namespace and in its rooms."""
        for room in (None, *connection.rooms):
            self._marks.put(self._keys.room(connection.namespace, room), connection.id, connection.user.id.encode())

    def removed(self, connection: Connection) -> None:
        """Take its marks back."""
        for room in (None, *connection.rooms):
            self._marks.drop(self._keys.room(connection.namespace, room), connection.id)

    def joined(self, connection: Connection, room: str) -> None:
        """Mark a connection in a room."""
        self._marks.put(self._keys.room(connection.namespace, room), connection.id, connection.user.id.encode())

    def left(self, connection: Connection, room: str) -> None:
        """Take that mark back."""
        self._marks.drop(self._keys.room(connection.namespace, room), connection.id)

    def read(self, namespace: str, room: str | None) -> Deferred[Presence]:
        """Who is there; without Redis, who of this process, and `complete` is False."""
        if not self._link.is_up:
            return succeed(self._own(namespace, room))
        key = self._keys.room(namespace, room)
        return Deferred.fromCoroutine(self._ask(key, namespace, room))

    async def _ask(self, key: bytes, namespace: str, room: str | None) -> Presence:
        try:
            found: list[bytes] = await self._link.command(b"HGETALL", key)
        except ClusterError:
            return self._own(namespace, room)
        if not all(map(self._marks.is_live, found[::2])):  # of nodes that are dead, or new
            await self._nodes.look()
        return self._read(key, found)

    def _read(self, key: bytes, found: list[bytes]) -> Presence:
        members: list[Present] = []
        dead: list[bytes] = []
        for field, user in zip(found[::2], found[1::2], strict=True):
            if self._marks.is_live(field):
                members.append(
                    Present(field.partition(b":")[2].decode(errors="replace"), user.decode(errors="replace"))
                )
            else:
                dead.append(field)
        self._marks.clean(key, dead)
        return Presence(tuple(members))

    def _own(self, namespace: str, room: str | None) -> Presence:
        return Presence(present(self._registry, namespace, room), complete=False)
