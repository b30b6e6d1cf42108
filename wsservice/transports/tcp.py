"""An accepted TCP connection that is written to at once, instead of in the next turn of the event loop.

Twisted's `transport.write` keeps the bytes, asks epoll for the socket, waits for a turn, sends, and asks epoll to
forget the socket: four system calls for one. Where nothing waits before them the bytes can be sent right now, and only
what the system does not take goes Twisted's way, with its order, its producers and its errors.

Whoever writes much keeps the socket's own `send` for as long as the transport is clear: `startWriting` and
`stopWriting` are where Twisted itself notes that something waits, and that nothing does any more.

Only for TCP with nothing around it. TLS looks the same from outside, down to `transport.socket`, and would send plain
text: so it is decided by the transport's own class. Our own TLS has a class for it, too (`tls_transport.py`).
"""

# mypy: allow-untyped-calls
# (twisted.internet.tcp has few annotations)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import Port, Server
from twisted.python.failure import Failure

from wsservice.transports.lean_server import LeanServer
from wsservice.transports.reads import Reads
from wsservice.unsent import untaken

#: a socket's `send`: gives how many bytes the system took
Send = Callable[[bytes], int]


class TcpTransport(LeanServer):
    """See the module's docstring; `serve_by` has ports use it.

    Attributes:
        reads: who reads it; None for Twisted's reactor.
        is_watched: whether its protocol is told by `writing_changed(is_busy)`.
    """

    __slots__ = ("is_watched",)

    reads: ClassVar[Reads | None] = None
    is_watched: bool
    #: see `unsent.remember_untaken`
    remembers_untaken = False
    untaken_at_end = 0

    def __init__(self, *arguments: Any) -> None:
        """Called by the port."""
        self.is_watched = False
        super().__init__(*arguments)

    @property
    def is_clear(self) -> bool:
        """Whether what is sent now is the next that the peer gets."""
        return bool(
            self.connected and not (self.dataBuffer or self._tempDataBuffer or self.disconnecting or self._aborting)
        )

    @property
    def unsent(self) -> int:
        """Bytes that wait here for the system to take them."""
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    @property
    def send(self) -> Send:
        """The socket's own."""
        send: Send = self.socket.send
        return send

    def watch(self) -> bool:
        """Tell the protocol from now on; that there is something to tell."""
        self.is_watched = True
        return True

    def write_now(self, data: bytes) -> None:
        """Send what the socket takes, and leave the rest, and every fault, to Twisted."""
        if self.is_clear:
            try:
                sent = self.socket.send(data)
            except OSError:  # full, or broken: Twisted finds out, and tells the protocol in its own time
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self.write(data)

    def connectionLost(self, reason: Failure) -> None:
        """Called by Twisted, and closes the socket."""
        # Of one that we closed ourselves the system brings what it has; of one that was reset, nobody does.
        if self.remembers_untaken and self.connected and (self._aborting or not self.disconnecting):
            self.untaken_at_end = untaken(self)
        super().connectionLost(reason)

    def startReading(self) -> None:
        """Called by Twisted."""
        if self._aborting or self.disconnected:
            return
        if self.reads is None:
            super().startReading()
        else:
            self.reads.add(self)

    def stopReading(self) -> None:
        """Called by Twisted."""
        if self.reads is None:
            super().stopReading()
        elif hasattr(self, "socket"):
            self.reads.discard(self)

    def startWriting(self) -> None:
        """Called by Twisted when something waits, or the connection is to be closed."""
        super().startWriting()
        if self.is_watched:
            self._tell(is_busy=True)

    def stopWriting(self) -> None:
        """Called by Twisted when nothing waits any more, or nothing can be written."""
        super().stopWriting()
        if self.is_watched:
            self._tell(is_busy=not self.is_clear)

    def _tell(self, *, is_busy: bool) -> None:
        protocol: Any = self.protocol
        protocol.writing_changed(is_busy=is_busy)


def serve_by(reads: Reads | None, ports: Sequence[IListeningPort]) -> None:
    """Have the TCP ports among these make such transports from now on."""
    configured: type[TcpTransport] = type("TcpTransport", (TcpTransport,), {"reads": reads})
    for port in ports:
        if isinstance(port, Port) and port.transport is Server:  # that of a Unix socket has another one
            port.transport = configured
