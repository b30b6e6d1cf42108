"""How much a WebSocket client may send, and whether it is still there.

A client over its rate is not read from for as long as it was ahead; one that is ahead all the time is closed.
A client that does not answer a ping in time is gone, and its transport is cut off.
"""

from __future__ import annotations

from typing import Any, ClassVar

from autobahn.websocket.protocol import WebSocketProtocol

from wsservice.traffic import Traffic, Traffics
from wsservice.transports.common_frames import next_common_frame
from wsservice.transports.outgoing import OutgoingProtocol
from wsservice.transports.slim import TRAFFIC

#: seconds without a pause after which a client keeps to its rate again
_CALM = 5.0
_OPEN: int = WebSocketProtocol.STATE_OPEN
#: opcodes above it are pings and pongs (RFC 6455 section 5.2)
_CLOSE = 0x8
#: seconds of a pause, at least: who is over its rate all the time must not cost a timer for each message
_SHORTEST_PAUSE = 0.05


class IncomingProtocol(OutgoingProtocol):
    """Counts what a client sends, and pings it."""

    __slots__ = ("_traffic", "ping_slot", "pong_awaited")

    #: seconds that a client may be over its rate, with short pauses
    patience: ClassVar[float] = 30.0

    #: the buckets of all users; None where there is no limit
    traffics: ClassVar[Traffics | None] = None
    #: whether it was cut off since no answer came
    is_gone = False
    _over_since = 0.0
    _calm_at = 0.0

    def __init__(self) -> None:
        super().__init__()
        #: its user's, found for the first message: many connections only listen
        self._traffic: Traffic | None = None
        self.pong_awaited = False
        self.ping_slot: int | None = None

    def too_much(self) -> None:
        """The client sends too much all the time. Close it."""
        raise NotImplementedError

    def identified(self) -> None:
        """`user_id` has changed: another rate counts."""
        self._traffic = None

    @property
    def user_id(self) -> str | None:
        """Whose rate counts; None of somebody who is not known."""
        return None

    def _fail_connection(self, code: int, reason: str) -> None:
        """The client broke the protocol or a bound."""
        if not self.failedByMe:
            self.factory.counters.add("frames_refused", str(int(code)))
        super()._fail_connection(code, reason)

    def received(self, message: str | bytes, size: int) -> None:
        """One message of the client, of so many bytes, which have been counted."""
        raise NotImplementedError

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the client: the common frames are taken at once, the rest goes through Autobahn's parser."""
        start = 0
        if not (self.data or self._pauses or self.inside_message or self.current_frame is not None):
            limit = self.maxMessagePayloadSize
            end = len(data)
            while start < end and self.state == _OPEN and not self._pauses:
                found = next_common_frame(data, start, limit)
                if found is None:
                    break
                message, size, start = found
                traffic = self._traffic
                if traffic is None:
                    self.count(size)
                elif wait := traffic.take(size):
                    self._calm_down(wait)
                self.received(message, size)
            if start == end:
                return
        if self.state != self.STATE_CLOSED:  # refused, or closed: TLS reads on for its end, and Autobahn would keep it
            self._dataReceived(data[start:] if start else data)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A message that took Autobahn's way."""
        self.count(len(payload))
        self.received(payload if isBinary else payload.decode(), len(payload))

    def onFrameBegin(self) -> None:
        """A frame begins; a ping, or a piece of a message, even an empty one, costs as much as a message."""
        super().onFrameBegin()
        head: Any = self.current_frame
        if self.traffics is not None and (head.opcode > _CLOSE or not head.fin):
            self.count(0)

    def count(self, octets: int) -> None:
        """A message came, or what costs as much."""
        traffic = self._traffic
        if traffic is None:
            if self.traffics is None:
                return
            traffic = self._traffic = self.traffics.of(self.user_id)
        wait = traffic.take(octets)
        if wait:
            self._calm_down(wait)

    def _calm_down(self, wait: float) -> None:
        """Do not read from the client for so many seconds."""
        wait = min(wait, self.patience)
        clock = self.factory.clock
        now = clock.seconds()
        if now >= self._calm_at:
            self._over_since = now
        wait = max(wait, _SHORTEST_PAUSE)
        self._calm_at = now + wait + _CALM
        self.factory.counters.add("reading_paused", "traffic")
        if now - self._over_since > self.patience and self.state == self.STATE_OPEN:
            self.too_much()
        self.pause_reading(TRAFFIC)  # until it has gone, too
        clock.callLater(wait, self.resume_reading, TRAFFIC)

    # Pinged

    def ping(self) -> None:
        """Ask whether the peer is there; behind what waits, since only who reads is. Not behind our close frame."""
        if self.state == self.STATE_OPEN:
            self.write(self.ping_frame)

    def onPong(self, payload: bytes) -> None:
        """It is."""
        self.pong_awaited = False

    def pong_missing(self) -> None:
        """It is gone, or does not read. While we do not read ourselves, nobody knows; a close has times of its own."""
        if self._pauses or self.state != self.STATE_OPEN:
            return
        self.factory.counters.add("pings_unanswered")
        self.is_gone = True
        self.transport.abortConnection()
