"""twisted.web's Request and Site, with bounds, our headers on every answer, and JSON for every error."""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from time import time
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site

from wsservice.counters import Counters
from wsservice.errors import HandshakeError
from wsservice.handshake import Handshake, Network
from wsservice.headers import security_headers
from wsservice.web.answers import (
    Answer,
    RequestRefused,
    error_answer,
    not_allowed,
    not_found,
    reason_phrase,
    too_large,
)
from wsservice.web.channel import WsChannel
from wsservice.web.limits import Limits
from wsservice.web.short_way import Polls
from wsservice.web.uploads import Upload, Uploads

log = Logger()

#: paths that are asked for every few seconds, by machines: they would drown the log
QUIET_PATHS = frozenset({"/health", "/ready", "/metrics"})
#: characters of a client's text in the log
_LOGGED = 256
_NO_BODY = (204, 304)
#: from this status on an answer is a refusal or a fault
_ERRORS = 400


class WsRequest(Request):
    """A request whose head was checked and whose body is here.

    Attributes:
        handshake: its head, as authentication and the origin check read it.
        gone: whether the client has left; then `send` does nothing.
        upload: its body, if the address bounds it by itself.
        is_quiet: whether its line is for a log at debug only.
    """

    channel: WsChannel
    handshake: Handshake
    content: BytesIO
    site: WsSite

    def __init__(self, channel: WsChannel, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)
        self.defaultContentType = None
        self.gone = False
        self.site = channel.site
        self.upload: Upload | None = None
        self.is_quiet = False
        self._started = self.site.reactor.seconds()
        self._is_whole = False
        self._is_lost = False
        self._received = 0
        self._gone: Callable[[], None] | None = None

    # -- the body

    def open_upload(self) -> None:
        """The head is whole: let the address know, if it wants to."""
        opener = self.site.uploads.get(self.handshake.path)
        if opener is not None and self.handshake.method == "POST":
            self.upload = opener(self.handshake)

    def lose_upload(self) -> None:
        """The body will not come to its end."""
        if self.upload is not None and not self._is_whole and not self._is_lost:
            self._is_lost = True
            self.upload.lost()

    @property
    def body_limit(self) -> int:
        """Bytes."""
        return self.site.limits.body_bytes if self.upload is None else self.upload.limit

    @property
    def body_timeout(self) -> float:
        """Seconds."""
        return self.site.limits.body_timeout if self.upload is None else self.upload.timeout

    # -- called by the channel

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory: it is bounded."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body; with chunked encoding nobody knows beforehand how many will come."""
        self._received += len(data)
        if self._received > self.body_limit:
            self.channel.refuse(too_large(self.body_limit))
        elif self.upload is None or self.upload.is_kept:
            self.content.write(data)

    def process(self) -> None:
        """Find the resource and let it answer."""
        self._is_whole = True
        self._set_own_headers()
        self.prepath = []
        self.postpath = [unquote_to_bytes(segment) for segment in self.path[1:].split(b"/")]
        if not self.path.startswith(b"/"):  # `*`, or an absolute form, which is for proxies (RFC 9112 section 3.2)
            self.refuse(not_found())
            return
        try:
            self.render(self.site.getResourceFor(self))
        except Exception:
            self.processingFailed(Failure())

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone; its handler goes on, and what it answers is dropped."""
        self.gone = True
        self.lose_upload()
        if self._is_whole and not self.finished:
            self.code = self.site.client_closed
            self.site.log(self)
        super().connectionLost(reason)
        if self._gone is not None and not self.finished:
            self._gone()

    # -- answering

    def body(self) -> bytes:
        """All of it; once."""
        return self.content.read()

    def on_gone(self, told: Callable[[], None]) -> None:
        """Call `told` if the client goes away before its answer; the last one counts."""
        self._gone = told

    def on_lost(self, told: Callable[[], None]) -> None:
        """Call `told` if the connection ends before the client has taken the answer; before `send`."""
        if not self.gone:
            self.channel.on_lost(told)

    def render(self, resource: IResource) -> None:
        """Let a resource answer; for those that are not ours, in JSON where twisted.web would send HTML."""
        channel = self.channel
        try:
            body = resource.render(self)
        except UnsupportedMethod as error:
            methods: list[bytes] = list(error.allowedMethods)
            allowed = ", ".join(sorted(method.decode("ascii") for method in methods))
            self.refuse(not_allowed(allowed))
            return
        if body is NOT_DONE_YET:
            if channel.transport is None:  # given away to a WebSocket
                self.site.channels.discard(channel)
            return
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.write(body)
        self.finish()

    def send(self, answer: Answer) -> None:
        """Send an answer whole; call it once. Nothing happens if the client is gone."""
        if self.gone:
            return
        self.setResponseCode(answer.status, reason_phrase(answer.status))
        for name, value in answer.headers:
            self.responseHeaders.addRawHeader(name, value)
        if answer.status not in _NO_BODY:
            self.setHeader(b"Content-Length", b"%d" % len(answer.body))
        self.write(answer.body)
        self.finish()

    def stream(self, answer: Answer, length: int, producer: IPushProducer) -> None:
        """See `short_way.PollRequest`."""
        if self.gone:
            return
        self.setResponseCode(answer.status, reason_phrase(answer.status))
        for name, value in answer.headers:
            self.responseHeaders.addRawHeader(name, value)
        self.setHeader(b"Content-Length", b"%d" % length)
        self.registerProducer(producer, True)

    def write_piece(self, data: bytes) -> None:
        """See `short_way.PollRequest`."""
        if not self.gone:
            self.write(data)

    def end_stream(self) -> None:
        """See `short_way.PollRequest`."""
        if not self.gone:
            self.unregisterProducer()
            self.finish()

    def cut(self) -> None:
        """See `short_way.PollRequest`."""
        if not self.gone:
            self.channel.transport.abortConnection()

    def refuse(self, error: RequestRefused) -> None:
        """Count a refusal, and send it."""
        self.site.count_refusal(error)
        self.send(error_answer(error, self.handshake.request_id))

    def processingFailed(self, reason: Failure) -> None:
        """A bug in a resource: the log has the traceback, the client an `internal_error`."""
        self.site.failed(reason, self.handshake.request_id)
        if self.startedWriting and not self.finished:  # half an answer is out
            self.loseConnection()
        elif not self.startedWriting:
            self.send(error_answer(RuntimeError(), self.handshake.request_id))

    def _set_own_headers(self) -> None:
        handshake = self.handshake
        for name, value in security_headers(secure=handshake.secure, host=handshake.host):
            self.setHeader(name, value)
        self.setHeader(b"Date", self.site.date())
        self.setHeader(b"X-Request-Id", handshake.request_id.encode("ascii"))

    @property
    def duration(self) -> float:
        """Seconds since its first line."""
        return self.site.reactor.seconds() - self._started


class WsSite(Site):
    """A site of our resources.

    Args:
        root: the resource of `/`.
        clock: for deadlines and durations.
        limits: what a client may cost.
        trusted: the proxies whose forwarded addresses count.
        counters: counts `http_refused` by word.
        uploads: the addresses that bound the bodies of their POSTs by themselves.
        polls: the paths whose common requests go the short way.
        logs_quiet: whether anybody reads the lines at debug, which are else not made.
    """

    protocol = WsChannel  # type: ignore[assignment]
    noisy = False
    #: what is logged for a client that went away before its answer; precedent: nginx
    client_closed = 499
    #: whoever counts connections is told by it, with the TCP peer's address, that one has gone
    lost: Callable[[str], None] = staticmethod(lambda peer: None)

    def __init__(
        self,
        root: IResource,
        *,
        clock: IReactorTime,
        counters: Counters,
        limits: Limits | None = None,
        trusted: tuple[Network, ...] = (),
        uploads: Uploads | None = None,
        polls: Mapping[str, Polls] | None = None,
        logs_quiet: bool = True,
    ) -> None:
        self.uploads = uploads or {}
        self.polls = polls or {}
        self.logs_quiet = logs_quiet
        self._date = (0, b"")
        self.limits = limits or Limits()
        super().__init__(
            root, WsRequest, timeout=self.limits.idle_timeout, reactor=clock, parsePOSTFormSubmission=False
        )
        self.trusted = trusted
        self.counters = counters
        self._is_stopping = False
        #: the open connections
        self.channels: set[WsChannel] = set()

    def buildProtocol(self, addr: Any) -> Any:
        """A channel for one connection."""
        channel = super().buildProtocol(addr)
        if self._is_stopping:
            channel.finish_up()
        return channel

    def startFactory(self) -> None:
        """Nothing to begin; twisted.web would open a log file and run a timer each second for its dates."""

    def stopFactory(self) -> None:
        """Nothing to end; `close_all` is for the connections."""

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 alone: twisted.web's HTTP/2 has none of the bounds here, and no WebSocket."""
        return [b"http/1.1"]

    # -- stopping

    @property
    def busy(self) -> int:
        """How many connections have a request under way, or an answer that is not yet with the system."""
        return sum(channel.is_busy for channel in self.channels)

    @property
    def is_busy(self) -> bool:
        """Whether there are any."""
        return self.busy > 0

    def finish_up(self) -> None:
        """Close each connection after its next answer, such as that of `/ready`, which says that the service stops."""
        self._is_stopping = True
        for channel in list(self.channels):
            channel.finish_up()

    def close_all(self) -> None:
        """Cut every connection off."""
        for channel in list(self.channels):
            channel.cut_off()

    def date(self) -> bytes:
        """The Date header of this second (RFC 9110 section 6.6.1), formatted once."""
        second = int(time())
        if self._date[0] != second:
            self._date = (second, datetimeToString(second))
        return self._date[1]

    # -- logging

    def log(self, request: Any) -> None:
        """One line for each answer; never the query, which may hold what is nobody's business."""
        handshake = request.handshake
        is_quiet = request.is_quiet or handshake.path in QUIET_PATHS
        if is_quiet and not self.logs_quiet:
            return
        log.emit(
            LogLevel.debug if is_quiet else LogLevel.info,
            "{method} {path} {status}, {bytes} bytes in {duration_ms} ms ({request_id}, {peer})",
            method=handshake.method[:_LOGGED],
            path=handshake.path[:_LOGGED],
            status=request.code,
            bytes=request.sentLength,
            duration_ms=round(request.duration * 1000),
            request_id=handshake.request_id,
            peer=handshake.peer,
            log_flood=f"answered {request.code}" if request.code >= _ERRORS else None,
        )

    def failed(self, reason: Failure, request_id: str) -> None:
        """Count and log a bug in a resource."""
        self.counters.add("internal_errors")
        log.failure("a resource failed ({request_id})", reason, request_id=request_id)

    def count_refusal(self, error: RequestRefused | HandshakeError) -> None:
        """Count a request that HTTP itself lets us refuse: an address, a method, a body, an origin."""
        self.counters.add("http_refused", error.word)

    def refused(self, error: RequestRefused | HandshakeError, *, peer: str, request_id: str) -> None:
        """Count and log a request that was refused before it was whole."""
        self.count_refusal(error)
        log.info(
            "request refused: {status} {reason} ({request_id}, {peer})",
            status=error.http_status,
            reason=str(error),
            request_id=request_id,
            peer=peer,
            log_flood=f"request refused: {error.word}",
        )
