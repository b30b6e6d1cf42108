"""An agent under treq that refuses what treq would hide, on connections that are counted and watched.

treq wraps every agent in a decoder of gzip, which inflates an answer before a caller can see its size and
removes the header that says so; and it offers no way to the connection of an answer that is given up.
So `StrictAgent` looks at each head first, and a `Wire` knows the connections of one request.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IConsumer, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IAgentEndpointFactory, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from wsservice.errors import WsServiceError

#: seconds that the peer gets, after a whole answer, to close its side in good order (TLS waits for it)
LINGER = 0.5

#: why a request failed: fixed words, fit for a counter
Word = Literal[
    "refused", "tls", "timeout", "status", "redirect", "encoding", "too_large", "lost", "malformed"
]  # fmt: skip


class FetchError(WsServiceError):
    """A request to the provider brought no usable answer; `str(error)` is for the log.

    Attributes:
        word: `refused` (no connection: refused, no route, no such host), `tls` (handshake or certificate),
            `timeout`, `status` (not 200), `redirect`, `encoding` (a Content-Encoding), `too_large`,
            `lost` (the connection ended inside the answer), `malformed` (not HTTP).
    """

    def __init__(self, word: Word, detail: str) -> None:
        super().__init__(f"{word}: {detail}")
        self.word = word


def too_large(max_bytes: int) -> FetchError:
    """The error for a body over its bound."""
    return FetchError("too_large", f"the answer is larger than {max_bytes} bytes")


class Wire:
    """The connections of one request (one, but for a race between addresses): counted, and closed in the end."""

    def __init__(self, reactor: Any, tls_policy: IPolicyForHTTPS, limit: int) -> None:
        self.overflowed = False
        self._reactor = reactor
        self._tls_policy = tls_policy
        self._room = limit
        self._open: set[_Guard] = set()
        self._waiting: list[Deferred[None]] = []

    def endpoint_for(self, uri: URI) -> IStreamClientEndpoint:
        """Where to connect for a URL: TCP, or TLS that verifies the certificate for the URL's host."""
        endpoint = cast(IStreamClientEndpoint, HostnameEndpoint(self._reactor, uri.host, uri.port))
        if uri.scheme == b"https":
            creator = self._tls_policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint, self._reactor)
        return endpoint

    def opened(self, guard: _Guard) -> None:
        """Called by a guard when its connection is there."""
        self._open.add(guard)

    def admit(self, size: int) -> bool:
        """Count bytes that came in; past the limit the connection is aborted and they are dropped."""
        self._room -= size
        if self._room < 0:
            self.overflowed = True
            self.abort()
        return not self.overflowed

    def lost(self, guard: _Guard) -> None:
        """Called by a guard when its connection is gone."""
        self._open.discard(guard)
        if not self._open:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def abort(self) -> None:
        """Drop what is open; `lost` follows."""
        for guard in list(self._open):
            guard.abortConnection()

    async def closed(self) -> None:
        """Wait until nothing is open: what is not closed by then is aborted after `LINGER`."""
        linger = self._reactor.callLater(LINGER, self.abort)
        try:
            await self._until_closed()
        except CancelledError:  # nobody wants to wait for good order
            self.abort()
            await self._until_closed()
        finally:
            if linger.active():
                linger.cancel()

    def _until_closed(self) -> Deferred[None]:
        if not self._open:
            return succeed(None)
        deferred: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(deferred)
        return deferred


class _Guard(ProtocolWrapper):
    """Stands between the HTTP client protocol and its transport, and reports to the wire."""

    factory: _GuardFactory

    def makeConnection(self, transport: Any) -> None:  # noqa: N802
        self.factory.wire.opened(self)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.factory.wire.admit(len(data)):
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.factory.wire.lost(self)


class _GuardFactory(WrappingFactory[_Guard]):
    noisy = False
    protocol = _Guard

    def __init__(self, wrapped: IProtocolFactory, wire: Wire) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.wire = wire


@implementer(IStreamClientEndpoint)
class _GuardedEndpoint:
    """An endpoint whose connections are watched by the wire."""

    def __init__(self, endpoint: IStreamClientEndpoint, wire: Wire) -> None:
        self._endpoint = endpoint
        self._wire = wire

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        guarded = cast(IProtocolFactory, _GuardFactory(factory, self._wire))
        return self._endpoint.connect(guarded).addCallback(lambda guard: cast(_Guard, guard).wrappedProtocol)


@implementer(IAgentEndpointFactory)
class _GuardedEndpoints:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802
        return cast(IStreamClientEndpoint, _GuardedEndpoint(self._wire.endpoint_for(uri), self._wire))


@implementer(IAgent)
class StrictAgent:
    """Sees an answer's head before treq does, and refuses what treq would hide or take in whole."""

    def __init__(self, reactor: Any, wire: Wire, max_bytes: int) -> None:
        self._agent = Agent.usingEndpointFactory(reactor, _GuardedEndpoints(wire))  # its pool keeps nothing
        self._max_bytes = max_bytes

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """Issue a request (`IAgent.request`); fails with `FetchError` for a head that is refused."""
        own = Headers() if headers is None else headers.copy()
        own.setRawHeaders(b"accept-encoding", [b"identity"])  # treq's decoder has asked for gzip
        response: Deferred[IResponse] = self._agent.request(method, uri, own, bodyProducer)
        return response.addCallback(self._check)

    def _check(self, response: IResponse) -> IResponse:
        for value in response.headers.getRawHeaders(b"content-encoding", []):
            if value.strip().lower() != b"identity":
                raise FetchError("encoding", "the answer has a Content-Encoding")
        if response.length is not UNKNOWN_LENGTH and response.length > self._max_bytes:
            raise too_large(self._max_bytes)
        return response


@implementer(IBodyProducer)
class BytesProducer:
    """A request's body, written at once; treq's own producer runs on the global reactor."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        """Nothing is produced after the start."""

    def resumeProducing(self) -> None:  # noqa: N802
        """Nothing is produced after the start."""

    def stopProducing(self) -> None:  # noqa: N802
        """Nothing is produced after the start."""
