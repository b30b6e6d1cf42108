"""The raw WebSocket at `/ws`: who may connect, and frames to events and back.

TCP, head read by the port
  |   malformed head, foreign origin, not a WebSocket upgrade: an HTTP answer (400, 403, 426, ...)
  v
onConnect: the cookie is read and its token verified; bytes that come early are kept, in order
  |   refused: the handshake succeeds, then close 1008 or 1013 with the reason in words, since a
  |   browser shows nothing of an HTTP answer (`reject="http"` answers 401 or 503 instead)
  v
onOpen: a Connection; every message becomes an event
  v
onClose: the Connection has ended
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection, Hub
from wsservice.envelope import decode_binary, decode_text
from wsservice.errors import AuthenticationError, BadHandshake, HandshakeError
from wsservice.handshake import Handshake, Network, make_request_id, parse_head
from wsservice.transports.deflate import accept_deflate, decline, raw_wire
from wsservice.transports.refusals import http_refusal
from wsservice.transports.slim import SlimProtocol
from wsservice.wire import Link

if TYPE_CHECKING:
    from wsservice.auth.authenticator import Authenticator

log = Logger()

#: early bytes that are kept while `onConnect` waits, before reading pauses
MAX_EARLY = 65536
#: seconds after which a client that meets a stopping service may try again
RETRY_AFTER = "5"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `/ws` is configured by.

    Attributes:
        max_message_size: bytes of a message, decompressed; more closes 1009.
        send_queue_bytes: bytes that may wait for a client that does not read; more closes 4408.
        compression: whether permessage-deflate is accepted (RFC 7692).
        reject_by_http: answer 401 or 503 instead of 101 and a close.
        trusted_proxies: whose `X-Forwarded-*` headers count.
    """

    max_message_size: int = 65536
    send_queue_bytes: int = 1024 * 1024
    compression: bool = False
    reject_by_http: bool = False
    trusted_proxies: tuple[Network, ...] = ()


_Factory: Any = WebSocketServerFactory


class RawFactory(_Factory):  # type: ignore[misc]
    """Makes the protocols of `/ws`, and knows those that are open.

    Args:
        hub: what their connections share.
        authenticator: who decides on a handshake.
    """

    noisy = False

    def __init__(self, hub: Hub, authenticator: Authenticator, settings: Settings, clock: IReactorTime) -> None:
        super().__init__(reactor=clock, server="")
        self.hub = hub
        self.authenticator = authenticator
        self.settings = settings
        self.live: set[RawProtocol] = set()
        self.draining = False
        self._batched_timer = _Timer(clock)
        accept = accept_deflate if settings.compression else decline
        self._configured: type[RawProtocol] = type(
            "ConfiguredRawProtocol",
            (RawProtocol,),
            {
                "factory": self,
                "maxMessagePayloadSize": settings.max_message_size,
                "maxFramePayloadSize": settings.max_message_size,
                "perMessageCompressionAccept": staticmethod(accept),
                "max_backlog": settings.send_queue_bytes,
            },
        )

    def buildProtocol(self, addr: Any) -> RawProtocol:
        """A protocol for one connection."""
        return self._configured()

    def drain(self) -> None:
        """The service stops: close what is open with 1001, answer 503 to what is not yet, and to what comes."""
        self.draining = True
        for protocol in list(self.live):
            protocol.drain()


class _Timer:
    """Autobahn's timers on a clock that is given, rather than on the global reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def call_later(self, delay: float, function: Callable[[], None]) -> IDelayedCall:
        """One call, later."""
        return self._clock.callLater(delay, function)


class RawProtocol(SlimProtocol, Link):
    """One client of `/ws`."""

    factory: RawFactory
    max_backlog: ClassVar[int] = 1024 * 1024

    _handshake: Handshake | None = None
    _principal: Principal | None = None
    _refusal: HandshakeError | None = None
    _connection: Connection | None = None
    #: what waits for the client, since the transport said that it is full; None while it is not
    _backlog: deque[bytes] | None = None
    _backlog_bytes = 0

    # The opening handshake

    def processHandshake(self) -> None:
        """Look at the head once, strictly, before Autobahn does; keep what comes behind it."""
        if self._handshake is not None:
            if len(self.data) > MAX_EARLY:
                self.pause_reading()
            return
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        try:
            self._handshake = parse_head(
                self.data[: end + 4], self.peer or "", self.is_secure, self.factory.settings.trusted_proxies
            )
            _refuse_body(self._handshake)
            self.factory.authenticator.check_origin(self._handshake)
        except HandshakeError as error:
            self._refusal = error
            self.failHandshake(str(error), error.http_status)
            return
        if self.factory.draining:
            self.drain()
        else:
            super().processHandshake()

    def onConnect(self, request: ConnectionRequest) -> Deferred[None]:
        """Read the cookie and verify its token; a refusal is kept until the connection is open."""
        assert self._handshake is not None
        decided: Deferred[Principal] = self.factory.authenticator.authenticate(self._handshake)
        return decided.addCallbacks(self._accepted, self._refused)

    def _accepted(self, principal: Principal) -> None:
        self._principal = principal

    def _refused(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, AuthenticationError):
            failure.raiseException()
        self._refusal = error
        if self.factory.settings.reject_by_http:
            raise ConnectionDeny(error.http_status, error.message)

    def succeedHandshake(self, res: None) -> None:
        """Answer 101, unless the client has gone while it waited."""
        if self.state == self.STATE_CONNECTING:
            super().succeedHandshake(res)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        """Answer with fixed text; Autobahn's reason quotes the client or an exception, so it is for the log only."""
        if self.state != self.STATE_CONNECTING:
            return
        handshake = self._handshake
        request_id = handshake.request_id if handshake else make_request_id()
        self.factory.hub.counters.add("handshakes", self._refusal.word if self._refusal else "bad_request")
        log.info(
            "handshake refused with {status}: {reason}",
            status=code,
            reason=reason,
            request_id=request_id,
            peer=handshake.peer if handshake else self.peer,
        )
        self.wasNotCleanReason = reason
        self.transport.write(http_refusal(code, self._refusal, request_id, responseHeaders or []))
        self.dropConnection(abort=False)

    def drain(self) -> None:
        """End this connection, since the service stops."""
        if self.state == self.STATE_CONNECTING:
            self.failHandshake(close_codes.SHUTTING_DOWN, 503, [("Retry-After", RETRY_AFTER)])
        elif self._connection is not None:
            self._connection.disconnect(CloseCode.GOING_AWAY, close_codes.SHUTTING_DOWN)

    # An open connection

    def onOpen(self) -> None:
        """Make the connection, or close with the refusal."""
        handshake, principal = self._handshake, self._principal
        assert handshake is not None
        self._forget_head()
        self.resume_reading()
        if self._refusal is not None or principal is None:
            refusal = self._refusal or AuthenticationError("no principal")
            self.factory.hub.counters.add("handshakes", refusal.word)
            self.close(refusal.close_code, refusal.message)
            return
        self.factory.hub.counters.add("handshakes", "ok")
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        self._handshake = self._principal = None
        self._connection = connection = Connection(
            self.factory.hub, self, raw_wire(self._perMessageCompress), principal, handshake.without_secrets()
        )
        log.debug(
            "connection of {user} opened",
            user=principal.id,
            connection_id=connection.id,
            request_id=handshake.request_id,
            peer=handshake.peer,
        )
        connection.open()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One message of the client; a fault of ours ends this connection only."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.receive(decode_binary(payload) if isBinary else decode_text(payload.decode()))
        except Exception:
            log.failure("connection {connection_id} failed", connection_id=connection.id)
            self.factory.hub.counters.add("internal_errors")
            connection.disconnect(CloseCode.INTERNAL_ERROR, close_codes.INTERNAL)

    def onPing(self, payload: bytes) -> None:
        """Answer, unless the client does not read: a flood of pings must not fill our memory."""
        if self._backlog is None and self.state == self.STATE_OPEN:
            self.sendPong(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The connection is over, whoever ended it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        end = "transport close" if wasClean else "parse error" if self.failedByMe else "transport error"
        sent = self.localCloseCode if self.closedByMe or self.failedByMe else self.remoteCloseCode
        self.factory.hub.counters.add("connections_closed", str(_known(sent)))
        log.debug(
            "connection closed: {end} {code}",
            end=end,
            code=sent,
            connection_id=connection.id,
            request_id=connection.handshake.request_id,
        )
        connection.ended(end)

    # Link

    def write(self, data: bytes) -> None:
        """Send finished frames; a client that is too far behind is closed."""
        if self.state != self.STATE_OPEN:
            return
        if self._backlog is None:
            self.transport.write(data)
            return
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        if self._backlog_bytes > self.max_backlog:
            self._too_slow()

    def is_behind(self) -> bool:
        """Whether the transport is full."""
        return self._backlog is not None

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake. Autobahn's `sendClose` would refuse the codes below 3000."""
        if self.state == self.STATE_OPEN:
            self.resume_reading()
            for data in self._backlog or ():
                self.transport.write(data)
            self._backlog = None
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    # IPushProducer: the transport tells whether the client keeps up

    def pauseProducing(self) -> None:
        """The transport's buffer is full; it says so again at each write while it is."""
        if self._backlog is None:
            self._backlog = deque()
            self._backlog_bytes = 0

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again: fill it with what waits."""
        waiting = self._backlog or deque()
        self._backlog = None
        size = self._backlog_bytes
        while waiting and self._backlog is None:
            data = waiting.popleft()
            size -= len(data)
            self.transport.write(data)
        if waiting:
            self._backlog = waiting
            self._backlog_bytes = size

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows."""

    def _too_slow(self) -> None:
        self.factory.hub.counters.add("slow_consumers")
        self._backlog = deque()
        if self._connection is not None:
            self._connection.disconnect(CloseCode.SLOW_CONSUMER, close_codes.SLOW)


def _refuse_body(handshake: Handshake) -> None:
    """A body behind an upgrade would be read as frames here, and as a body by a proxy."""
    lengths = handshake.header_values("content-length")
    if handshake.header("transfer-encoding") is not None or any(length != "0" for length in lengths):
        raise BadHandshake("an upgrade with a body")


def _known(code: int | None) -> int:
    """A close code for a counter's label: clients may send any of three thousand."""
    return code if code in list(CloseCode) else int(CloseCode.ABNORMAL) if code is None else 0
