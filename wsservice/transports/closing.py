"""The end of a WebSocket: the client gets what was sent before, and sees why it is closed.

    OPEN
      |      our close frame is written, behind everything that was sent
      v
    CLOSING  what arrives is read and dropped: a socket that is closed on bytes that nobody has read is reset, and a
      |      reset makes the system throw away what the client has not taken yet, the close frame too
      |
      |      the client's close frame; or it has taken everything and does not answer for `closeHandshakeTimeout`
      v
    CLOSED   a FIN, behind what is still unsent, if the client began the closing

In both a client that takes something now and then is waited for; one that takes nothing for `unread_timeout` is reset,
and counted, since what the system had for it is lost. All of it may take `LONGEST`: after that, what the system has
goes its way without us (a FIN), and who has not even let us hand it all to the system is reset.
"""

from __future__ import annotations

from typing import Any, ClassVar

from wsservice.transports.slim import SlimProtocol
from wsservice.unsent import Pace, finish, unsent, untaken

#: seconds for all that was sent before a close, at any pace
LONGEST = 60.0


class ClosingProtocol(SlimProtocol):
    """See the module's docstring."""

    __slots__ = ()

    #: seconds in which a client must take something of what was sent before its close
    unread_timeout: ClassVar[float] = 10.0
    #: of one that did not answer the close frame, or did not end its connection, at the first look
    _pace: Pace | None = None

    def cut_off(self) -> None:
        """The service ends now: what the system has, it brings to the client without us; what we have is lost."""
        if unsent(self.transport):
            self.transport.abortConnection()
        else:
            finish(self.transport)

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
        return self.factory._batched_timer.call_later(self.closeHandshakeTimeout, look)

    def _goes_on(self) -> bool:
        """Whether to wait on for the client."""
        now = self.factory.clock.seconds()
        if self._pace is None:  # the first look comes so much later than the close
            begun = now - self.closeHandshakeTimeout
            self._pace = Pace(begun, patience=self.unread_timeout, longest=LONGEST)
        return self._pace.goes_on(now, untaken(self.transport))

    def _is_hopeless(self) -> bool:
        """Whether what is left will not reach the client: a FIN would wait behind it."""
        return self._pace is not None and (self._pace.is_stuck or unsent(self.transport) > 0)

    def _reset(self) -> None:
        self.factory.counters.add("connections_cut", "unread")
        self.transport.abortConnection()
