"""A poll that reached another node than its session's: it is passed on to the owner, and the answer to the client.

Here it costs what a poll of ours does: its body was read within the same bounds, an answer of common size is sent
whole, and a longer one as the client takes it. A client that goes away ends the request to the owner, which ends the
session as it would there; so it does when it is told that a client has not taken an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer

from wsservice.counters import Counters
from wsservice.engineio.query import RequestError
from wsservice.errors import Stopping
from wsservice.handshake import Handshake
from wsservice.headers import Headers
from wsservice.peers.heads import ASKS_LIMIT, LIMIT, LOST, AnswerHead, request_head
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

    def exchange(self, owner: Owner, request: bytes, receiver: PassedPoll | _Question) -> Exchange:
        """Send a request; the receiver may be told at once."""

    def tell(self, owner: Owner, data: bytes) -> None:
        """Send bytes and close."""


class PassedUpload(Upload):
    """The body of a POST for another node's session; it is passed on once it is whole.

    How much a client may send depends on whom it speaks for, which the owner knows: it is asked before a body is read
    that is more than any client may send.

    Args:
        lost: tells the owner that it will not come.
        ask: asks the owner; None if anybody may send so much.
        least: what any client may send: the limit, if the owner does not say.
    """

    def __init__(
        self,
        limit: int,
        timeout: float,
        *,
        owner: Owner,
        headers: Headers,
        lost: Callable[[], None],
        ask: Callable[[_Question], Exchange] | None,
        least: int,
    ) -> None:
        super().__init__(limit, timeout, is_kept=True, headers=headers)
        self.owner = owner
        self._tell = lost
        self._ask = ask
        self._least = least
        self._asking: Exchange | None = None

    def decide(self) -> Deferred[None] | None:
        """Ask the owner."""
        if self._ask is None:
            return None
        deciding: Deferred[None] = Deferred()

        def decided(limit: int) -> None:
            self._asking = None
            self.limit = min(self.limit, max(self._least, limit))
            deciding.callback(None)

        asking = self._ask(_Question(decided))
        if not deciding.called:
            self._asking = asking
        return deciding

    def lost(self) -> None:
        """Aborted, too slow, or too large: packets are missing, and the session must end."""
        if self._asking is not None:
            self._asking.abort()
        self._tell()


class _Question:
    """How much a client may send: what a `PassedPoll` is to the answer of a poll."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told
        self._limit = 0

    def began(self, head: AnswerHead, producer: IPushProducer) -> None:
        values = [value for name, value in head.headers if name == LIMIT and value.isdigit()]
        self._limit = int(values[0]) if values else 0

    def received(self, data: bytes) -> None:
        pass

    def ended(self) -> None:
        self._told(self._limit)

    def failed(self, word: str) -> None:
        self._told(0)


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
        is_post = handshake.method == "POST"
        lost = None if is_post else partial(self._lost_poll, handshake, owner)
        poll = PassedPoll(request, refuse, self._live.discard, lost)
        self._live.add(poll)
        self._counters.add("passed_on", "post" if is_post else "poll")
        exchange = self._links.exchange(owner, self._head(handshake, owner, len(body)) + body, poll)
        poll.begin(exchange)

    def upload(
        self, handshake: Handshake, owner: Owner, *, least: int, limit: int, timeout: float, headers: Headers
    ) -> Upload:
        """The body of a POST for another node.

        Args:
            least: bytes that any client may send.
            limit: the most that anybody may.
        """

        def lost() -> None:
            # The head of a body that never comes: to the owner the client itself has broken off.
            self._counters.add("passed_on", "lost_post")
            self._links.tell(owner, self._head(handshake, owner, 1))

        def ask(receiver: _Question) -> Exchange:
            head = self._head(replace(handshake, method="OPTIONS"), owner, 0, note=ASKS_LIMIT)
            return self._links.exchange(owner, head, receiver)

        length = handshake.header("content-length") or ""
        is_small = length.isdecimal() and int(length) <= least
        return PassedUpload(
            limit,
            timeout,
            owner=owner,
            headers=headers,
            lost=lost,
            ask=None if is_small else ask,
            least=least,
        )

    def drain(self) -> None:
        """The service stops: whose poll is under way, or comes from now on, is refused as anybody who comes."""
        self._is_draining = True
        for poll in list(self._live):
            poll.stop()

    def _lost_poll(self, handshake: Handshake, owner: Owner) -> None:
        self._counters.add("passed_on", "lost_poll")
        self._links.tell(owner, self._head(replace(handshake, method="POST"), owner, 1, note=LOST))

    def _head(self, handshake: Handshake, owner: Owner, length: int, *, note: str = "") -> bytes:
        secret = self._nodes.secret
        assert secret is not None  # without it there are no owners
        return request_head(handshake, node=owner.node, secret=secret, now=self._now(), length=length, note=note)


class PassedPoll:
    """One request, and what comes back for it.

    Args:
        lost: tells the owner that the client has not taken the answer; None if nothing is lost by that.
    """

    def __init__(
        self,
        request: PollRequest,
        refuse: Callable[[Exception], None],
        over: Callable[[PassedPoll], None],
        lost: Callable[[], None] | None,
    ) -> None:
        self._request = request
        self._lost = lost
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
        if self._lost is not None and self._head is not None:  # the owner may have sent all of it
            self._lost()

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
        if head.status != 200:
            self._lost = None
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
        if self._lost is not None:
            self._request.on_lost(self._lost)
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
