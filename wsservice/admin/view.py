"""The admin view: the namespace that the UI of the npm package @socket.io/admin-ui connects to.

It speaks what that package's server part, `instrument()`, speaks (version 0.5.1):

    session           the id by which the UI comes back without the password
    config            what it can do
    all_sockets       who is connected, in every process                          |
    socket_connected, socket_updated, socket_disconnected, room_joined, room_left | in the mode `development`
    event_received, event_sent                                                    |
    server_stats      each process's figures, every two seconds

    emit, join, leave, _disconnect      from the UI, unless it is read-only; see `commands`
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from wsservice.admin.commands import FEATURES, Commands
from wsservice.admin.describing import bounded_list, describe_socket
from wsservice.admin.door import INVALID, AdminDoor, InThread
from wsservice.admin.publisher import Publisher
from wsservice.admin.sessions import Administrator, AdminSessions
from wsservice.admin.settings import AdminSettings
from wsservice.admin.watch import Watch
from wsservice.admin.watched import WatchedConnection, WatchedRegistry
from wsservice.auth.origin import OriginPolicy
from wsservice.connection import Connection
from wsservice.errors import CallTimeout, ClientError
from wsservice.hub import Hub
from wsservice.messages import Target
from wsservice.namespace import Namespace
from wsservice.web.rates import Buckets

if TYPE_CHECKING:
    from wsservice.app import App

log = Logger()

#: seconds between two figures; precedent: instrument's
INTERVAL = 2.0
#: that are listed, those with most connections: of a pattern there can be many
_MAX_NAMESPACES = 100
#: between servers
_SESSION, _SOCKETS = "admin_session", "admin_sockets"


class AdminView:
    """See the module's docstring. Make it once the adapter serves; then call `start`, and `stop` at the end.

    Args:
        namespace: reserved for it (`App.reserve`).
        count_clients: how many clients there are, and how many of them are on long-polling.
        attempts: logins by address.
        own_origins: whose pages may use everything.
        in_thread: runs a function that blocks.
        now: POSIX seconds.

    Attributes:
        door: for `Clients.door`.
    """

    def __init__(
        self,
        hub: Hub,
        app: App,
        namespace: Namespace,
        settings: AdminSettings,
        *,
        count_clients: Callable[[], tuple[int, int]],
        attempts: Buckets,
        own_origins: OriginPolicy,
        in_thread: InThread,
        now: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._app = app
        self._settings = settings
        self._count_clients = count_clients
        self._namespace = namespace
        self._publisher = publisher = Publisher(
            hub, namespace, rate=settings.event_rate, caught_up=lambda: self._later(self._tell_all())
        )
        self._watch = Watch(
            publisher,
            hub.registry.observer,
            namespace=settings.namespace,
            shows_events=settings.shows_events,
            now=now,
        )
        hub.registry.observer = self._watch
        if settings.shows_events:
            hub.make_connection = partial(WatchedConnection, self._watch)
            if isinstance(hub.registry, WatchedRegistry):
                hub.registry.watch = self._watch
        sessions = AdminSessions(now, settings.session_seconds)
        self.door = AdminDoor(
            settings,
            sessions,
            attempts=attempts,
            own_origins=own_origins,
            in_thread=in_thread,
            counters=hub.counters,
            began=partial(namespace.server_emit, _SESSION),
        )
        namespace.on_connect(self._connected)
        namespace.on_server(_SESSION)(sessions.note)
        namespace.on_server(_SOCKETS)(self._sockets_here)
        if not settings.read_only:
            Commands(hub, namespace, app.find)
        self._started = hub.clock.seconds()
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = hub.clock

    def start(self) -> None:
        """Begin to send figures."""
        self._started = self._hub.clock.seconds()
        self._ticking.start(INTERVAL, now=False).addErrback(
            lambda failure: log.failure("the admin view's figures stopped", failure)
        )

    def stop(self) -> None:
        """Leave no timer behind."""
        if self._ticking.running:
            self._ticking.stop()
        self._publisher.stop()

    @property
    def features(self) -> list[str]:
        """What the UI offers, by its own names."""
        events = ["ALL_EVENTS"] if self._settings.shows_events else []
        return [*(() if self._settings.read_only else FEATURES), "AGGREGATED_EVENTS", *events]

    def _connected(self, connection: Connection) -> None:
        user, publisher = connection.user, self._publisher
        if not isinstance(user, Administrator):  # nobody comes here but by the door
            raise ClientError("unauthorized", INVALID)
        if user.session_id:
            publisher.answer(connection, "session", user.session_id)
        publisher.answer(connection, "config", {"supportedFeatures": self.features})
        publisher.tick()  # the other processes learn that somebody looks
        publisher.answer(connection, "server_stats", self._figures([]))
        if self._settings.shows_events:
            self._later(self._tell_all(connection))

    async def _tell_all(self, connection: Connection | None = None) -> None:
        """Give one who looks, or everybody, the whole list."""
        if not self._settings.shows_events:
            return
        sockets = self._sockets_here()
        try:
            for answer in await self._namespace.server_call(_SOCKETS):
                sockets += answer if isinstance(answer, list) else []
        except CallTimeout as error:  # a process of Node's, or one that is busy: the others are shown
            for answer in error.answers:
                sockets += answer if isinstance(answer, list) else []
        sockets = bounded_list(sockets, self._settings.list_bytes)
        self._publisher.flush()
        if connection is None:
            self._publisher.publish([("all_sockets", (sockets,))])
        elif connection.is_open:
            self._publisher.answer(connection, "all_sockets", sockets)

    def _sockets_here(self) -> list[dict[str, Any]]:
        registry = self._hub.registry
        chosen = (one for name in registry.namespaces() for one in registry.select(Target(name)))
        return bounded_list(map(describe_socket, chosen), self._settings.list_bytes)

    def _tick(self) -> None:
        self._publisher.tick()
        if self._publisher.is_watched:
            self._publisher.publish([("server_stats", (self._figures(self._watch.take_counts()),))])

    def _figures(self, counts: list[dict[str, Any]]) -> dict[str, Any]:
        registry = self._hub.registry
        names = nlargest(_MAX_NAMESPACES, {*self._app.names(), *registry.namespaces()}, key=registry.count)
        clients, polling = self._count_clients()
        host, pid = socket.gethostname(), os.getpid()
        return {
            "serverId": f"{host}#{pid}",
            "hostname": host,
            "pid": pid,
            "uptime": self._hub.clock.seconds() - self._started,
            "clientsCount": clients,
            "pollingClientsCount": polling,
            "aggregatedEvents": counts,
            "namespaces": [{"name": name, "socketsCount": registry.count(name)} for name in sorted(names)],
        }

    def _later(self, work: Any) -> None:
        Deferred.fromCoroutine(work).addErrback(
            lambda failure: log.failure("the admin view could not list the connections", failure)
        )
