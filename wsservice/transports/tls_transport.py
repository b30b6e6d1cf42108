"""TLS that is written to at once, as TCP is by `tcp.py`, and read with fewer steps.

Twisted keeps what is written to TLS for the next turn of the event loop, encrypts it there, and has the transport
keep the records for one turn more: some twenty calls and four system calls for a message. Here, where the handshake is
done and nothing waits for it, a message is encrypted right now, and its records are the transport's `write_now`. Order
is OpenSSL's: whatever is encrypted has its place, and the transport below keeps it.

Only this step is taken out of Twisted's TLS. The handshake, what is written before its end, the shutdown, producers and
every fault are its own code; and no byte comes to the transport below but by OpenSSL.

A delivery over TLS costs 7 us where it was 30 us (benchmarks/README.md).
"""

# mypy: allow-untyped-calls
# (twisted.protocols.tls has few annotations)

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Port
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from wsservice.transports.records import Records
from wsservice.transports.tcp import TcpTransport

#: bytes of a record (RFC 8446 section 5.1)
_RECORD = 2**14


class TlsTransport(TLSMemoryBIOProtocol):
    """See the module's docstring; `encrypt_at_once` has ports use it.

    Attributes:
        is_watched: whether the protocol in it is told by `writing_changed(is_busy)`; see `watch`.
    """

    transport: Any
    wrappedProtocol: Any
    _tlsConnection: Any

    is_watched = False
    #: the transport below, where it is a TCP socket and nothing around it
    _tcp: TcpTransport | None = None
    #: the same, while OpenSSL takes what is given: after the handshake, while nothing waits for it, before any end
    _open: TcpTransport | None = None
    #: bytes of TLS's own that were written behind everything else, at the end
    _alert = 0

    @cached_property
    def _records(self) -> Records:
        return Records(self._tlsConnection)

    def makeConnection(self, transport: Any) -> None:
        """Called by the transport below."""
        if isinstance(transport, TcpTransport):
            self._tcp = transport
        super().makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Called by the transport below."""
        self._open = None
        super().connectionLost(reason)
        self.__dict__.pop("_records", None)  # a circle, as its connection is

    def watch(self) -> bool:
        """Tell the protocol when something waits; whether there is something to tell, and `send` is of use."""
        if self._tcp is None:
            return False
        self._tcp.is_watched = self.is_watched = True
        return True

    @property
    def is_clear(self) -> bool:
        """Whether what is sent now is the next that the peer gets."""
        return self._open is not None and self._open.is_clear and not self.disconnecting

    @property
    def unsent(self) -> int:
        """Bytes of the protocol that wait here for the system to take them, about: most are encrypted already."""
        waiting: int = sum(map(len, self._appSendBuffer))
        return waiting if self._tcp is None else waiting + max(0, self._tcp.unsent - self._alert)

    def send(self, data: bytes) -> int:
        """As a socket's `send`, but it takes everything: what the system does not take now follows by itself."""
        size = len(data)
        tcp = self._open
        if tcp is None or size > _RECORD or not size:
            self.write(data)
            return size
        records = self._records
        try:
            taken = records.encrypt(data)
        except WantReadError:
            self._bufferedWrite(data)
        except Error:
            self._tlsShutdownFinished(Failure())
        else:
            tcp.write_now(records.take())
            if taken != size:  # the client asked for small records (RFC 6066 section 4)
                self._write(data[taken:])
        return size

    def write_now(self, data: bytes) -> None:
        """Send what the system takes, and leave the rest, and every fault, to Twisted."""
        self.send(data)

    def writing_changed(self, *, is_busy: bool) -> None:
        """Called by the transport below; see `OutgoingProtocol.writing_changed`."""
        self.wrappedProtocol.writing_changed(is_busy=is_busy or not self.is_clear)

    def dataReceived(self, data: bytes) -> None:
        """Called by the transport below."""
        if self._open is not None:
            self._records.give(data)
            self._flushReceiveBIO()
            return
        super().dataReceived(data)
        if self._handshakeDone and not (self._appSendBuffer or self.disconnecting or self._lostTLSConnection):
            self._open = self._tcp
            if self.is_watched:
                self.writing_changed(is_busy=not self.is_clear)

    # Where OpenSSL no longer takes what is given

    def _shutdownTLS(self) -> None:
        self._open = None
        before = 0 if self._tcp is None else self._tcp.unsent
        super()._shutdownTLS()
        if self._tcp is not None:
            self._alert += self._tcp.unsent - before

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        self._open = None
        super()._tlsShutdownFinished(reason)

    def _bufferedWrite(self, octets: bytes) -> None:
        self._open = None
        super()._bufferedWrite(octets)

    # As in TLSMemoryBIOProtocol, by records.py

    def _flushSendBIO(self) -> None:
        data = self._records.take()
        if data:
            self.transport.write(data)

    def _flushReceiveBIO(self) -> None:
        records = self._records
        while not self._lostTLSConnection:
            try:
                data = records.decrypt()
            except ZeroReturnError:
                self._shutdownTLS()
                self._tlsShutdownFinished(None)
            except Error:
                self._tlsShutdownFinished(Failure())
            else:
                if not data:
                    break
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(data)
        self._flushSendBIO()


def encrypt_at_once(ports: Sequence[IListeningPort]) -> None:
    """Have those of these ports that speak TLS make such transports from now on."""
    for port in ports:
        if isinstance(port, Port) and isinstance(port.factory, TLSMemoryBIOFactory):
            port.factory.protocol = TlsTransport
