"""What waits for a WebSocket client that does not read: bounded, and the client is closed past the bound."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from wsservice.frames import PING, frame
from wsservice.transports.closing import ClosingProtocol
from wsservice.transports.slim import ANY_REASON
from wsservice.transports.tcp import Send, TcpTransport
from wsservice.transports.tls_transport import TlsTransport
from wsservice.unsent import unsent

#: sizes that are remembered of a transport that does not say when it is empty, at least
_FEW = 32


class OutgoingProtocol(ClosingProtocol):
    """Writes finished frames; the transport says when it is full, by the push producer's calls."""

    __slots__ = ("_backlog", "_prompt")

    #: bytes, and messages
    max_backlog: ClassVar[int] = 1024 * 1024
    max_backlog_messages: ClassVar[int] = 10_000

    _backlog_bytes = 0
    #: whether the client was too slow, and something was dropped
    _gave_up = False
    #: sizes of what the transport was given since nothing waited in it, below 0 of what is no message; None for none
    _handed: list[int] | None = None
    #: of a transport that does not say when it is empty: how many sizes there may be before the old ones are forgotten
    _forget_at = _FEW
    #: what the client is pinged by, which is no message
    ping_frame: ClassVar[bytes] = frame(b"", PING)

    def __init__(self) -> None:
        super().__init__()
        #: the transport, where it can be written to at once: a TCP socket and nothing around it but our own TLS
        self._prompt: TcpTransport | TlsTransport | None = None
        #: what waits for the client, since the transport said that it is full; None while it is not
        self._backlog: deque[bytes] | None = None

    def connectionMade(self) -> None:
        """Take the transport over."""
        super().connectionMade()
        if isinstance(self.transport, TcpTransport):
            self._prompt = self.transport

    def write_now(self, data: bytes) -> None:
        """Send bytes behind what the transport has already; at once, where that can be."""
        if self._prompt is None:
            self.transport.write(data)
        else:
            self._prompt.write_now(data)

    def watch_transport(self) -> None:
        """Be told by the transport when the client is behind; from here on, writes leave at once where they can."""
        transport = self.transport
        if isinstance(transport, TcpTransport | TlsTransport) and transport.watch():
            self._prompt = transport
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)

    def too_slow(self) -> None:
        """More waits than may; what waits has been dropped. Close the client."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Send finished frames; a client that is too far behind is closed."""
        if self.state != self.STATE_OPEN:
            self.factory.counters.add("messages_dropped", "closed")
            return
        if self._backlog is None:
            self._hand(data)
            return
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        if self._backlog_bytes > self.max_backlog or len(self._backlog) > self.max_backlog_messages:
            self.factory.counters.add("messages_dropped", "slow", self._count_waiting())
            self._backlog = deque()
            self._gave_up = True
            self.too_slow()

    def direct(self) -> Send | None:
        """The transport's own `send`, if what it sends now is in its place; good until `writing_changed` is called."""
        prompt = self._prompt
        if prompt is None or self._backlog is not None or self.state != self.STATE_OPEN or not prompt.is_clear:
            return None
        return prompt.send

    def writing_changed(self, *, is_busy: bool) -> None:
        """Whether something waits for the socket: while it does, `direct` gives nothing."""
        if not is_busy:
            self._handed = None
        elif self._handed is None:
            self._handed = []

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport is gone, and what waited for it or in it is lost; what the system had taken is not known."""
        lost = self._count_waiting() + self._count_unsent()
        if lost:
            self.factory.counters.add("messages_dropped", "lost", lost)
        self._backlog = self._handed = None
        super().connectionLost(reason)

    def is_behind(self) -> bool:
        """Whether the transport is full."""
        return self._backlog is not None

    @property
    def queued(self) -> tuple[int, int]:
        """Messages, and bytes of them, that wait for the client since the transport is full."""
        waiting = self._backlog
        return (0, 0) if waiting is None else (len(waiting), self._backlog_bytes)

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake. Autobahn's `sendClose` would refuse the codes below 3000."""
        if self.state == self.STATE_OPEN:
            self.resume_reading(ANY_REASON)
            waiting, self._backlog = self._backlog or (), None
            for data in waiting:
                self._hand(data)
            self._backlog = None  # it may have said again that it is full
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    def onPing(self, payload: bytes) -> None:
        """Answer, unless the client does not read: a flood of pings must not fill our memory."""
        if self._backlog is None and self.state == self.STATE_OPEN:
            self.sendPong(payload)

    # IPushProducer: the transport tells whether the client keeps up

    def pauseProducing(self) -> None:
        """The transport's buffer is full; it says so again at each write while it is."""
        if self._backlog is None:
            self._backlog = deque()
            self._backlog_bytes = 0

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again: fill it with what waits."""
        if self._gave_up:  # nothing may follow the gap but the close
            return
        waiting = self._backlog or deque()
        self._backlog = None
        size = self._backlog_bytes
        while waiting and self._backlog is None:
            data = waiting.popleft()
            size -= len(data)
            self._hand(data)
        if waiting:
            self._backlog = waiting
            self._backlog_bytes = size
        elif self._prompt is not None and self._prompt.is_clear:
            self.writing_changed(is_busy=False)

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows."""

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Called by Autobahn for frames of its own: a pong, the close frame."""
        self._hand(data, is_message=False)

    def _hand(self, data: bytes, *, is_message: bool = True) -> None:
        """Give frames to the transport, and remember their size until the transport is empty."""
        prompt = self._prompt
        if prompt is None:
            self.transport.write(data)
            size = len(data)
        else:
            before = 0 if self._handed is None else prompt.unsent
            prompt.write_now(data)
            if prompt.is_clear:
                return
            size = prompt.unsent - before  # over TLS more than its own
        if self._handed is None:
            self._handed = []
        self._handed.append(size if is_message and data != self.ping_frame else -size)
        if prompt is None and len(self._handed) >= self._forget_at:
            self._forget_sent()

    def _forget_sent(self) -> None:
        """Forget the sizes of what is no longer in the transport."""
        kept = self._unsent_sizes()
        self._handed = kept[::-1]
        self._forget_at = _FEW + 2 * len(kept)

    def _unsent_sizes(self) -> list[int]:
        """The sizes of what the transport has not sent whole, the last one first."""
        found, left = [], unsent(self.transport)
        for size in reversed(self._handed or ()):
            if left <= 0:
                break
            found.append(size)
            left -= abs(size)
        if left > 0 and self._prompt is not None:  # before them all, one that was given to it by `direct`
            found.append(left)
        return found

    def _count_unsent(self) -> int:
        """How many messages the transport has not sent whole."""
        return sum(size > 0 for size in self._unsent_sizes())

    def _count_waiting(self) -> int:
        """How many messages wait for the transport."""
        waiting = self._backlog
        return 0 if waiting is None else len(waiting) - waiting.count(self.ping_frame)
