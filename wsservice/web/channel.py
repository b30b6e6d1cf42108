"""One HTTP/1.1 connection, read strictly and within bounds of size and time.

twisted.web bounds neither a body nor the time that a slow client may take, answers its own refusals without
any header, and lets bytes into header values that others take for line ends. Here every head is checked as
`handshake.parse_head` does, and a request that breaks a bound is answered at once and in order: by then all
requests before it have been answered, since twisted.web reads the next one only after that.

    IDLE -> READING         the first byte of a request; the deadline starts
    READING -> ANSWERING    its last byte; the deadline ends
    ANSWERING -> IDLE       the answer is written
    any -> CLOSING          refused, timed out or done; what still comes is dropped
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.http_headers import Headers

from wsservice.errors import BadHandshake, HandshakeError, HeadTooLarge, RequestTimeout
from wsservice.handshake import Handshake, check_header, choose_request_id, make_handshake, read_header
from wsservice.headers import security_headers
from wsservice.unsent import cut_off, finish, left_untaken, remember_untaken, unsent, untaken
from wsservice.web.answers import RequestRefused, error_answer, reason_phrase, too_large
from wsservice.web.short_way import ShortRequest, ShortWay

if TYPE_CHECKING:
    from wsservice.web.request import WsRequest, WsSite

log = Logger()

#: printable ASCII: what a request target may hold (RFC 9112 section 3.2)
_TARGET = re.compile(rb"[\x21-\x7e]+")


class State(Enum):
    """Where a connection stands; see the module's docstring."""

    IDLE = "idle"
    READING = "reading"
    ANSWERING = "answering"
    CLOSING = "closing"


#: requests of one connection that are answered in one turn of the event loop
_SLICE = 8


class WsChannel(HTTPChannel):
    """The server's side of a connection; made by `WsSite`."""

    site: WsSite
    transport: Any
    #: of `WsRequest`, or one `ShortRequest`
    requests: list[Any]
    #: sends an answer whole
    write_whole: Callable[[bytes], None]

    def __init__(self) -> None:
        super().__init__()
        self.state = State.READING
        self._request_line = b""
        self._head_bytes = 0
        self._header_lines = 0
        self._deadline: IDelayedCall | None = None
        self._unread: IDelayedCall | None = None
        self._untaken = 0
        #: told if the connection ends before the client has taken what was written; see `on_lost`
        self._lost: tuple[Callable[[], None], ...] = ()
        #: whether the client asked on before its last answer was written
        self._is_ahead = False
        self._is_last = False
        #: requests since others had their turn; and what ends that turn
        self._answered = 0
        self._turn: IDelayedCall | None = None
        self._short_way: ShortWay | None = None

    @property
    def peer(self) -> str:
        """The address of the TCP peer; empty for a Unix socket."""
        return getattr(self.transport.getPeer(), "host", "")

    # -- called by the transport

    def connectionMade(self) -> None:
        """Wait for a request, but not for ever."""
        limits = self.site.limits
        self.MAX_LENGTH = self.totalHeadersSize = limits.head_bytes
        self.maxHeaders = limits.headers
        self.site.channels.add(self)
        remember_untaken(self.transport)
        super().connectionMade()
        # At once, where the transport's class can: that of TLS passes names that it lacks on to the one below.
        can_write_now = hasattr(type(self.transport), "write_now")
        self.write_whole = self.transport.write_now if can_write_now else self.transport.write
        if self.site.polls:
            self._short_way = ShortWay(
                self.site.polls, limits, self.site.trusted, peer=self.peer, secure=self.isSecure()
            )
        self._expect_more(limits.head_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Read on; the first byte of a request starts its deadline."""
        if self.state is State.CLOSING or (self._is_between and self._take_short(data)):
            return
        self._begin_reading()
        super().dataReceived(data)
        if self._buffer or self._request_line:  # a piece of the next request, behind one that was answered at once
            self._begin_reading()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave nothing behind."""
        self.state = State.CLOSING
        lost, self._lost = self._lost, ()
        is_lost = bool(lost) and left_untaken(self.transport) > 0
        self.site.channels.discard(self)
        self.site.lost(self.peer)
        self._expect_nothing()
        self._stop_watching()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        super().connectionLost(reason)
        if is_lost:
            for told in lost:
                told()

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or an answer is not yet with the system."""
        return self.state in (State.READING, State.ANSWERING) or unsent(self.transport) > 0

    def on_lost(self, told: Callable[[], None]) -> None:
        """Call `told` if the connection ends before the client has taken what is written next.

        Who asks on behind an answer has taken it; of those that somebody did not wait for, the last few count.
        """
        self._lost = (*self._lost[-_SLICE:], told)

    def cut_off(self) -> None:
        """The service ends now."""
        self.transport.unregisterProducer()
        cut_off(self.transport)

    def pauseProducing(self) -> None:
        """The client does not read: from now on it must, within the time for that."""
        super().pauseProducing()
        self._watch_reading()

    def resumeProducing(self) -> None:
        """The client has read everything: go on with the requests that it has sent meanwhile."""
        self._stop_watching()
        self.paused = False
        super().resumeProducing()
        if self._buffer and not self._busyReceiving:
            self.dataReceived(b"")

    # -- called by the parser

    def lineReceived(self, line: bytes) -> None:
        """A line of a head."""
        self._head_bytes += len(line) + 2
        if self._head_bytes > self.site.limits.head_bytes:
            self.refuse(HeadTooLarge("a head over the bound"))
        elif line[:1] in (b" ", b"\t"):  # a folded header, which others might read differently (RFC 9112 section 5.2)
            self.refuse(BadHandshake("a line that begins with a space"))
        else:
            self._request_line = self._request_line or line
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line without an end."""
        self.refuse(HeadTooLarge("a line over the bound"))

    def headerReceived(self, line: bytes) -> bool:
        """One header; whether the request may go on."""
        name, _, value = line.partition(b":")
        self._header_lines += 1
        try:
            check_header(name, value.strip(b" \t"))
        except BadHandshake as error:
            self.refuse(error)
            return False
        if self._header_lines > self.site.limits.headers:
            self.refuse(HeadTooLarge("too many headers"))
            return False
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        """The head is whole: look at it before any of the body is read."""
        request = self.requests[-1]
        try:
            request.handshake = self._make_handshake(request.requestHeaders)
        except BadHandshake as error:
            self.refuse(error)
            return
        request.open_upload()
        if (self.length or 0) > request.body_limit:
            self.refuse(too_large(request.body_limit))
            return
        self._expect_more(request.body_timeout)
        super().allHeadersReceived()
        deciding = None if request.upload is None else request.upload.decide()
        if deciding is not None:
            self.transport.pauseProducing()
            deciding.addCallback(self._decided, request)

    def _decided(self, _: None, request: WsRequest) -> None:
        """It is known now how much of a body may come."""
        if self.state is State.CLOSING:
            return
        if not self._waitingForTransport:
            self.transport.resumeProducing()
        if self.state is State.READING and (self.length or 0) > request.body_limit:
            self.refuse(too_large(request.body_limit))

    def checkPersistence(self, request: WsRequest, version: bytes) -> bool:
        """Whether another request may follow."""
        if not self._is_last:
            return bool(super().checkPersistence(request, version))
        request.setHeader(b"Connection", b"close")
        return False

    def allContentReceived(self) -> None:
        """The request is whole."""
        if self.state is State.CLOSING:  # refused by its head or its last chunk
            return
        self.state = State.ANSWERING
        self._expect_nothing()
        self._request_line = b""
        self._head_bytes = self._header_lines = 0
        super().allContentReceived()

    def requestDone(self, request: WsRequest | ShortRequest) -> None:
        """The answer is written; go on with what the client has sent meanwhile, once it has read the answers before.

        twisted.web would answer all: of 140 kB of requests that came in one go, 22 MB of answers would wait. And one
        read may have brought five hundred requests: after a few of them others have their turn.
        """
        self.state = State.IDLE
        self._is_ahead = bool(self._dataBuffer or self._buffer)
        self._answered += 1
        if self._waitingForTransport or self._answered >= _SLICE:
            self.paused = True
        super().requestDone(request)
        if self.paused and self.state is State.IDLE:  # one that closes reads on, for the client's end
            self._networkProducer.pauseProducing()
            if not self._waitingForTransport and self._turn is None:
                self._answered = 0
                self._turn = self.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._turn = None
        if not self._waitingForTransport:
            self.paused = False
            self._networkProducer.resumeProducing()
            if self._buffer:
                self.dataReceived(b"")

    def timeoutConnection(self) -> None:
        """No request came for a long time."""
        if self.state is State.ANSWERING:  # one came by the short way, which leaves the timer alone
            self.setTimeout(self.timeOut)
        else:
            self.loseConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        # twisted.web's own refusals; there is no public way to answer them in our form.
        self.refuse(BadHandshake("twisted.web cannot read the request"))

    # -- the short way

    @property
    def _is_between(self) -> bool:
        """Whether what comes now begins a request, and nothing stands before it."""
        return not (
            self._head_bytes
            or self.paused
            or self._buffer
            or self._is_last
            or self._busyReceiving
            or self._waitingForTransport
            or self.state is State.ANSWERING
        )

    def _take_short(self, data: bytes) -> bool:
        """Whether the data is a request that goes the short way, and went it; its end is `requestDone`, too."""
        short = None if self._short_way is None else self._short_way.read(data)
        if short is None:
            return False
        self.state = State.ANSWERING
        if not self._is_ahead:
            self._lost = ()
        self._expect_nothing()
        self._savedTimeOut = self.timeOut
        self._handlingRequest = True
        self.setRawMode()  # what comes meanwhile waits, as behind any request
        request = ShortRequest(self, short)
        self.requests.append(request)
        request.process()
        return True

    # -- closing

    def loseConnection(self) -> None:
        """Close once everything is written, and soon even if the client does not read it."""
        self.state = State.CLOSING
        self._expect_nothing()
        self._watch_reading()
        super().loseConnection()

    def finish_up(self) -> None:
        """Close after the request that is under way, or the next one."""
        self._is_last = True
        for request in self.requests:
            self.persistent = False
            request.setHeader(b"Connection", b"close")

    def refuse(self, error: RequestRefused | HandshakeError) -> None:
        """Answer a request that is not read to its end, and close."""
        if self.state is State.CLOSING:
            return
        self.state = State.CLOSING
        upload = self.requests[-1].upload if self.requests else None
        if upload is not None:
            self.requests[-1].lose_upload()
            self.transport.resumeProducing()  # it may wait for its limit
        self.setTimeout(None)
        self.clearLineBuffer()
        self.setRawMode()
        received = self.requests[-1].requestHeaders if self.requests else Headers()
        request_id = choose_request_id(_first(received, "x-request-id"))
        self.site.refused(error, peer=self.peer, request_id=request_id)
        answer = error_answer(error, request_id, () if upload is None else upload.headers)
        headers = Headers()
        for name, value in (
            *security_headers(secure=self.isSecure(), host=_first(received, "host") or ""),
            *answer.headers,
            (b"Date", datetimeToString()),
            (b"X-Request-Id", request_id.encode()),
            (b"Content-Length", b"%d" % len(answer.body)),
            (b"Connection", b"close"),
        ):
            headers.addRawHeader(name, value)
        self.writeHeaders(b"HTTP/1.1", b"%d" % answer.status, reason_phrase(answer.status), headers)
        self.write(answer.body)
        self._expect_nothing()
        self._deadline = self.callLater(self.site.limits.linger, partial(self._run_out, self.loseConnection))

    def _make_handshake(self, received: Headers) -> Handshake:
        """Raises `BadHandshake` for what `parse_head` would refuse, too."""
        method, target, version = self._request_line.split(b" ")
        if not _TARGET.fullmatch(target):
            raise BadHandshake("a control or non-ASCII byte in the request target")
        headers = tuple([read_header(name, value) for name, values in received.getAllRawHeaders() for value in values])
        if version == b"HTTP/1.1" and not received.hasHeader(b"host"):  # RFC 9112 section 3.2
            raise BadHandshake("no Host header")
        return make_handshake(
            method.decode("ascii"),
            target.decode("ascii"),
            headers,
            peer=self.peer,
            secure=self.isSecure(),
            trusted=self.site.trusted,
        )

    # -- time

    def _begin_reading(self) -> None:
        if self.state is State.IDLE and not self.paused:
            self.state = State.READING
            if not self._is_ahead:
                self._lost = ()
            self._expect_more(self.site.limits.head_timeout)

    def _expect_more(self, seconds: float) -> None:
        """Give the client so long for what comes next."""
        self._expect_nothing()
        self._deadline = self.callLater(seconds, partial(self._run_out, self._too_slow))

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _run_out(self, then: Callable[[], None]) -> None:
        self._deadline = None
        then()

    def _too_slow(self) -> None:
        self.refuse(RequestTimeout("a request that did not end in time"))

    def _watch_reading(self) -> None:
        if self._unread is None:
            self._untaken = untaken(self.transport)
            self._unread = self.callLater(self.site.limits.write_timeout, self._look_at_reading)

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _look_at_reading(self) -> None:
        """Wait on for a client that has taken something since the last look."""
        self._unread = None
        left = untaken(self.transport)
        if left != self._untaken:
            self._watch_reading()
        elif left or self.state is not State.CLOSING:
            self._give_up()
        else:  # it has read everything, and does not answer TLS's own end
            finish(self.transport)

    def _give_up(self) -> None:
        self.site.counters.add("http_dropped", "unread")
        log.debug("{peer} does not read its answer: cut off", peer=self.peer)
        self.transport.abortConnection()


def _first(headers: Headers, name: str) -> str | None:
    values = headers.getRawHeaders(name)
    return values[0] if values else None
