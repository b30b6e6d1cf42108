"""An HTTP peer in memory: the real client stack on a `Clock`, and a transport that the test plays by hand."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure


class Peer(StringTransport):
    """The far end of one connection: sees what the client wrote, and answers.

    Args:
        closes: whether it closes its side when the client does.
    """

    def __init__(self, net: Net, factory: Any, closes: bool = True) -> None:
        super().__init__()
        self.net = net
        self.closes = closes
        self.open = True
        self.aborted = False
        self.protocol: Any = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 80))
        self.protocol.makeConnection(self)

    def send(self, data: bytes) -> None:
        """Answer, as one segment."""
        if self.open and not self.aborted:
            self.protocol.dataReceived(data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """What TLS asks of a TCP transport."""

    def loseConnection(self) -> None:
        self.disconnecting = True
        if self.closes:
            self.net.callLater(0, self.lose, ConnectionDone())

    def abortConnection(self) -> None:
        self.aborted = True
        self.net.callLater(0, self.lose, ConnectionAborted())

    def close(self) -> None:
        """End the connection in good order."""
        self.lose(ConnectionDone())

    def reset(self) -> None:
        """End it as a TCP reset does."""
        self.lose(ConnectionLost())

    def lose(self, reason: Exception) -> None:
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(reason))


class Net(MemoryReactorClock):
    """A reactor in memory; every name resolves to 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[Peer] = []

    def accept(self, closes: bool = True) -> Peer:
        """Let the oldest pending connection attempt succeed."""
        peer = Peer(self, self.tcpClients.pop(0)[2], closes)
        self.peers.append(peer)
        return peer

    def refuse(self) -> None:
        """Let the oldest pending connection attempt fail."""
        self.tcpClients.pop(0)[2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def settle(self) -> None:
        """Run what is due now."""
        self.advance(0)

    def left_behind(self) -> list[Any]:
        """Open connections and pending timers."""
        return [peer for peer in self.peers if peer.open] + self.getDelayedCalls()
