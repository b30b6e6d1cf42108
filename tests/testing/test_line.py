"""A TCP connection in memory ends, fills up and breaks as a real one does."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from wsservice.testing.line import BUFFER, Line, LineTransport


class Server(Protocol):
    """Remembers what it is told, as a producer, too."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        self.seen.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.seen.append(reason.type)

    def pauseProducing(self) -> None:
        self.seen.append("pause")

    def resumeProducing(self) -> None:
        self.seen.append("resume")


class LineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.received: list[bytes] = []
        self.ended: list[bool] = []
        self.server = Server()
        factory = Factory()
        factory.buildProtocol = lambda addr: self.server  # type: ignore[method-assign]
        self.line = Line(factory, self, "192.0.2.7")
        self.transport: Any = self.server.transport

    def bytes_received(self, data: bytes) -> None:
        self.received.append(data)

    def line_ended(self, *, clean: bool) -> None:
        self.ended.append(clean)

    def pump(self) -> None:
        while self.line.pump():
            pass

    def test_it_is_a_transport_of_tcp(self) -> None:
        self.assertTrue(verifyObject(ITCPTransport, LineTransport("192.0.2.7")))
        self.assertEqual(self.transport.getPeer().host, "192.0.2.7")

    def test_bytes_go_both_ways_when_it_is_pumped(self) -> None:
        self.line.write(b"one")
        self.line.write(b"two")
        self.transport.writeSequence([b"three", b"four"])
        self.assertEqual((self.server.seen, self.received), ([], []))
        self.pump()
        self.assertEqual((self.server.seen, self.received), (["resume", b"onetwo"], [b"threefour"]))

    def test_a_service_that_does_not_read_gets_it_later(self) -> None:
        self.transport.pauseProducing()
        self.line.write(b"data")
        self.line.close()
        self.pump()
        self.assertEqual(self.server.seen, [])
        self.transport.resumeProducing()
        self.pump()
        self.assertEqual(self.server.seen, [b"data", ConnectionDone])

    def test_a_client_that_does_not_read_fills_the_buffer(self) -> None:
        self.line.is_read = False
        self.transport.write(b"x" * BUFFER)
        self.assertEqual(self.server.seen, [])
        self.transport.write(b"x")
        self.pump()
        self.assertEqual((self.server.seen, self.transport.unsent), (["pause"], BUFFER + 1))
        self.line.is_read = True
        self.pump()
        self.assertEqual((self.server.seen, self.transport.unsent), (["pause", "resume"], 0))

    def test_the_service_s_end_comes_behind_what_it_wrote(self) -> None:
        self.line.is_read = False
        self.transport.write(b"last")
        self.transport.loseConnection()
        self.transport.write(b"too late")
        self.pump()
        self.assertEqual(self.ended, [])
        self.line.is_read = True
        self.pump()
        self.assertEqual((self.received, self.ended, self.server.seen), ([b"last"], [True], [ConnectionDone]))
        self.assertTrue(self.line.is_over)

    def test_a_reset_throws_away_what_is_under_way(self) -> None:
        self.transport.write(b"lost")
        self.transport.abortConnection()
        self.pump()
        self.assertEqual((self.received, self.ended, self.server.seen), ([], [False], [ConnectionAborted]))

    def test_so_does_a_line_that_is_cut(self) -> None:
        self.transport.write(b"lost")
        self.line.write(b"lost")
        self.line.cut()
        self.line.write(b"lost")
        self.pump()
        self.assertEqual((self.received, self.server.seen), ([], [ConnectionLost]))
