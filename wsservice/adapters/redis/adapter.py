"""The adapter of `--adapter redis://...`: its parts put together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from wsservice import close_codes
from wsservice.adapters.base import Adapter, Load, Presence, RemoteConnection
from wsservice.adapters.redis import classic_requests as requests
from wsservice.adapters.redis.beginning import Beginning
from wsservice.adapters.redis.channels import Channels, uid_of
from wsservice.adapters.redis.classic import Classic
from wsservice.adapters.redis.control import Control
from wsservice.adapters.redis.direct import Direct
from wsservice.adapters.redis.gathering import Gathering
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.marks import Marks
from wsservice.adapters.redis.nodes import Nodes
from wsservice.adapters.redis.presence import RoomPresence
from wsservice.adapters.redis.python_bridge import PythonBridge
from wsservice.adapters.redis.questions import Questions
from wsservice.adapters.redis.recording import Recording
from wsservice.adapters.redis.refusals import Refusals
from wsservice.adapters.redis.saved import SavedConnections
from wsservice.adapters.redis.shared_history import SharedHistory
from wsservice.adapters.redis.users import Users
from wsservice.auth.providers.base import Readiness
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection
from wsservice.messages import ROOT, Broadcast, Disconnect, EndSession, EndUser, Join, Leave, Renew, Target

if TYPE_CHECKING:
    from wsservice.adapters.local import Local


class RedisAdapter(Adapter):
    """See the module's docstring, and `base.Adapter`.

    Args:
        prefix: of all channels and keys; the same on all nodes.
        python_channel: of python-socketio's RedisManager; empty for none.
        queue_bytes: of recorded events that may wait for Redis.
    """

    def __init__(
        self,
        link: RedisLink,
        prefix: str,
        *,
        python_channel: str = "",
        queue_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self.link = link
        self._queue_bytes = queue_bytes
        self._prefix = prefix
        self._python_channel = python_channel
        self.nodes: Nodes

    def serve(self, local: Local) -> None:
        """Take the connections of this process."""
        hub, link, keys = local.hub, self.link, Keys(self._prefix)
        clock = hub.clock
        self._local = local
        self.nodes = nodes = Nodes(link, keys, clock)
        self._uid = uid_of(nodes.id)
        refusals = Refusals(hub.counters)
        self._questions = Questions(link, nodes, refusals, clock)
        self._classic = self._questions.classic = Classic(
            link,
            self._prefix,
            nodes.id,
            local,
            refusals,
            broadcast=None if isinstance(hub.history, SharedHistory) else self._received,
            answer=self._questions.received,
            call_timeout=hub.call_timeout,
        )
        self._beginning = beginning = Beginning(clock)
        self._saved: SavedConnections | None = None
        self._broadcasts: Direct | Recording
        history = hub.history
        if isinstance(history, SharedHistory):
            history.node = nodes.id
            self._broadcasts = recording = Recording(
                link,
                keys,
                clock,
                nodes.id,
                local,
                self._classic,
                refusals,
                history,
                prefix=self._prefix,
                max_bytes=self._queue_bytes,
                begun=beginning.over,
            )
            self._saved = history.elsewhere = SavedConnections(
                link,
                keys,
                clock,
                node=nodes.id,
                window=history.window,
                barrier=recording.barrier,
                take=lambda pid: self._control.take(pid),
                taken=self._taken,
                broken=history.saved,
            )
        else:
            self._broadcasts = Direct(link, nodes.id, local, self._classic, refusals)
            link.on_up.append(beginning.over)
        self._control = Control(link, keys, nodes.id, local, taken=self._check_taken, refusals=refusals, now=time.time)
        self._gathering = Gathering(link, lambda: self._classic.channels(ROOT).request, clock)
        self._marks = Marks(link, nodes, clock)
        self._presence = RoomPresence(link, keys, self._marks, nodes, hub.registry)
        self._users = Users(link, keys, self._marks, hub, self._control.replace)
        if self._python_channel:
            PythonBridge(link, self._python_channel, local, refusals, self._broadcasts.foreign)
        for namespace in local.namespaces():
            self._classic.open(namespace)
        hub.registry.observer = self

    def start(self) -> None:
        """Begin to connect."""
        self._beginning.start()
        self.link.start()
        self.nodes.start()
        self._marks.start()
        self._gathering.start()
        self._broadcasts.start()
        if self._saved is not None:
            self._saved.start()

    def stop(self) -> Deferred[None]:
        """Take back what is marked, send what waits, and close."""
        self._beginning.over()
        self._broadcasts.stop()
        if self._saved is not None:
            self._saved.stop()
        self._gathering.stop()
        self._marks.stop()
        self.nodes.stop()
        return self.link.stop().addCallback(self._ended)

    def _ended(self, _: None) -> None:
        self._broadcasts.ended()

    def readiness(self) -> Readiness:
        """Whether Redis can be had, and takes what must be written."""
        found = self.link.readiness()
        for part in (self.nodes, self._broadcasts):
            if found.ready and not (other := part.readiness()).ready:
                found = other
        return found

    def load(self) -> Load:
        """How much waits for Redis."""
        return self.link.load()

    # What the registry tells

    def added(self, connection: Connection) -> None:
        """A connection is here."""
        self._classic.added(connection)
        self._presence.added(connection)

    def removed(self, connection: Connection) -> None:
        """A connection has ended."""
        self._presence.removed(connection)
        self._users.removed(connection)
        self._classic.removed(connection)

    def joined(self, connection: Connection, room: str) -> None:
        """A connection has entered a room."""
        if self._saved is not None:
            self._saved.rooms_changed(connection)
        self._presence.joined(connection, room)

    def left(self, connection: Connection, room: str) -> None:
        """A connection has left a room."""
        if self._saved is not None:
            self._saved.rooms_changed(connection)
        self._presence.left(connection, room)

    def _received(self, channels: Channels, channel: bytes, payload: bytes) -> None:
        assert isinstance(self._broadcasts, Direct)
        self._broadcasts.received(channels, channel, payload)

    def _check_taken(self, pid: str) -> None:
        history = self._local.hub.history
        if self._saved is not None and isinstance(history, SharedHistory) and history.knows(pid):
            self._saved.check(pid)

    def _taken(self, pid: str) -> None:
        """A client of ours came back to another node."""
        history = self._local.hub.history
        if isinstance(history, SharedHistory):
            connection = history.taken(pid)
            if connection is not None:
                connection.disconnect(CloseCode.TRY_AGAIN_LATER, close_codes.TAKEN_OVER)

    # What the hub asks for

    def broadcast(self, broadcast: Broadcast) -> None:
        """Deliver to everybody it is for."""
        self._broadcasts.broadcast(broadcast)

    def call(self, broadcast: Broadcast, timeout: float, answered: Callable[[Any], None]) -> Deferred[None]:
        """Ask clients elsewhere."""
        return Deferred.fromCoroutine(self._questions.call(broadcast, timeout, answered))

    def join(self, message: Join) -> None:
        """Let connections elsewhere enter rooms."""
        self._classic.send(message.target.namespace, requests.Join(self._uid, message.target, message.rooms))

    def leave(self, message: Leave) -> None:
        """Let connections elsewhere leave rooms."""
        self._classic.send(message.target.namespace, requests.Leave(self._uid, message.target, message.rooms))

    def disconnect(self, message: Disconnect) -> None:
        """Close connections elsewhere."""
        self._classic.send(
            message.target.namespace,
            requests.DisconnectSockets(self._uid, message.target, code=message.code, reason=message.reason),
        )

    def renew(self, message: Renew) -> None:
        """A session was refreshed."""
        self._control.renew(message)

    def end_session(self, message: EndSession) -> None:
        """A session was signed out."""
        self._control.end_session(message)

    def end_user(self, message: EndUser) -> None:
        """A user signed out everywhere."""
        self._control.end_user(message)

    def fetch(self, target: Target, timeout: float) -> Deferred[list[RemoteConnection]]:
        """The connections elsewhere that a target means."""
        return Deferred.fromCoroutine(self._questions.fetch(target, timeout))

    def rooms(self, namespace: str, timeout: float) -> Deferred[set[str]]:
        """The rooms elsewhere."""
        return Deferred.fromCoroutine(self._questions.rooms(namespace, timeout))

    def presence(self, namespace: str, room: str | None) -> Deferred[Presence]:
        """Who is in a room, here and elsewhere."""
        return self._presence.read(namespace, room)

    def server_emit(self, namespace: str, event: str, args: tuple[Any, ...]) -> None:
        """An event for the other nodes' applications."""
        self._classic.send(namespace, requests.ServerSideEmit(self._uid, event, args))

    def server_call(self, namespace: str, event: str, args: tuple[Any, ...], timeout: float) -> Deferred[list[Any]]:
        """A question to the other nodes' applications."""
        return Deferred.fromCoroutine(self._questions.server_call(namespace, event, args, timeout))

    def admit(self, connection: Connection) -> Deferred[bool] | None:
        """Whether one more connection of its user may open."""
        begins = self._beginning.wait()
        if begins is None:
            return self._users.admit(connection)
        return begins.addCallback(self._admit_later, connection)

    def _admit_later(self, _: None, connection: Connection) -> Deferred[bool] | bool:
        admitted = self._users.admit(connection)
        return True if admitted is None else admitted
