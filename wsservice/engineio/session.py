"""One Engine.IO v4 session: long-polling, the upgrade, the WebSocket, the heartbeat and the end.

    begins here                                             or here
       |                                                       |
       v          a WebSocket is opened                        v
    POLLING <--------------------------> PROBING --------> WEBSOCKET
       |        it fails, or is too slow    |       `5`        |
       |                                    |                  |
       +-- the server closes --> CLOSING <--+                  | the server closes
       |                            |       |                  |
       | it ends     `1` is fetched |       | it ends          | it ends
       |      or the grace is over  |       |                  |
       +----------------------------+-------+------------------+
                                    |
                                    v
                                 CLOSED

The table of all this is `wsservice.engineio.states.TABLE`. PROBING is POLLING while a WebSocket is tried.
CLOSING is the end for the application, but the client has still to fetch what is buffered, and the `1` behind it.

The machine does no I/O and has no clock: it is told what arrived (`receive_*`, `post_begins`, `begin_probe`,
`*_lost`) and asked for what is to be done. A deadline that has passed comes first, whoever calls, so it does
not matter whether `handle_timer` is called in time. After every call, one that raised too, its owner looks:

1. `payload_to_send()`, if the open GET can still be answered; `frames_to_send()` on the session's WebSocket;
   `probe_to_send()` on one that is tried. In this order, and before anything else is written to a WebSocket.
2. `state`: a WebSocket that was tried is the session's own in WEBSOCKET, goes on being tried in PROBING, and is
   closed and forgotten in any other state. In CLOSED the session is forgotten, and its WebSocket is closed.
3. `messages_received()`, to be handled in order; then 1 again, for what was sent meanwhile.
4. `has_ended`: `end_reason` is for the application, once.
5. `get_timer()`.

A transport that is gone is dropped (`poll_lost`, `probe_lost`, `transport_lost`) before the machine is asked for
what to send: what it has handed out is no longer its own.

Order, in both directions: what is buffered when `5` arrives goes first on the WebSocket, and what arrives on the
WebSocket while a POST is still under way is held back until that POST's packets are there.

What a client sends without a meaning, `0`, `5` and `6`, is ignored, as the reference does.
"""

from __future__ import annotations

from wsservice.engineio.heartbeat import Beat, Heartbeat, is_due
from wsservice.engineio.outbox import Outbox
from wsservice.engineio.packet import (
    Packet,
    PacketType,
    ParseError,
    count_packets,
    decode_frame,
    decode_payload,
    encode_packet,
    frames_of_piece,
)
from wsservice.engineio.settings import Settings, open_packet
from wsservice.engineio.states import (
    TABLE,
    Conflict,
    Event,
    SessionUnknown,
    State,
    TransportMismatch,
    UnexpectedPacket,
)

#: why a session ended, in the words of the reference
PING_TIMEOUT = "ping timeout"
PARSE_ERROR = "parse error"
TRANSPORT_ERROR = "transport error"
TRANSPORT_CLOSE = "transport close"

_CLOSE = encode_packet(Packet(PacketType.CLOSE))
_NOOP = encode_packet(Packet(PacketType.NOOP))
_PING = encode_packet(Packet(PacketType.PING))
_PROBE = "2probe"
_PROBE_ANSWER = "3probe"
_UPGRADE = "5"
#: for the hot path: to find a member by its class takes as long as a call
_WEBSOCKET = State.WEBSOCKET
#: bytes that a held packet counts beside its own: an empty one costs memory, too
_HELD_OVERHEAD = 64


class Session:
    """See the module's docstring.

    Args:
        sid: a bearer secret: whoever knows it can act for the client; never log it.
        websocket: begins on a WebSocket rather than on long-polling. The first output is the open packet; on
            long-polling, announce the request that began the session by `receive_poll`, as any other GET.
        now: monotonic seconds, here and everywhere else.

    Attributes:
        state: where it is.
        end_reason: None while it lives; set once, by CLOSING or CLOSED.
        pings: how many were sent.
        answered_ping: the number of the last one that was answered; what was sent before it has arrived.
    """

    __slots__ = (
        "_deadline",
        "_dropped_events",
        "_dropped_messages",
        "_farewell",
        "_frames",
        "_heartbeat",
        "_held",
        "_held_bytes",
        "_messages",
        "_outbox",
        "_poll_open",
        "_post_open",
        "_probed",
        "_probes",
        "_settings",
        "answered_ping",
        "end_reason",
        "pings",
        "sid",
        "state",
    )

    def __init__(self, sid: str, settings: Settings, *, websocket: bool, now: float) -> None:
        self.sid = sid
        self.state = State.WEBSOCKET if websocket else State.POLLING
        self.end_reason: str | None = None
        self._settings = settings
        self.pings = 0
        self.answered_ping = 0
        self._heartbeat = Heartbeat(settings, now)
        self._deadline = 0.0  # of the upgrade in PROBING, of the grace in CLOSING
        self._outbox = Outbox()
        # None stands for an empty list, since an idle session has many of them.
        self._frames: list[str | bytes] | None = None
        self._messages: list[str | bytes] | None = None
        self._held: list[Packet] | None = None
        self._held_bytes = 0
        self._poll_open = False
        self._post_open = False
        self._probed = False
        self._probes = 0
        self._farewell: bytes | None = _CLOSE
        self._dropped_messages = 0
        self._dropped_events = 0
        self.send(encode_packet(open_packet(sid, settings, websocket=websocket)))

    def __repr__(self) -> str:
        return f"<Session {self.state.value}>"

    @property
    def has_ended(self) -> bool:
        """Whether the session is over for the application: nothing more is received or sent."""
        return self.end_reason is not None

    @property
    def is_poll_open(self) -> bool:
        """Whether a GET waits for an answer; if not, or if something is queued, a volatile message is dropped."""
        return self._poll_open

    @property
    def queued_bytes(self) -> int:
        """What waits for a GET; it grows until the client comes, so the caller bounds it, by `close`."""
        return self._outbox.size

    @property
    def queued_pieces(self) -> int:
        """How many pieces wait for a GET."""
        return len(self._outbox)

    # -- what is to be sent

    def send(self, piece: bytes) -> bool:
        """Queue a finished piece of a polling payload: one or several packets, as `encode_packet` makes them.

        On a WebSocket its frames come by `frames_to_send`; there, the caller may as well write its own.

        Returns:
            Whether the session takes it; not after its end.
        """
        if self.has_ended:
            return False
        if self.state is State.WEBSOCKET:
            if self._frames is None:
                self._frames = []
            self._frames += frames_of_piece(piece)
        else:
            self._outbox.append(piece)
        return True

    def payload_to_send(self) -> bytes | None:
        """The whole answer to the open GET, which is then no longer open; None if it must wait, or none is open.

        At most `max_payload` bytes, unless a single piece is larger; the rest waits for the next GET.
        Only to be called when the answer can be written.
        """
        if not self._poll_open:
            return None
        body = (
            self._outbox.take(self._settings.max_payload, self._settings.max_packets)
            if self._outbox
            else self._filler()
        )
        self._poll_open = body is None
        if self.state is State.CLOSING and not self._outbox:
            self._move(Event.FETCHED)
        return body

    def frames_to_send(self) -> list[str | bytes]:
        """The messages to write to the session's WebSocket, in order, ahead of any others."""
        frames, self._frames = self._frames, None
        return frames or []

    def probe_to_send(self) -> list[str]:
        """The messages to write to the WebSocket that is tried."""
        answers, self._probes = [_PROBE_ANSWER] * self._probes, 0
        return answers

    def take_dropped(self) -> tuple[int, int]:
        """What was dropped since the last call, in messages: of those for the client, and of those from it."""
        dropped = self._dropped_messages, self._dropped_events
        self._dropped_messages = self._dropped_events = 0
        return dropped

    # -- what was received

    def messages_received(self) -> list[str | bytes]:
        """The client's messages, in order, each once; those that came before the end are still given."""
        messages, self._messages = self._messages, None
        return messages or []

    def receive_poll(self, now: float) -> None:
        """A GET arrived; its answer is `payload_to_send`, now or later.

        Raises:
            Conflict: another one is open: the session has ended, and that other one is answered by `1`.
            SessionUnknown, TransportMismatch: it is refused.
        """
        self.handle_timer(now)
        self._move(Event.GET)
        if self._poll_open:
            self._end(TRANSPORT_ERROR)
            raise Conflict("a second GET")
        self._poll_open = True

    def poll_lost(self, now: float) -> None:
        """The client gave up the open GET: the session ends, since nobody can say what would be lost."""
        if not self._poll_open:
            return
        self._poll_open = False
        self.handle_timer(now)
        if self.state is not State.WEBSOCKET:  # there, the GET had only a `6` to come
            self._end(TRANSPORT_ERROR)

    def answer_lost(self, messages: int, now: float) -> None:
        """An answer, with so many messages, went away with its connection: they are missing, and the session ends."""
        self.handle_timer(now)
        self._dropped_messages += messages
        if messages or self.state is not State.WEBSOCKET:  # there, the last one was a `6`
            self._end(TRANSPORT_ERROR)

    def post_begins(self, now: float) -> None:
        """The head of a POST arrived; `receive_payload` or `post_lost` must follow, once.

        Raises:
            Conflict: another one is under way: the session has ended.
            SessionUnknown, TransportMismatch: it is refused, and nothing must follow.
        """
        self.handle_timer(now)
        self._move(Event.POST)
        if self._post_open:
            self._end(TRANSPORT_ERROR)
            raise Conflict("a second POST")
        self._post_open = True

    def receive_payload(self, body: bytes, now: float) -> None:
        """The body of the POST is whole; answer `ok`, even if the client closes by it.

        Raises:
            ParseError: none of it is taken, and the session has ended; answer 400.
            UnexpectedPacket: the client pings, and the session has ended.
            SessionUnknown: the session ended while the body was under way.
        """
        self.handle_timer(now)
        if not self._post_open:
            raise SessionUnknown("no POST is under way")
        self._post_open = False
        if self.has_ended:
            self._dropped_events += count_packets(body)
            return
        try:
            packets = decode_payload(body)
        except ParseError:
            self._end(PARSE_ERROR)
            raise
        self._heartbeat.traffic(now)
        for packet in packets:
            self._take(packet, now)
            if self.end_reason is not None:
                if packet.type is PacketType.PING:
                    raise UnexpectedPacket("a ping from the client")
                return
        self._release(now)

    def post_lost(self, now: float, reason: str = TRANSPORT_ERROR) -> None:
        """The POST was aborted or is too large: the session ends, since packets are missing."""
        self.handle_timer(now)
        if self._post_open:
            self._end(reason)

    def begin_probe(self, now: float) -> bool:
        """A WebSocket was opened for this session.

        Returns:
            Whether it is tried. If not, accept and close it; the session is unharmed. Only a session on
            long-polling moves, and to one WebSocket only: else a leaked sid is enough to take it over.
        """
        self.handle_timer(now)
        if Event.PROBE not in TABLE[self.state] or not self._settings.can_upgrade:
            return False
        self._move(Event.PROBE)
        self._probed = False
        self._probes = 0
        self._deadline = now + self._settings.upgrade_timeout
        return True

    def receive_probe(self, payload: str | bytes, now: float) -> None:
        """A message on the WebSocket that is tried: `2probe`, as often as it likes, then `5`; another one fails it."""
        self.handle_timer(now)
        if self.state is not State.PROBING:
            return
        if payload == _PROBE:
            self._probed = True
            self._probes += 1
        elif payload == _UPGRADE and self._probed:
            self._move(Event.UPGRADE)
            for piece in self._outbox.drain():
                self.send(piece)
        else:
            self._move(Event.PROBE_LOST)

    def probe_lost(self, now: float) -> None:
        """The WebSocket that was tried is gone: the session goes on polling."""
        self.handle_timer(now)
        if self.state is State.PROBING:
            self._move(Event.PROBE_LOST)

    def receive_frame(self, payload: str | bytes, now: float) -> None:
        """A message on the session's WebSocket; one that comes behind the end is dropped.

        Raises:
            TransportMismatch: the session is on long-polling.
        """
        self.handle_timer(now)
        if self.state is State.CLOSED:
            self._dropped_events += _is_message(payload)
            return
        self._move(Event.FRAME)
        try:
            packet = decode_frame(payload)
        except ParseError:
            self._end(PARSE_ERROR)
            return
        self._heartbeat.traffic(now)
        if self._post_open and packet.type is not PacketType.PONG:  # a pong has no place among the messages
            self._hold(packet)
        else:
            self._take(packet, now)

    def is_at_rest(self) -> bool:
        """The short way for a message on the session's WebSocket: bytes, or text that begins with `4`.

        Without a look at the clock: while no pong is awaited, the only deadline is that of the next ping, which is the
        timer's business.

        Returns:
            True: handle the message at once; the session need not see it.
            False: give it to `receive_frame`, for the sake of order, or since it gives a pong more time.
        """
        return self.state is _WEBSOCKET and not (self._post_open or self._messages or self._heartbeat.is_awaiting)

    def transport_lost(self, now: float, reason: str = TRANSPORT_CLOSE) -> None:
        """The session's WebSocket is gone."""
        self.handle_timer(now)
        if self.state is State.WEBSOCKET:
            self._end(reason)

    # -- the server's side of the end, and time

    def close(self, now: float, reason: str, *, discard: bool = False, farewell: bool = True) -> None:
        """The server ends the session: nothing more is received.

        On long-polling a `1` goes behind what is queued, to the open GET or to the next ones. On a WebSocket
        the caller writes what `frames_to_send` still has, then a Close frame.

        Args:
            discard: what is queued is dropped.
            farewell: False for no `1`: an open GET is to be refused, if the state is CLOSED and there is no payload.
        """
        self.handle_timer(now)
        if self.has_ended:
            return
        if discard:
            self._drop_output()
        if not (farewell or self._outbox or self.state is State.WEBSOCKET):
            self._end(reason, farewell=None)
            return
        self.end_reason = reason
        self._move(Event.CLOSE)
        if self.state is State.CLOSING:
            if farewell:
                self._outbox.append(_CLOSE)
            self._deadline = now + self._settings.close_grace
        else:
            self._drop_input()

    def pause(self, now: float) -> None:
        """The caller reads nothing more for now, so that a pong cannot come."""
        self._heartbeat.listen(now, is_deaf=True)

    def resume(self, now: float) -> None:
        """It reads on."""
        self._heartbeat.listen(now, is_deaf=False)

    def get_timer(self) -> float | None:
        """When `handle_timer` is to be called, as far as is known now; None in CLOSED."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.CLOSING:
            return self._deadline
        if self.state is State.PROBING:
            return min(self._deadline, self._heartbeat.deadline)
        return self._heartbeat.deadline

    def handle_timer(self, now: float) -> None:
        """Do what is due: ping, give up a probe, end. At any other time it does nothing."""
        if self.state is State.PROBING and is_due(self._deadline, now):
            self._move(Event.PROBE_LOST)
        if self.state is State.CLOSING and is_due(self._deadline, now):
            self._end(TRANSPORT_CLOSE)  # the reason that `close` was given stays
        if self.has_ended:
            return
        beat = self._heartbeat.handle_timer(now)
        if beat is Beat.DEATH:
            self._end(PING_TIMEOUT)
        elif beat is Beat.PING:
            self.pings += 1
            self.send(_PING)

    # -- the machine

    def _move(self, event: Event) -> None:
        following = TABLE[self.state].get(event)
        if following is None:
            raise SessionUnknown(event.value) if self.state is State.CLOSED else TransportMismatch(event.value)
        self.state = following

    def _filler(self) -> bytes | None:
        """What answers an open GET when nothing is queued; None: it waits."""
        if self.state is State.CLOSED:
            return self._farewell
        if self.state is State.WEBSOCKET or (self.state is State.PROBING and self._probed):
            return _NOOP
        return None

    def _take(self, packet: Packet, now: float) -> None:
        """A packet from the client, in its turn."""
        if packet.type is PacketType.MESSAGE:
            if self._messages is None:
                self._messages = []
            self._messages.append(packet.data)
        elif packet.type is PacketType.PONG:
            self._heartbeat.pong(now)
            self.answered_ping = self.pings
        elif packet.type is PacketType.CLOSE:
            self._end(TRANSPORT_CLOSE, farewell=_NOOP)
        elif packet.type is PacketType.PING:
            self._end(TRANSPORT_ERROR)

    def _hold(self, packet: Packet) -> None:
        """Keep a packet until the POST that was sent before it is there."""
        data = packet.data if isinstance(packet.data, bytes) else packet.data.encode(errors="surrogatepass")
        if self._held is None:
            self._held = []
        self._held.append(packet)
        self._held_bytes += _HELD_OVERHEAD + len(data)
        if self._held_bytes > self._settings.max_payload:
            self._end(TRANSPORT_ERROR)

    def _release(self, now: float) -> None:
        """Take what was held; there is no second time, since on a WebSocket no POST begins."""
        held, self._held = self._held, None
        for packet in held or ():
            self._take(packet, now)
            if self.has_ended:
                return

    def _end(self, reason: str, *, farewell: bytes | None = _CLOSE) -> None:
        """Over, at once; an open GET is still answered, by `farewell`."""
        if self.state is State.CLOSED:
            return
        self._move(Event.END)
        if self.end_reason is None:
            self.end_reason = reason
        self._farewell = farewell
        self._drop_output()
        self._drop_input()

    def _drop_output(self) -> None:
        self._dropped_messages += sum(map(_is_message, (*self._outbox.drain(), *(self._frames or ()))))
        self._frames = None
        self._probes = 0

    def _drop_input(self) -> None:
        self._post_open = False
        self._dropped_events += sum(packet.type is PacketType.MESSAGE for packet in self._held or ())
        self._held = None


def _is_message(sent: str | bytes) -> bool:
    """Whether a piece or a frame brings a message; what follows it as a binary one is part of it."""
    return sent[:1] in ("4", b"4")
