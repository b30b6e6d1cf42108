"""Tests of wsservice.unsent."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from wsservice.transports.tcp import serve_by
from wsservice.unsent import Pace, finish, left_untaken, remember_untaken, unsent, untaken

LARGE = 8 << 20
SMALL = 8192


class PaceTests(SynchronousTestCase):
    def pace(self) -> Pace:
        return Pace(100.0, 5, patience=10, longest=60)

    def test_who_takes_nothing_is_stuck_at_the_instant(self) -> None:
        pace = self.pace()
        self.assertTrue(pace.goes_on(109.9, 5))
        self.assertFalse(pace.is_stuck)
        self.assertFalse(pace.goes_on(110.0, 5))
        self.assertTrue(pace.is_stuck)

    def test_who_takes_a_byte_has_as_much_time_again(self) -> None:
        pace = self.pace()
        self.assertTrue(pace.goes_on(103, 5))
        self.assertTrue(pace.goes_on(109, 4))
        self.assertTrue(pace.goes_on(118.9, 4))
        self.assertFalse(pace.goes_on(119, 4))

    def test_who_has_taken_everything_is_not_waited_for_and_not_stuck(self) -> None:
        pace = self.pace()
        self.assertFalse(pace.goes_on(150, 0))
        self.assertFalse(pace.is_stuck)

    def test_nobody_is_waited_for_longer_than_the_longest(self) -> None:
        pace, left = self.pace(), 1000
        for now in range(103, 160, 3):
            left -= 1
            self.assertTrue(pace.goes_on(now, left))
        self.assertFalse(pace.goes_on(160, left - 1))
        self.assertFalse(pace.is_stuck)


class SocketTests(TestCase):
    """Each kind of socket, with a peer that reads when it is told."""

    async def open(self, kind: str, *, wrapped: bool = False) -> tuple[Any, socket.socket]:
        """The transport of the server's side, and the peer."""
        path = Path(self.mktemp())
        name = f"unix:{path}" if kind == "unix" else "tcp:0:interface=127.0.0.1"
        accepted: Deferred[Any] = Deferred()
        self.ended: Deferred[Any] = Deferred()
        case = self

        class Server(Protocol):
            def connectionMade(self) -> None:
                accepted.callback(self.transport)

            def connectionLost(self, reason: Any) -> None:
                case.ended.callback(None)

        factory: Any = Factory.forProtocol(Server)
        if wrapped:
            factory = WrappingFactory(factory)
            factory.protocol = ProtocolWrapper
        port = await serverFromString(reactor, name).listen(factory)
        self.addCleanup(port.stopListening)
        if kind == "ours":
            serve_by(None, [port])
        peer = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        self.addCleanup(peer.close)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        peer.connect(str(path) if kind == "unix" else ("127.0.0.1", port.getHost().port))
        peer.setblocking(False)
        return await accepted, peer

    async def read(self, peer: socket.socket, size: int) -> None:
        while size > 0:
            try:
                size -= len(peer.recv(min(size, 65536)))
            except BlockingIOError:
                await deferLater(reactor, 0.001)

    async def test_what_waits_here_and_in_the_system_shrinks_as_it_is_read(self) -> None:
        for kind in ("unix", "tcp", "ours"):
            for wrapped in (False, True):
                transport, peer = await self.open(kind, wrapped=wrapped)
                self.assertEqual((unsent(transport), untaken(transport)), (0, 0))
                transport.write(bytes(LARGE))
                self.assertEqual(unsent(transport), LARGE)
                await deferLater(reactor, 0.05)
                here, both = unsent(transport), untaken(transport)
                self.assertTrue(0 < here < LARGE, (kind, here))
                self.assertGreater(both, here)
                await self.read(peer, LARGE - 1000)
                await deferLater(reactor, 0.05)
                self.assertEqual(unsent(transport), 0)
                await self.read(peer, 1000)
                while untaken(transport):
                    await deferLater(reactor, 0.001)
                finish(transport)
                await self.ended
                self.assertEqual(peer.recv(1), b"")
                self.assertEqual(untaken(transport), 0)

    async def test_at_the_end_it_is_remembered_what_was_not_taken(self) -> None:
        for reset in (False, True):
            transport, peer = await self.open("ours")
            remember_untaken(transport)
            transport.write(bytes(200_000))
            while unsent(transport):
                await deferLater(reactor, 0.001)
            if reset:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                await self.read(peer, 200_000)
            peer.close()
            await self.ended
            self.assertEqual(left_untaken(transport) > 0, reset)

    async def test_what_the_system_has_when_we_close_is_not_lost(self) -> None:
        transport, peer = await self.open("ours")
        remember_untaken(transport)
        transport.write(bytes(200_000))
        transport.loseConnection()
        await self.ended
        self.assertEqual(left_untaken(transport), 0)
        await self.read(peer, 200_000)

    async def test_of_a_unix_socket_it_is_what_waits_here(self) -> None:
        transport, peer = await self.open("unix")
        remember_untaken(transport)
        transport.write(bytes(LARGE))
        await deferLater(reactor, 0.05)
        peer.close()
        await self.ended
        self.assertGreater(left_untaken(transport), 0)

    def test_what_is_no_socket_has_nothing(self) -> None:
        self.assertEqual((unsent(object()), untaken(object()), left_untaken(object())), (0, 0, 0))
        remember_untaken(object())

    async def test_a_system_that_does_not_tell_is_taken_to_have_nothing(self) -> None:
        transport, _ = await self.open("tcp")
        file = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, file)
        transport.fileno, kept = lambda: file, transport.fileno
        self.assertEqual(untaken(transport), 0)
        transport.fileno = kept
        transport.abortConnection()
        await self.ended
