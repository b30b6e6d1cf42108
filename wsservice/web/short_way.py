"""The short way of a poll: a whole GET or POST of a polling path, read in one step and answered in one write.

A client on long-polling sends two requests a message, and the same head again and again. To and from twisted.web each
costs some 900 calls and 110 us: its headers line by line, into objects and back, and four timers. Here `WsChannel`
offers what it has read between two requests, and if that is exactly one whole request of a path in `WsSite.polls`, it
is parsed by `handshake.parse_head`, or by nothing at all where the header lines are those of the connection's last
request with this method, and its answer is written at once: 57 calls and 5 us, and two system calls instead of five.

Anything else goes to twisted.web byte for byte: what is cut anywhere or has something behind it, another method, path
or version, `Transfer-Encoding`, `Expect`, `Upgrade`, a `Connection` but for `keep-alive`, any header twice, and
everything that is to be refused for its head or its size. So there is one place that refuses, and
`tests/web/test_short_way.py` shows that both ways answer the same.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.errors import HandshakeError
from wsservice.handshake import Handshake, Network, parse_head
from wsservice.headers import Headers, security_headers
from wsservice.web.answers import Answer, error_answer, reason_phrase
from wsservice.web.limits import Limits
from wsservice.web.uploads import Upload

if TYPE_CHECKING:
    from wsservice.web.channel import WsChannel
    from wsservice.web.request import WsSite

log = Logger()

#: in the form that `parse_head` takes, and in a method that polls have
_REQUEST_LINE = re.compile(rb"(GET|POST) (/[!\"$-~]*) HTTP/1\.1\r\n")
#: they change what follows, or whose turn it is
_SPECIAL = frozenset({"transfer-encoding", "expect", "upgrade"})
#: bytes of header lines that a connection keeps for each method; precedent: what browsers keep for a cookie
_KEPT = 4096
#: digits of a Content-Length
_DIGITS = 9


class Polls(Protocol):
    """Answers whole polls of a path."""

    @property
    def max_body(self) -> int:
        """Bytes; a larger one is for twisted.web to refuse."""

    def open_upload(self, handshake: Handshake) -> Upload:
        """Make the upload of a POST; see `uploads`."""

    def answer(self, request: PollRequest) -> None:
        """Call `send` or `fail`, now or later."""


class PollRequest(Protocol):
    """A whole request, by whichever way it came; its attributes are those of `WsRequest`."""

    handshake: Handshake
    upload: Upload | None
    gone: bool
    is_quiet: bool

    @property
    def site(self) -> WsSite:
        """Counts and logs."""

    def body(self) -> bytes:
        """All of it; once."""

    def send(self, answer: Answer) -> None:
        """Send an answer whole; call it once. Nothing happens if the client is gone."""

    def stream(self, answer: Answer, length: int, producer: IPushProducer) -> None:
        """Send the head of an answer; `write_piece` for each of so many bytes, then `end_stream` or `cut` must follow.

        The producer is told when the client does not keep up.
        """

    def write_piece(self, data: bytes) -> None:
        """A piece of the body. Nothing happens if the client is gone."""

    def end_stream(self) -> None:
        """The body is whole."""

    def cut(self) -> None:
        """The rest of the body will not come."""

    def on_gone(self, told: Callable[[], None]) -> None:
        """Call `told` if the client goes away before its answer."""

    def on_lost(self, told: Callable[[], None]) -> None:
        """Call `told` if the connection ends before the client has taken the answer; before `send`."""

    def processingFailed(self, reason: Failure) -> None:
        """A bug: the log has the traceback, the client an `internal_error`."""


class _Head(NamedTuple):
    """What the next request with these header lines is known by."""

    lines: bytes
    handshake: Handshake
    length: int
    own_headers: bytes


class Short(NamedTuple):
    """A request that goes the short way."""

    polls: Polls
    handshake: Handshake
    body: bytes
    own_headers: bytes


class ShortWay:
    """Reads the requests of one connection.

    It keeps the last head of each method, cookies too, until the connection ends; a large one is parsed each time.
    """

    __slots__ = ("_known", "_limits", "_peer", "_polls", "_secure", "_trusted")

    def __init__(
        self, polls: Mapping[str, Polls], limits: Limits, trusted: tuple[Network, ...], *, peer: str, secure: bool
    ) -> None:
        self._polls = polls
        self._limits = limits
        self._trusted = trusted
        self._peer = peer
        self._secure = secure
        self._known: dict[bytes, _Head] = {}

    def read(self, data: bytes) -> Short | None:
        """The request that these bytes are; None if they are anything but one that is whole and common."""
        match = _REQUEST_LINE.match(data)
        if match is None:
            return None
        method, target = match[1], match[2].decode("ascii")
        polls = self._polls.get(target.partition("?")[0])
        if polls is None:
            return None
        begin = match.end()
        head = self._known.get(method)
        if head is None or not data.startswith(head.lines, begin):
            head = self._parse(data, begin)
            if head is None:
                return None
            if len(head.lines) <= _KEPT:
                self._known[method] = head
        end = begin + len(head.lines)
        if end > self._limits.head_bytes:
            return None
        if len(data) - end != head.length or head.length > polls.max_body:
            return None
        return Short(polls, head.handshake.again(target), data[end:], head.own_headers)

    def _parse(self, data: bytes, begin: int) -> _Head | None:
        end = data.find(b"\r\n\r\n", begin) + 4
        if end < 4:
            return None
        try:
            handshake = parse_head(
                data[:end], self._peer, self._secure, self._trusted, max_headers=self._limits.headers
            )
        except HandshakeError:
            return None
        headers = dict(handshake.headers)
        if not len(headers) == len(handshake.headers) <= self._limits.headers or not _SPECIAL.isdisjoint(headers):
            return None
        if headers.get("connection", "keep-alive").lower() != "keep-alive":
            return None
        length = headers.get("content-length", "")
        is_post = handshake.method == "POST"
        if bool(length) != is_post or (is_post and not (length.isdecimal() and len(length) <= _DIGITS)):
            return None
        own = _encode(security_headers(secure=handshake.secure, host=handshake.host))
        return _Head(data[begin:end], handshake, int(length or "0"), own)


class ShortRequest:
    """A request on its short way; a `PollRequest`, and to its channel what twisted.web's requests are."""

    __slots__ = (
        "_body",
        "_channel",
        "_gone",
        "_own_headers",
        "_polls",
        "_started",
        "code",
        "finished",
        "gone",
        "handshake",
        "is_quiet",
        "sentLength",
        "site",
        "upload",
    )

    def __init__(self, channel: WsChannel, short: Short) -> None:
        self._channel = channel
        self.site = channel.site
        self.handshake = short.handshake
        self._polls = short.polls
        self._body = short.body
        #: between the status line and the answer's own
        self._own_headers = b"%sDate: %s\r\nX-Request-Id: %s\r\n" % (
            short.own_headers,
            self.site.date(),
            short.handshake.request_id.encode("ascii"),
        )
        self._started = self.site.reactor.seconds()
        self._gone: Callable[[], None] | None = None
        self.upload: Upload | None = None
        self.gone = False
        self.is_quiet = False
        self.finished = False
        self.code = 200
        self.sentLength = 0

    def process(self) -> None:
        """Have it answered."""
        if self.handshake.method == "POST":
            self.upload = self._polls.open_upload(self.handshake)
        try:
            self._polls.answer(self)
        except Exception:
            self.processingFailed(Failure())

    # -- for whoever answers

    def body(self) -> bytes:
        """All of it."""
        return self._body

    def on_gone(self, told: Callable[[], None]) -> None:
        """Call `told` if the client goes away before its answer; the last one counts."""
        self._gone = told

    def on_lost(self, told: Callable[[], None]) -> None:
        """Call `told` if the connection ends before the client has taken the answer; before `send`."""
        if not self.gone:
            self._channel.on_lost(told)

    def send(self, answer: Answer) -> None:
        """Send an answer whole; call it once. Nothing happens if the client is gone."""
        if self.gone:
            return
        self.code, self.sentLength, self.finished = answer.status, len(answer.body), True
        self._channel.write_whole(
            b"%s%s%sContent-Length: %d\r\n\r\n%s"
            % (
                _status_line(answer.status),
                self._own_headers,
                _encode(answer.headers),
                len(answer.body),
                answer.body,
            )
        )
        self.site.log(self)
        self._channel.requestDone(self)

    def stream(self, answer: Answer, length: int, producer: IPushProducer) -> None:
        """See `PollRequest`."""
        if self.gone:
            return
        self.code, self.sentLength = answer.status, length
        self._channel.registerProducer(producer, True)  # before the first byte that may have it wait
        self._channel.write_whole(
            b"%s%s%sContent-Length: %d\r\n\r\n"
            % (_status_line(answer.status), self._own_headers, _encode(answer.headers), length)
        )

    def write_piece(self, data: bytes) -> None:
        """See `PollRequest`."""
        if not self.gone:
            self._channel.write_whole(data)

    def end_stream(self) -> None:
        """See `PollRequest`."""
        if self.gone:
            return
        self.finished = True
        self._channel.unregisterProducer()
        self.site.log(self)
        self._channel.requestDone(self)

    def cut(self) -> None:
        """See `PollRequest`."""
        if not self.gone:
            self._channel.transport.abortConnection()

    def processingFailed(self, reason: Failure) -> None:
        """A bug: the log has the traceback, the client an `internal_error`."""
        self.site.failed(reason, self.handshake.request_id)
        if not self.finished:
            self.send(error_answer(RuntimeError(), self.handshake.request_id))

    @property
    def duration(self) -> float:
        """Seconds since it came."""
        return self.site.reactor.seconds() - self._started

    # -- for the channel

    def setHeader(self, name: bytes, value: bytes) -> None:
        """Add `Connection: close`, once."""
        line = b"%s: %s\r\n" % (name, value)
        if line not in self._own_headers:
            self._own_headers += line

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone; what is answered is dropped."""
        self.gone = True
        self.code = self.site.client_closed
        self.site.log(self)
        if self._gone is not None:
            self._gone()


def _encode(headers: Headers) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers])


def _status_line(status: int) -> bytes:
    if status == 200:
        return b"HTTP/1.1 200 OK\r\n"
    return b"HTTP/1.1 %d %s\r\n" % (status, reason_phrase(status))
