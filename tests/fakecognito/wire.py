"""Two ways to reach the fake: a site on a loopback socket, and a stand-in for `BoundedFetcher`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.fakecognito.service import Canned, Delay, FakeCognito, Hang, Reset
from wsservice.auth.fetch import FetchError, Response


class MemoryPoster:
    """Posts to the fake without a socket. A `Delay` is over when `release` is called; a `Hang` never is."""

    def __init__(self, fake: FakeCognito, url: str) -> None:
        self._fake = fake
        self._url = url
        self._delayed: list[tuple[Deferred[Response], Response]] = []
        self.refusals: list[str] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[Response]:
        """As `BoundedFetcher.post`; `refusals` are words of `FetchError` for the next requests."""
        assert url == self._url, url
        if self.refusals:
            return fail(FetchError(self.refusals.pop(0), "to order"))
        lower = {name.lower(): value for name, value in headers.items()}
        fault = self._fake.fault_for("POST", "/", lower)
        if isinstance(fault, Reset):
            return fail(FetchError("lost", "to order"))
        if isinstance(fault, Hang):
            return Deferred()
        canned = fault if isinstance(fault, Canned) else self._fake.answer("POST", url, lower, body, path="/")
        response = Response(canned.status, canned.headers, canned.body)
        if isinstance(fault, Delay):
            self._delayed.append((Deferred(), response))
            return self._delayed[-1][0]
        return succeed(response)

    def release(self) -> None:
        """Let every delayed answer arrive."""
        delayed, self._delayed = self._delayed, []
        for deferred, response in delayed:
            deferred.callback(response)


class _FakeResource(Resource):
    isLeaf = True

    def __init__(self, fake: FakeCognito, reactor: Any) -> None:
        super().__init__()
        self._fake = fake
        self._reactor = reactor

    def render(self, request: Request) -> int:
        method, path = request.method.decode(), request.path.decode()
        headers = {
            name.decode().lower(): values[-1].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        body = request.content.read()
        fault = self._fake.fault_for(method, path, headers)
        if isinstance(fault, Reset):
            self._reset(request, fault)
        elif not isinstance(fault, Hang):
            url = f"http://{headers['host']}{request.uri.decode()}"
            answer = fault if isinstance(fault, Canned) else self._fake.answer(method, url, headers, body, path=path)
            if isinstance(fault, Delay):
                late = self._reactor.callLater(fault.seconds, self._send, request, answer)
                request.notifyFinish().addErrback(lambda _: late.active() and late.cancel())
            else:
                self._send(request, answer)
        return NOT_DONE_YET

    def _send(self, request: Request, answer: Canned) -> None:
        request.setResponseCode(answer.status)
        for name, value in answer.headers.items():
            request.setHeader(name, value)
        request.setHeader("content-length", str(len(answer.body)))
        request.write(answer.body)
        request.finish()

    def _reset(self, request: Request, fault: Reset) -> None:
        if fault.after:
            request.setHeader("content-length", str(len(fault.after) + 100))
            request.write(fault.after)
            request.transport.loseConnection()
        else:
            request.transport.abortConnection()


class _Connections(WrappingFactory):
    """Knows the open connections, so that none outlives the test: boto3 keeps its own alive."""

    noisy = False

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._closed: Deferred[None] | None = None

    def close(self) -> Deferred[None]:
        """Abort what is open; fires when all is gone."""
        self._closed = Deferred()
        for protocol in list(self.protocols):
            protocol.abortConnection()
        self._fire()
        return self._closed

    def unregisterProtocol(self, protocol: ProtocolWrapper) -> None:
        super().unregisterProtocol(protocol)
        self._fire()

    def _fire(self) -> None:
        if self._closed is not None and not self._closed.called and not self.protocols:
            self._closed.callback(None)


class FakeSite:
    """The fake on a free port of the loopback interface."""

    def __init__(self, fake: FakeCognito, reactor: Any) -> None:
        site = Site(_FakeResource(fake, reactor))
        site.noisy = False
        self._connections = _Connections(site)
        self._port: IListeningPort = reactor.listenTCP(0, self._connections, interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self._port.getHost().port}"

    async def _stop(self) -> None:
        await maybeDeferred(self._port.stopListening)
        await self._connections.close()

    def stop(self) -> Deferred[None]:
        """Close the port and every connection; fires when both are gone; for `addCleanup`."""
        return Deferred.fromCoroutine(self._stop())
