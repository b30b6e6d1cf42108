"""Reading many sockets in one turn of the event loop, by an epoll of their own.

Twisted takes each socket that can be read through a logging context, a look at its descriptor and four calls. Here its
reactor watches one descriptor, an epoll of all the service's connections, and when that can be read, the connections
are read in one loop: a `recv` and `dataReceived` for each, and nothing else. Writing, and everything that is rare,
stays with the reactor.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsservice.counters import Counters

if TYPE_CHECKING:
    from wsservice.transports.tcp import TcpTransport

log = Logger()

#: bytes of one read; precedent: Twisted
SIZE = 65536
#: sockets that are read in one turn; those behind them have their turn in the next
_AT_ONCE = 1024


@implementer(IReadDescriptor)
class Reads:
    """The connections that are read; only where the system has epoll.

    Args:
        reactor: watches it, until `stop`.
        counters: counts `internal_errors`.
    """

    def __init__(self, reactor: Any, counters: Counters) -> None:
        self._reactor = reactor
        self._counters = counters
        self._epoll = select.epoll()
        self._transports: dict[int, TcpTransport] = {}
        reactor.addReader(self)

    def __len__(self) -> int:
        return len(self._transports)

    def add(self, transport: TcpTransport) -> None:
        """Read a connection; again is once."""
        number = transport.fileno()
        if number not in self._transports and not self._epoll.closed:
            self._epoll.register(number, select.EPOLLIN)
            self._transports[number] = transport

    def discard(self, transport: TcpTransport) -> None:
        """Do not read it for now, or no longer."""
        number = transport.fileno()
        if self._transports.get(number) is transport:
            del self._transports[number]
            self._epoll.unregister(number)

    def stop(self) -> None:
        """Read nobody any more; again does nothing."""
        if self._epoll.closed:
            return
        self._reactor.removeReader(self)
        self._transports.clear()
        self._epoll.close()

    # IReadDescriptor

    def fileno(self) -> int:
        """Of the epoll."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "reads"

    def doRead(self) -> None:
        """Read each connection that can be read, once."""
        transports = self._transports
        for number, _ in self._epoll.poll(0, _AT_ONCE):
            transport = transports.get(number)
            if transport is None:  # ended, or paused, by one before it
                continue
            try:
                data = transport.socket.recv(SIZE)
            except BlockingIOError:
                continue
            except OSError:
                self._end(transport, ConnectionLost())
                continue
            if not data:
                self._end(transport, ConnectionDone())
                continue
            try:
                transport.protocol.dataReceived(data)
            except BaseException as error:
                self._failed()
                self._end(transport, error)

    def connectionLost(self, reason: Failure) -> None:
        """Of the epoll itself: never."""

    def _end(self, transport: TcpTransport, reason: BaseException) -> None:
        try:
            self.discard(transport)
            if isinstance(reason, ConnectionDone):
                transport.readConnectionLost(Failure(reason))
            else:
                transport.connectionLost(Failure(reason))
        except BaseException:
            self._failed()

    def _failed(self) -> None:
        """A fault of one connection's protocol must not stop the others, as it would if the reactor learned of it."""
        log.failure("a connection's protocol failed")
        self._counters.add("internal_errors")
