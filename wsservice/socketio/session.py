"""Socket.IO v5 inside one Engine.IO session: who may say what in which namespace. Pure; SOCKETIO.md 1.12 to 1.15.

Each namespace of a session goes its own way:

    ABSENT       the client has not asked for it
      |
      | CONNECT: `ConnectRequested`; the application decides, and may take its time
      v
    CONNECTING   events are early: they are given out, and the caller holds them until it accepts
      |    |
      |    | `accept`: the caller writes CONNECT
      |    v
      |  CONNECTED   events and acknowledgements are given out
      |    |
      v    v
    LEFT         the client sent DISCONNECT. It may send the acknowledgement of an earlier event still (a stock
                 client's callback does), which is ignored, and CONNECT, at once if it likes; no event.
    DISMISSED    `refuse` or `leave`: the server ended it. What the client sends until it knows, of any kind, is
                 ignored, but for events, which are given out as `Dropped`; CONNECT begins anew.

What `TABLE` does not hold ends the whole session, with all its namespaces: ProtocolViolation. A packet with attachments
is looked up twice: when its header arrives, so that nobody makes the service collect for a namespace that is not joined
(CVE-2026-48804), and when it is whole. An early event with attachments is a violation for the same reason.

Of LEFT and DISMISSED, as many namespaces are remembered as may be joined; older ones are ABSENT again.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NoReturn, TypeAlias

import msgspec

from wsservice.messages import ROOT, Ack, Event
from wsservice.socketio.decoder import MAX_ATTACHMENTS, MAX_BYTES, Decoder, Packet, ParseError
from wsservice.socketio.packet import PacketType

#: reasons for `on_disconnect`, in the words of the reference (1.12)
PARSE_ERROR = "parse error"
FORCED = "forced server close"
#: and one more by which an end is counted: MAX_EARLY
TOO_EARLY = "too many early events"

#: seconds until a namespace must be joined; precedent: connectTimeout of socket.io 4
CONNECT_TIMEOUT = 45.0
#: seconds that one attachment may take; precedent: none in the reference, which waits for ever
ATTACHMENTS_TIMEOUT = 45.0
#: of a session; precedent: none in the reference
MAX_NAMESPACES = 100
#: events of a namespace before it is accepted; precedent: the inbox of a connection
MAX_EARLY = 100


class State(Enum):
    """Where a namespace of a session is in its life."""

    ABSENT = "absent"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LEFT = "left"
    DISMISSED = "dismissed"


#: for the hot path: to find a member by its class takes as long as a call
_CONNECTED = State.CONNECTED


class Step(Enum):
    """What the server does to a namespace."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    LEAVE = "leave"


class Action(Enum):
    """What a packet leads to."""

    REQUEST = "request"
    CANCEL = "cancel"
    GOODBYE = "goodbye"
    DELIVER = "deliver"
    DELIVER_EARLY = "deliver early"
    COLLECT = "collect"
    DROP = "drop"
    IGNORE = "ignore"


#: state and packet, or the server's step -> the next state, and what the packet leads to
TABLE: dict[tuple[State, PacketType | Step], tuple[State, Action]] = {
    (State.ABSENT, PacketType.CONNECT): (State.CONNECTING, Action.REQUEST),
    (State.CONNECTING, PacketType.EVENT): (State.CONNECTING, Action.DELIVER_EARLY),
    (State.CONNECTING, PacketType.ACK): (State.CONNECTING, Action.IGNORE),
    (State.CONNECTING, PacketType.BINARY_ACK): (State.CONNECTING, Action.COLLECT),
    (State.CONNECTING, PacketType.DISCONNECT): (State.LEFT, Action.CANCEL),
    (State.CONNECTING, Step.ACCEPT): (State.CONNECTED, Action.IGNORE),
    (State.CONNECTING, Step.REFUSE): (State.DISMISSED, Action.IGNORE),
    (State.CONNECTING, Step.LEAVE): (State.DISMISSED, Action.IGNORE),
    (State.CONNECTED, PacketType.EVENT): (State.CONNECTED, Action.DELIVER),
    (State.CONNECTED, PacketType.ACK): (State.CONNECTED, Action.DELIVER),
    (State.CONNECTED, PacketType.BINARY_EVENT): (State.CONNECTED, Action.COLLECT),
    (State.CONNECTED, PacketType.BINARY_ACK): (State.CONNECTED, Action.COLLECT),
    (State.CONNECTED, PacketType.DISCONNECT): (State.LEFT, Action.GOODBYE),
    (State.CONNECTED, Step.LEAVE): (State.DISMISSED, Action.IGNORE),
    (State.LEFT, PacketType.CONNECT): (State.CONNECTING, Action.REQUEST),
    (State.LEFT, PacketType.ACK): (State.LEFT, Action.IGNORE),
    (State.LEFT, PacketType.BINARY_ACK): (State.LEFT, Action.COLLECT),
    (State.DISMISSED, PacketType.CONNECT): (State.CONNECTING, Action.REQUEST),
    (State.DISMISSED, PacketType.EVENT): (State.DISMISSED, Action.DROP),
    (State.DISMISSED, PacketType.ACK): (State.DISMISSED, Action.IGNORE),
    (State.DISMISSED, PacketType.BINARY_EVENT): (State.DISMISSED, Action.COLLECT),
    (State.DISMISSED, PacketType.BINARY_ACK): (State.DISMISSED, Action.COLLECT),
    (State.DISMISSED, PacketType.DISCONNECT): (State.DISMISSED, Action.IGNORE),
}


class ProtocolViolation(Exception):
    """The whole session must end; every namespace of it, too.

    Attributes:
        reason: for `on_disconnect`, one of PARSE_ERROR and FORCED; `str(error)` is for the log.
        word: the reason by which it is counted; more of a kind than `reason` tells.
    """

    def __init__(self, reason: str, detail: str, word: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.word = word or reason


class ConnectRequested(msgspec.Struct, frozen=True):
    """The client asks for a namespace: answer by `accept` or `refuse`, unless `Cancelled` comes first.

    Attributes:
        auth: what the client sent along, `{}` if nothing.
    """

    namespace: str
    auth: dict[str, Any]


class TooManyNamespaces(msgspec.Struct, frozen=True):
    """The client asks for one namespace too many: write CONNECT_ERROR; nothing else is to do."""

    namespace: str


class Cancelled(msgspec.Struct, frozen=True):
    """The client took its request back: write nothing, and neither `accept` nor `refuse` it."""

    namespace: str


class Received(msgspec.Struct, frozen=True):
    """An event or an acknowledgement; hold an event of a namespace that is not accepted yet, and drop it if refused."""

    namespace: str
    message: Event | Ack


class Left(msgspec.Struct, frozen=True):
    """The client left a namespace that it had joined."""

    namespace: str


class Dropped(msgspec.Struct, frozen=True):
    """An event for a namespace that the server ended before: count it, nothing else is to do."""

    namespace: str


Incoming: TypeAlias = ConnectRequested | TooManyNamespaces | Cancelled | Received | Left | Dropped


class Session:
    """The namespaces of one Engine.IO session.

    A packet leads to one thing at most, which the `receive` methods return. Once they or `handle_timer` have raised, or
    `close` was called, whatever arrives is ignored.

    Args:
        now: monotonic seconds.
        connect_timeout: seconds until a namespace must have been accepted; refused ones do not count.
        max_namespaces: that are connecting or connected.
        max_attachments: of a packet.
        max_binary_bytes: of a packet with attachments, all together; see `Decoder`.
        attachments_timeout: seconds that each attachment may take to arrive.
        max_early: events of a namespace before it is accepted.
    """

    __slots__ = (
        "_attachments_deadline",
        "_attachments_timeout",
        "_closed",
        "_connect_deadline",
        "_decoder",
        "_early",
        "_gone",
        "_joined",
        "_max_early",
        "_max_namespaces",
    )

    def __init__(
        self,
        *,
        now: float,
        connect_timeout: float = CONNECT_TIMEOUT,
        max_namespaces: int = MAX_NAMESPACES,
        max_attachments: int = MAX_ATTACHMENTS,
        max_binary_bytes: int = MAX_BYTES,
        attachments_timeout: float = ATTACHMENTS_TIMEOUT,
        max_early: int = MAX_EARLY,
    ) -> None:
        self._decoder = Decoder(max_attachments=max_attachments, max_bytes=max_binary_bytes)
        self._attachments_timeout = attachments_timeout
        self._max_namespaces = max_namespaces
        self._max_early = max_early
        self._connect_deadline: float | None = now + connect_timeout
        self._attachments_deadline: float | None = None
        self._closed = False
        #: CONNECTING and CONNECTED
        self._joined: dict[str, State] = {}
        #: LEFT and DISMISSED, the oldest first
        self._gone: dict[str, State] = {}
        #: events so far of those that are CONNECTING
        self._early: dict[str, int] = {}

    @property
    def is_closed(self) -> bool:
        """Whether whatever arrives is ignored."""
        return self._closed

    @property
    def packet_size(self) -> int:
        """Of the packet that was last received, with its attachments."""
        return self._decoder.size

    def state(self, namespace: str) -> State:
        """Where a namespace is in its life."""
        return self._joined.get(namespace) or self._gone.get(namespace, State.ABSENT)

    def receive_common(self, array: str) -> Event | None:
        """The rest of a text message that begins with `42["`, from its bracket on: an event that asks for nothing.

        None where the main namespace is not connected, and for what is no such event: then nothing was taken, and
        `receive_text` is to be called.
        """
        return self._decoder.common_event(array) if self._joined.get(ROOT) is _CONNECTED else None

    def receive_text(self, text: str, now: float) -> Incoming | None:
        """A text message of Engine.IO, without the `4`.

        Raises:
            ProtocolViolation: the session must end.
        """
        if self._closed:
            return None
        try:
            packet = self._decoder.feed_text(text)
        except ParseError as error:
            self._end(PARSE_ERROR, str(error), error.word)
        if packet is not None:
            return self._receive(packet)
        header = self._decoder.pending
        assert header is not None
        self._look_up(header)
        self._attachments_deadline = now + self._attachments_timeout
        return None

    def receive_binary(self, data: bytes, now: float) -> Incoming | None:
        """A binary message of Engine.IO.

        Raises:
            ProtocolViolation: the session must end.
        """
        if self._closed:
            return None
        try:
            packet = self._decoder.feed_binary(data)
        except ParseError as error:
            self._end(PARSE_ERROR, str(error), error.word)
        if packet is None:
            self._attachments_deadline = now + self._attachments_timeout
            return None
        self._attachments_deadline = None
        return self._receive(packet)

    def accept(self, namespace: str) -> None:
        """The application takes the client: write CONNECT, then hand it what came early. Ends the connect timeout.

        Raises:
            ValueError: the client does not wait for it, since it cancelled, or the session ended.
        """
        self._step(namespace, Step.ACCEPT)
        self._connect_deadline = None

    def refuse(self, namespace: str) -> None:
        """The application does not take the client: write CONNECT_ERROR. The client may ask again.

        Raises:
            ValueError: the client does not wait for it, since it cancelled, or the session ended.
        """
        self._step(namespace, Step.REFUSE)

    def leave(self, namespace: str) -> None:
        """The server leaves a namespace that is connected, or connecting: write DISCONNECT. The session stays.

        Raises:
            ValueError: it is neither.
        """
        self._step(namespace, Step.LEAVE)

    def get_timer(self) -> float | None:
        """When to call `handle_timer`, in monotonic seconds; ask again after each call of another method."""
        first, second = self._connect_deadline, self._attachments_deadline
        if first is None or second is None:
            return second if first is None else first
        return min(first, second)

    def handle_timer(self, now: float) -> None:
        """Look at the clock; too early a call does nothing.

        Raises:
            ProtocolViolation: the session must end.
        """
        if self._connect_deadline is not None and now >= self._connect_deadline:
            self._end(FORCED, "no namespace was joined in time")
        if self._attachments_deadline is not None and now >= self._attachments_deadline:
            self._end(PARSE_ERROR, "an attachment did not arrive in time")

    def close(self) -> None:
        """Drop everything; what arrives is ignored from now on."""
        self._closed = True
        self._decoder.close()
        self._connect_deadline = self._attachments_deadline = None
        for namespaces in (self._joined, self._gone, self._early):
            namespaces.clear()

    def _receive(self, packet: Packet) -> Incoming | None:
        namespace = packet.namespace
        # What nearly every packet is; the table says the same.
        if packet.type is PacketType.EVENT and self._joined.get(namespace) is State.CONNECTED:
            return Received(namespace, _event(packet))
        state, action = self._look_up(packet)
        if action is Action.DELIVER:
            assert packet.id is not None  # the decoder takes no ACK without
            return Received(namespace, Ack(packet.id, tuple(packet.data)))
        if action is Action.DELIVER_EARLY:
            self._count_early(namespace)
            return Received(namespace, _event(packet))
        if action is Action.DROP:
            return Dropped(namespace)
        if action is Action.IGNORE:
            return None
        if action is Action.REQUEST and len(self._joined) >= self._max_namespaces:
            self._move(namespace, State.DISMISSED)
            return TooManyNamespaces(namespace)
        self._move(namespace, state)
        if action is Action.REQUEST:
            return ConnectRequested(namespace, packet.data)
        return Cancelled(namespace) if action is Action.CANCEL else Left(namespace)

    def _look_up(self, packet: Packet) -> tuple[State, Action]:
        state = self.state(packet.namespace)
        found = TABLE.get((state, packet.type))
        if found is None:
            self._end(FORCED, f"{packet.type.name} for {packet.namespace[:64]!r}, which is {state.value}")
        return found

    def _count_early(self, namespace: str) -> None:
        count = self._early.get(namespace, 0) + 1
        if count > self._max_early:
            self._end(FORCED, f"too many events for {namespace[:64]!r} before it is joined", TOO_EARLY)
        self._early[namespace] = count

    def _step(self, namespace: str, step: Step) -> None:
        state = self.state(namespace)
        found = TABLE.get((state, step))
        if found is None:
            raise ValueError(f"cannot {step.value} {namespace[:64]!r}, which is {state.value}")
        self._move(namespace, found[0])

    def _move(self, namespace: str, state: State) -> None:
        for namespaces in (self._joined, self._gone, self._early):
            namespaces.pop(namespace, None)
        if state in (State.CONNECTING, State.CONNECTED):
            self._joined[namespace] = state
            return
        self._gone[namespace] = state
        if len(self._gone) > self._max_namespaces:
            del self._gone[next(iter(self._gone))]

    def _end(self, reason: str, detail: str, word: str = "") -> NoReturn:
        self.close()
        raise ProtocolViolation(reason, detail, word)


def _event(packet: Packet) -> Event:
    name, *args = packet.data
    return Event(name, tuple(args), packet.id)
