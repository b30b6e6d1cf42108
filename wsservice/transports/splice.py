"""A WebSocket of another node's session: its bytes go to the owner, and the owner's come back, until either side ends.

A session on long-polling moves to a WebSocket, which comes to any node. The head is written anew, as that of a poll
which is passed on; from there on nothing is read or changed: the owner checks origin and query, answers the handshake,
pings and closes. Each side waits for the other one where that does not keep up.

    OPENING -> SPLICED      the owner's first bytes
    any -> CLOSING          either side has gone; what the other one still has to take is written: to the owner for
                            `LINGER`, to a client for as long as it takes something (closing.py)
"""

# mypy: allow-untyped-calls
# (twisted.internet has few annotations)

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any
from typing import Protocol as Interface

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.counters import Counters
from wsservice.errors import HandshakeError, Stopping
from wsservice.handshake import MAX_HEADERS, Handshake, Network, make_request_id, parse_head
from wsservice.headers import security_headers
from wsservice.peers.heads import request_head
from wsservice.peers.nodes import Nodes
from wsservice.peers.sids import Owner, Sids
from wsservice.transports.closing import LONGEST
from wsservice.transports.refusals import http_answer, http_refusal
from wsservice.unsent import Pace, cut_off, finish, unsent, untaken

log = Logger()

#: seconds from the upgrade to the owner's answer, which needs nobody else's
ANSWER_TIMEOUT = 10.0
#: seconds that an owner has to take what is left; and how often it is looked whether a client still does
LINGER = 3.0


class Connects(Interface):
    """Connections to other nodes; see `peers.links.Links`."""

    def connect(self, owner: Owner, protocol: Protocol) -> Deferred[Any] | None:
        """Connect a protocol; None if there are too many connections."""

    def release(self, address: str) -> None:
        """Its connection has gone."""


class SpliceFactory:
    """Makes the protocols of both sides, and knows those that are open.

    Args:
        paths: of the WebSockets that belong to sessions.
        now: POSIX seconds.
        trusted: the proxies whose forwarded addresses count.
        max_headers: header lines of a request.
        unread_timeout: seconds in which a client must take something of what is left for it.
    """

    #: whoever counts connections is told by it, with the TCP peer's address, that one has gone
    lost: Callable[[str], None] = staticmethod(lambda peer: None)

    def __init__(
        self,
        nodes: Nodes,
        sids: Sids,
        links: Connects,
        *,
        paths: Container[bytes],
        clock: IReactorTime,
        counters: Counters,
        now: Callable[[], float],
        trusted: tuple[Network, ...] = (),
        max_headers: int = MAX_HEADERS,
        unread_timeout: float = 10.0,
    ) -> None:
        self.nodes = nodes
        self.sids = sids
        self.links = links
        self.paths = paths
        self.clock = clock
        self.counters = counters
        self.now = now
        self.trusted = trusted
        self.max_headers = max_headers
        self.unread_timeout = unread_timeout
        self.live: set[Splice] = set()
        self.is_draining = False

    def wants(self, path: bytes | None, head: bytes) -> bool:
        """Whether the head of an upgrade is for another node."""
        return path in self.paths and self.sids.owner_of_head(head) is not None

    def buildProtocol(self, addr: Any) -> Splice:
        """The client's side of a connection."""
        return Splice(self)

    def stop_opening(self) -> list[Splice]:
        """The service stops: refuse who comes; those that are open, to be drained."""
        self.is_draining = True
        return list(self.live)


class Splice(Protocol):
    """The client's side."""

    transport: Any

    def __init__(self, factory: SpliceFactory) -> None:
        self._factory = factory
        #: of an upgrade under way, with what came behind it
        self._head = b""
        self._early = b""
        self._handshake: Handshake | None = None
        self._owner: Owner | None = None
        self._other: _Other | None = None
        self._connecting: Deferred[Any] | None = None
        self._timer: IDelayedCall | None = None
        self._is_closing = False
        #: the address of the TCP peer; empty for a Unix socket
        self.peer = ""

    @property
    def clock(self) -> IReactorTime:
        """For deadlines."""
        return self._factory.clock

    def connectionMade(self) -> None:
        """The head comes next, at once."""
        self.peer = getattr(self.transport.getPeer(), "host", "")
        self._factory.live.add(self)
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """The head, then whatever the client says."""
        if self._is_closing:
            return
        if self._owner is not None:
            if self._other is None:
                self._early += data  # one read at most: it is paused
            else:
                self._other.transport.write(data)
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head, self._early, self._head = self._head[:end], self._head[end:], b""
        secure = ISSLTransport.providedBy(self.transport)
        try:
            self._handshake = parse_head(
                head, self.peer, secure, self._factory.trusted, max_headers=self._factory.max_headers
            )
        except HandshakeError as error:
            request_id = make_request_id()
            self._refuse(error.word, http_refusal(error.http_status, error, request_id, secure=secure))
            return
        if self._factory.is_draining:
            self.drain()
            return
        self._owner = self._factory.sids.owner(self._handshake.query.get("sid", ""))
        if self._owner is None:  # it has died since
            self._refuse_by(400, 1, "Session ID unknown", "session_unknown")
            return
        self._connect(self._owner)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client has gone: the owner learns it."""
        self._factory.live.discard(self)
        self._factory.lost(self.peer)
        self._is_closing = True
        self._expect_nothing()
        if self._connecting is not None:
            self._connecting.cancel()
        other, self._other = self._other, None
        if other is not None:
            other.end()

    def cut_off(self) -> None:
        """The service ends now."""
        cut_off(self.transport)

    def drain(self) -> None:
        """The service stops: the client connects again, to another node."""
        if self._other is None or not self._other.has_answered:
            stopping = Stopping("the session is another node's")
            self._refuse("stopping", http_refusal(stopping.http_status, stopping, make_request_id(), secure=False))
        else:
            self._close()

    def _connect(self, owner: Owner) -> None:
        self._factory.counters.add("passed_on", "websocket")
        self.transport.pauseProducing()
        other = _Other(self, lambda: self._factory.links.release(owner.address))
        connecting = self._factory.links.connect(owner, other)
        if connecting is None:
            self._refuse_by(503, 3, "The session's node cannot be reached", "owner_unreachable")
            return
        self._connecting = connecting
        self._timer = self._factory.clock.callLater(ANSWER_TIMEOUT, self._too_late)
        connecting.addCallbacks(self._connected, self._not_connected)

    def _connected(self, other: _Other) -> None:
        self._connecting = None
        if self._is_closing:
            other.end()
            return
        handshake, owner, secret = self._handshake, self._owner, self._factory.nodes.secret
        assert handshake is not None
        assert owner is not None
        assert secret is not None
        self._other = other
        head = request_head(handshake, node=owner.node, secret=secret, now=self._factory.now())
        early, self._early = self._early, b""
        other.begin(head + early)

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = None
        if self._is_closing:
            return
        assert self._owner is not None
        self._factory.counters.add("passed_on_failed", "unreachable")
        log.warn(
            "node {node} cannot be reached: {reason}",
            node=self._owner.node,
            reason=failure.getErrorMessage(),
            log_flood="a node cannot be reached",
        )
        self._refuse_by(503, 3, "The session's node cannot be reached", "owner_unreachable")

    def _too_late(self) -> None:
        self._timer = None
        self._factory.counters.add("passed_on_failed", "timeout")
        self._refuse_by(502, 3, "The session's node gave no answer", "owner_broken")

    # -- called by the other side

    def answered(self) -> None:
        """The owner's first bytes are here."""
        self._expect_nothing()
        self._handshake = None

    def ended(self, *, has_answered: bool) -> None:
        """The owner has gone, or has closed."""
        self._other = None
        if has_answered:
            self._close()
        else:
            self._factory.counters.add("passed_on_failed", "broken")
            self._refuse_by(502, 3, "The session's node gave no answer", "owner_broken")

    # -- ending

    def _refuse_by(self, status: int, code: int, message: str, word: str) -> None:
        """In Engine.IO's form."""
        handshake = self._handshake
        assert handshake is not None
        body = msgspec.json.encode({"code": code, "message": message})
        headers = security_headers(secure=handshake.secure, host=handshake.host)
        self._refuse(
            word, http_answer(status, body, "application/json", request_id=handshake.request_id, headers=headers)
        )

    def _refuse(self, word: str, answer: bytes) -> None:
        if self._is_closing:
            return
        self._factory.counters.add("handshakes", word)
        self.transport.write(answer)
        self._close()

    def _close(self) -> None:
        """Close once everything is written, as long as the client takes it."""
        if self._is_closing:
            return
        self._is_closing = True
        self._expect_nothing()
        if self._connecting is not None:
            self._connecting.cancel()
        other, self._other = self._other, None
        if other is not None:
            other.end()
        self.transport.resumeProducing()  # else nobody sees the client's end
        self.transport.loseConnection()
        patience = self._factory.unread_timeout
        self._look_again(Pace(self.clock.seconds(), untaken(self.transport), patience=patience, longest=LONGEST))

    def _look_again(self, pace: Pace) -> None:
        self._timer = self.clock.callLater(min(LINGER, self._factory.unread_timeout), self._look, pace)

    def _look(self, pace: Pace) -> None:
        """The connection has not ended yet."""
        self._timer = None
        if pace.goes_on(self.clock.seconds(), untaken(self.transport)):
            self._look_again(pace)
        elif pace.is_stuck or unsent(self.transport):
            self._factory.counters.add("connections_cut", "unread")
            self.transport.abortConnection()
        else:  # TLS's own end is not answered
            finish(self.transport)

    def _expect_nothing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Other(Protocol):
    """The owner's side."""

    transport: Any

    def __init__(self, splice: Splice, gone: Callable[[], None]) -> None:
        self._splice: Splice | None = splice
        self._clock = splice.clock
        self._gone = gone
        self._cut: IDelayedCall | None = None
        self.has_answered = False

    def connectionMade(self) -> None:
        """Notice a machine that has gone."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)

    def begin(self, data: bytes) -> None:
        """Both sides are there: each is the other one's producer from now on."""
        splice = self._splice
        assert splice is not None
        self.transport.registerProducer(splice.transport, True)
        splice.transport.registerProducer(self.transport, True)
        splice.transport.resumeProducing()
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        """What the owner says."""
        splice = self._splice
        if splice is None:
            return
        if not self.has_answered:
            self.has_answered = True
            splice.answered()
        splice.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The owner has closed, or has gone."""
        self._gone()
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        splice = self._splice
        self._part()
        if splice is not None:
            splice.ended(has_answered=self.has_answered)

    def end(self) -> None:
        """The client has gone: what it said last still arrives, unless the owner does not take it."""
        self._part()
        self.transport.resumeProducing()
        self.transport.loseConnection()
        self._cut = self._clock.callLater(LINGER, self.transport.abortConnection)

    def _part(self) -> None:
        splice, self._splice = self._splice, None
        if splice is not None and splice.transport is not None:
            splice.transport.unregisterProducer()
            self.transport.unregisterProducer()
