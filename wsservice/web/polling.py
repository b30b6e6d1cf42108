"""Engine.IO's long-polling: GET waits for what the server has to say, POST brings what the client has.

Everything about a session is decided by its `Client`; here its requests are checked, its bodies read within bounds,
and its answers written. SOCKETIO.md sections 1.3, 1.6 and 1.10.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.clients.client import Client
from wsservice.clients.table import Clients
from wsservice.engineio.packet import ParseError, count_messages
from wsservice.engineio.query import BadRequest, Forbidden, RequestError, UnknownSid, read_query
from wsservice.engineio.states import SessionError
from wsservice.errors import AuthenticationError, HandshakeError, OriginNotAllowed, Stopping
from wsservice.handshake import Handshake
from wsservice.headers import Headers
from wsservice.peers.heads import ASKS_LIMIT, LIMIT, LOST, NOTE
from wsservice.peers.sids import Owner
from wsservice.web.answers import (
    Answer,
    RequestRefused,
    empty_answer,
    error_answer,
    not_allowed,
    not_found,
    too_large,
)
from wsservice.web.compression import THRESHOLD, choose_coding, compress
from wsservice.web.passing import PassedUpload, Passing
from wsservice.web.request import WsRequest
from wsservice.web.short_way import PollRequest
from wsservice.web.uploads import Upload

if TYPE_CHECKING:
    from wsservice.auth.authenticator import Authenticator

#: see `PollingSettings`
UPLOAD_TIMEOUT = 30.0
_NO_STORE = (b"Cache-Control", b"no-store")
_TEXT = (b"Content-Type", b"text/plain; charset=UTF-8")
_METHODS = "GET, OPTIONS, POST"


@dataclass(frozen=True, slots=True)
class PollingSettings:
    """How long-polling answers.

    Attributes:
        compression: whether larger bodies are compressed for those who accept it.
        cookie: the line of the sticky cookie for a sid; None where there is none.
        upload_timeout: seconds for the body of a POST, which may be a megabyte on a slow line.
    """

    compression: bool = True
    cookie: Callable[[str], str] | None = None
    upload_timeout: float = UPLOAD_TIMEOUT


class PollingUpload(Upload):
    """The body of one POST, from its head on: `Client.post_begins` has been told, or it is refused.

    Attributes:
        refusal: why the request is refused once its body is here.
    """

    def __init__(
        self,
        limit: int,
        client: Client | None = None,
        refusal: RequestError | SessionError | None = None,
        *,
        timeout: float = UPLOAD_TIMEOUT,
        headers: Headers = (),
    ) -> None:
        super().__init__(limit, timeout, is_kept=refusal is None, headers=headers)
        self.refusal = refusal
        self._client = client

    def lost(self) -> None:
        """The body will not come: aborted, too slow, or too large."""
        client = self.take()
        if client is not None:
            client.post_lost()

    def take(self) -> Client | None:
        """The client whose body it is, once."""
        client, self._client = self._client, None
        return client


class PollingResource(Resource):
    """The Socket.IO path, for everything that is no WebSocket.

    Args:
        clients: the sessions.
        authenticator: who decides on the request that begins one.
        passing: for the sessions of other nodes; None where there are none, and where others pass theirs on to us.
        gate: raises `RequestError` for who may not come here at all.
    """

    isLeaf = True

    def __init__(
        self,
        clients: Clients,
        authenticator: Authenticator,
        origins: OriginPolicy,
        settings: PollingSettings,
        *,
        passing: Passing | None = None,
        gate: Callable[[Handshake], None] | None = None,
    ) -> None:
        super().__init__()
        self._passing = passing
        self._gate = gate
        self._clients = clients
        self._authenticator = authenticator
        self._origins = origins
        self._settings = settings

    @property
    def max_body(self) -> int:
        """Bytes of a POST."""
        return self._clients.settings.engine.max_payload

    def open_upload(self, handshake: Handshake) -> Upload:
        """The head of a POST arrived: what may come behind it."""
        limit, timeout = self.max_body, self._settings.upload_timeout
        cors = self._cors(handshake)
        try:
            client = self._clients.get(self._check(handshake))
            assert client is not None  # a POST without a session is refused
            if self._gate is not None and handshake.header(NOTE) == LOST:
                client.answer_lost(client.answered)
            client.post_begins()
        except (RequestError, SessionError) as error:
            owner = self._owner(handshake, error)
            if owner is not None and self._passing is not None:
                least = min(limit, self._clients.settings.max_unknown)
                return self._passing.upload(handshake, owner, least=least, limit=limit, timeout=timeout, headers=cors)
            return PollingUpload(limit, refusal=error, timeout=timeout, headers=cors)
        return PollingUpload(client.max_message, client, timeout=timeout, headers=cors)

    def render(self, request: WsRequest) -> int:
        """Answer, now or later."""
        if any(request.postpath or ()):
            request.is_quiet = True
            self._refuse_session(request, not_found())
        else:
            self.answer(request)
        return NOT_DONE_YET

    def answer(self, request: PollRequest) -> None:
        """Answer a request of the path itself."""
        handshake = request.handshake
        request.is_quiet = True  # two a message would drown the log
        try:
            if handshake.method == "OPTIONS":
                fixed = ((b"Allow", _METHODS.encode()), *self._preflight(handshake))
                request.send(empty_answer((*fixed, *self._limit(handshake))))
            elif isinstance(request.upload, PollingUpload):
                self._post(request, request.upload)
            elif isinstance(request.upload, PassedUpload):
                self._pass_on(request, request.upload.owner)
            else:
                self._get(request)
        except RequestError as error:
            owner = self._owner(handshake, error)
            if owner is not None and handshake.method == "GET":
                self._pass_on(request, owner)
            else:
                self._refuse(request, error.http_status, error)
        except SessionError as error:
            self._refuse(request, 400, error)
        except ParseError:
            self._refuse(request, 400, BadRequest(), "parse_error")
        except (RequestRefused, HandshakeError) as error:
            self._refuse_session(request, error)

    def _get(self, request: PollRequest) -> None:
        client = self._clients.get(self._check(request.handshake))
        if client is not None and request.handshake.method != "GET":
            raise not_allowed(_METHODS)
        if client is not None:
            self._poll(request, client)
        elif self._clients.draining:
            raise Stopping("a session begins")
        else:
            self._begin(request)

    def _check(self, handshake: Handshake) -> str:
        """The sid of a good request, empty where a session begins.

        Raises:
            RequestError: see its classes.
        """
        if self._gate is not None:
            self._gate(handshake)
        try:
            self._authenticator.check_origin(handshake)
        except OriginNotAllowed:
            raise Forbidden from None
        is_upgrade = (handshake.header("upgrade") or "").lower() == "websocket"
        query = read_query(
            handshake.query,
            self._clients.settings.engine,
            method=handshake.method,
            is_upgrade=is_upgrade,
            knows=self._clients,
        )
        if query.transport != "polling":  # an upgrade by another method than GET
            raise BadRequest
        return query.sid

    def _limit(self, handshake: Handshake) -> Headers:
        """For a peer that asks how large a body of the client may be."""
        if self._gate is None or handshake.header(NOTE) != ASKS_LIMIT:
            return ()
        self._gate(handshake)
        client = self._clients.get(handshake.query.get("sid", ""))
        return () if client is None else ((LIMIT, b"%d" % client.max_message),)

    def _owner(self, handshake: Handshake, error: Exception) -> Owner | None:
        """The other node to which a request belongs that was refused for its sid."""
        if self._passing is None or not isinstance(error, UnknownSid):
            return None
        return self._passing.owner(handshake.query["sid"])

    def _pass_on(self, request: PollRequest, owner: Owner) -> None:
        assert self._passing is not None
        body = request.body() if request.handshake.method == "POST" else b""
        self._passing.pass_on(request, owner, body, partial(self._refuse_passed, request))

    def _refuse_passed(self, request: PollRequest, error: Exception) -> None:
        """Refuse a request that could not be passed on."""
        if isinstance(error, RequestError):
            self._refuse(request, error.http_status, error)
        elif isinstance(error, HandshakeError):
            self._refuse_session(request, error)

    def _begin(self, request: PollRequest) -> None:
        """A new session, for whomever the cookie speaks; a refusal is told when it asks for a namespace."""
        deciding: Deferred[Principal] = self._authenticator.authenticate(request.handshake)
        request.on_gone(deciding.cancel)
        deciding.addCallbacks(lambda principal: principal, _only_refusals)
        deciding.addCallback(self._started, request)
        deciding.addErrback(self._not_started, request)

    def _started(self, speaker: Principal | AuthenticationError, request: PollRequest) -> None:
        if request.gone:
            return
        if self._clients.draining:  # since the token began to be checked
            self._refuse_session(request, Stopping("a session begins"))
            return
        admission = self._clients.admission
        refusal = None if admission is None else admission.admit(request.handshake.peer)
        if refusal is not None:
            self._refuse_session(request, refusal)
            return
        client = self._clients.prepare(request.handshake, speaker)
        headers: Headers = ()
        if self._settings.cookie is not None:
            headers = ((b"Set-Cookie", self._settings.cookie(client.sid).encode("ascii")),)
        self._poll(request, client, headers)

    def _not_started(self, failure: Failure, request: PollRequest) -> None:
        if not failure.check(CancelledError):
            request.processingFailed(failure)

    def _poll(self, request: PollRequest, client: Client, headers: Headers = ()) -> None:
        waits = True

        def answer(body: bytes | None) -> None:
            nonlocal waits
            waits = False
            if body is None:
                self._refuse_session(request, Stopping("the session ends"))
                return
            client.answered = count_messages(body)
            request.on_lost(partial(client.answer_lost, client.answered))
            request.send(self._answer(request.handshake, body, headers))

        client.answered = 0
        client.open_poll(answer)
        if waits:
            request.on_gone(lambda: client.poll_lost() if waits else None)

    def _post(self, request: PollRequest, upload: PollingUpload) -> None:
        client = upload.take()
        if client is None:
            raise upload.refusal or BadRequest
        handshake = request.handshake
        if (handshake.header("content-type") or "").partition(";")[0].strip().lower() == "application/octet-stream":
            client.post_lost()
            raise BadRequest
        body = request.body()
        if len(body) > upload.limit:  # by the short way, which does not know the client
            client.post_lost()
            raise too_large(upload.limit)
        client.receive_post(
            body,
            handshake,
            lambda: request.send(Answer(200, b"ok", (_TEXT, _NO_STORE, *upload.headers))),
        )

    def _refuse_session(self, request: PollRequest, error: RequestRefused | HandshakeError) -> None:
        """Refuse in the form of the service's other errors, where Engine.IO has none of its own."""
        request.site.count_refusal(error)
        request.send(error_answer(error, request.handshake.request_id, self._cors(request.handshake)))

    def _answer(self, handshake: Handshake, body: bytes, headers: Headers) -> Answer:
        fixed = (_TEXT, _NO_STORE, *self._cors(handshake), *headers)
        if not self._settings.compression or len(body) < THRESHOLD:
            return Answer(200, body, fixed)
        fixed = (*fixed, (b"Vary", b"Accept-Encoding"))
        coding = choose_coding(handshake.header_values("accept-encoding"))
        if coding is None:
            return Answer(200, body, fixed)
        return Answer(200, compress(body, coding), (*fixed, (b"Content-Encoding", coding.encode())))

    def _refuse(
        self, request: PollRequest, status: int, error: RequestError | SessionError, word: str | None = None
    ) -> None:
        """Refuse in Engine.IO's words.

        Args:
            word: the reason by which it is counted, if not the error's own.
        """
        request.site.counters.add("polls_refused", word or error.word)
        body = msgspec.json.encode({"code": error.code, "message": error.message})
        headers = ((b"Content-Type", b"application/json"), _NO_STORE, *self._cors(request.handshake))
        request.send(Answer(status, body, headers))

    def _cors(self, handshake: Handshake) -> Headers:
        return _encode(self._origins.cors_headers(handshake))

    def _preflight(self, handshake: Handshake) -> Headers:
        """What an allowed page may send: any headers, such as a client's `extraHeaders`."""
        wanted = handshake.header("access-control-request-headers")
        return _encode(
            [
                (name, wanted if wanted and name == "Access-Control-Allow-Headers" else value)
                for name, value in self._origins.preflight_headers(handshake)
            ]
        )


def _only_refusals(failure: Failure) -> AuthenticationError:
    failure.trap(AuthenticationError)
    error = failure.value
    assert isinstance(error, AuthenticationError)
    return error.kept()


def _encode(headers: list[tuple[str, str]]) -> Headers:
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in headers)
