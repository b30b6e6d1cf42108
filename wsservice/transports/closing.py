"""The end of a WebSocket: the client gets what was sent before, and sees why it is closed.

    OPEN
      |      our close frame is written, behind everything that was sent
      v
    CLOSING  what arrives is read and dropped: a socket that is closed on bytes that nobody has read is reset, and a
      |      reset makes the system throw away what the client has not taken yet, the close frame too
      |
      |      the client's close frame; or it has taken everything and does not answer for `closeHandshakeTimeout`
      v
    CLOSED   a FIN, behind what is still unsent, if the client began the closing; until it has taken that, what it goes
             on sending is read, for the same reason

In both a client that takes something now and then is waited for; one that takes nothing for `unread_timeout` is reset,
and counted, since what the system had for it is lost. All of it may take `LONGEST`: after that, what the system has
goes its way without us (a FIN), and who has not even let us hand it all to the system is reset.
"""

# mypy: allow-untyped-calls
# (twisted.internet has few annotations)

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from wsservice.transports.slim import SlimProtocol
from wsservice.transports.tcp import TcpTransport
from wsservice.unsent import Pace, cut_off, finish, unsent, untaken

#: seconds for all that was sent before a close, at any pace
LONGEST = 60.0


class ClosingProtocol(SlimProtocol):
    """See the module's docstring."""

    __slots__ = ()

    #: seconds in which a client must take something of what was sent before its close
    unread_timeout: ClassVar[float] = 10.0

    @cached_property
    def _pace(self) -> Pace:
        """Since the first close frame; of one that got none, since the first look."""
        now, left = self.factory.clock.seconds(), untaken(self.transport)
        return Pace(now, left, patience=self.unread_timeout, longest=LONGEST)

    def cut_off(self) -> None:
        """The service ends now."""
        cut_off(self.transport)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Called for the first close frame of either side, and perhaps again."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self._goes_on()  # what the client takes from here on counts

    def onCloseHandshakeTimeout(self) -> None:
        """Called by Autobahn's timer: no answer yet, perhaps since our close frame is behind much else."""
        self.closeHandshakeTimeoutCall = None
        if self.state != self.STATE_CLOSED and self._goes_on():
            self.closeHandshakeTimeoutCall = self._look_again(self.onCloseHandshakeTimeout)
        else:
            super().onCloseHandshakeTimeout()

    def _closeConnection(self, abort: bool = False) -> None:
        """Called by Autobahn, which would reset even after a clean close (RFC 6455 section 7.1.1 wants a FIN)."""
        if abort and not self.wasClean and self._is_hopeless():
            self._reset()
        else:
            if isinstance(self.transport, TcpTransport) and untaken(self.transport):
                self.transport.loseWriteConnection()
            else:
                self.transport.loseConnection()
            if self._cut is None:
                self._cut = self._look_again(self._look)

    def _look(self) -> None:
        """The connection has not ended yet."""
        if self._goes_on():
            self._cut = self._look_again(self._look)
        elif self._is_hopeless():
            self._reset()
        else:  # TLS's own end is not answered
            finish(self.transport)

    def _look_again(self, look: Any) -> Any:
        return self.factory._batched_timer.call_later(min(self.closeHandshakeTimeout, self.unread_timeout), look)

    def _goes_on(self) -> bool:
        """Whether to wait on for the client."""
        return self._pace.goes_on(self.factory.clock.seconds(), untaken(self.transport))

    def _is_hopeless(self) -> bool:
        """Whether what is left will not reach the client: a FIN would wait behind it."""
        return self._pace.is_stuck or unsent(self.transport) > 0

    def _reset(self) -> None:
        self.factory.counters.add("connections_cut", "unread")
        self.transport.abortConnection()
