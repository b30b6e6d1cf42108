"""The lean connection: it answers as Twisted's own, and holds little."""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Server
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from tests.transports.test_tcp import Accepted
from wsservice.transports.lean_server import LeanServer

reactor: Any = _reactor


class Producer:
    is_stopped = False

    def stopProducing(self) -> None:
        self.is_stopped = True


class LeanServerTests(TestCase):
    async def connect(self, transport: Any = LeanServer, host: str = "127.0.0.1") -> tuple[Accepted, socket.socket]:
        made: Deferred[Accepted] = Deferred()
        factory = Factory()
        factory.buildProtocol = lambda addr: Accepted(made)  # type: ignore[method-assign,assignment]
        try:
            port = reactor.listenTCP(0, factory, interface=host)
        except Exception as error:
            raise SkipTest(f"nobody can listen on {host} here") from error
        self.addCleanup(port.stopListening)
        port.transport = transport
        client = socket.create_connection((host, port.getHost().port))
        client.settimeout(30)
        self.addCleanup(client.close)
        server = await made
        self.addCleanup(self.end, server)
        return server, client

    async def end(self, server: Accepted) -> None:
        if not server.lost.called:
            server.transport.abortConnection()
        await server.lost

    async def test_its_addresses_are_those_that_twisted_tells(self) -> None:
        for host in ("127.0.0.1", "::1"):
            for transport in (Server, LeanServer):
                server, client = await self.connect(transport, host)
                for address, end in (
                    (server.transport.getPeer(), client.getsockname()),
                    (server.transport.getHost(), client.getpeername()),
                ):
                    self.assertEqual((address.host, address.port), end[:2])
                    self.assertEqual(type(address).__name__, "IPv6Address" if host == "::1" else "IPv4Address")

    async def test_it_names_itself_in_the_log(self) -> None:
        server, client = await self.connect()
        transport: Any = server.transport
        self.assertEqual(transport.logPrefix(), "Accepted,127.0.0.1")
        self.assertEqual(repr(transport), f"<Accepted,127.0.0.1 on {client.getpeername()[1]}>")
        transport.abortConnection()
        await server.lost
        self.assertIn("127.0.0.1", repr(transport))

    async def test_an_idle_one_has_nothing_in_its_dict_and_no_list(self) -> None:
        server, client = await self.connect()
        transport: Any = server.transport
        for write in (lambda: transport.write(b"hello"), lambda: transport.writeSequence([b"he", b"llo"])):
            write()
            self.assertEqual(await deferToThread(client.recv, 100), b"hello")
            self.assertEqual((vars(transport), transport._tempDataBuffer), ({}, ()))

    async def test_what_waits_is_sent_before_it_closes(self) -> None:
        server, client = await self.connect()
        server.transport.write(b"hel")
        server.transport.write(b"lo")
        server.transport.loseConnection()
        await server.lost
        self.assertEqual((client.recv(100), client.recv(100)), (b"hello", b""))

    async def test_one_that_the_peer_reset_ends_without_a_shutdown(self) -> None:
        server, client = await self.connect()
        transport: Any = server.transport
        producer = Producer()
        transport.registerProducer(producer, True)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end: socket.socket = transport.socket
        client.close()
        await server.lost
        self.assertEqual((end.fileno(), producer.is_stopped, transport.connected), (-1, True, 0))
        self.assertIs(server.reason.type, ConnectionLost)
        transport.connectionLost(Failure(ConnectionLost()))
        self.assertFalse(hasattr(transport, "socket") or hasattr(transport, "protocol"))

    async def test_one_that_is_aborted_resets_its_peer(self) -> None:
        server, client = await self.connect()
        server.transport.abortConnection()
        await server.lost
        self.assertIs(server.reason.type, ConnectionAborted)
        with self.assertRaises(ConnectionResetError):
            client.recv(100)

    async def test_once_it_has_ended_it_has_no_socket_and_takes_nothing(self) -> None:
        server, _ = await self.connect()
        transport: Any = server.transport
        transport.abortConnection()
        await server.lost
        transport.write(b"nobody hears it")
        self.assertFalse(hasattr(transport, "socket"))
        self.assertFalse(hasattr(transport, "fileno"))
        self.assertFalse(hasattr(transport, "protocol"))
