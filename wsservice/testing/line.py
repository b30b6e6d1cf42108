"""A TCP connection in memory: what one side writes, the other reads when the line is pumped.

It has what the service looks at in a real one: a buffer that fills up when the client does not read, and is told to the
producer as Twisted's transports do; an end that comes behind what was written before it; a reset that throws that away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

#: bytes that the transport takes before it tells its producer to pause; Twisted's own
BUFFER = 65536
#: where the service seems to listen
HOST, PORT = "localhost", 3020


class Peer(Protocol):
    """The client's side."""

    def bytes_received(self, data: bytes) -> None:
        """The service wrote this."""

    def line_ended(self, *, clean: bool) -> None:
        """The service closed the connection, or (not clean) reset it."""


@implementer(ITCPTransport)
class LineTransport:
    """The service's side of a line."""

    def __init__(self, peer: str) -> None:
        self.protocol: Any = None
        self.disconnecting = False
        self.is_aborted = False
        self.is_paused = False
        self.written = bytearray()
        self._peer = peer
        self._producer: Any = None

    @property
    def unsent(self) -> int:
        """Bytes that the client has not read."""
        return len(self.written)

    def write(self, data: bytes) -> None:
        """Keep bytes until the client reads them."""
        if self.disconnecting:
            return
        self.written += data
        if self._producer is not None and len(self.written) > BUFFER:
            self._producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:  # noqa: N802
        """Write several pieces."""
        self.write(b"".join(data))

    def take(self) -> bytes:
        """What the client reads now."""
        data = bytes(self.written)
        self.written.clear()
        if self._producer is not None and not self.disconnecting:
            self._producer.resumeProducing()
        return data

    def loseConnection(self) -> None:  # noqa: N802
        """End it, behind what was written."""
        self.disconnecting = True

    def loseWriteConnection(self) -> None:  # noqa: N802
        """End one direction; the client answers by ending the other."""
        self.disconnecting = True

    def abortConnection(self) -> None:  # noqa: N802
        """Reset it."""
        self.disconnecting = self.is_aborted = True
        self.written.clear()

    def getPeer(self) -> IPv4Address:  # noqa: N802
        """The client's address."""
        return IPv4Address("TCP", self._peer, 40000)

    def getHost(self) -> IPv4Address:  # noqa: N802
        """The service's address."""
        return IPv4Address("TCP", "127.0.0.1", PORT)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        """Tell it from now on when the buffer is full, and when it is empty again."""
        self._producer = producer
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:  # noqa: N802
        """Tell it no longer."""
        self._producer = None

    def pauseProducing(self) -> None:  # noqa: N802
        """The service reads nothing more for now."""
        self.is_paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        """The service reads on."""
        self.is_paused = False

    def stopProducing(self) -> None:  # noqa: N802
        """The service is done with it."""
        self.loseConnection()

    def getTcpNoDelay(self) -> bool:  # noqa: N802
        """Nothing is delayed."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Nothing is delayed."""

    def getTcpKeepAlive(self) -> bool:  # noqa: N802
        """There is no machine at the other end that could vanish."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        """There is no machine at the other end that could vanish."""


class Line:
    """One connection to a factory.

    Args:
        factory: builds the service's protocol.
        client: the other side.
        address: the client's IP address.

    Attributes:
        is_read: whether the client reads.
        is_over: whether both sides know of the end.
    """

    def __init__(self, factory: Any, client: Peer, address: str) -> None:
        self.is_read = True
        self.is_over = False
        self._client = client
        self._to_service = bytearray()
        self._end: Callable[[], Exception] | None = None
        self._transport = transport = LineTransport(address)
        transport.protocol = factory.buildProtocol(transport.getPeer())
        transport.protocol.makeConnection(transport)

    def write(self, data: bytes) -> None:
        """The client sends bytes."""
        if self._end is None:
            self._to_service += data

    def close(self) -> None:
        """The client ends the connection, behind what it sent."""
        self._end = self._end or ConnectionDone

    def cut(self) -> None:
        """The connection breaks; what is under way is lost."""
        self._to_service.clear()
        self._transport.written.clear()
        self._end = ConnectionLost

    def pump(self) -> bool:
        """Move what is under way to where it goes, once; gives whether there was anything."""
        if self.is_over:
            return False
        transport = self._transport
        moved = False
        if self.is_read and transport.written and self._end is not ConnectionLost:
            moved = True
            self._client.bytes_received(transport.take())
        if transport.is_aborted or (transport.disconnecting and not transport.written):
            self._over(ConnectionAborted() if transport.is_aborted else ConnectionDone())
            self._client.line_ended(clean=not transport.is_aborted)
            return True
        if self._to_service and not transport.is_paused:
            moved = True
            data = bytes(self._to_service)
            self._to_service.clear()
            transport.protocol.dataReceived(data)
        elif self._end is not None and not self._to_service:
            moved = True
            self._over(self._end())
        return moved

    def _over(self, reason: Exception) -> None:
        self.is_over = True
        self._transport.protocol.connectionLost(Failure(reason))
