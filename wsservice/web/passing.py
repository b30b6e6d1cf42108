"""A poll that reached another node than its session's: it is passed on to the owner, and the answer to the client.

Here it costs what a poll of ours does: its body was read within the same bounds, an answer of common size is sent
whole, and a longer one as the client takes it. A client that goes away ends the request to the owner, which ends the
session as it would there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IPushProducer

from wsservice.counters import Counters
from wsservice.engineio.query import RequestError
from wsservice.errors import Stopping
from wsservice.handshake import Handshake
from wsservice.headers import Headers
from wsservice.peers.heads import AnswerHead, request_head
from wsservice.peers.nodes import Nodes
from wsservice.peers.sids import Owner, Sids
from wsservice.web.answers import Answer
from wsservice.web.short_way import PollRequest
from wsservice.web.uploads import Upload

#: bytes of a body that is sent whole; precedent: what a transport takes before it tells to wait
_WHOLE = 65536
_ANOTHERS = "the session is another node's"


class OwnerUnreachable(RequestError):
    """The node of the session did not take the request: the session may be gone, and a new one can begin here."""

    message = "The session's node cannot be reached"
    http_status = 503
    word = "owner_unreachable"


class OwnerBroken(RequestError):
    """The node of the session took the request and gave no good answer."""

    message = "The session's node gave no answer"
    http_status = 502
    word = "owner_broken"


class Exchange(Protocol):
    """A request on its way."""

    def abort(self) -> None:
        """Nobody wants the answer any more."""


class Exchanges(Protocol):
    """Connections to the other nodes; see `peers.links.Links`."""

    def exchange(self, owner: Owner, request: bytes, receiver: PassedPoll) -> Exchange:
        """Send a request; the receiver may be told at once."""

    def tell(self, owner: Owner, data: bytes) -> None:
        """Send bytes and close."""


class PassedUpload(Upload):
    """The body of a POST for another node's session; it is passed on once it is whole.

    Args:
        lost: tells the owner that it will not come.
    """

    def __init__(self, limit: int, timeout: float, *, owner: Owner, headers: Headers, lost: Callable[[], None]) -> None:
        super().__init__(limit, timeout, is_kept=True, headers=headers)
        self.owner = owner
        self._tell = lost

    def lost(self) -> None:
        """Aborted, too slow, or too large: packets are missing, and the session must end."""
        self._tell()


class Passing:
    """Passes polls on.

    Args:
        now: POSIX seconds.
    """

    def __init__(
        self, nodes: Nodes, sids: Sids, links: Exchanges, *, counters: Counters, now: Callable[[], float]
    ) -> None:
        self._nodes = nodes
        self._sids = sids
        self._links = links
        self._counters = counters
        self._now = now
        #: the polls under way
        self._live: set[PassedPoll] = set()
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._live)

    def owner(self, sid: str) -> Owner | None:
        """The other node that a sid belongs to."""
        return self._sids.owner(sid)

    def pass_on(self, request: PollRequest, owner: Owner, body: bytes, refuse: Callable[[Exception], None]) -> None:
        """Answer a request by what its session's owner says.

        Args:
            refuse: answers with an error of ours: a `RequestError` or `Stopping`.
        """
        if self._is_draining:
            refuse(Stopping(_ANOTHERS))
            return
        handshake = request.handshake
        poll = PassedPoll(request, refuse, self._live.discard)
        self._live.add(poll)
        self._counters.add("passed_on", "post" if handshake.method == "POST" else "poll")
        exchange = self._links.exchange(owner, self._head(handshake, owner, len(body)) + body, poll)
        poll.begin(exchange)

    def upload(self, handshake: Handshake, owner: Owner, *, limit: int, timeout: float, headers: Headers) -> Upload:
        """The body of a POST for another node."""

        def lost() -> None:
            # The head of a body that never comes: to the owner the client itself has broken off.
            self._counters.add("passed_on", "lost_post")
            self._links.tell(owner, self._head(handshake, owner, 1))

        return PassedUpload(limit, timeout, owner=owner, headers=headers, lost=lost)

    def drain(self) -> None:
        """The service stops: whose poll is under way, or comes from now on, is refused as anybody who comes."""
        self._is_draining = True
        for poll in list(self._live):
            poll.stop()

    def _head(self, handshake: Handshake, owner: Owner, length: int) -> bytes:
        secret = self._nodes.secret
        assert secret is not None  # without it there are no owners
        return request_head(handshake, node=owner.node, secret=secret, now=self._now(), length=length)


class PassedPoll:
    """One request, and what comes back for it."""

    def __init__(
        self, request: PollRequest, refuse: Callable[[Exception], None], over: Callable[[PassedPoll], None]
    ) -> None:
        self._request = request
        self._refuse = refuse
        self._over = over
        self._exchange: Exchange | None = None
        self._head: AnswerHead | None = None
        self._body: list[bytes] = []
        self._is_streamed = False

    def begin(self, exchange: Exchange) -> None:
        """The request is on its way, unless it has failed already."""
        if self._refuse is not _nothing:
            self._exchange = exchange
            self._request.on_gone(self._gone)

    def stop(self) -> None:
        """Refuse it, since the service stops."""
        if not self._is_streamed:
            self._abort()
            self._end()(Stopping(_ANOTHERS))

    def _gone(self) -> None:
        self._abort()
        self._end()

    def _abort(self) -> None:
        if self._exchange is not None:
            self._exchange.abort()

    def _end(self) -> Callable[[Exception], None]:
        refuse, self._refuse = self._refuse, _nothing
        self._exchange = None
        self._body = []
        self._over(self)
        return refuse

    # Receiver

    def began(self, head: AnswerHead, producer: IPushProducer) -> None:
        """The owner answers."""
        self._head = head
        if head.length > _WHOLE:
            self._is_streamed = True
            self._request.stream(Answer(head.status, b"", head.headers), head.length, producer)

    def received(self, data: bytes) -> None:
        """A piece of its body."""
        if self._is_streamed:
            self._request.write_piece(data)
        else:
            self._body.append(data)

    def ended(self) -> None:
        """It is whole."""
        body, head = b"".join(self._body), self._head
        assert head is not None
        self._end()
        if self._is_streamed:
            self._request.end_stream()
        else:
            self._request.send(Answer(head.status, body, head.headers))

    def failed(self, word: str) -> None:
        """There is none."""
        refuse = self._end()
        if self._is_streamed:
            self._request.cut()
        elif word in ("unreachable", "full"):
            refuse(OwnerUnreachable())
        else:
            refuse(OwnerBroken())


def _nothing(error: Exception) -> None:
    """It has ended."""
