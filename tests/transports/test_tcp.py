"""Writing at once and reading in bulk: on real sockets, since a transport in memory has none."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from wsservice.counters import Counters
from wsservice.transports.reads import Reads
from wsservice.transports.tcp import TcpTransport, serve_by

reactor: Any = _reactor


class Accepted(Protocol):
    """The server's end.

    Attributes:
        heard: what arrived.
        busy: what it was told of the transport, once it watches it.
        fault, faulty: what it raises, and in which method.
    """

    def __init__(self, made: Deferred[Accepted]) -> None:
        self.made = made
        self.lost: Deferred[None] = Deferred()
        self.heard = b""
        self.some: Deferred[None] = Deferred()
        self.busy: list[bool] = []
        self.reason: Any = None
        self.fault: type[BaseException] = ValueError
        self.faulty = ""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        some, self.some = self.some, Deferred()
        some.callback(None)
        self.fail("dataReceived")

    def writing_changed(self, *, is_busy: bool) -> None:
        self.busy.append(is_busy)

    def fail(self, where: str) -> None:
        if self.faulty == where:
            raise self.fault

    def connectionMade(self) -> None:
        self.made.callback(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.reason = reason
        reactor.callLater(0, self.lost.callback, None)
        self.fail("connectionLost")


class TcpCase(TestCase):
    reads: Reads | None = None

    async def connect(self) -> tuple[Accepted, socket.socket]:
        made: Deferred[Accepted] = Deferred()
        factory = Factory()
        factory.buildProtocol = lambda addr: Accepted(made)  # type: ignore[method-assign,assignment]
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        serve_by(self.reads, [port])
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        client.settimeout(30)
        self.addCleanup(client.close)
        return await made, client

    async def end(self, server: Accepted) -> None:
        server.transport.abortConnection()
        await server.lost


class WriteNowTests(TcpCase):
    async def test_it_leaves_before_the_next_turn(self) -> None:
        server, client = await self.connect()
        self.assertIsInstance(server.transport, TcpTransport)
        server.transport.write_now(b"hello")
        self.assertEqual(client.recv(100), b"hello")
        await self.end(server)

    async def test_what_the_system_does_not_take_follows_in_order(self) -> None:
        server, client = await self.connect()
        piece = bytes(range(256)) * (1 << 16)
        sent = b"".join([piece, b"a", piece, b"b"])

        def receive() -> bytes:
            received = bytearray()
            while len(received) < len(sent):
                received += client.recv(1 << 16)
            return bytes(received)

        for part in (piece, b"a", piece, b"b"):
            server.transport.write_now(part)
        self.assertTrue(server.transport._tempDataBuffer)
        self.assertEqual(await deferToThread(receive), sent)
        server.transport.write_now(b"now")
        self.assertEqual(client.recv(100), b"now")
        await self.end(server)

    async def test_what_waits_goes_first(self) -> None:
        server, client = await self.connect()
        server.transport.write(b"first ")
        server.transport.write_now(b"second")
        self.assertEqual(await deferToThread(client.recv, 100), b"first second")
        await self.end(server)

    async def test_a_broken_socket_is_the_transports_to_find(self) -> None:
        server, client = await self.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.close()
        for _ in range(3):
            server.transport.write_now(b"x")
        await server.lost
        server.transport.write_now(b"nobody hears it")

    async def test_a_protocol_that_watches_is_told_when_something_waits_and_when_nothing_does(self) -> None:
        server, client = await self.connect()
        transport: Any = server.transport
        transport.is_watched = True
        self.assertTrue(transport.is_clear)
        transport.write(b"first ")
        self.assertEqual((server.busy, transport.is_clear), ([True], False))
        self.assertEqual(await deferToThread(client.recv, 100), b"first ")
        self.assertEqual((server.busy, transport.is_clear), ([True, False], True))
        transport.write_now(b"second")
        self.assertEqual(server.busy, [True, False])
        transport.loseConnection()
        self.assertFalse(transport.is_clear)
        await server.lost
        self.assertEqual(set(server.busy[2:]), {True})

    async def test_one_that_is_aborted_is_not_clear(self) -> None:
        server, _ = await self.connect()
        transport: Any = server.transport
        transport.is_watched = True
        transport.abortConnection()
        self.assertFalse(transport.is_clear)
        self.assertNotIn(False, server.busy)
        await server.lost


class ReadsTests(TcpCase):
    def setUp(self) -> None:
        self.counters = Counters()
        self.reads = Reads(reactor, self.counters)
        self.addCleanup(self.reads.stop)

    async def test_what_arrives_is_handed_over_and_an_end_is_told(self) -> None:
        server, client = await self.connect()
        some = server.some
        client.sendall(b"hello")
        await some
        self.assertEqual(server.heard, b"hello")
        client.close()
        await server.lost
        self.assertEqual(len(self.reads), 0)

    async def test_a_reset_is_an_end_too(self) -> None:
        server, client = await self.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.close()
        await server.lost
        self.assertEqual(len(self.reads), 0)

    async def test_nothing_is_read_from_one_that_is_paused(self) -> None:
        server, client = await self.connect()
        other, other_client = await self.connect()
        transport: Any = server.transport
        transport.pauseProducing()
        transport.pauseProducing()
        self.assertEqual(len(self.reads), 1)
        client.sendall(b"hello")
        some = other.some
        other_client.sendall(b"x")
        await some
        self.assertEqual(server.heard, b"")
        some = server.some
        transport.resumeProducing()
        transport.resumeProducing()
        await some
        self.assertEqual(server.heard, b"hello")
        for one in (server, other):
            await self.end(one)

    async def test_one_that_another_ends_in_the_same_turn_is_not_read(self) -> None:
        pairs = [await self.connect() for _ in range(2)]
        for (server, _), (other, _) in (pairs, pairs[::-1]):
            transport: Any = other.transport
            server.some.addCallback(lambda _, transport=transport: transport.abortConnection())
        for _, client in pairs:
            client.sendall(b"hello")
        await DeferredList([server.lost for server, _ in pairs], fireOnOneCallback=True)
        self.assertEqual(sorted(server.heard for server, _ in pairs), [b"", b"hello"])
        for server, _ in pairs:
            if server.heard:
                await self.end(server)

    async def test_a_fault_of_one_protocol_ends_that_one(self) -> None:
        other, other_client = await self.connect()
        for fault in (ValueError, OSError, BlockingIOError, SystemExit):
            for where in ("dataReceived", "connectionLost"):
                server, client = await self.connect()
                server.fault, server.faulty = fault, where
                client.sendall(b"x")
                if where == "connectionLost":
                    client.close()
                await server.lost
                self.assertEqual(len(self.flushLoggedErrors(fault)), 1)
        self.assertEqual(self.counters.get("internal_errors"), 8)
        self.assertEqual(len(self.reads), 1)
        some = other.some
        other_client.sendall(b"hello")
        await some
        await self.end(other)

    async def test_once_it_is_stopped_nobody_is_read(self) -> None:
        server, _ = await self.connect()
        self.reads.stop()
        self.assertEqual(len(self.reads), 0)
        transport: Any = server.transport
        transport.resumeProducing()
        self.assertEqual(len(self.reads), 0)
        await self.end(server)
