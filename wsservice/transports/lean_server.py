"""Twisted's accepted TCP connection with less around it: an idle one holds 170 bytes instead of 1,200.

`Server` keeps eighteen attributes in a dict of its own (800 bytes), among them texts for a log, made in advance, and
what others know as well. Here are slots for what differs, and the rest is worked out when somebody asks. A dict stays
for what Twisted sets when it closes. (Measured: Python 3.11. Its instances share the keys of their dicts only while a
class is young; these were too late for it.)
"""

# mypy: allow-untyped-calls
# (twisted.internet.tcp has few annotations)

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionLost
from twisted.internet.tcp import Server
from twisted.python.failure import Failure


def host_of_peer(transport: Any) -> str:
    """The address of who is connected; empty for a Unix socket, which has none."""
    if isinstance(transport, LeanServer):  # without making an address object of it
        return str(transport.client[0])
    return getattr(transport.getPeer(), "host", "")


class LeanServer(Server):
    """Made by a port, as a `Server` is; not by `adoptStreamConnection`, and without `startTLS`."""

    __slots__ = (
        "_tempDataBuffer",
        "_tempDataLen",
        "client",
        "connected",
        "dataBuffer",
        "offset",
        "producer",
        "protocol",
        "server",
        "socket",
        "streamingProducer",
    )

    #: what waits, in pieces; Twisted appends to a list, which is there only while it is needed
    _tempDataBuffer: Any

    def __init__(
        self, sock: socket.socket, protocol: Any, client: tuple[Any, ...], server: Any, sessionno: int, reactor: Any
    ) -> None:
        """All that the inherited ones do, which is why they are not called."""
        sock.setblocking(False)
        self.socket = sock
        self.protocol = protocol
        self.client = client
        self.server = server
        self._tempDataBuffer = ()
        self._tempDataLen = 0
        self.dataBuffer = b""
        self.offset = 0
        self.producer = None
        self.streamingProducer = False
        self.startReading()
        self.connected = 1

    def __repr__(self) -> str:
        return f"<{self.logPrefix()} on {self.server._realPortNumber}>"

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return f"{self._getLogPrefix(getattr(self, 'protocol', None))},{self.client[0]}"

    @property
    def reactor(self) -> Any:  # type: ignore[override]
        """That of the port."""
        return self.server.reactor

    def _get_fileno(self) -> Any:
        return self.socket.fileno

    def _no_fileno(self) -> None:
        """Twisted deletes it with the socket."""

    #: the socket's own method
    fileno: Any = property(_get_fileno, None, _no_fileno)

    @property
    def _addressType(self) -> Any:  # type: ignore[override]
        return IPv4Address if len(self.client) == 2 else IPv6Address

    def connectionLost(self, reason: Failure) -> None:
        """Called when it has ended; the inherited one would shut down what the peer has reset, which fails."""
        if type(reason.value) is not ConnectionLost:  # `ConnectionAborted`, which is one, must reset
            super().connectionLost(reason)
        elif hasattr(self, "socket"):  # not yet
            FileDescriptor.connectionLost(self, reason)
            self.socket.close()
            protocol = self.protocol
            del self.protocol
            del self.socket
            protocol.connectionLost(reason)

    def write(self, data: bytes) -> None:
        """Called by whoever has something to send."""
        if not self._tempDataBuffer:
            self._tempDataBuffer = []
        FileDescriptor.write(self, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """The same in pieces."""
        if not self._tempDataBuffer:
            self._tempDataBuffer = []
        FileDescriptor.writeSequence(self, iovec)

    def stopWriting(self) -> None:
        """Called by Twisted when nothing waits any more."""
        super().stopWriting()
        if not self._tempDataBuffer:
            self._tempDataBuffer = ()
