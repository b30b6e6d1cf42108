"""Socket.IO over WebSocket: where a session begins on one, and where one on long-polling moves to one.

The handshake of a request without `sid` is authenticated, and a refusal is told by the session itself, when the
client asks for a namespace. With `sid` nothing is authenticated anew: the id is the secret, and only a session on
long-polling listens to it. What a query has wrong is answered before the 101, in Engine.IO's words; but an id whose
session is elsewhere gets its 101 and is then closed, which stock clients take better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsservice import close_codes
from wsservice.clients.client import Client
from wsservice.clients.secret_ids import make_secret
from wsservice.clients.table import Clients
from wsservice.clients.wires import message_frame
from wsservice.close_codes import CloseCode
from wsservice.engineio.query import BadRequest, Forbidden, RequestError, read_query
from wsservice.engineio.session import TRANSPORT_CLOSE, TRANSPORT_ERROR
from wsservice.errors import AuthenticationError
from wsservice.frames import PLAIN, Framing
from wsservice.handshake import Handshake, Network
from wsservice.headers import security_headers
from wsservice.transports.deflate import framing_of
from wsservice.transports.opening import OpeningFactory, OpeningProtocol
from wsservice.transports.refusals import http_answer
from wsservice.transports.slim import HANDLERS

if TYPE_CHECKING:
    from wsservice.auth.authenticator import Authenticator

log = Logger()


class SocketIoFactory(OpeningFactory):
    """Makes the protocols of the Socket.IO path, and knows those that are open.

    Args:
        clients: where their sessions are.
        max_fragments: frames of a message; more close 1008.
        cookie: the line of the sticky cookie for a sid, or None where there is none.
        gate: raises `RequestError` for who may not come here at all.
        unread_timeout: seconds in which a client must take something of what was sent before its close.
    """

    def __init__(
        self,
        clients: Clients,
        authenticator: Authenticator,
        *,
        clock: IReactorTime,
        trusted_proxies: tuple[Network, ...] = (),
        compression: bool = False,
        max_fragments: int = 131_072,
        cookie: Any = None,
        gate: Callable[[Handshake], None] | None = None,
        unread_timeout: float = 10.0,
    ) -> None:
        size = clients.settings.engine.max_payload
        super().__init__(
            SocketIoProtocol,
            authenticator=authenticator,
            counters=clients.hub.counters,
            clock=clock,
            trusted_proxies=trusted_proxies,
            compression=compression,
            options={
                "maxMessagePayloadSize": size,
                "maxFramePayloadSize": size,
                "max_fragments": max_fragments,
                "max_backlog": clients.settings.max_queue,
                "max_backlog_messages": clients.settings.max_queue_messages,
                "patience": clients.hub.pause_timeout,
                "traffics": clients.hub.traffics,
                "unread_timeout": unread_timeout,
            },
        )
        self.clients = clients
        self.cookie = cookie
        self.gate = gate


class SocketIoProtocol(OpeningProtocol):
    """One WebSocket of a Socket.IO client; `Client` calls it a socket."""

    __slots__ = ("_client", "_new_sid", "_sid", "framing")

    factory: SocketIoFactory
    framing: Framing
    ping_frame = message_frame("2", PLAIN)

    def __init__(self) -> None:
        super().__init__()
        self._client: Client | None = None
        #: of the query
        self._sid = ""
        #: of a session that begins here, where its cookie had to be made
        self._new_sid: str | None = None

    def check_handshake(self, handshake: Handshake) -> bytes | None:
        """What Engine.IO asks of the query, before the 101."""
        clients = self.factory.clients
        try:
            if self.factory.gate is not None:
                self.factory.gate(handshake)
            query = read_query(
                handshake.query, clients.settings.engine, method=handshake.method, is_upgrade=True, knows=clients
            )
        except RequestError as error:
            self._word = error.word
            return self._answer_of(error, handshake.request_id)
        self._sid = query.sid
        return None

    def refusal(self, code: int, request_id: str) -> bytes:
        """In Engine.IO's words where it has them."""
        if code == Forbidden.http_status:
            return self._answer_of(Forbidden(), request_id)
        if code == BadRequest.http_status:
            return self._answer_of(BadRequest(), request_id)
        return super().refusal(code, request_id)

    def _answer_of(self, error: RequestError, request_id: str) -> bytes:
        """A whole HTTP answer in Engine.IO's form."""
        body = msgspec.json.encode({"code": error.code, "message": error.message})
        secure, host = self.origin_of(self._handshake)
        headers = security_headers(secure=secure, host=host)
        return http_answer(error.http_status, body, "application/json", request_id=request_id, headers=headers)

    def onConnect(self, request: Handshake) -> Deferred[tuple[tuple[str, str], ...] | None] | None:
        """Authenticate where a session begins."""
        if self._sid:
            return None
        decided = super().onConnect(request)
        if self.factory.cookie is None:
            return decided
        self._new_sid = sid = make_secret()
        headers = (("Set-Cookie", self.factory.cookie(sid)),)
        return succeed(headers) if decided is None else decided.addCallback(lambda _: headers)

    @property
    def user_id(self) -> str | None:
        """Whom the client speaks for."""
        return None if self._client is None else self._client.namespaces.user_id

    def opened(self, handshake: Handshake) -> None:
        """Begin a session, or try to move one here."""
        clients = self.factory.clients
        self.framing = framing_of(self._perMessageCompress)
        self.watch_transport()
        self._handshake = None
        if self._sid:
            client = clients.get(self._sid)
            if client is None or not client.begin_probe(self):
                self.factory.counters.add("handshakes", "session_elsewhere")
                self.close(CloseCode.POLICY_VIOLATION, "Session elsewhere")
            else:
                self._client = client
                self._bound_messages()
            return
        speaker: Any = self._principal or self._refusal or AuthenticationError("no principal")
        self._principal = None
        self.factory.counters.add("handshakes", getattr(speaker, "word", "ok"))
        self._client = client = clients.prepare(handshake, speaker, socket=self, sid=self._new_sid)
        self._bound_messages()
        client.begin()

    def identified(self) -> None:
        """It is known now whom the client speaks for."""
        super().identified()
        self._bound_messages()

    def _bound_messages(self) -> None:
        """Set what a message may have; the class has it for those who are known, as most are from the start."""
        own: dict[str, Any] = self.__dict__
        for name in ("maxMessagePayloadSize", "maxFramePayloadSize"):
            own.pop(name, None)
            if self._client is not None and self._client.max_message < getattr(self, name):
                own[name] = self._client.max_message

    def received(self, message: str | bytes, size: int) -> None:
        """One message of the client; a fault of ours ends this client only."""
        client = self._client
        if client is None:  # its session is elsewhere
            if isinstance(message, bytes) or message.startswith("4"):
                self.factory.counters.add("events_dropped", "closing")
            return
        try:
            client.receive(self, message)
        except Exception:
            log.failure("a Socket.IO client failed")
            self.factory.counters.add("internal_errors")
            client.end(close_codes.INTERNAL, code=CloseCode.INTERNAL_ERROR)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The WebSocket is gone."""
        client, self._client = self._client, None
        if client is not None:
            self.count_close()
            client.socket_lost(self, TRANSPORT_CLOSE if wasClean and not self.failedByMe else TRANSPORT_ERROR)

    def drain_open(self) -> None:
        """End the session, since the service stops; the table does so for all, this is for the rest."""
        self.close(CloseCode.GOING_AWAY, close_codes.SHUTTING_DOWN)

    # Socket, beside what OutgoingProtocol has

    @property
    def is_paused(self) -> bool:
        """Whether it is not read."""
        return bool(self._pauses)

    def pause_reading(self, reason: int = HANDLERS) -> None:
        """Read nothing more for now."""
        super().pause_reading(reason)
        if self._client is not None:
            self._client.reading_changed()

    def resume_reading(self, reason: int = HANDLERS) -> None:
        """Read on."""
        super().resume_reading(reason)
        if self._client is not None:
            self._client.reading_changed()

    def writing_changed(self, *, is_busy: bool) -> None:
        """The client's connections may, or may no longer, write to the socket themselves."""
        super().writing_changed(is_busy=is_busy)
        if self._client is not None:
            self._client.namespaces.update_direct()

    def send(self, message: str | bytes) -> None:
        """Send one message."""
        self.write(message_frame(message, self.framing))

    def too_much(self) -> None:
        """The client sends too much."""
        if self._client is not None:
            self._client.end(close_codes.TOO_MUCH, code=CloseCode.TOO_MANY)

    def too_slow(self) -> None:
        """The client does not read."""
        if self._client is not None:
            self._client.too_slow()
