"""The one port: who answers a connection, Autobahn or twisted.web.

A connection is read up to the end of its first request head and no further. A WebSocket upgrade for a
WebSocket path goes straight to that path's Autobahn protocol, everything else to twisted.web's channel,
byte for byte: behind twisted.web's Site an idle WebSocket would cost half as much memory again.

When all places are taken, a few connections may still say what they want: one that asks how the service is gets its
answer, since an orchestrator restarts what does not answer. All others are refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.admission import Admission
from wsservice.alarms import Alarms
from wsservice.counters import Counters
from wsservice.errors import (
    HandshakeError,
    HeadTooLarge,
    RequestTimeout,
    Stopping,
    TooManyConnections,
    TooManyFromAddress,
)
from wsservice.handshake import MAX_HEADERS, make_request_id
from wsservice.transports.accepting import Accepting
from wsservice.transports.handover import hand_over
from wsservice.transports.lean_server import host_of_peer
from wsservice.transports.probes import SPARE_TIME, is_probe
from wsservice.transports.refusals import http_refusal
from wsservice.transports.splice import SpliceFactory
from wsservice.unsent import cut_off

log = Logger()

#: bytes of a request head; precedent: twisted.web, and nginx's `large_client_header_buffers 4 8k`
MAX_HEAD = 16384
#: seconds that a refused client has to take the answer
LINGER = 3.0
#: a list of protocols that names `websocket` (RFC 9110 section 7.8)
_UPGRADE = re.compile(rb"\r\nupgrade:(?:[^\r\n]*,)?[ \t]*websocket[ \t]*[,\r]", re.IGNORECASE)
_PATH = re.compile(rb"GET (/[^ ?#]*)")


def websocket_path(head: bytes) -> bytes | None:
    """The path of a WebSocket upgrade (RFC 6455 section 4.1), undecoded; None for any other request."""
    match = _PATH.match(head)
    return match[1] if match and _UPGRADE.search(head) else None


class PortFactory(Factory):
    """Listens for both kinds.

    Args:
        websockets: the factory of each WebSocket path.
        web: the site for everything else.
        head_timeout: seconds for the whole first request head.
        max_head: its bytes.
        max_headers: its header lines, for WebSockets; the site has limits of its own.
        probes: the paths of the site that are served when all places are taken, if there are spare ones.
        admission: counts the connections, from here to the end of the protocol that they are handed to, which says
            so by `lost`; by default, everybody is let in.
        accepting: knows when there are no more file descriptors.
        splices: takes the WebSockets that are another node's (`wants`).
    """

    noisy = False

    def __init__(
        self,
        websockets: Mapping[bytes, Any],
        web: Any,
        *,
        clock: IReactorTime,
        counters: Counters,
        head_timeout: float,
        max_head: int = MAX_HEAD,
        max_headers: int = MAX_HEADERS,
        probes: frozenset[bytes] = frozenset(),
        admission: Admission | None = None,
        accepting: Accepting | None = None,
        splices: SpliceFactory | None = None,
    ) -> None:
        alarms = Alarms(counters, clock.seconds)
        if admission is None:
            admission = Admission(most=sys.maxsize, per_address=0, alarms=alarms)
        self.admission = admission
        self.accepting = accepting or Accepting(clock, alarms, highest=sys.maxsize)
        for factory in (web, *websockets.values(), *([] if splices is None else [splices])):
            factory.lost = self.admission.release
        for factory in websockets.values():
            factory.admission = self.admission
            factory.max_headers = max_headers
        self.websockets = websockets
        self.splices = splices
        self.web = web
        self.clock = clock
        self.counters = counters
        self.head_timeout = head_timeout
        self.max_head = max_head
        self.probes = probes
        self.waiting: set[Port] = set()
        #: those in spare places, the first comer first
        self.spare: dict[Port, None] = {}
        #: whether the service stops: WebSockets are refused here, everything else by the site
        self.draining = False

    def buildProtocol(self, addr: IAddress | None) -> Port:
        """A protocol that reads the first head."""
        return Port(self, addr)

    def doStart(self) -> None:
        """Start the site, too, which may listen on several ports."""
        super().doStart()  # type: ignore[no-untyped-call]
        self.web.doStart()

    def doStop(self) -> None:
        """Stop the site, too."""
        self.web.doStop()
        super().doStop()  # type: ignore[no-untyped-call]

    def close_waiting(self) -> None:
        """Drop the connections that have not sent a whole head."""
        for port in list(self.waiting):
            self.counters.add("heads_refused", "stopping")
            port.transport.abortConnection()


class Port(Protocol):
    """Reads one head and hands over."""

    transport: Any

    def __init__(self, factory: PortFactory, address: IAddress | None) -> None:
        self._factory = factory
        self._address = address
        self._peer = getattr(address, "host", "")
        self._head = b""
        self._deadline: IDelayedCall | None = None
        self._is_admitted = False
        #: in a spare place: why nothing but a probe is served
        self._crowded: TooManyConnections | None = None

    def connectionMade(self) -> None:
        """Wait for the head, but not for ever."""
        if not self._factory.accepting.accepts(self.transport):
            self.transport.abortConnection()
            return
        if not self._admit():
            return
        self._factory.waiting.add(self)
        error = RequestTimeout("a head that did not end in time")
        seconds = self._factory.head_timeout if self._crowded is None else min(SPARE_TIME, self._factory.head_timeout)
        self._deadline = self._factory.clock.callLater(seconds, self._refuse, error)

    def dataReceived(self, data: bytes) -> None:
        """Collect the head; once it is whole, hand over."""
        if self not in self._factory.waiting:  # refused; what is still under way does not matter
            return
        if not self._head and not self._is_still_admitted():
            return
        self._head += data
        end, most = self._head.find(b"\r\n\r\n"), self._factory.max_head
        if end > most or (end < 0 and len(self._head) > most):
            self._refuse(HeadTooLarge("a head over the bound"))
        elif end >= 0:
            self._sort(self._head[: end + 4])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client went before its head was whole."""
        self._done()
        self._give_back()

    def _admit(self) -> bool:
        admission = self._factory.admission
        refusal = admission.admit(self._peer)
        if refusal is not None and admission.is_full:
            return self._admit_spare(refusal)
        if refusal is not None:
            self._refuse(refusal)
        self._is_admitted = refusal is None
        return self._is_admitted

    def _admit_spare(self, crowded: TooManyConnections) -> bool:
        admission, spare = self._factory.admission, self._factory.spare
        refusal = admission.admit_spare(self._peer)
        if refusal is not None and spare and not isinstance(refusal, TooManyFromAddress):
            next(iter(spare)).give_way()
            refusal = admission.admit_spare(self._peer)
        if refusal is None:
            self._crowded = crowded
            spare[self] = None
        else:
            self._refuse(refusal)
        return refusal is None

    def give_way(self) -> None:
        """Another one wants the spare place, which this one has had for the longest time and said nothing yet."""
        assert self._crowded is not None
        self._refuse(self._crowded)

    def _give_back(self) -> None:
        """Leave the place, of whatever kind."""
        self._factory.spare.pop(self, None)
        if self._crowded is not None:
            self._factory.admission.release_spare(self._peer)
        elif self._is_admitted:
            self._factory.admission.release(self._peer)
        self._is_admitted, self._crowded = False, None

    def _is_still_admitted(self) -> bool:
        """By the PROXY protocol the client's own address comes with its first bytes: from then on that one counts."""
        peer = host_of_peer(self.transport)
        if peer == self._peer:
            return True
        crowded = self._crowded
        self._give_back()
        self._address, self._peer = self.transport.getPeer(), peer
        return self._admit() if crowded is None else self._admit_spare(crowded)

    def _sort(self, head: bytes) -> None:
        if self._crowded is None:
            self._hand_over(websocket_path(head))
        elif is_probe(head, self._factory.probes):
            self._head = head  # and nothing behind it
            self._hand_over(None)
        else:
            self._refuse(self._crowded)

    def _hand_over(self, path: bytes | None) -> None:
        if self._factory.draining and path in self._factory.websockets:
            self._refuse(Stopping("the service is stopping"))
            return
        factory = self._factory.web if path is None else self._factory.websockets.get(path, self._factory.web)
        splices = self._factory.splices
        if splices is not None and splices.wants(path, self._head):
            factory = splices
        self._done()
        protocol = factory.buildProtocol(self._address)
        if protocol is None:
            self.transport.abortConnection()
            return
        if self._crowded is not None:
            self._factory.spare.pop(self, None)
            self._factory.admission.keep_spare()
            protocol.finish_up()
        self._is_admitted, self._crowded = False, None
        hand_over(self.transport, protocol, self._head)

    def _done(self) -> None:
        self._factory.waiting.discard(self)
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def _refuse(self, error: HandshakeError) -> None:
        self._done()
        if self._crowded is not None:  # that is why, however it came to this; and others may need the place
            error = self._crowded
            self._give_back()
        self._factory.counters.add("heads_refused", error.word)
        request_id = make_request_id()
        log.info(
            "request refused: {status} {reason} ({request_id}, {peer})",
            status=error.http_status,
            reason=str(error),
            request_id=request_id,
            peer=self._peer,
            log_flood=f"request refused: {error.word}",
        )
        secure = ISSLTransport.providedBy(self.transport)
        self.transport.write(http_refusal(error.http_status, error, request_id, secure=secure))
        self.transport.loseConnection()
        self._deadline = self._factory.clock.callLater(LINGER, cut_off, self.transport)
