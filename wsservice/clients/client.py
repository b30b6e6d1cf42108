"""One Socket.IO client: its Engine.IO session, its Socket.IO session, its transports and its connections.

The two sessions are pure machines (`engineio.session`, `socketio.session`); this is the thin part that drives
them. Whatever happens, a request, a frame, a timer, a write, ends in `_work`, which does what the machines then
ask for, in the order that `engineio.session` says:

    GET, POST ---.                        .--- answers to GETs
    WebSocket ----> engineio.Session ----+---- frames of the WebSocket, and of one that is tried
    timers ------'        |               '--- the end
                          v messages
                   socketio.Session
                          | ConnectRequested, Received, Left, Cancelled
                          v
                   Connection (one a namespace)

A polling client's GET is answered at the end of the turn of the event loop, so that what a handler sends in
pieces arrives in one answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.clients.link import NamespaceLink
from wsservice.clients.wires import SocketIoWire, to_frames
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection
from wsservice.engineio.session import PARSE_ERROR, PING_TIMEOUT, TRANSPORT_CLOSE, TRANSPORT_ERROR
from wsservice.engineio.session import Session as EngineSession
from wsservice.engineio.states import Conflict, State
from wsservice.errors import AuthenticationError, ClientError, KeysUnavailable
from wsservice.frames import Framing
from wsservice.handshake import Handshake
from wsservice.history import Saved
from wsservice.socketio.session import (
    Cancelled,
    ConnectRequested,
    Incoming,
    Left,
    ProtocolViolation,
    Received,
    TooManyNamespaces,
)
from wsservice.socketio.session import Session as SocketSession
from wsservice.socketio.session import State as NamespaceState

if TYPE_CHECKING:
    from wsservice.clients.table import Clients

log = Logger()

CLIENT_LEFT = "client namespace disconnect"
#: how the WebSocket of a session is closed (RFC 6455 section 7.4) that ended by itself
_CLOSE_CODES = {PARSE_ERROR: CloseCode.PROTOCOL_ERROR, TRANSPORT_ERROR: CloseCode.PROTOCOL_ERROR}
#: ends after which a client may come back to its rooms and what it missed (SOCKETIO.md 1.17)
_RECOVERABLE = frozenset(
    {
        PING_TIMEOUT,
        TRANSPORT_CLOSE,
        TRANSPORT_ERROR,
        close_codes.EXPIRED,
        close_codes.SLOW,
        close_codes.STUCK,
        close_codes.SHUTTING_DOWN,
        close_codes.TAKEN_OVER,
    }
)


class Socket(Protocol):
    """A WebSocket, as a client uses it."""

    framing: Framing

    def write(self, data: bytes) -> None:
        """Send finished frames; past the bound of the queue, call `Client.too_slow`."""

    def send(self, message: str | bytes) -> None:
        """Send one message."""

    def is_behind(self) -> bool:
        """Whether the peer has not taken what was written before."""

    def close(self, code: int, reason: str) -> None:
        """Close with a close frame."""

    def pause_reading(self) -> None:
        """Read nothing more for now."""

    def resume_reading(self) -> None:
        """Read on."""


class Client:
    """See the module's docstring; `Clients.prepare` makes it.

    Args:
        speaker: whom the handshake speaks for, or why nobody.
        socket: where the session begins on a WebSocket.
    """

    __slots__ = (
        "_answer",
        "_asking",
        "_close",
        "_credentials",
        "_engine",
        "_finished",
        "_flush_waits",
        "_handshake",
        "_links",
        "_paused",
        "_post_done",
        "_probe",
        "_sockets",
        "_speaker",
        "_table",
        "_working",
        "socket",
    )

    def __init__(
        self,
        table: Clients,
        engine: EngineSession,
        sockets: SocketSession,
        handshake: Handshake,
        speaker: Principal | AuthenticationError,
        socket: Socket | None,
    ) -> None:
        self._table = table
        self._engine = engine
        self._sockets = sockets
        self._handshake = handshake.without_secrets()
        self._speaker: Principal | AuthenticationError | None = speaker
        self._credentials: Handshake | None = None if isinstance(speaker, Principal) else handshake
        self._links: dict[str, NamespaceLink] = {}
        #: whose token is being checked: the client may take a request back, and make another one, meanwhile
        self._asking: dict[str, ConnectRequested] = {}
        self.socket = socket
        self._probe: Socket | None = None
        self._answer: Callable[[bytes], None] | None = None
        self._post_done: Callable[[], None] | None = None
        self._paused: set[NamespaceLink] = set()
        self._working = False
        self._flush_waits = False
        self._finished = False
        self._close: tuple[int, str] | None = None

    def __repr__(self) -> str:
        return f"<Client of {len(self._links)} namespaces, {self._engine.state.value}>"

    def begin(self) -> None:
        """Send the open packet to the WebSocket on which the session begins."""
        self._work()

    # -- long-polling

    def open_poll(self, answer: Callable[[bytes], None]) -> None:
        """A GET: `answer` is called with its body, now or later, unless `poll_lost` comes first.

        Raises:
            SessionError: refuse it.
        """
        try:
            self._engine.receive_poll(self._now())
            self._answer = answer
        finally:
            self._work()

    def poll_lost(self) -> None:
        """The client gave the GET up."""
        self._answer = None
        self._engine.poll_lost(self._now())
        self._work()

    def post_begins(self) -> None:
        """The head of a POST: `receive_post` or `post_lost` must follow.

        Raises:
            SessionError: refuse it; nothing must follow.
        """
        try:
            if self._post_done is not None:  # its packets wait for handlers: more would pass the bounds
                self.end(TRANSPORT_ERROR)
                raise Conflict("a second POST")
            self._engine.post_begins(self._now())
        finally:
            self._work()

    def receive_post(self, body: bytes, handshake: Handshake, done: Callable[[], None]) -> None:
        """The body of a POST; `done` is called when the next one may come, and then `ok` is the answer.

        Raises:
            ParseError, SessionError: refuse it; `done` is not called.
        """
        if not (isinstance(self._speaker, Principal) and self._table.is_valid(self._speaker)):
            self._credentials = handshake  # newer cookies than those of the session's beginning
        try:
            self._engine.receive_payload(body, self._now())
        finally:
            self._work()
        if self._paused and not self._finished:
            self._post_done = done
        else:
            done()

    def post_lost(self, reason: str = TRANSPORT_ERROR) -> None:
        """The body will not come."""
        self._engine.post_lost(self._now(), reason)
        self._work()

    # -- WebSocket

    def begin_probe(self, socket: Socket) -> bool:
        """A WebSocket was opened for this session; whether it is tried. If not, close it."""
        begun = self._engine.begin_probe(self._now())
        if begun:
            self._probe = socket
        self._work()
        return begun

    def receive(self, socket: Socket, payload: str | bytes) -> None:
        """A message on one of the client's WebSockets."""
        now = self._now()
        if socket is self.socket:
            if (isinstance(payload, bytes) or payload[:1] == "4") and self._engine.note_traffic(now):
                self._working, outer = True, self._working
                try:
                    self._handle_message(payload if isinstance(payload, bytes) else payload[1:])
                finally:
                    self._working = outer
                if not self._engine.has_ended:
                    if self._sockets.get_timer() is not None:
                        self._schedule()
                    return
            else:
                self._engine.receive_frame(payload, now)
        elif socket is self._probe:
            self._engine.receive_probe(payload, now)
        self._work()

    def socket_lost(self, socket: Socket, reason: str) -> None:
        """One of the client's WebSockets is gone."""
        if socket is self.socket:
            self.socket = None
            self._engine.transport_lost(self._now(), reason)
        elif socket is self._probe:
            self._probe = None
            self._engine.probe_lost(self._now())
        self._work()

    # -- for the connections

    def write(self, data: bytes) -> None:
        """Send finished bytes of the current transport's wire."""
        if self.socket is not None:
            self.socket.write(data)
        elif self._engine.send(data):
            if self._engine.queued_bytes > self._table.settings.max_queue:
                self.too_slow()
            else:
                self._flush_later()

    @property
    def is_behind(self) -> bool:
        """Whether a volatile message would have to wait."""
        if self.socket is not None:
            return self.socket.is_behind()
        return not self._engine.is_poll_open or self._engine.queued_bytes > 0

    def too_slow(self) -> None:
        """The client does not read or poll."""
        self._table.hub.counters.add("slow_consumers")
        self.end(close_codes.SLOW, code=CloseCode.SLOW_CONSUMER, discard=True)

    def accepted(self, link: NamespaceLink) -> None:
        """The application lets the connection in: first what it missed, then CONNECT."""
        self._sockets.accept(link.namespace)
        wire = self._wire(link.namespace)
        for encoded in link.missed:
            self.write(wire.finish(encoded))
        link.missed = []
        self.write(wire.connect(link.connection.id, link.pid))
        self._schedule()

    def refused(self, link: NamespaceLink, error: ClientError) -> None:
        """The application refuses the connection."""
        self._refuse(link.namespace, error.message, error.data)
        self._drop(link, "refused")

    def leave(self, link: NamespaceLink, reason: str) -> None:
        """The application closes the connection; the session and its other namespaces stay."""
        if self._links.get(link.namespace) is link and not self._engine.has_ended:
            self._sockets.leave(link.namespace)
            self.write(self._wire(link.namespace).disconnect())
        self._drop(link, reason)

    def end(self, reason: str, *, code: int = CloseCode.NORMAL, discard: bool = False) -> None:
        """End the whole session, with no `41`: a stock client comes back by itself.

        Args:
            code: of the close frame, where the client has a WebSocket.
            discard: whether what waits for a polling client is dropped.
        """
        if not self._engine.has_ended:
            self._close = (code, reason)
            self._engine.close(self._now(), reason, discard=discard)
            self._work()

    def pause(self, link: NamespaceLink) -> None:
        """The handlers of a namespace are behind."""
        if not self._paused and self.socket is not None:
            self.socket.pause_reading()
        self._paused.add(link)

    def resume(self, link: NamespaceLink) -> None:
        """They have caught up."""
        self._paused.discard(link)
        if self._paused:
            return
        if self.socket is not None:
            self.socket.resume_reading()
        done, self._post_done = self._post_done, None
        if done is not None:
            done()

    # -- for the table

    def handle_timer(self, now: float) -> None:
        """A deadline of one of the machines has come."""
        self._engine.handle_timer(now)
        if not self._engine.has_ended:
            try:
                self._sockets.handle_timer(now)
            except ProtocolViolation as violation:
                self._violated(violation)
        self._work()

    def saved(self, link: NamespaceLink, reason: str) -> None:
        """Keep what the client needs to come back to a connection that broke."""
        history = self._table.hub.history
        if history is None or link.pid is None:
            return
        history.live.pop(link.pid, None)
        connection = link.connection
        if reason in _RECOVERABLE and connection.is_accepted:
            history.save(
                Saved(
                    id=connection.id,
                    pid=link.pid,
                    namespace=connection.namespace,
                    user=connection.user.id,
                    session=connection.user.session,
                    rooms=frozenset(connection.rooms),
                    data=connection.saved_data,
                    position=link.position,
                    until=self._now() + history.window,
                )
            )

    # -- what arrives

    def _now(self) -> float:
        return self._table.now()

    def _handle_message(self, message: str | bytes) -> None:
        """A message of the Engine.IO session, in its turn."""
        try:
            if isinstance(message, str):
                incoming = self._sockets.receive_text(message, self._now())
            else:
                incoming = self._sockets.receive_binary(message, self._now())
            if incoming is not None:
                self._handle(incoming)
        except ProtocolViolation as violation:
            self._violated(violation)
        except Exception:
            log.failure("a Socket.IO client failed ({request_id})", request_id=self._handshake.request_id)
            self._table.hub.counters.add("internal_errors")
            self.end(close_codes.INTERNAL, code=CloseCode.INTERNAL_ERROR)

    def _handle(self, incoming: Incoming) -> None:
        if isinstance(incoming, Received):
            link = self._links.get(incoming.namespace)
            if link is not None:  # refused or left meanwhile: what was under way is ignored
                link.connection.receive(incoming.message)
        elif isinstance(incoming, ConnectRequested):
            self._identify(incoming)
        elif isinstance(incoming, TooManyNamespaces):
            self.write(self._wire(incoming.namespace).connect_error("Too many namespaces"))
        elif isinstance(incoming, Left | Cancelled):
            self._asking.pop(incoming.namespace, None)
            link = self._links.get(incoming.namespace)
            if link is not None:
                self._drop(link, CLIENT_LEFT)

    def _violated(self, violation: ProtocolViolation) -> None:
        detail = ascii(str(violation))
        log.debug("protocol violation: {detail} ({request_id})", detail=detail, request_id=self._request_id)
        self._table.hub.counters.add("protocol_violations", violation.reason)
        self._close = (CloseCode.PROTOCOL_ERROR, violation.reason)
        self._engine.close(self._now(), violation.reason)

    # -- joining a namespace

    def _identify(self, request: ConnectRequested) -> None:
        """Know who asks, then let the application decide; the second try of a refused client is looked at anew."""
        speaker, self._speaker = self._speaker, None
        if isinstance(speaker, Principal) and self._table.is_valid(speaker):
            self._speaker = speaker
            self._open(request, speaker)
        elif isinstance(speaker, AuthenticationError):
            self._refuse(request.namespace, speaker.message)
        else:
            self._asking[request.namespace] = request
            credentials = self._credentials or self._handshake
            deciding: Deferred[Principal] = self._table.authenticate(credentials)
            deciding.addCallbacks(
                self._identified, self._unidentified, callbackArgs=(request,), errbackArgs=(request,)
            ).addErrback(self._broken)

    def _identified(self, principal: Principal, request: ConnectRequested) -> None:
        self._speaker, self._credentials = principal, None
        if self._asking.get(request.namespace) is request:
            del self._asking[request.namespace]
            self._open(request, principal)
        self._work()

    def _unidentified(self, failure: Failure, request: ConnectRequested) -> None:
        error = failure.value
        message = error.message if isinstance(error, AuthenticationError) else KeysUnavailable.message
        if self._asking.get(request.namespace) is request:
            del self._asking[request.namespace]
            self._refuse(request.namespace, message)
        self._work()

    def _broken(self, failure: Failure) -> None:
        log.failure("a Socket.IO client failed ({request_id})", failure, request_id=self._request_id)
        self._table.hub.counters.add("internal_errors")
        self.end(close_codes.INTERNAL, code=CloseCode.INTERNAL_ERROR)

    def _open(self, request: ConnectRequested, principal: Principal) -> None:
        name = request.namespace
        handlers = self._table.find(name)
        if handlers is None:
            self._refuse(name, "Invalid namespace")
            return
        link = NamespaceLink(self, name)
        saved = self._recover(link, request, principal)
        auth = request.auth
        if link.pid is not None:
            auth = {key: value for key, value in auth.items() if key not in ("pid", "offset")}
        link.connection = Connection(
            self._table.hub,
            link,
            self._wire(name),
            principal,
            replace(self._handshake, auth=auth),
            namespace=name,
            handlers=handlers,
            saved=saved,
        )
        history = self._table.hub.history
        if history is not None and link.pid is not None:
            history.live[link.pid] = link.connection
        self._links[name] = link
        log.debug(
            "connection of {user} to {namespace} opened",
            user=principal.id,
            namespace=name[:64],
            connection_id=link.connection.id,
            request_id=self._request_id,
            peer=self._handshake.peer,
        )
        link.connection.open()

    def _recover(self, link: NamespaceLink, request: ConnectRequested, principal: Principal) -> Saved | None:
        """What the client comes back to, if it does; what it missed meanwhile is then in the link."""
        history = self._table.hub.history
        if history is None:
            return None
        saved, missed = self._table.recover(request, principal)
        link.pid = self._table.make_pid()
        link.position = history.position
        link.missed = missed
        return saved

    def _refuse(self, namespace: str, message: str, data: Any = None) -> None:
        if self._sockets.state(namespace) is NamespaceState.CONNECTING:
            self._sockets.refuse(namespace)
            self.write(self._wire(namespace).connect_error(message, data))

    def _drop(self, link: NamespaceLink, reason: str) -> None:
        """One connection is over; the session stays."""
        if self._links.get(link.namespace) is link:
            del self._links[link.namespace]
        if link in self._paused:
            self.resume(link)
        self.saved(link, reason)
        link.connection.ended(reason)

    def _wire(self, namespace: str) -> SocketIoWire:
        framing = self.socket.framing if self.socket is not None else None
        return self._table.wires.get(namespace, framing)

    @property
    def _request_id(self) -> str:
        return self._handshake.request_id

    # -- what the machines ask for

    def _flush_later(self) -> None:
        """Answer the open GET when this turn of the event loop is over."""
        if self._answer is not None and not self._flush_waits and not self._working:
            self._flush_waits = True
            self._table.hub.clock.callLater(0, self._flush_now)

    def _flush_now(self) -> None:
        self._flush_waits = False
        self._work()

    def _work(self) -> None:
        """Do what the Engine.IO session asks for; not within itself, since handlers write and close."""
        if self._working:
            return
        self._working = True
        try:
            self._flush()
            while messages := self._engine.messages_received():
                for message in messages:
                    if self._close is not None:  # the service ended it: nothing more is handled
                        break
                    self._handle_message(message)
                self._flush()
            if self._engine.has_ended and not self._finished:
                self._finish()
        finally:
            self._working = False
        self._schedule()

    def _flush(self) -> None:
        self._settle()
        if self._answer is not None:
            body = self._engine.payload_to_send()
            if body is not None:
                answer, self._answer = self._answer, None
                answer(body)
        if self._probe is not None:
            for message in self._engine.probe_to_send():
                self._probe.send(message)
        if self.socket is not None:
            for frame in self._engine.frames_to_send():
                self.socket.send(frame)

    def _settle(self) -> None:
        """A WebSocket that was tried becomes the client's own, or is given up."""
        probe, state = self._probe, self._engine.state
        if probe is None or state is State.PROBING:
            return
        self._probe = None
        if state is not State.WEBSOCKET:
            probe.close(CloseCode.NORMAL, "")
            return
        self.socket = probe
        convert = partial(to_frames, framing=probe.framing)
        for link in self._links.values():
            link.connection.reframe(self._wire(link.namespace), convert)
        if self._paused:
            probe.pause_reading()

    def _finish(self) -> None:
        """The session is over for the application: every connection ends, once."""
        self._finished = True
        reason = self._engine.end_reason or TRANSPORT_CLOSE
        self._sockets.close()
        socket = self.socket
        if socket is not None:
            code, words = self._close or (_CLOSE_CODES.get(reason, CloseCode.NORMAL), reason)
            socket.close(code, words)
            self.socket = None
        done, self._post_done = self._post_done, None
        if done is not None:
            done()
        self._paused.clear()
        self._asking.clear()
        for link in list(self._links.values()):
            self._drop(link, reason)
        self._flush()

    def _schedule(self) -> None:
        times = (self._engine.get_timer(), None if self._finished else self._sockets.get_timer())
        self._table.deadlines.set(self, min((time for time in times if time is not None), default=None))
        if self._engine.state is State.CLOSED:
            self._table.forget(self)

    @property
    def sid(self) -> str:
        """The secret id of the Engine.IO session."""
        return self._engine.sid
