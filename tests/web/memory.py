"""A browser in memory: speaks bytes with a site's protocol, on a Clock, and keeps cookies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http.cookies import SimpleCookie
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from zope.interface import alsoProvides

from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import Challenge, KeySource, Tokens
from wsservice.auth.providers.dev import FixedKeySet
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.counters import Counters
from wsservice.errors import ProviderUnavailable
from wsservice.messages import EndUser
from wsservice.testing import Issuer
from wsservice.web.answers import Answer, json_answer
from wsservice.web.limits import Limits
from wsservice.web.request import WsRequest, WsSite
from wsservice.web.resource import Branch, JsonResource

HOST = "chat.example"


class Response(NamedTuple):
    """One answer, taken apart."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The only value of a header."""
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The word of an error."""
        word: str = self.json["error"]
        return word


class MemoryTransport(StringTransport):
    """Remembers how it was closed; `drop` is what the reactor would do then."""

    protocol: Any

    def __init__(self, peer: str, secure: bool) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 40000))
        alsoProvides(self, *([ISSLTransport] if secure else [ITCPTransport]))
        self.ended: str | None = None
        self.is_lost = False
        #: bytes that wait for a client that does not read
        self.unsent = 0

    def setTcpNoDelay(self, enabled: bool) -> None:
        """What a TCP transport has."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def resumeProducing(self) -> None:
        self.producerState = "producing"

    def loseConnection(self) -> None:
        self.disconnecting = True
        self.ended = self.ended or "closed"

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.ended = "aborted"

    def drop(self, reason: Exception | None = None) -> None:
        """The connection is gone."""
        if not self.is_lost:
            self.is_lost = True
            default = ConnectionAborted() if self.ended == "aborted" else ConnectionDone()
            self.protocol.connectionLost(Failure(reason or default))


class Client:
    """One connection to a site."""

    def __init__(self, site: Any, *, peer: str = "192.0.2.7", secure: bool = False) -> None:
        self.transport = MemoryTransport(peer, secure)
        self.channel: Any = site.buildProtocol(self.transport.getPeer())
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    @property
    def ended(self) -> str | None:
        """None, `closed` or `aborted`: what the service did to the connection."""
        return self.transport.ended

    def send(self, data: bytes) -> None:
        """Bytes arrive, as one segment."""
        self.transport.protocol.dataReceived(data)

    def received(self, *methods: str) -> list[Response]:
        """The answers that have come, taken out; `methods` of their requests, where one was HEAD."""
        data = self.transport.value()
        self.transport.clear()
        expected = iter(methods)
        answers = []
        while data:
            answer, data = _parse(data, next(expected, "GET"))
            answers.append(answer)
        return answers

    def answer(self, method: str = "GET") -> Response:
        """The one answer that has come."""
        (answer,) = self.received(method)
        return answer

    def disconnect(self) -> None:
        """The client goes away."""
        self.transport.drop(ConnectionLost())


class Browser:
    """Sends each request on a connection of its own, with the cookies that it has.

    Args:
        origin: what it says in `Origin` with a POST; None: it is no browser.
    """

    def __init__(
        self, site: WsSite, *, peer: str = "192.0.2.7", secure: bool = True, origin: str | None = f"https://{HOST}"
    ) -> None:
        self.site = site
        self.peer = peer
        self.secure = secure
        self.origin = origin
        #: (name, path) -> value
        self.jar: dict[tuple[str, str], str] = {}

    def begin(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str | None = "application/json",
    ) -> Client:
        """Send a request; its answer may take longer."""
        client = Client(self.site, peer=self.peer, secure=self.secure)
        client.send(self.head(method, path, body, headers=headers, content_type=content_type))
        return client

    def head(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str | None = "application/json",
    ) -> bytes:
        """A whole request; a body that is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}"]
        if self.origin is not None and method == "POST":
            lines.append(f"Origin: {self.origin}")
        if method == "POST" and content_type is not None:
            lines.append(f"Content-Type: {content_type}")
        cookies = [f"{name}={value}" for (name, at), value in self.jar.items() if path.startswith(at)]
        if cookies:
            lines.append(f"Cookie: {'; '.join(cookies)}")
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(content)}", "", ""]
        return "\r\n".join(lines).encode() + content

    def keep(self, answer: Response) -> Response:
        """Take over the cookies of an answer."""
        for line in answer.all("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                key = (name, morsel["path"])
                if morsel["max-age"] == "0":
                    self.jar.pop(key, None)
                else:
                    self.jar[key] = morsel.value
        return answer

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> Response:
        """A request that is answered at once."""
        return self.keep(self.begin(method, path, body, **options).answer(method))

    def post(self, path: str, body: Any = None, **options: Any) -> Response:
        """A POST of JSON."""
        return self.request("POST", path, {} if body is None else body, **options)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie, at whatever path."""
        return next((value for (key, _), value in self.jar.items() if key == name), None)


class LogCapture:
    """The events of the log; take it by `with`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> LogCapture:
        globalLogPublisher.addObserver(self.events.append)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self.events.append)

    def named(self, beginning: str) -> list[dict[str, Any]]:
        """The events whose format begins so."""
        return [event for event in self.events if (event.get("log_format") or "").startswith(beginning)]


class ScriptedProvider(OidcProvider):
    """Verifies a test issuer's tokens; login and the like answer what the test puts into `script`."""

    can_login = True

    def __init__(self, issuer: Issuer, now: Callable[[], float], keys: KeySource | None = None) -> None:
        super().__init__(keys or FixedKeySet(issuer.key()), issuer.rules(), now=now)
        self.calls: list[tuple[Any, ...]] = []
        #: the results of the next calls, in order
        self.script: list[Deferred[Any] | Exception | Tokens | Challenge | None] = []

    def login(self, username: str, password: str) -> Deferred[Tokens | Challenge]:
        return self._next("login", username, password)

    def answer(self, challenge: Challenge, responses: dict[str, str]) -> Deferred[Tokens | Challenge]:
        return self._next("answer", challenge, responses)

    def refresh(self, refresh_token: str, username: str | None) -> Deferred[Tokens]:
        return self._next("refresh", refresh_token, username)

    def revoke(self, refresh_token: str) -> Deferred[None]:
        return self._next("revoke", refresh_token)

    def sign_out(self, token: str, refresh_token: str | None, username: str | None) -> Deferred[None]:
        return self._next("sign_out", token, refresh_token, username)

    def _next(self, *call: Any) -> Deferred[Any]:
        self.calls.append(call)
        result = self.script.pop(0) if self.script else ProviderUnavailable("nothing in the script")
        if isinstance(result, Deferred):
            return result
        answered: Deferred[Any] = Deferred()
        if isinstance(result, Exception):
            answered.errback(result)
        else:
            answered.callback(result)
        return answered


class RecordedSessions:
    """What happened to sessions, in order."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    def renew(self, principal: Principal) -> None:
        self.steps.append(("renew", principal.session))

    def end(self, principal: Principal) -> None:
        self.steps.append(("end", principal.session))

    def end_all(self, principal: Principal) -> EndUser:
        self.steps.append(("end_all", principal.id))
        return EndUser(principal.id, 0.0, 0.0)

    def keep_ended(self, message: EndUser, seconds: float) -> None:
        self.steps.append(("keep_ended", message.user))


ORIGINS = ("https://app.example",)


def make_origins() -> OriginPolicy:
    """The service's own origin and one more."""
    return OriginPolicy(ORIGINS)


class Bench:
    """A site with a few resources, for what does not depend on any.

    `/hello` answers at once, `/later` when the test fires `later`, `/echo` gives a body back, `/broken` raises.
    """

    def __init__(self, limits: Limits | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.later: list[Deferred[Answer]] = []
        root = Branch()
        for name, handlers in (
            (b"hello", {"GET": lambda request: json_answer(200, {"hello": "world"})}),
            (b"health", {"GET": lambda request: json_answer(200, {"status": "ok"})}),
            (b"later", {"GET": self._wait, "POST": self._wait}),
            (b"echo", {"POST": lambda request: json_answer(200, {"body": request.content.read().decode("latin-1")})}),
            (b"broken", {"GET": self._break}),
        ):
            root.putChild(name, JsonResource(handlers))
        self.root = root
        self.site = WsSite(root, clock=self.clock, counters=self.counters, limits=limits, **options)

    def mount(self, path: bytes, resource: IResource) -> None:
        """Add a resource."""
        self.root.putChild(path, resource)

    def connect(self, **options: Any) -> Client:
        """A new connection."""
        return Client(self.site, **options)

    def get(self, path: str, *headers: str, method: str = "GET") -> Response:
        """One request on a connection of its own."""
        client = self.connect()
        client.send(head(path, *headers, method=method))
        return client.answer(method)

    def _wait(self, request: WsRequest) -> Deferred[Answer]:
        self.later.append(Deferred())
        return self.later[-1]

    def _break(self, request: WsRequest) -> Answer:
        raise RuntimeError("SECRET-INTERNAL")


def head(path: str, *headers: str, method: str = "GET") -> bytes:
    """A request head with a Host."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {HOST}", *headers, "", ""]).encode("latin-1")


def _parse(data: bytes, method: str) -> tuple[Response, bytes]:
    """Take one answer from the front."""
    top, blank, rest = data.partition(b"\r\n\r\n")
    assert blank, f"half an answer: {data!r}"
    status_line, *lines = top.decode("latin-1").split("\r\n")
    version, status, reason = status_line.split(" ", 2)
    assert version in ("HTTP/1.1", "HTTP/1.0"), status_line
    pairs = [line.partition(": ") for line in lines]
    headers = [(name, value) for name, _, value in pairs]
    answer = Response(int(status), reason, headers, b"")
    if method == "HEAD" or answer.status in (204, 304):
        return answer, rest
    length = int(answer.header("content-length") or "-1")
    assert 0 <= length <= len(rest), (length, rest)
    return answer._replace(body=rest[:length]), rest[length:]
