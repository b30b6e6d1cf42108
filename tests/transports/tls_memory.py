"""A TLS connection without a network: Python's ssl as the client, and a socket that takes and breaks as it is told.

What is between them is real: the transport, Twisted's or our own TLS, and OpenSSL.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from tests.certificates import make_certificate, write_pem
from wsservice.transports.tcp import TcpTransport
from wsservice.transports.tls import Certificate

PLENTY = 1 << 30


class FakeSocket:
    """The server's end.

    Attributes:
        room: bytes that it takes before it is full.
        taken: what it took.
        arrived: what can be read; None for the end, an exception to be raised.
        fault: what sending raises.
    """

    def __init__(self) -> None:
        self.room = PLENTY
        self.taken = bytearray()
        self.arrived: list[bytes | OSError | None] = []
        self.fault: OSError | None = None

    def send(self, data: bytes) -> int:
        if self.fault is not None:
            raise self.fault
        if not self.room:
            raise BlockingIOError(11, "full")
        size = min(self.room, len(data))
        self.taken += data[:size]
        self.room -= size
        return size

    def recv(self, size: int) -> bytes:
        if not self.arrived:
            raise BlockingIOError(11, "nothing")
        first = self.arrived.pop(0)
        if isinstance(first, OSError):
            raise first
        return first or b""

    def fileno(self) -> int:
        return 1_000_000

    def setblocking(self, blocking: bool) -> None:
        pass

    shutdown = setsockopt = lambda self, *args: None

    def close(self) -> None:
        pass


class Inner(Protocol):
    """What the TLS carries.

    Attributes:
        heard: each piece that it got.
        told: what it was told of the transport, once it watches it, and by it as a producer.
        reason: the type of its end.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.told: list[str] = []
        self.reason: type[BaseException] | None = None
        self.on_data: Callable[[bytes], None] = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)
        self.on_data(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.reason is None
        self.reason = reason.type

    def writing_changed(self, *, is_busy: bool) -> None:
        self.told.append("busy" if is_busy else "clear")

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


@cache
def credentials() -> tuple[Certificate, ssl.SSLContext]:
    """A certificate, and a client's context that trusts it."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = make_certificate("localhost")
        both = write_pem(Path(folder) / "both.pem", certificate, key)
        return Certificate(both, both), ssl.create_default_context(cafile=str(both))


class TlsPair:
    """Both ends; `shake` goes through the handshake.

    Args:
        protocol: the TLS to be tried.
        version: of TLS.

    Attributes:
        put: how a test writes; its own choice.
        wire: all that the server sent, encrypted.
        got: what the client could decrypt.
        ended: whether the client was told so by TLS (close_notify).
        alert: what else it was told.
    """

    def __init__(self, protocol: type[TLSMemoryBIOProtocol], version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.reactor: Any = MemoryReactorClock()
        certificate, context = credentials()
        factory = TLSMemoryBIOFactory(certificate, False, Factory.forProtocol(Inner), self.reactor)
        factory.protocol = protocol
        self.socket = FakeSocket()
        self.put: Callable[[bytes], object] = lambda data: None
        self.server: Any = factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1))
        self.inner: Inner = self.server.wrappedProtocol
        transport: Any = TcpTransport
        port = SimpleNamespace(reactor=self.reactor, _realPortNumber=1)
        self.tcp = transport(self.socket, self.server, ("192.0.2.7", 1), port, 1, self.reactor)
        self.server.makeConnection(self.tcp)
        context.minimum_version = context.maximum_version = version
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self.wire = bytearray()
        self.got = b""
        self.ended = False
        self.alert: str | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the server closed its socket."""
        return not self.tcp.connected

    def shake(self) -> None:
        """Go through the handshake."""
        for _ in range(4):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                pass
            self.turn()
        self.client.do_handshake()

    def say(self, data: bytes) -> None:
        """The client sends; it arrives by the next turn."""
        self.client.write(data)

    def say_goodbye(self) -> None:
        """The client sends a close_notify."""
        try:
            self.client.unwrap()
        except ssl.SSLError:  # it waits for an answer, or the connection was over before
            pass

    def records(self) -> bytes:
        """What the client has to send and has not sent."""
        return self._outgoing.read()

    def turn(self) -> None:
        """One turn of the event loop, at both ends."""
        self.reactor.advance(0)
        if self.tcp in self.reactor.writers:
            self._look_at(self.tcp.doWrite())
        data = self.records()
        if data:
            self.socket.arrived.append(data)
        if self.socket.arrived and self.tcp in self.reactor.readers:
            self._look_at(self.tcp.doRead())
        self.hear()

    def finish(self) -> None:
        """Turns until nothing happens any more."""
        self.socket.room = PLENTY
        for _ in range(20):
            self.turn()

    def hear(self) -> None:
        """The client takes what the server's socket took."""
        self.wire += self.socket.taken
        self._incoming.write(self.socket.taken)
        self.socket.taken.clear()
        try:
            while True:
                data = self.client.read(1 << 16)
                if not data:
                    self.ended = True
                    break
                self.got += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            self.alert = error.reason

    def _look_at(self, result: Any) -> None:
        """What the reactor does with what a descriptor's methods give."""
        if result is not None and self.tcp.connected:
            self.tcp.connectionLost(Failure(result))
