"""Connections to other nodes: one request and its answer at a time, kept alive for the next, whosever it is.

    IDLE -> ASKED           `Links.exchange` has written a request
    ASKED -> ANSWERED       the head of the answer is here
    ANSWERED -> IDLE        so is all of its body
    any -> gone             aborted, too slow, broken, or said to be the last

Whatever a node does, it is the matter of those exchanges that need it: each has its own connection, there are so many
to a node and no more, and each ends in time. An answer is told piece by piece, and its sender waits for a receiver that
does not keep up.
"""

# mypy: allow-untyped-calls
# (twisted.internet.endpoints has few annotations)

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsservice.counters import Counters
from wsservice.peers.heads import MAX_HEAD, AnswerHead, BadAnswer, read_answer
from wsservice.peers.sids import Owner

log = Logger()

#: seconds to connect
CONNECT_TIMEOUT = 2
#: seconds that an idle connection is kept: well below those after which the other side closes it (`Limits`)
IDLE = 10.0
#: idle connections that are kept, to each node
MOST_IDLE = 64


class Receiver(Protocol):
    """Whoever asked; `failed` or `ended` is the last that it hears, and nothing comes behind an `abort`."""

    def began(self, head: AnswerHead, producer: IPushProducer) -> None:
        """The head is here; the producer can be told to wait."""

    def received(self, data: bytes) -> None:
        """A piece of the body."""

    def ended(self) -> None:
        """The body is whole."""

    def failed(self, word: str) -> None:
        """There is no answer, or no more of it: `unreachable`, `full`, `timeout` or `broken`."""


class Exchange:
    """One request and its answer."""

    __slots__ = ("_connecting", "_deadline", "_link", "_links", "node", "receiver", "request")

    def __init__(self, links: Links, node: str, request: bytes, receiver: Receiver) -> None:
        self._links = links
        self.node = node
        self.request = request
        self.receiver: Receiver | None = receiver
        self._connecting: Deferred[Link] | None = None
        self._link: Link | None = None
        self._deadline: IDelayedCall | None = None

    def expect(self, seconds: float) -> None:
        """Wait for the head of the answer for so long."""
        self._deadline = self._links.reactor.callLater(seconds, self._too_late)

    def connecting(self, connecting: Deferred[Link]) -> None:
        """A connection is being made."""
        self._connecting = connecting
        connecting.addCallbacks(self.begin, self._unreachable)

    def begin(self, link: Link) -> None:
        """Send the request."""
        self._connecting = None
        if self.receiver is None:  # given up in this very turn
            link.transport.abortConnection()
            return
        self._link = link
        link.ask(self)

    def answered(self) -> None:
        """The head is here: from now on the sender may take its time, and the receiver its own."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def abort(self) -> None:
        """Nobody wants the answer any more: the other node learns it by the end of the connection."""
        self._end()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.transport.abortConnection()

    def finish(self) -> None:
        """The answer is whole."""
        receiver = self._end()
        if receiver is not None:
            receiver.ended()

    def fail(self, word: str) -> None:
        """There is no answer."""
        receiver = self._end()
        if receiver is not None:
            self._links.counters.add("passed_on_failed", word)
            receiver.failed(word)

    def _end(self) -> Receiver | None:
        self.answered()
        receiver, self.receiver = self.receiver, None
        return receiver

    def _too_late(self) -> None:
        self._deadline = None
        word = "timeout" if self._connecting is None else "unreachable"
        receiver = self.receiver
        self.abort()
        self.receiver = receiver
        self.fail(word)

    def _unreachable(self, failure: Failure) -> None:
        self._connecting = None
        if self.receiver is not None:
            log.warn(
                "node {node} cannot be reached: {reason}",
                node=self.node,
                reason=failure.getErrorMessage(),
                log_flood="a node cannot be reached",
            )
        self.fail("unreachable")


@implementer(IPushProducer)
class Link(TwistedProtocol):
    """One connection to a node."""

    transport: Any

    def __init__(self, lost: Callable[[Link], None], done: Callable[[Link], None]) -> None:
        self._lost = lost
        self._done = done
        self._exchange: Exchange | None = None
        self._head = b""
        #: bytes of the body that are still to come; None before the head is whole
        self._left: int | None = None
        self._is_last = False
        self.is_paused = False
        self.idle_since = 0.0

    def connectionMade(self) -> None:
        """See to it that a machine that has gone is noticed."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)

    def ask(self, exchange: Exchange) -> None:
        """Send a request; the last one has its answer."""
        self._exchange = exchange
        self._head, self._left = b"", None
        request, exchange.request = exchange.request, b""
        self.transport.write(request)

    def dataReceived(self, data: bytes) -> None:
        """The answer, or a piece of it."""
        exchange = self._exchange
        if exchange is None:  # nobody asked
            self.transport.abortConnection()
            return
        if self._left is None:
            self._head += data
            end = self._head.find(b"\r\n\r\n") + 4
            if end < 4 and len(self._head) <= MAX_HEAD:
                return
            head, data, self._head = self._head[:end], self._head[end:], b""
            try:
                answer = read_answer(head)
            except BadAnswer as error:
                self._break(exchange, str(error))
                return
            self._left, self._is_last = answer.length, answer.is_last
            exchange.answered()
            if exchange.receiver is not None:
                exchange.receiver.began(answer, self)
        if len(data) > self._left:
            self._break(exchange, "more than the answer")
            return
        self._left -= len(data)
        if data and exchange.receiver is not None:
            exchange.receiver.received(data)
        if not self._left:
            self._exchange = None
            if self._is_last:
                self.transport.loseConnection()
            else:
                self.resumeProducing()
                self._done(self)
            exchange.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The node has gone, or we have."""
        self._lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail("broken")

    def _break(self, exchange: Exchange, reason: str) -> None:
        log.warn("node {node} answers nonsense: {reason}", node=exchange.node, reason=reason, log_flood="a bad answer")
        self._exchange = None
        self.transport.abortConnection()
        exchange.fail("broken")

    # IPushProducer

    def pauseProducing(self) -> None:
        """The receiver is behind."""
        if not self.is_paused:
            self.is_paused = True
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The receiver has caught up."""
        if self.is_paused:
            self.is_paused = False
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The receiver has gone."""
        self.transport.abortConnection()


class Links:
    """All connections that this process has opened to other nodes.

    Args:
        answer_timeout: seconds from a request to the head of its answer; a poll may wait for a ping.
        most: connections to one node.
    """

    def __init__(self, reactor: Any, counters: Counters, *, answer_timeout: float, most: int) -> None:
        self.reactor = reactor
        self.counters = counters
        self._answer_timeout = answer_timeout
        self._most = most
        #: by address; also those that are being opened
        self._open: dict[str, int] = {}
        #: by address, the last used at the end
        self._idle: dict[str, list[Link]] = {}
        self._sweeping: IDelayedCall | None = None

    def exchange(self, owner: Owner, request: bytes, receiver: Receiver) -> Exchange:
        """Send a request to a node, over an idle connection or a new one. The receiver may be told at once."""
        exchange = Exchange(self, owner.node, request, receiver)
        idle = self._idle.get(owner.address)
        if idle:
            exchange.expect(self._answer_timeout)
            exchange.begin(idle.pop())
        elif self._open.get(owner.address, 0) >= self._most:
            exchange.fail("full")
        else:
            exchange.expect(self._answer_timeout)
            exchange.connecting(self._connect(owner.address))
        return exchange

    def connect(self, owner: Owner, protocol: TwistedProtocol) -> Deferred[Any] | None:
        """Connect a protocol of the caller's own to a node; None if there are too many connections already.

        The protocol's `connectionLost` must call `release`.
        """
        if self._open.get(owner.address, 0) >= self._most:
            self.counters.add("passed_on_failed", "full")
            return None
        return self._open_one(owner.address, protocol)

    def tell(self, owner: Owner, data: bytes) -> None:
        """Connect, send, and close; nobody waits for it."""
        connecting = self.connect(owner, _Tell(data, lambda: self.release(owner.address)))
        if connecting is not None:
            connecting.addErrback(lambda failure: self.counters.add("passed_on_failed", "unreachable"))

    def release(self, address: str) -> None:
        """A connection of `connect` has gone."""
        left = self._open[address] - 1
        if left:
            self._open[address] = left
        else:
            del self._open[address]

    def stop(self) -> None:
        """Close what is idle; whoever has an exchange under way aborts it."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for links in list(self._idle.values()):
            for link in list(links):
                link.transport.abortConnection()

    def __len__(self) -> int:
        return sum(self._open.values())

    def _connect(self, address: str) -> Deferred[Link]:
        return self._open_one(address, Link(partial(self._lost, address), partial(self._done, address)))

    def _open_one(self, address: str, protocol: TwistedProtocol) -> Deferred[Any]:
        self._open[address] = self._open.get(address, 0) + 1

        def not_connected(failure: Failure) -> Failure:
            self.release(address)
            return failure

        try:
            endpoint = clientFromString(self.reactor, _with_timeout(address))
            connecting: Deferred[Any] = endpoint.connect(_OneFactory(protocol))
        except Exception:  # an address that another node has told, and that is none
            connecting = fail(Failure())
        connecting.addErrback(not_connected)
        return connecting

    def _done(self, address: str, link: Link) -> None:
        """An answer is whole, and its connection free."""
        idle = self._idle.setdefault(address, [])
        if len(idle) >= MOST_IDLE:
            link.transport.loseConnection()
            return
        link.idle_since = self.reactor.seconds()
        idle.append(link)
        if self._sweeping is None:
            self._sweeping = self.reactor.callLater(IDLE, self._sweep)

    def _lost(self, address: str, link: Link) -> None:
        self.release(address)
        idle = self._idle.get(address, [])
        if link in idle:
            idle.remove(link)
        if not idle:
            self._idle.pop(address, None)

    def _sweep(self) -> None:
        """Close what has been idle for a while."""
        self._sweeping = None
        now = self.reactor.seconds()
        for links in list(self._idle.values()):
            for link in [one for one in links if now - one.idle_since >= IDLE]:
                links.remove(link)
                link.transport.loseConnection()
        if any(self._idle.values()):
            self._sweeping = self.reactor.callLater(IDLE, self._sweep)


class _Tell(TwistedProtocol):
    transport: Any

    def __init__(self, data: bytes, lost: Callable[[], None]) -> None:
        self._data = data
        self._lost = lost

    def connectionMade(self) -> None:
        self.transport.write(self._data)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost()


class _OneFactory(Factory):
    noisy = False

    def __init__(self, protocol: TwistedProtocol) -> None:
        self._one = protocol

    def buildProtocol(self, addr: Any) -> TwistedProtocol:
        return self._one


def _with_timeout(address: str) -> str:
    return address if ":timeout=" in address else f"{address}:timeout={CONNECT_TIMEOUT}"
