"""The two servers that the official protocol suites want, made of the service's own parts.

The suites bring no cookie, so here everybody is let in; nothing else differs from the service. The Engine.IO suite
speaks no Socket.IO: its server sends every message back.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort

from wsservice.app import App
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.clients.client import Client
from wsservice.clients.settings import Settings
from wsservice.clients.table import Clients
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.deadlines import RunningClock
from wsservice.engineio.packet import Packet, PacketType, encode_packet
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.expiry import Expirations
from wsservice.handshake import Handshake
from wsservice.hub import Hub
from wsservice.registry import Registry
from wsservice.transports.port import PortFactory
from wsservice.transports.socketio import SocketIoFactory
from wsservice.transports.upgrade import UpgradeResource
from wsservice.web.polling import PollingResource, PollingSettings
from wsservice.web.request import WsSite
from wsservice.web.resource import Branch

#: what the suites' texts ask for (SOCKETIO.md section 3)
HEARTBEAT = EngineSettings(ping_interval=0.3, ping_timeout=0.2)
SOCKET_IO_SUITE = Settings(engine=HEARTBEAT, connect_timeout=1.0)
#: where nobody ever joins a namespace
ENGINE_IO_SUITE = Settings(engine=HEARTBEAT, connect_timeout=3600.0)


class Anyone:
    """Lets everybody in, as the user `anyone`."""

    def check_origin(self, handshake: Handshake) -> None:
        """From everywhere."""

    def decide(self, handshake: Handshake) -> Principal:
        """The same, at once."""
        return Principal("anyone", "anyone", "session", time.time() + 86400)

    def authenticate(self, handshake: Handshake) -> Deferred[Principal]:
        """Without a token."""
        return succeed(self.decide(handshake))


class EchoClient(Client):
    """An Engine.IO client that gets back what it sends."""

    def _handle_message(self, message: str | bytes) -> None:
        if self.socket is not None:
            self.socket.send(message if isinstance(message, bytes) else f"4{message}")
        else:
            self.write(encode_packet(Packet(PacketType.MESSAGE, message)))


def suite_app() -> App:
    """The namespaces and handlers that the Socket.IO suite expects."""
    app = App()
    custom = app.namespace("/custom")

    @app.on_connect
    @custom.on_connect
    def connected(connection: Connection) -> None:
        connection.emit("auth", dict(connection.handshake.auth))

    @app.on("message")
    def message(connection: Connection, *args: Any) -> None:
        connection.emit("message-back", *args)

    @app.on("message-with-ack")
    def message_with_ack(connection: Connection, *args: Any) -> tuple[Any, ...]:
        return args

    return app


async def listen(reactor: Any, *, path: str, port: int, echoes: bool = False) -> IListeningPort:
    """One server on loopback.

    Args:
        echoes: at the level of Engine.IO, instead of Socket.IO.
    """
    counters = Counters()
    registry: Registry[Connection] = Registry(counters)
    app = suite_app()
    hub = Hub(app, registry, Expirations(reactor, time.time), reactor, counters)
    app.serve(hub)
    anyone: Any = Anyone()
    clients = Clients(
        hub,
        ENGINE_IO_SUITE if echoes else SOCKET_IO_SUITE,
        find=app.find,
        authenticate=anyone.authenticate,
        is_revoked=lambda principal: False,
        clock=RunningClock(time.monotonic),
        wall_clock=time.time,
    )
    if echoes:
        clients.client_class = EchoClient
    sockets = SocketIoFactory(clients, anyone, clock=reactor)
    polling = PollingResource(clients, anyone, OriginPolicy([]), PollingSettings())
    root = Branch()
    root.putChild(path.strip("/").encode(), UpgradeResource(sockets, polling))
    site = WsSite(root, clock=reactor, counters=counters, uploads={f"{path}/": polling.open_upload})
    factory = PortFactory({f"{path}/".encode(): sockets}, site, clock=reactor, counters=counters, head_timeout=5.0)
    endpoint = TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")
    listening: IListeningPort = await endpoint.listen(factory)
    return listening
