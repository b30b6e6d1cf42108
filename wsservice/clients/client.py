"""One Socket.IO client: its Engine.IO session, its transports, and the namespaces that it has joined.

The sessions are pure machines (`engineio.session`, `socketio.session`); this is the thin part that drives the
first of them, and `Namespaces` the second. Whatever happens, a request, a frame, a timer, a write, ends in
`work`, which does what the machine then asks for, in the order that `engineio.session` says:

    GET, POST ---.                        .--- answers to GETs
    WebSocket ----> engineio.Session ----+---- frames of the WebSocket, and of one that is tried
    timers ------'        |               '--- the end
                          v messages
                     Namespaces

A polling client's GET is answered at the end of the turn of the event loop, so that what a handler sends in
pieces arrives in one answer.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.clients.namespaces import Namespaces
from wsservice.close_codes import CloseCode
from wsservice.engineio.packet import count_packets
from wsservice.engineio.session import PARSE_ERROR, TRANSPORT_CLOSE, TRANSPORT_ERROR, Session
from wsservice.engineio.states import Conflict, State
from wsservice.errors import AuthenticationError, TooMuchTraffic
from wsservice.frames import Framing
from wsservice.handshake import Handshake
from wsservice.socketio.session import ProtocolViolation
from wsservice.socketio.session import Session as SocketSession
from wsservice.traffic import Traffic

if TYPE_CHECKING:
    from wsservice.clients.table import Clients

log = Logger()

#: messages of one client that are handled in one turn of the event loop
SLICE = 200
#: how nearly every text begins: a message of Engine.IO, an event of the main namespace without attachments or an id
_COMMON = '42["'
#: how the WebSocket of a session is closed (RFC 6455 section 7.4) that ended by itself
_CLOSE_CODES = {PARSE_ERROR: CloseCode.PROTOCOL_ERROR, TRANSPORT_ERROR: CloseCode.PROTOCOL_ERROR}


class Socket(Protocol):
    """A WebSocket, as a client uses it."""

    framing: Framing

    @property
    def is_paused(self) -> bool:
        """Whether it is not read, for whatever reason; it calls `Client.reading_changed`."""

    def write(self, data: bytes) -> None:
        """Send finished frames; past the bound of the queue, call `Client.too_slow`."""

    def send(self, message: str | bytes) -> None:
        """Send one message."""

    def direct(self) -> Callable[[bytes], int] | None:
        """See `Link.direct`; when it changes, `Namespaces.update_direct` is called."""

    def is_behind(self) -> bool:
        """Whether the peer has not taken what was written before."""

    def close(self, code: int, reason: str) -> None:
        """Close with a close frame."""

    def identified(self) -> None:
        """Whom the client speaks for has changed."""

    def pause_reading(self) -> None:
        """Read nothing more for now."""

    def resume_reading(self) -> None:
        """Read on."""


class Client:
    """See the module's docstring; `Clients.prepare` makes it.

    Args:
        speaker: whom the handshake speaks for, or why nobody.
        socket: where the session begins on a WebSocket.

    Attributes:
        socket: the WebSocket, once the session is on one.
        namespaces: those that it has joined.
        answered: messages in the answer to the last poll.
    """

    __slots__ = (
        "_answer",
        "_close",
        "_continues",
        "_engine",
        "_finished",
        "_flush_waits",
        "_marked_ping",
        "_paused",
        "_post_done",
        "_probe",
        "_queue",
        "_table",
        "_throttled",
        "_traffic",
        "_working",
        "answered",
        "namespaces",
        "socket",
    )

    def __init__(
        self,
        table: Clients,
        engine: Session,
        sockets: SocketSession,
        *,
        handshake: Handshake,
        speaker: Principal | AuthenticationError,
        socket: Socket | None,
    ) -> None:
        self._table = table
        self._engine = engine
        self.namespaces = Namespaces(self, table, sockets, handshake=handshake, speaker=speaker)
        self.socket = socket
        self._probe: Socket | None = None
        #: answers the open GET
        self._answer: Callable[[bytes | None], None] | None = None
        #: answers a POST whose events wait for handlers
        self._post_done: Callable[[], None] | None = None
        #: whose handlers are behind
        self._paused: set[object] | None = None
        #: messages that wait for their turn; None while there are none, as most of the time: it would cost 760 bytes
        self._queue: deque[str | bytes] | None = None
        self._continues = False
        #: its user's, found for the first POST; each WebSocket finds it for itself
        self._traffic: Traffic | None = None
        #: ends the wait of a client that was over its rate
        self._throttled: IDelayedCall | None = None
        #: the number of the last ping
        self._marked_ping = 0
        self._working = False
        self._flush_waits = False
        self._finished = False
        self.answered = 0
        #: how the service itself ended the session: the code and reason of the close frame
        self._close: tuple[int, str] | None = None

    def __repr__(self) -> str:
        return f"<Client of {len(self.namespaces)} namespaces, {self._engine.state.value}>"

    @property
    def sid(self) -> str:
        """The secret id of the Engine.IO session."""
        return self._engine.sid

    @property
    def public_id(self) -> str:
        """A name of the client that may be shown; the sid cannot be told from it."""
        return hashlib.sha256(self.sid.encode()).hexdigest()[:12]

    @property
    def transport_name(self) -> str:
        """The present transport, by Engine.IO's names."""
        return "polling" if self.socket is None else "websocket"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is received or sent."""
        return self._engine.has_ended

    @property
    def framing(self) -> Framing | None:
        """How the present transport frames messages; None for long-polling."""
        return None if self.socket is None else self.socket.framing

    @property
    def max_message(self) -> int:
        """Bytes of a message or a body: few while it is not known whom it speaks for, since they cost memory."""
        settings = self._table.settings
        if self.namespaces.user_id is None:
            return min(settings.max_unknown, settings.engine.max_payload)
        return settings.engine.max_payload

    def identified(self) -> None:
        """Whom it speaks for is known now, or has changed: that user's rate counts."""
        self._traffic = None
        for socket in (self.socket, self._probe):
            if socket is not None:
                socket.identified()

    def begin(self) -> None:
        """Send the open packet to the WebSocket on which the session begins."""
        self.work()

    # -- long-polling

    def open_poll(self, answer: Callable[[bytes | None], None]) -> None:
        """A GET: `answer` is called with its body, now or later, unless `poll_lost` comes first.

        It is called with None if the service stops, and there is nothing to say: refuse the request.

        Raises:
            SessionError: refuse it.
        """
        try:
            self._engine.receive_poll(self._table.now())
            self._answer = answer
        finally:
            self.work()

    def poll_lost(self) -> None:
        """The client gave the GET up."""
        self._answer = None
        self._engine.poll_lost(self._table.now())
        self.work()

    def answer_lost(self, messages: int) -> None:
        """The client did not take an answer, which had so many messages in it, before its connection ended."""
        self._engine.answer_lost(messages, self._table.now())
        self.work()

    def post_begins(self) -> None:
        """The head of a POST: `receive_post` or `post_lost` must follow.

        Raises:
            SessionError: refuse it; nothing must follow.
        """
        try:
            if self._post_done is not None:  # its events wait for handlers: more would pass the bounds
                self.end(TRANSPORT_ERROR, code=CloseCode.PROTOCOL_ERROR)
                raise Conflict("a POST while the last one waits")
            self._engine.post_begins(self._table.now())
        finally:
            self.work()

    def receive_post(self, body: bytes, handshake: Handshake, done: Callable[[], None]) -> None:
        """The body of a POST; `done` is called when the next one may come, and then `ok` is the answer.

        Raises:
            ParseError, SessionError, TooMuchTraffic: refuse it; `done` is not called.
        """
        self.namespaces.offer(handshake)
        self._throttle(body)
        try:
            self._engine.receive_payload(body, self._table.now())
        finally:
            self.work()
        self._post_done = done
        self._finish_post()

    def _throttle(self, body: bytes) -> None:
        """Let a client wait that sent more than its rate allows: until its POST is answered, it sends no other.

        Raises:
            TooMuchTraffic: it would have to wait for longer than may be: it is closed, and what it sent is not handled.
        """
        traffics = self._table.hub.traffics
        if traffics is None or self.has_ended:
            return
        if self._traffic is None:
            self._traffic = traffics.of(self.namespaces.user_id)
        count = count_packets(body)
        wait = self._traffic.take(len(body), count)
        if not wait:
            return
        hub = self._table.hub
        hub.counters.add("reading_paused", "traffic")
        if wait > hub.pause_timeout:
            self._traffic.forgive()
            hub.counters.add("events_dropped", "traffic", count)
            self.end(close_codes.TOO_MUCH, code=CloseCode.TOO_MANY)
            raise TooMuchTraffic("a payload over the rate")
        self._throttled = hub.clock.callLater(wait, self._calmed)
        self.reading_changed()

    def _calmed(self) -> None:
        self._throttled = None
        self.reading_changed()
        self._finish_post()

    def post_lost(self) -> None:
        """The body will not come."""
        self._engine.post_lost(self._table.now())
        self.work()

    # -- WebSocket

    def begin_probe(self, socket: Socket) -> bool:
        """A WebSocket was opened for this session; whether it is tried. If not, close it."""
        begun = self._engine.begin_probe(self._table.now())
        if begun:
            self._probe = socket
        self.work()
        return begun

    def receive(self, socket: Socket, payload: str | bytes) -> None:
        """A message on one of the client's WebSockets."""
        if socket is self.socket:
            if self._queue or not self._engine.is_at_rest():
                self._engine.receive_frame(payload, self._table.now())
            elif type(payload) is str and payload.startswith(_COMMON):  # nearly every message
                self._working = True
                try:
                    is_taken = self.namespaces.receive_common(payload)
                    if not is_taken:
                        self._handle_message(payload[1:])
                except Exception:
                    is_taken = False
                    self.failed(Failure())
                finally:
                    self._working = False
                if is_taken and self._engine.end_reason is None:
                    return
            elif isinstance(payload, bytes) or payload.startswith("4"):
                if self._handle_now(payload if isinstance(payload, bytes) else payload[1:]):
                    return
            else:
                self._engine.receive_frame(payload, self._table.now())
        elif socket is self._probe:
            self._engine.receive_probe(payload, self._table.now())
        else:  # behind its end
            self._table.hub.counters.add("events_dropped", "closing")
        self.work()

    def socket_lost(self, socket: Socket, reason: str) -> None:
        """One of the client's WebSockets is gone."""
        if socket is self.socket:
            self.socket = None
            self._engine.transport_lost(self._table.now(), reason)
        elif socket is self._probe:
            self._probe = None
            self._engine.probe_lost(self._table.now())
        self.work()

    # -- for the connections

    def write(self, data: bytes) -> None:
        """Send finished bytes of the present transport's wire."""
        settings = self._table.settings
        if self.socket is not None:
            self.socket.write(data)
        elif self._engine.send(data):
            if (
                self._engine.queued_bytes > settings.max_queue
                or self._engine.queued_pieces > settings.max_queue_messages
            ):
                self.too_slow()
            else:
                self._flush_later()
        else:
            self._table.hub.counters.add("messages_dropped", "closed")

    def direct(self) -> Callable[[bytes], int] | None:
        """See `Link.direct`."""
        return None if self.socket is None else self.socket.direct()

    @property
    def is_behind(self) -> bool:
        """Whether a volatile message would have to wait."""
        if self.socket is not None:
            return self.socket.is_behind()
        return not self._engine.is_poll_open or self._engine.queued_bytes > 0

    @property
    def queued(self) -> tuple[int, int]:
        """Messages, and bytes of them, that wait for the next poll; what waits for a WebSocket is that one's."""
        return self._engine.queued_pieces, self._engine.queued_bytes

    def too_slow(self) -> None:
        """The client does not read or poll."""
        if not self.has_ended:
            self._table.hub.counters.add("slow_consumers")
            self._close = (CloseCode.SLOW_CONSUMER, close_codes.SLOW)
            self._engine.close(self._table.now(), close_codes.SLOW, discard=True)
            # Not at once: it may be one of many in a broadcast, whose `on_disconnect` broadcasts again.
            self._table.hub.clock.callLater(0, self.work)

    def end(self, reason: str, *, code: int = CloseCode.NORMAL, discard: bool = False) -> None:
        """End the whole session, with no `41`: a stock client comes back by itself.

        Args:
            code: of the close frame, where the client has a WebSocket.
            discard: whether what waits for a polling client is dropped.
        """
        if not self._engine.has_ended:
            self._close = (code, reason)
            # At a `1` python-socketio stays away for good; at an error every stock client comes back.
            farewell = not self._table.draining
            self._engine.close(self._table.now(), reason, discard=discard, farewell=farewell)
        self.work()

    def failed(self, failure: Failure) -> None:
        """A fault of ours: it ends this client only."""
        log.failure("a Socket.IO client failed ({request_id})", failure, request_id=self.namespaces.request_id)
        self._table.hub.counters.add("internal_errors")
        self.end(close_codes.INTERNAL, code=CloseCode.INTERNAL_ERROR)

    def pause(self, cause: object) -> None:
        """The handlers of a namespace are behind, or something else is."""
        if not self._paused and self.socket is not None:
            self.socket.pause_reading()
        if self._paused is None:
            self._paused = set()
        self._paused.add(cause)
        self.reading_changed()

    def resume(self, cause: object) -> None:
        """It has caught up, or is over."""
        if self._paused is None or cause not in self._paused:
            return
        self._paused.discard(cause)
        if not self._paused:
            if self.socket is not None:
                self.socket.resume_reading()
            self.reading_changed()
            if self._queue:
                self._continue_later()
            else:
                self._finish_post()

    def reading_changed(self) -> None:
        """A transport is read again, or no longer: a pong that we do not read is not late."""
        is_deaf = bool(self._paused) or self._throttled is not None
        if is_deaf or (self.socket is not None and self.socket.is_paused):
            self._engine.pause(self._table.now())
        else:
            self._engine.resume(self._table.now())

    # -- for the table

    def handle_timer(self, now: float) -> None:
        """A deadline of one of the machines has come."""
        self._engine.handle_timer(now)
        if not self._engine.has_ended:
            try:
                self.namespaces.session.handle_timer(now)
            except ProtocolViolation as violation:  # nothing came in time
                self._table.hub.counters.add("namespace_timeouts")
                self.end(violation.reason, code=CloseCode.POLICY_VIOLATION)
        self.work()

    # -- what the machines ask for

    def work(self) -> None:
        """Do what the Engine.IO session asks for; not within itself, since handlers write and close."""
        if self._working:
            return
        self._working = True
        try:
            self._flush()
            self._mark()  # before the messages, whose handlers send what no ping is behind
            if self._take_messages():
                self._flush()
            if self._engine.has_ended and not self._queue and not self._finished:
                self._finish()
        finally:
            self._working = False
        self._schedule()

    def _take_messages(self) -> bool:
        """Handle what came, in slices: one POST may bring a hundred thousand messages, and others want a turn.

        Returns:
            Whether anything was there.
        """
        received = self._engine.messages_received()
        if self._queue is None:
            if not received:
                return False
            self._queue = deque()
        queue, left = self._queue, SLICE
        queue.extend(received)
        while queue and left and self._close is None and not self._paused:
            left -= 1
            self._handle_message(queue.popleft())
        if self._close is not None and queue:  # the service ended it: nothing more is handled
            self._table.hub.counters.add("events_dropped", "closing", len(queue))
            queue.clear()
        if not queue:
            self._queue = None
        elif not self._paused:
            self._continue_later()
        return True

    def _continue_later(self) -> None:
        if not self._continues:
            self._continues = True
            self._table.hub.clock.callLater(0, self._continue)

    def _continue(self) -> None:
        self._continues = False
        self.work()
        self._finish_post()

    def _handle_now(self, message: str | bytes) -> bool:
        """A message that nothing is before; whether no work is left."""
        self._working = True
        try:
            self._handle_message(message)
        finally:
            self._working = False
        return not self._engine.has_ended and self.namespaces.session.get_timer() is None

    def _handle_message(self, message: str | bytes) -> None:
        try:
            self.namespaces.receive(message, self._table.now())
        except ProtocolViolation as violation:
            self._violated(violation)
        except Exception:
            self.failed(Failure())

    def _violated(self, violation: ProtocolViolation) -> None:
        log.debug(
            "protocol violation: {detail} ({request_id})",
            detail=ascii(str(violation)),
            request_id=self.namespaces.request_id,
        )
        self._table.hub.counters.add("protocol_violations", violation.word)
        self.end(violation.reason, code=CloseCode.PROTOCOL_ERROR)

    def _flush_later(self) -> None:
        """Answer the open GET when this turn of the event loop is over."""
        if self._answer is not None and not self._flush_waits and not self._working:
            self._flush_waits = True
            self._table.flush_soon(self)

    def flush_now(self) -> None:
        """Called by the table; see `Clients.flush_soon`."""
        self._flush_waits = False
        self.work()

    def _flush(self) -> None:
        self._settle()
        if self._answer is not None:
            body = self._engine.payload_to_send()
            if body is not None or self._engine.state is State.CLOSED:
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
        self.namespaces.reframe(probe.framing)
        if self._paused:
            probe.pause_reading()
        self.reading_changed()

    def _finish(self) -> None:
        """The session is over for the application."""
        self._finished = True
        reason = self._engine.end_reason or TRANSPORT_CLOSE
        # of what the service itself ended, the words may be the application's
        word = close_codes.label(self._close[0]) if self._close else reason
        self._table.hub.counters.add("engine_sessions_ended", word)
        socket, self.socket = self.socket, None
        if socket is not None:
            code, words = self._close or (_CLOSE_CODES.get(reason, CloseCode.NORMAL), reason)
            socket.close(code, words)
        self._paused = None
        if self._throttled is not None:
            self._throttled.cancel()
            self._throttled = None
        self._finish_post()
        self.namespaces.end(reason)

    def _finish_post(self) -> None:
        """Answer the POST, once nothing of it waits, or the session is over."""
        if self._post_done is None or self._queue or self._paused or self._throttled is not None:
            return
        done, self._post_done = self._post_done, None
        done()

    def _schedule(self) -> None:
        """Set the one deadline of the two machines; once the first is at its end, forget the client."""
        if self._engine.has_ended:
            self._count_dropped()
        if self._engine.state is State.CLOSED:
            self._table.deadlines.set(self, None)
            self._table.forget(self)
            return
        engine, sockets = self._engine.get_timer(), self.namespaces.session.get_timer()
        if engine is None or (sockets is not None and sockets < engine):
            engine = sockets
        self._table.deadlines.set(self, engine)

    def _count_dropped(self) -> None:
        """What can no longer be sent, or is no longer handled."""
        counters = self._table.hub.counters
        messages, events = self._engine.take_dropped()
        if messages:
            is_slow = self._close is not None and self._close[0] == CloseCode.SLOW_CONSUMER
            counters.add("messages_dropped", "slow" if is_slow else "lost", messages)
        if events:
            counters.add("events_dropped", "closing", events)

    def _mark(self) -> None:
        """What was sent before a ping that was answered has arrived: a quiet client missed only the rest."""
        history = self._table.hub.history
        if history is None:
            return
        if self._engine.pings != self._marked_ping:
            self._marked_ping = self._engine.pings
            self.namespaces.pinged(history.position)
        elif self._engine.answered_ping == self._marked_ping:
            self.namespaces.ponged()
