"""Writing at once: on real sockets, since a transport in memory has none."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from wsservice.transports.write_now import can_write_now, write_now

reactor: Any = _reactor


class Accepted(Protocol):
    """The server's end."""

    def __init__(self, made: Deferred[Accepted]) -> None:
        self.made = made
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class WriteNowTests(TestCase):
    async def connect(self) -> tuple[Accepted, socket.socket]:
        made: Deferred[Accepted] = Deferred()
        factory = Factory()
        factory.buildProtocol = lambda addr: Accepted(made)  # type: ignore[method-assign,assignment]
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        client.settimeout(30)
        self.addCleanup(client.close)
        return await made, client

    async def end(self, server: Accepted) -> None:
        server.transport.abortConnection()
        await server.lost

    async def test_it_leaves_before_the_next_turn(self) -> None:
        server, client = await self.connect()
        self.assertTrue(can_write_now(server.transport))
        write_now(server.transport, b"hello")
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
            write_now(server.transport, part)
        self.assertTrue(server.transport._tempDataBuffer)
        self.assertEqual(await deferToThread(receive), sent)
        write_now(server.transport, b"now")
        self.assertEqual(client.recv(100), b"now")
        await self.end(server)

    async def test_what_waits_goes_first(self) -> None:
        server, client = await self.connect()
        server.transport.write(b"first ")
        write_now(server.transport, b"second")
        self.assertEqual(await deferToThread(client.recv, 100), b"first second")
        await self.end(server)

    async def test_a_broken_socket_is_the_transports_to_find(self) -> None:
        server, client = await self.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.close()
        for _ in range(3):
            write_now(server.transport, b"x")
        await server.lost
        write_now(server.transport, b"nobody hears it")

    def test_only_plain_tcp_is_written_to(self) -> None:
        for other in (object(), None):
            self.assertFalse(can_write_now(other))
