"""Autobahn's server protocol with little around it: options as class attributes, and no more state than needed.

Autobahn copies some thirty options from the factory into every connection, pretty-prints them for a debug
line, and sets some forty attributes more. Here options and first values are class attributes, so that an
idle connection costs half the memory and a handshake half the time (docs/architecture.md has the figures). What a
connection keeps has slots; a dict stays for what is rare.
In return the factory's `setProtocolOptions` does not reach connections: the options are what `configure`
sets. tests/transports/test_slim.py checks that no attribute of Autobahn's is missing here.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import Any, ClassVar

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.util import wildcards2patterns
from autobahn.websocket.protocol import TrafficStats, WebSocketProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.transports.lean_server import host_of_peer

#: why reading pauses: the handlers are behind, the client is over its rate, or it sent too much too early
HANDLERS, TRAFFIC, EARLY = 1, 2, 4
ANY_REASON = HANDLERS | TRAFFIC | EARLY


class _QuietLog:
    """Autobahn's log lines are for its developers; its warnings quote peers and are ours at debug."""

    _log = Logger(namespace="autobahn")

    def debug(self, *args: Any, **fields: Any) -> None:
        """Nothing: these stand on hot paths."""

    info = debug

    def warn(self, format: str, **fields: Any) -> None:
        """What Autobahn warns of is a client's doing."""
        self._log.debug(format, **fields)

    error = warn


class _Ignored:
    """Stands for futures that nobody waits for; Autobahn's own would make a cycle with each connection."""

    def callback(self, result: object) -> None:
        """Nothing."""


#: Autobahn's annotations do not describe what it does; this class is checked by its tests instead
_Base: Any = WebSocketServerProtocol


#: what every connection keeps: a slot is half of an entry in a dict. By a name, since mypy would take the slots for
#: all that there is: it does not see that Autobahn's classes have a dict
_KEPT = (
    "_pauses",
    "_perMessageCompress",
    "connected",
    "current_frame",
    "data",
    "inside_message",
    "is_secure",
    "peer",
    "state",
    "transport",
)


class SlimProtocol(_Base):  # type: ignore[misc]
    """The base of every WebSocket protocol here; set the options by a subclass."""

    __slots__ = _KEPT

    log: Any = _QuietLog()
    transport: Any
    factory: Any

    # Options (autobahn: setProtocolOptions)
    CONFIG_ATTRS: ClassVar[list[str]] = []
    logOctets = False
    logFrames = False
    trackTimings = False
    utf8validateIncoming = True
    applyMask = True
    maxFramePayloadSize = 0
    maxMessagePayloadSize = 65536
    autoFragmentSize = 0
    #: False: a violation is answered by a close frame (1002, 1007, 1009), not by a reset
    failByDrop = False
    echoCloseCodeReason = False
    #: 0: the port and the authenticator have deadlines of their own
    openHandshakeTimeout = 0
    closeHandshakeTimeout = 3
    tcpNoDelay = True
    autoPingInterval = 0
    autoPingTimeout = 0
    autoPingSize = 12
    autoPingRestartOnAnyTraffic = False
    versions: ClassVar[list[int]] = [13]
    webStatus = False
    requireMaskedClientFrames = True
    maskServerFrames = False
    serveFlashSocketPolicy = False
    flashSocketPolicy = ""
    allowedOrigins: ClassVar[list[str]] = ["*"]
    #: any: who may come is decided by `auth/origin.py`, before Autobahn looks
    allowedOriginsPatterns: ClassVar[list[Any]] = wildcards2patterns(["*"])
    allowNullOrigin = False
    maxConnections = 0
    trustXForwardedFor = 0

    # First values (autobahn: _connectionMade); `__init__` has those of `__slots__`
    trackedTimings = None
    send_state = WebSocketProtocol.SEND_STATE_GROUND
    triggered = False
    wasMaxFramePayloadSizeExceeded = False
    wasMaxMessagePayloadSizeExceeded = False
    closedByMe = False
    failedByMe = False
    droppedByMe = False
    wasClean = False
    wasNotCleanReason: str | None = None
    wasServerConnectionDropTimeout = False
    wasOpenHandshakeTimeout = False
    wasCloseHandshakeTimeout = False
    wasServingFlashSocketPolicyFile = False
    localCloseCode = None
    localCloseReason = None
    remoteCloseCode = None
    remoteCloseReason = None
    openHandshakeTimeoutCall = None
    closeHandshakeTimeoutCall = None
    autoPingTimeoutCall = None
    autoPingPending = None
    autoPingPendingCall = None
    autoPingPendingSeq = 0
    autoPingPendingSent = None
    websocket_version = 13

    #: frames of one message; precedent: ws 8.21 (CVE-2026-48779). Empty ones pass every bound of bytes
    max_fragments: ClassVar[int] = 131_072
    _fragments = 0

    #: looks whether the transport comes to its end; see `closing`
    _cut: Any = None

    # Shared by all connections: sums nobody reads, and a queue that only chopped writes would use
    trafficStats = TrafficStats()
    send_queue: deque[Any] = deque()
    is_open: Any = _Ignored()
    is_closed: Any = _Ignored()
    _transport_details = None

    def __init__(self) -> None:
        """First values of what each connection has; the class has the others."""
        self._perMessageCompress: Any = None
        #: why what arrives is left unread and unparsed: any of the reasons
        self._pauses = 0
        self.connected = 0
        self.current_frame = None
        self.data = b""
        self.inside_message = False
        self.state = self.STATE_CONNECTING

    @cached_property
    def utf8validator(self) -> Utf8Validator:
        """Made for the first text message: many connections only listen."""
        return Utf8Validator()

    def connectionMade(self) -> None:
        """Take the transport over; called by Twisted, or by whoever hands it over."""
        self.peer = host_of_peer(self.transport)
        self.is_secure = ISSLTransport.providedBy(self.transport)
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        self.factory.live.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport is gone."""
        self.factory.live.discard(self)
        self.factory.lost(self.peer)
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        self._end()
        if self.closeHandshakeTimeoutCall is not None:
            self.closeHandshakeTimeoutCall.cancel()
            self.closeHandshakeTimeoutCall = None

    def _end(self) -> None:
        """What is left of Autobahn's `_connectionLost`, whose coloured debug lines cost 15 us a connection.

        Its timers do not exist here, and its sentence about the end is for nobody: the log has a word of ours.
        """
        self.state = self.STATE_CLOSED
        if self.wasClean:
            self.onClose(True, self.remoteCloseCode, self.remoteCloseReason)
        else:
            self.onClose(False, self.CLOSE_STATUS_CODE_ABNORMAL_CLOSE, self.wasNotCleanReason)

    def processData(self) -> bool:
        """Parse one frame, if there is a whole one and it is wanted now: one read may have brought thousands."""
        return not self._pauses and bool(super().processData())

    def onMessageBegin(self, isBinary: bool) -> None:
        """Collect a message in one piece: Autobahn's list of its pieces costs thirty times a piece of two bytes."""
        super().onMessageBegin(isBinary)
        self.message_data.append(bytearray())
        self._fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of a message begins, perhaps one too many."""
        super().onMessageFrameBegin(length)
        self._fragments += 1
        if self._fragments > self.max_fragments and not self.failedByMe:
            self._fail_connection(self.CLOSE_STATUS_CODE_POLICY_VIOLATION, "too many fragments")

    def onMessageFrameData(self, payload: bytes) -> None:
        """A piece of a frame."""
        if not self.failedByMe:
            self.message_data[0] += payload

    def pause_reading(self, reason: int = HANDLERS) -> None:
        """Let the client wait; what was read already waits, too."""
        if not self._pauses:
            self.transport.pauseProducing()
        self._pauses |= reason

    def resume_reading(self, reason: int = HANDLERS) -> None:
        """Read on, unless there is another reason, and first what was read before: else that would only grow.

        Not at once: a message may be under way on the stack.
        """
        if self._pauses & reason:
            self._pauses &= ~reason
            if not self._pauses and (self.data or self.current_frame is not None):
                self.factory._batched_timer.call_later(0, self._read_on)
            elif not self._pauses:
                self.transport.resumeProducing()

    def _read_on(self) -> None:
        if self.state != self.STATE_CLOSED:
            self.consumeData()
        if not self._pauses:
            self.transport.resumeProducing()

    def _onOpen(self) -> None:
        self.onOpen()
