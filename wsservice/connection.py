"""One client, as handlers see it: who it is, what it is sent, and the order in which it is served.

    OPENING   `on_connect` runs; what is sent is held back, what arrives waits
      |   \
      |    refused by `on_connect`: what was held back is dropped, the transport is closed
      v
    OPEN      events are handled one after the other, in the order of their arrival
      |
      v
    CLOSING   `disconnect` was called here: nothing more is handled or sent
      |
      v
    ENDED     the transport is gone: pending calls fail; what the client sent before it left is still
              handled; then `on_disconnect` runs, once
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Set
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.calls import Calls, bound_call
from wsservice.close_codes import CloseCode, check_code, fit_reason
from wsservice.errors import TOO_MANY_OF_USER, ClientError, ConnectionClosed, TooManyCalls
from wsservice.handshake import Handshake
from wsservice.history import Saved
from wsservice.hub import Handlers, Hub
from wsservice.log_context import enter, leave, serving
from wsservice.messages import RESERVED, ROOT, Ack, Broadcast, Event, Target, check_name
from wsservice.wire import Link, Wire

log = Logger()

#: of most connections; a set for each would cost 220 bytes
_NO_ROOMS: frozenset[str] = frozenset()


class State(Enum):
    """Where a connection is in its life."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    ENDED = "ended"


#: for the hot paths: to find a member by its class takes as long as a call
_OPEN, _ENDED = State.OPEN, State.ENDED


class Connection:
    """A connected client. Handlers get it as their first argument.

    Attributes:
        id: public, random, 20 characters; the name of this connection in logs, in `skip`, and of a room of its own.
        user: the verified `Principal`.
        namespace: where it connected: "/" for a raw WebSocket, what the client chose for Socket.IO.
        handshake: the request that opened it, without cookies and credentials.
        recovered: whether it is the continuation of one that broke, with its id, rooms and data.
        rooms: the rooms it is in; change them by `join` and `leave`.
        expires_at: when its session ends (POSIX seconds), unless it is refreshed.
        direct: for the registry: the socket's own `send`, while it may be written to at once; see `Link.direct`.
    """

    __slots__ = (
        "_accepted",
        "_busy",
        "_calls",
        "_data",
        "_end_reason",
        "_handlers",
        "_held",
        "_held_bytes",
        "_hub",
        "_inbox",
        "_inbox_bytes",
        "_inline",
        "_link",
        "_log_ids",
        "_pause",
        "_state",
        "direct",
        "expires_at",
        "handshake",
        "id",
        "namespace",
        "recovered",
        "rooms",
        "user",
        "wire",
    )

    def __init__(
        self,
        hub: Hub,
        link: Link,
        wire: Wire,
        user: Principal,
        handshake: Handshake,
        *,
        namespace: str = ROOT,
        handlers: Handlers | None = None,
        saved: Saved | None = None,
    ) -> None:
        self.id = secrets.token_urlsafe(15) if saved is None else saved.id
        self.user = user
        self.handshake = handshake
        self.namespace = namespace
        self.recovered = saved is not None
        self.rooms: Set[str] = _NO_ROOMS if saved is None else set(saved.rooms)
        self.wire = wire
        self.direct: Callable[[bytes], int] | None = None
        self.expires_at = user.expires_at
        self._hub = hub
        self._handlers = handlers or hub.handlers
        self._link = link
        self._state = State.OPENING
        self._accepted = False
        self._busy = False
        self._inline = False
        self._end_reason: str | None = None
        self._calls: Calls | None = None
        self._data: dict[str, Any] | None = None if saved is None else saved.data
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        #: events that wait for handlers, each with the size of its message
        self._inbox: deque[tuple[Event, int]] | None = None
        self._inbox_bytes = 0
        self._pause: IDelayedCall | None = None
        #: for `log_context`; made for the first event: many connections only listen
        self._log_ids: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.id} of {self.user.id} {self._state.value}>"

    @property
    def data(self) -> dict[str, Any]:
        """A dict for the application's own notes on this connection."""
        if self._data is None:
            self._data = {}
        return self._data

    @property
    def is_open(self) -> bool:
        """Whether what is sent now can still arrive."""
        return self._state in (State.OPENING, State.OPEN)

    # For handlers

    def emit(self, event: str, *args: Any, volatile: bool = False) -> None:
        """Send an event; returns at once.

        A `volatile` one is dropped when the client has not yet taken what was sent before.

        Raises:
            TypeError: the arguments are not JSON or bytes.
            ValueError: Socket.IO keeps this event for itself (`connect`, `disconnect`, ...).
        """
        if type(event) is not str or event in RESERVED or not event:
            check_name(event)
        wire = self.wire
        if self._hub.history is None or not wire.is_recoverable:
            self.write(wire.event(event, args), volatile)
        else:  # what is lost with the connection can be recovered
            target = Target(namespace=self.namespace, rooms=frozenset({self.id}))
            self._hub.broadcast(Broadcast(event, args, target, volatile))

    def broadcast(
        self, event: str, *args: Any, room: str | Iterable[str] | None = None, volatile: bool = False
    ) -> None:
        """Send an event to everybody else in this connection's namespace, or in a room (or several) of it.

        Raises:
            TypeError: the arguments are not JSON or bytes; nobody was sent anything.
        """
        check_name(event)
        rooms = frozenset([room] if isinstance(room, str) else room or ())
        if room is None or rooms:
            target = Target(namespace=self.namespace, rooms=rooms, skip=frozenset({self.id}))
            self._hub.broadcast(Broadcast(event, args, target, volatile))

    def send(self, payload: str | bytes) -> None:
        """Send one message of exactly this text or these bytes, without any envelope.

        Raises:
            TypeError: the payload is neither, or text that is not Unicode (a lone surrogate).
        """
        data = self.wire.payload(payload)
        if self._hub.history is None or not self.wire.is_recoverable:
            self.write(data)
        else:  # there it is the event `message`; without an offset, a text would be taken for one
            self.emit("message", payload)

    def call(self, event: str, *args: Any, timeout: float | None = None) -> Deferred[Any]:
        """Send an event and wait for the client's acknowledgement: `answer = await connection.call(...)`.

        Do not wait for it in `on_connect`: what that sends is held back until it has finished.

        Args:
            timeout: seconds; the service's `--call-timeout` if not given.

        Raises:
            TypeError: the arguments are not JSON.
            CallTimeout, CallRefused, ConnectionClosed, TooManyCalls: by the Deferred; see `wsservice.errors`.
        """
        if not self.is_open:
            return fail(ConnectionClosed("the connection is closed"))
        if not self.may_call:
            return fail(TooManyCalls("too many calls wait for this client (--max-calls)"))
        check_name(event)
        call_id = self._hub.next_call_id()
        data = self.wire.event(event, args, call_id)
        answer = self.expect(call_id)
        bound_call(answer, self._hub.clock, self._hub.call_timeout if timeout is None else timeout)
        self.write(data)
        return answer

    def join(self, room: str) -> None:
        """Enter a room; the connection leaves all rooms by itself when it ends.

        Raises:
            RoomTaken: the room is another connection's id; a ClientError, since names often come from clients.
            ClientError: the connection is in as many rooms as it may be (`--max-rooms`).
        """
        if not self.is_open:
            return
        limit = self._hub.limits.rooms
        if limit and len(self.rooms) >= limit and room not in self.rooms:
            self._hub.alarm("rooms", "--max-rooms")
            raise ClientError("too_many_rooms", f"A connection may be in {limit} rooms.")
        self._hub.registry.join(self, room)

    def leave(self, room: str) -> None:
        """Leave a room; if it is not in it, nothing happens."""
        self._hub.registry.leave(self, room)

    def disconnect(self, code: int = CloseCode.NORMAL, reason: str = "", *, close: bool = False) -> None:
        """Close the connection: nothing more is handled or sent, events that wait are dropped.

        A Socket.IO client is told to leave this namespace; its others, and the transport, stay.

        Args:
            code: 1000 (the client stays away), or 3000 to 4999, or one of `CloseCode`.
            reason: for the client, which sees its first 123 bytes, and for `on_disconnect`.
            close: close its other namespaces and the transport, too.

        Raises:
            ValueError: no server may send this code.
        """
        check_code(code)
        if self._begin_close(reason or "server disconnect"):
            (self._link.close_all if close else self._link.close)(code, fit_reason(reason))

    # For the registry, broadcasts and the expiry

    @property
    def may_call(self) -> bool:
        """Whether one more call may wait for the client."""
        limit = self._hub.limits.calls
        if not limit or self._calls is None or len(self._calls) < limit:
            return True
        self._hub.alarm("calls", "--max-calls")
        return False

    def expect(self, call_id: int) -> Deferred[Any]:
        """What fires with the client's acknowledgement of that call, whose event is sent by the caller."""
        if self._calls is None:
            self._calls = Calls()
        return self._calls.expect(call_id)

    def write(self, data: bytes, volatile: bool = False) -> None:
        """Send finished bytes of this connection's wire format."""
        total = self._hub.sent
        if total is not None:
            total.messages += 1
            total.bytes += len(data)
        direct = self.direct
        if direct is not None:
            try:
                sent = direct(data)
            except OSError:  # full, or broken: the transport finds out
                sent = 0
            if sent != len(data):
                self._link.write(data[sent:])
        elif self._state is State.OPEN:
            if volatile and self._link.is_behind():
                self._hub.counters.add("messages_dropped", "volatile")
            else:
                self._link.write(data)
        elif self._state is State.OPENING:
            if volatile and self._held:
                self._hub.counters.add("messages_dropped", "volatile")
            else:
                self._hold(data)
        else:
            self._hub.counters.add("messages_dropped", "closed")

    @property
    def events_waiting(self) -> int:
        """How many events wait for the handlers."""
        return 0 if self._inbox is None else len(self._inbox)

    def renew(self, expires_at: float) -> None:
        """The session was refreshed: live on until then."""
        if self.is_open:
            self._hub.expirations.discard(self)
            self.expires_at = expires_at
            self._hub.expirations.add(self)

    def expire(self) -> None:
        """The session's time is over."""
        if self.is_open:
            self._hub.counters.add("connections_expired")
            self.disconnect(CloseCode.POLICY_VIOLATION, close_codes.EXPIRED)

    # For the transport

    @property
    def is_accepted(self) -> bool:
        """Whether the application let it in, and has not been told of its end."""
        return self._accepted

    @property
    def end_reason(self) -> str:
        """Why it ended, or is being closed; empty while it is open."""
        return self._end_reason or ""

    @property
    def transport(self) -> str:
        """What carries it at present: `websocket` or `polling`."""
        return self._link.transport_name

    @property
    def client_id(self) -> str:
        """A public name of the client, which the connections over one transport have in common."""
        return self._link.client_id or self.id

    @property
    def saved_data(self) -> dict[str, Any]:
        """The application's notes, to be saved with a connection that broke."""
        return self._data or {}

    def update_direct(self) -> None:
        """What `Link.direct` gives may have changed."""
        self.direct = self._link.direct() if self._state is State.OPEN else None

    def reframe(self, wire: Wire, convert: Callable[[bytes], bytes]) -> None:
        """The transport changed: use this wire format from now on, for what is held back, too."""
        self.wire = wire
        if self._held is not None:
            self._held = [convert(data) for data in self._held]

    def open(self) -> None:
        """The transport is open and the user verified: register, and let the application decide."""
        hub = self._hub
        if not hub.make_room(self.user.id):
            self._too_many()
            return
        self._begin()
        admitted = None if hub.adapter is None else hub.adapter.admit(self)
        if admitted is None:
            self._enter()
        else:  # how many its user has elsewhere
            admitted.addCallback(self._admitted).addErrback(self._broken)

    def _admitted(self, may_enter: bool) -> None:
        if self.is_open and self._hub.is_revoked(self.user):  # signed out while this one waited
            self.disconnect(CloseCode.POLICY_VIOLATION, close_codes.SIGNED_OUT)
        if not self.is_open:
            self._handled(None)
        elif may_enter:
            self._enter()
        else:
            self._done()
            self._drop_inbox()
            self._too_many()

    def _too_many(self) -> None:
        self._hub.counters.add("connections_refused", "user")
        self._begin_close("too many connections")
        self._link.refuse(ClientError(TOO_MANY_OF_USER, close_codes.TOO_MANY_CONNECTIONS))

    def _enter(self) -> None:
        self._link.entering()
        self._hub.registry.add(self)
        self._hub.expirations.add(self)
        with serving(self.id, self.handshake.request_id):
            accepted = self._handlers.connected(self)
        if accepted is None:
            self._opened(None)
        else:
            accepted.addCallbacks(self._opened, self._refused).addErrback(self._broken)

    def receive(self, message: Event | Ack, size: int = 0) -> None:
        """The client sent this; events wait their turn, acknowledgements do not.

        Args:
            size: bytes of the message.
        """
        received = self._hub.received
        if received is not None:
            received.messages += 1
            received.bytes += size
        if self._state is _OPEN and not self._busy and type(message) is Event:  # nearly every message
            self._serve(message)
        elif isinstance(message, Ack):
            if self._calls is None or not self._calls.settle(message):
                self._hub.counters.add("acks_ignored")
        elif not self.is_open:
            self._hub.counters.add("events_dropped", "closing")
        elif self._busy:
            if self._inbox is None:
                self._inbox = deque()
            self._inbox.append((message, size))
            self._inbox_bytes += size
            hub = self._hub
            is_full = len(self._inbox) >= hub.inbox_limit or self._inbox_bytes >= hub.inbox_bytes
            if is_full and self._pause is None:
                self._hub.counters.add("reading_paused", "inbox")
                self._pause = self._hub.clock.callLater(self._hub.pause_timeout, self._stuck)
                self._link.pause_reading()
        else:
            self._serve(message)

    def ended(self, reason: str) -> None:
        """The transport is gone; `reason` is for `on_disconnect` unless the service itself closed it."""
        self._end_reason = self._end_reason or reason
        self._leave_tables()
        self._state = State.ENDED
        self._drop_held()
        if self._hub.draining:  # nobody waits for what it sent before
            self._drop_inbox()
        if self._calls is not None:
            self._calls.close()
        if not self._busy:
            self._finish()

    def _begin_close(self, reason: str) -> bool:
        """Nothing more is handled or sent; whether there was something to close."""
        if not self.is_open:
            return False
        self._state = State.CLOSING
        self._end_reason = reason
        self._leave_tables()
        self._drop_inbox()
        self._drop_held()
        return True

    def _stuck(self) -> None:
        """The handlers of this client are too slow for it."""
        self._pause = None
        self._hub.counters.add("pauses_timed_out")
        log.warn(
            "connection {connection_id}: its handlers do not keep up, closing",
            connection_id=self.id,
            log_flood="handlers that do not keep up (--pause-timeout)",
        )
        self.disconnect(CloseCode.TRY_AGAIN_LATER, close_codes.STUCK)

    def _end_pause(self) -> bool:
        """Whether reading was paused."""
        if self._pause is None:
            return False
        self._pause.cancel()
        self._pause = None
        return True

    def _leave_tables(self) -> None:
        self.direct = None
        self._end_pause()
        self._hub.registry.remove(self)
        self._hub.expirations.discard(self)

    def _hold(self, data: bytes) -> None:
        if self._held is None:
            self._held = []
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > self._hub.held_limit:
            self._hub.counters.add("slow_consumers", "on_connect")
            self.disconnect(CloseCode.SLOW_CONSUMER, close_codes.SLOW)

    def _drop_held(self) -> None:
        if self._held:
            self._hub.counters.add("messages_dropped", "closed", len(self._held))
        self._held = None

    def _drop_inbox(self) -> None:
        if self._inbox:
            self._hub.counters.add("events_dropped", "closing", len(self._inbox))
        self._inbox = None
        self._inbox_bytes = 0

    # One handler after the other

    def _begin(self) -> None:
        self._busy = True
        self._hub.running += 1

    def _done(self) -> None:
        self._busy = False
        self._hub.running -= 1

    def _opened(self, _: None) -> None:
        self._accepted = True
        if self._state is State.OPENING:
            self._state = State.OPEN
            self._link.accept()
            held, self._held = self._held or [], None
            for data in held:
                self._link.write(data)
            self.update_direct()
        self._handled(None)

    def _refused(self, failure: Failure) -> Failure | None:
        error = failure.value
        if not isinstance(error, ClientError):
            return failure
        self._done()
        self._drop_inbox()
        self._hub.counters.add("connections_refused", "application")
        if self._begin_close("refused"):
            self._link.refuse(error)
        return None

    def _serve(self, event: Event | None) -> None:
        """Handle an event and those that wait behind it, until a handler has to be waited for.

        A loop for handlers that finish at once, asynchronous ones too: thousands of them must not nest.
        """
        while event is not None:
            self._busy = self._inline = True
            if self._log_ids is None:
                self._log_ids = self.id, self.handshake.request_id
            token = enter(self._log_ids)
            try:
                pending = self._handlers.dispatch(self, event)
                if pending is None:
                    self._busy = False
                else:
                    self._hub.running += 1
                    pending.addCallback(self._handled).addErrback(self._broken)
            except Exception:
                self._busy = False
                self._broken(Failure())
            finally:
                leave(token)
                self._inline = False
            if self._busy:
                return
            event = None if self._inbox is None else self._next()
        if self._state is _ENDED:
            self._finish()

    def _handled(self, _: None) -> None:
        self._done()
        if not self._inline:
            self._serve(self._next())

    def _next(self) -> Event | None:
        if self._hub.draining and self._state is State.ENDED:
            self._drop_inbox()
        if not self._inbox:
            self._inbox = None
            return None
        hub, waiting = self._hub, len(self._inbox)
        if (
            self._pause is not None
            and waiting <= max(1, hub.inbox_limit // 2)
            and (waiting == 1 or self._inbox_bytes <= hub.inbox_bytes // 2)
            and self._end_pause()
        ):
            self._link.resume_reading()
        event, size = self._inbox.popleft()
        self._inbox_bytes -= size
        return event

    def _finish(self) -> None:
        if self._accepted:
            self._accepted = False
            self._begin()
            with serving(self.id, self.handshake.request_id):
                finished = self._handlers.disconnected(self, self._end_reason or "")
            if finished is None:
                self._done()
            else:
                finished.addCallback(lambda _: self._done()).addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        """A fault of ours, not of a handler: log it and end this connection only."""
        log.failure("connection {connection_id} failed", failure, connection_id=self.id)
        self._hub.counters.add("internal_errors")
        if self._busy:
            self._done()
        self._drop_inbox()
        self.disconnect(CloseCode.INTERNAL_ERROR, close_codes.INTERNAL)
        if self._state is State.ENDED:
            self._finish()
