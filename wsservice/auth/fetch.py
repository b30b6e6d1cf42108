"""HTTP requests to the identity provider that a hostile or broken answer cannot make expensive.

treq alone follows redirects, inflates gzip whatever was asked for (and hides the header), bounds the
time only up to the answer's head, and leaves the socket open when a read is given up. So each request
here runs on an agent of our own under treq, one that sees the answer before treq does, and on a
connection of its own, which is watched:

    BoundedFetcher -> treq HTTPClient -> StrictAgent -> twisted's Agent -> Wire (counts, aborts) -> TLS, TCP

The Deferred of a request fires when its connection is gone: afterwards nothing is left behind.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import treq
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.web.client import BrowserLikePolicyForHTTPS, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS

from wsservice.auth.strict_agent import BytesProducer, FetchError, StrictAgent, Wire, too_large

__all__ = ["DEFAULT_MAX_BYTES", "DEFAULT_TIMEOUT", "BoundedFetcher", "FetchError", "Response", "check_url"]

#: seconds for a whole exchange, connecting and the body included
DEFAULT_TIMEOUT = 5.0
#: bytes of an answer's body; a JWKS of Cognito has about 900
DEFAULT_MAX_BYTES = 256 * 1024
#: bytes on the wire beyond the body: the head and chunk sizes; precedent: twisted.web's own bound for a head
HEAD_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of any status; `headers` by lower-case name, repeated ones joined by a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def check_url(url: str, *, allow_http: bool = False) -> None:
    """Refuse a URL that must not be fetched: anything but https, except http on a loopback host.

    Args:
        allow_http: let http pass to any host (the keys, and so every login, are then the network's to forge).

    Raises:
        ValueError: the text names the fix.
    """
    parts = urlsplit(url)
    _ = parts.port  # ValueError for a port that is none
    if not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("not a URL like https://host/path (ASCII, without spaces)")
    if parts.username is not None:
        raise ValueError("a URL must not hold a user name or password")
    if parts.scheme == "https" or (parts.scheme == "http" and (allow_http or _is_loopback(parts.hostname))):
        return
    raise ValueError(f"{url!r} is not https: use an https URL (plain http is accepted for loopback hosts only)")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class BoundedFetcher:
    """GET and POST with every bound of AUTH.md, "The keys"; one instance serves any number of requests.

    Redirects are not followed, a Content-Encoding is refused, certificates are verified, cookies are
    neither kept nor sent, connections are not reused. Cancelling a request's Deferred aborts its connection.

    Args:
        reactor: connects, resolves names and keeps the time.
        timeout: seconds for a whole request, body included.
        max_bytes: of an answer's body.
        allow_http: see `check_url`.
        tls_policy: how certificates are verified; the platform's trust store by default.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_http: bool = False,
        tls_policy: IPolicyForHTTPS | None = None,
    ) -> None:
        self._reactor = reactor
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._allow_http = allow_http
        self._tls_policy = tls_policy or cast(IPolicyForHTTPS, BrowserLikePolicyForHTTPS())

    def check(self, url: str) -> None:
        """Raise `ValueError` for a URL that `get` and `post` would refuse; for use at start."""
        check_url(url, allow_http=self._allow_http)

    def get(self, url: str) -> Deferred[bytes]:
        """Fire with the body of a 200; fails with `FetchError` (or `ValueError`, see `check_url`)."""
        request = self._bounded("GET", url, {}, b"", only_ok=True)
        return Deferred.fromCoroutine(request).addCallback(lambda response: response.body)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[Response]:
        """Fire with the answer, whatever its status (redirects too); fails with `FetchError`."""
        return Deferred.fromCoroutine(self._bounded("POST", url, headers, body, only_ok=False))

    async def _bounded(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, only_ok: bool
    ) -> Response:
        """Run an exchange within the time, then see its connection off."""
        self.check(url)
        wire = Wire(self._reactor, self._tls_policy, self._max_bytes + HEAD_BYTES)
        exchange = Deferred.fromCoroutine(self._exchange(wire, method, url, headers, body, only_ok))
        try:
            response = await exchange.addTimeout(self._timeout, self._reactor, onTimeoutCancel=_too_late)
        except Exception as error:
            wire.abort()
            await wire.closed()
            explained = _explain(error, wire)
            if explained is error:
                raise
            raise explained from error
        await wire.closed()
        return response

    async def _exchange(
        self, wire: Wire, method: str, url: str, headers: Mapping[str, str], body: bytes, only_ok: bool
    ) -> Response:
        """Send the request and read the whole answer; bounded by the caller."""
        agent = cast(IAgent, StrictAgent(self._reactor, wire, self._max_bytes))
        client = HTTPClient(agent, data_to_body_producer=BytesProducer)  # a new one each time: no cookies
        response = await client.request(
            method,
            url,
            headers=Headers({name: [value] for name, value in headers.items()}),
            data=body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        if only_ok and response.code != 200:
            redirect = 300 <= response.code < 400
            raise FetchError("redirect" if redirect else "status", f"the answer's status is {response.code}")
        content = bytearray()

        def collect(data: bytes) -> None:
            content.extend(data)
            if len(content) > self._max_bytes:
                raise too_large(self._max_bytes)

        await treq.collect(cast(Any, response), collect)
        if wire.overflowed:  # a body without a length ends with the connection, cut or not
            raise too_large(self._max_bytes)
        return Response(response.code, _joined(response.headers), bytes(content))


def _joined(headers: Headers) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): ", ".join(value.decode("latin-1") for value in values)
        for name, values in headers.getAllRawHeaders()
    }


def _too_late(_result: object, timeout: float) -> Any:
    raise FetchError("timeout", f"no whole answer within {timeout:g} s")


def _explain(error: Exception, wire: Wire) -> Exception:
    """Say in one word what the layers below reported in many classes; a bug stays what it is."""
    causes = list(_causes(error))
    if wire.overflowed:
        return FetchError("too_large", "the answer is larger than the bound, its head included")
    for cause in causes:
        if isinstance(cause, (FetchError, CancelledError)):
            return cause
        if isinstance(cause, (SSL.Error, VerificationError, CertificateError)):
            return FetchError("tls", f"{type(cause).__name__}: {cause}")
    if isinstance(error, (ConnectError, OSError)):  # OSError: no such host
        return FetchError("refused", f"no connection: {error}")
    if any(isinstance(cause, ConnectionClosed) for cause in causes):
        return FetchError("lost", "the connection ended before the whole answer was there")
    if isinstance(error, ResponseFailed):
        return FetchError("malformed", f"the answer is not HTTP: {type(causes[-1]).__name__}")
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside an exception of twisted.web, which carries Failures in `reasons`."""
    yield error
    for reason in getattr(error, "reasons", None) or ():
        yield from _causes(reason.value)
