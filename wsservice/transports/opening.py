"""The opening handshake of a WebSocket: who may connect, before anything that the client sends counts.

TCP, head read by the port
  |   malformed head, foreign origin, not a WebSocket upgrade: an HTTP answer (400, 403, 426, ...)
  v
onConnect: the cookie is read and its token verified; bytes that come early are kept, in order
  |   refused: kept, for what each protocol makes of it
  v
onOpen: accepted or refused, the handshake has succeeded
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.admission import Admission
from wsservice.auth.principal import Principal
from wsservice.counters import Counters
from wsservice.errors import AuthenticationError, BadHandshake, HandshakeError, Stopping
from wsservice.handshake import MAX_HEADERS, Handshake, Network, make_request_id, parse_head
from wsservice.transports.deflate import negotiate
from wsservice.transports.incoming import IncomingProtocol
from wsservice.transports.refusals import http_refusal
from wsservice.transports.slim import EARLY
from wsservice.transports.upgrade_request import read_key, switching

if TYPE_CHECKING:
    from wsservice.auth.authenticator import Authenticator

log = Logger()

#: early bytes that are kept while `onConnect` waits, before reading pauses
MAX_EARLY = 65536

_Factory: Any = WebSocketServerFactory


class OpeningFactory(_Factory):  # type: ignore[misc]
    """Makes the protocols of one path, and knows those that are open.

    Args:
        protocol: the class; its options are set once, for all connections, on a class of this factory's own.
        options: attributes of that class.
        trusted_proxies: whose `X-Forwarded-*` headers count.
        compression: whether permessage-deflate is accepted (RFC 7692).
    """

    noisy = False
    #: whoever counts connections is told by it, with the TCP peer's address, that one has gone
    lost: Callable[[str], None] = staticmethod(lambda peer: None)
    #: counts those whom a trusted proxy connects by their own address; set by whoever counts connections
    admission: Admission | None = None
    #: header lines of a request; set by the port
    max_headers = MAX_HEADERS

    def __init__(
        self,
        protocol: type[OpeningProtocol],
        *,
        authenticator: Authenticator,
        counters: Counters,
        clock: IReactorTime,
        trusted_proxies: tuple[Network, ...],
        compression: bool,
        options: dict[str, Any],
    ) -> None:
        super().__init__(reactor=clock, server="")
        self.authenticator = authenticator
        self.counters = counters
        self.clock = clock
        self.trusted_proxies = trusted_proxies
        self.live: set[OpeningProtocol] = set()
        self.draining = False
        self._batched_timer = _Timer(clock)
        self._configured: type[OpeningProtocol] = type(
            f"Configured{protocol.__name__}",
            (protocol,),
            {"factory": self, "compression": compression, **options},
        )

    def buildProtocol(self, addr: Any) -> OpeningProtocol:
        """A protocol for one connection."""
        return self._configured()

    def stop_opening(self) -> list[OpeningProtocol]:
        """The service stops: answer 503 to what is not yet open, and to what comes; the open ones, to be drained."""
        self.draining = True
        for protocol in list(self.live):
            if protocol.state == protocol.STATE_CONNECTING:
                protocol.drain()
        return list(self.live)

    def drain(self) -> None:
        """The service stops: close what is open with 1001, too."""
        for protocol in self.stop_opening():
            protocol.drain()


class _Timer:
    """Autobahn's timers on a clock that is given, rather than on the global reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def call_later(self, delay: float, function: Callable[[], None]) -> IDelayedCall:
        """One call, later."""
        return self._clock.callLater(delay, function)


class OpeningProtocol(IncomingProtocol):
    """One client, until its handshake is done."""

    __slots__ = ("_forwarded_peer", "_handshake", "_principal", "_refusal")

    factory: OpeningFactory

    #: whether permessage-deflate is accepted
    compression: ClassVar[bool] = False
    #: what a handshake is counted by that is refused without an error of ours
    _word = "bad_request"

    def __init__(self) -> None:
        super().__init__()
        self._handshake: Handshake | None = None
        #: the client's own address, where a proxy told it and it is counted
        self._forwarded_peer: str | None = None
        self._principal: Principal | None = None
        self._refusal: HandshakeError | None = None

    def check_handshake(self, handshake: Handshake) -> bytes | None:
        """Look at a request that is good so far; a whole HTTP answer refuses it."""

    def drain_open(self) -> None:
        """End an open connection, since the service stops."""
        raise NotImplementedError

    def processHandshake(self) -> None:
        """Look at the head, and keep what comes behind it; called by Autobahn, whose own way this replaces."""
        if self._handshake is not None:
            if len(self.data) > MAX_EARLY:
                self.factory.counters.add("reading_paused", "early")
                self.pause_reading(EARLY)
            return
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        try:
            self._handshake = handshake = parse_head(
                self.data[: end + 4],
                self.peer or "",
                self.is_secure,
                self.factory.trusted_proxies,
                max_headers=self.factory.max_headers,
            )
            _refuse_body(handshake)
            self.factory.authenticator.check_origin(handshake)
            if self.factory.draining:
                raise Stopping(close_codes.SHUTTING_DOWN)
            self._admit_forwarded(handshake)
            answer = self.check_handshake(handshake)
            if answer is not None:
                self._answer(answer, "not acceptable")
                return
            key = read_key(handshake)
        except HandshakeError as error:
            self._refuse(error)
            return
        self.data = self.data[end + 4 :]
        deciding = self.onConnect(handshake)
        if deciding is None:
            try:
                self._switch(None, key)
            except Exception:
                self._undecided(Failure())
        else:
            deciding.addCallback(self._switch, key).addErrback(self._undecided)

    def onConnect(self, request: Handshake) -> Deferred[tuple[tuple[str, str], ...] | None] | None:
        """Read the cookie and verify its token; a refusal is kept until the connection is open.

        Returns:
            What fires with more headers for the 101, if there are any, or fails with a `HandshakeError` whose HTTP
            status refuses the handshake; None to open the connection at once.
        """
        decided = self.factory.authenticator.decide(request)
        if isinstance(decided, Principal):
            self.accepted(decided)
            return None
        return decided.addCallbacks(self.accepted, self.refused)

    def accepted(self, principal: Principal) -> None:
        """The token is good."""
        self._principal = principal

    def refused(self, failure: Failure) -> None:
        """It is not, or there is none."""
        error = failure.value
        if not isinstance(error, AuthenticationError):
            failure.raiseException()
        self._refusal = error.kept()

    def _switch(self, headers: tuple[tuple[str, str], ...] | None, key: str) -> None:
        """Answer 101, unless the client has gone while it waited; frames may have come behind the head."""
        if self.state != self.STATE_CONNECTING:
            return
        assert self._handshake is not None
        headers = headers or ()
        if self.compression:
            self._perMessageCompress, answer = negotiate(self._handshake.header_values("sec-websocket-extensions"))
            headers += answer
        self.write_now(switching(key, headers))
        self.state = self.STATE_OPEN
        self.onOpen()
        if self.data:
            self.consumeData()

    def _undecided(self, failure: Failure) -> None:
        """Refuse by an HTTP status."""
        error = failure.value
        if isinstance(error, HandshakeError):
            self._refuse(error.kept() if isinstance(error, AuthenticationError) else error)
        else:
            log.failure("a handshake broke down", failure)
            self.factory.counters.add("internal_errors")
            self.failHandshake("an error inside the service", HTTPStatus.INTERNAL_SERVER_ERROR)

    def failHandshake(self, reason: str, code: int = 400) -> None:
        """Answer with fixed text; the reason is for the log only."""
        if self.state != self.STATE_CONNECTING:
            return
        handshake = self._handshake
        request_id = handshake.request_id if handshake else make_request_id()
        self._answer(self.refusal(code, request_id), reason, request_id)

    def refusal(self, code: int, request_id: str) -> bytes:
        """The whole HTTP answer that refuses a handshake: fixed text."""
        secure, host = self.origin_of(self._handshake)
        return http_refusal(code, self._refusal, request_id, secure=secure, host=host)

    def origin_of(self, handshake: Handshake | None) -> tuple[bool, str]:
        """Whether the client speaks TLS, and to which host: what a request's head says, where there is a good one."""
        return (self.is_secure, "") if handshake is None else (handshake.secure, handshake.host)

    def drain(self) -> None:
        """End this connection, since the service stops."""
        if self.state == self.STATE_CONNECTING:
            self._refuse(Stopping(close_codes.SHUTTING_DOWN))
        else:
            self.drain_open()

    def onOpen(self) -> None:
        """The handshake has succeeded; go on in `opened`."""
        handshake = self._handshake
        assert handshake is not None
        self.resume_reading(EARLY)
        self.opened(handshake)

    def opened(self, handshake: Handshake) -> None:
        """Make a connection, or close with the refusal."""
        raise NotImplementedError

    def count_close(self) -> int | None:
        """Count how an open connection ended; gives the close code of whoever closed it, None without one."""
        sent: int | None = self.localCloseCode if self.closedByMe or self.failedByMe else self.remoteCloseCode
        self.factory.counters.add("connections_closed", close_codes.label(sent))
        return sent

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport is gone."""
        super().connectionLost(reason)
        if self._forwarded_peer is not None and self.factory.admission is not None:
            self.factory.admission.release_forwarded(self._forwarded_peer)
            self._forwarded_peer = None

    def _admit_forwarded(self, handshake: Handshake) -> None:
        """Raises `TooManyFromAddress` for one connection too many of a client behind a proxy."""
        admission = self.factory.admission
        if admission is None or handshake.peer == self.peer:
            return
        refusal = admission.admit_forwarded(handshake.peer)
        if refusal is not None:
            raise refusal
        self._forwarded_peer = handshake.peer

    def _refuse(self, error: HandshakeError) -> None:
        """Answer with an error's status, before the handshake."""
        self._refusal = error
        self.failHandshake(str(error), error.http_status)

    def _answer(self, answer: bytes, reason: str, request_id: str | None = None) -> None:
        """Refuse by a whole HTTP answer."""
        handshake = self._handshake
        word = self._refusal.word if self._refusal else self._word
        self.factory.counters.add("handshakes", word)
        log.info(
            "handshake refused with {status}: {reason}",
            status=int(answer[9:12]),
            reason=reason,
            request_id=request_id or (handshake.request_id if handshake else None),
            peer=handshake.peer if handshake else self.peer,
            log_flood=f"handshake refused: {word}",
        )
        self.wasNotCleanReason = reason
        self.transport.write(answer)
        self.dropConnection(abort=False)


def _refuse_body(handshake: Handshake) -> None:
    """A body behind an upgrade would be read as frames here, and as a body by a proxy."""
    lengths = handshake.header_values("content-length")
    if handshake.header("transfer-encoding") is not None or any(length != "0" for length in lengths):
        raise BadHandshake("an upgrade with a body")
