"""The raw WebSocket at `/ws`: frames to events and back.

opened: a client whose token was refused is closed with 1008 or 1013 and the reason in words, since a browser
  |     shows nothing of an HTTP answer (`reject="http"` answers 401 or 503 instead)
  v
a Connection: every message becomes an event; of a client that comes back, the one that it had (comeback.py)
  v
onClose: the Connection has ended
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.close_codes import CloseCode, is_farewell
from wsservice.connection import Connection
from wsservice.envelope import decode_binary, decode_text
from wsservice.errors import AuthenticationError, ClientError
from wsservice.handshake import Handshake, Network
from wsservice.hub import Hub
from wsservice.pings import Pings
from wsservice.recovery import Recoveries
from wsservice.transports.comeback import ComebackProtocol, read_comeback, without_claim
from wsservice.transports.deflate import envelope_wire, raw_wire
from wsservice.transports.opening import OpeningFactory
from wsservice.wire import Link, Wire

if TYPE_CHECKING:
    from wsservice.auth.authenticator import Authenticator

log = Logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """What `/ws` is configured by.

    Attributes:
        max_message_size: bytes of a message, decompressed; more closes 1009.
        max_fragments: frames of a message; more close 1008.
        send_queue_bytes, send_queue_messages: what may wait for a client that does not read; more closes 4408.
        compression: whether permessage-deflate is accepted (RFC 7692).
        reject_by_http: answer 401 or 503 instead of 101 and a close.
        trusted_proxies: whose `X-Forwarded-*` headers count.
        ping_interval, ping_timeout: seconds, between two pings, and for an answer.
        unread_timeout: seconds in which a client must take something of what was sent before its close.
    """

    max_message_size: int = 65536
    max_fragments: int = 131_072
    send_queue_bytes: int = 1024 * 1024
    send_queue_messages: int = 10_000
    compression: bool = False
    reject_by_http: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    unread_timeout: float = 10.0


class RawFactory(OpeningFactory):
    """Makes the protocols of `/ws`, and knows those that are open.

    Args:
        hub: what their connections share.
        authenticator: who decides on a handshake.
    """

    def __init__(self, hub: Hub, authenticator: Authenticator, settings: Settings, clock: IReactorTime) -> None:
        super().__init__(
            RawProtocol,
            authenticator=authenticator,
            counters=hub.counters,
            clock=clock,
            trusted_proxies=settings.trusted_proxies,
            compression=settings.compression,
            options={
                "maxMessagePayloadSize": settings.max_message_size,
                "maxFramePayloadSize": settings.max_message_size,
                "max_fragments": settings.max_fragments,
                "max_backlog": settings.send_queue_bytes,
                "max_backlog_messages": settings.send_queue_messages,
                "patience": hub.pause_timeout,
                "traffics": hub.traffics,
                "unread_timeout": settings.unread_timeout,
            },
        )
        self.hub = hub
        self.settings = settings
        self.pings = Pings(clock, interval=settings.ping_interval, timeout=settings.ping_timeout)
        self.recoveries = Recoveries.of(
            hub, max_queue=settings.send_queue_bytes, max_queue_messages=settings.send_queue_messages
        )


class RawProtocol(ComebackProtocol, Link):
    """One client of `/ws`."""

    __slots__ = ("_connection",)

    factory: RawFactory

    def __init__(self) -> None:
        super().__init__()
        self._connection: Connection | None = None

    @property
    def user_id(self) -> str | None:
        """The connection's user."""
        return None if self._connection is None else self._connection.user.id

    def refused(self, failure: Failure) -> None:
        """Keep the refusal, or answer by its HTTP status."""
        if self.factory.settings.reject_by_http:
            failure.raiseException()
        super().refused(failure)

    def drain_open(self) -> None:
        """End this connection, since the service stops."""
        if self._connection is not None:
            self._connection.disconnect(CloseCode.GOING_AWAY, close_codes.SHUTTING_DOWN)
        elif self.comeback is not None:
            self.close(CloseCode.GOING_AWAY, close_codes.SHUTTING_DOWN)

    def opened(self, handshake: Handshake) -> None:
        """Make the connection, or close with the refusal."""
        principal, counters = self._principal, self.factory.counters
        if self._refusal is not None or principal is None:
            refusal = self._refusal or AuthenticationError("no principal")
            counters.add("handshakes", refusal.word)
            self.close(refusal.close_code, refusal.message)
            return
        counters.add("handshakes", "ok")
        self.watch_transport()
        self.factory.pings.add(self)
        self._handshake = self._principal = None
        comeback = read_comeback(handshake)
        if comeback is None:
            self.connect(raw_wire(self._perMessageCompress), principal, handshake)
        else:
            self.come_back(comeback, principal, without_claim(handshake))

    def connect(self, wire: Wire, principal: Principal, handshake: Handshake) -> None:
        """Make the connection."""
        trail = self.trail
        hub = self.factory.hub
        self._connection = connection = (hub.make_connection or Connection)(
            hub,
            self,
            wire,
            principal,
            handshake.without_secrets(),
            saved=None if trail is None else trail.saved,
        )
        if trail is not None:
            trail.open(connection)
        if self.factory.hub.logs_debug:
            log.debug(
                "connection of {user} opened",
                user=principal.id,
                connection_id=connection.id,
                request_id=handshake.request_id,
                peer=handshake.peer,
            )
        connection.open()

    def received(self, message: str | bytes, size: int) -> None:
        """One message of the client; a fault of ours ends this connection only."""
        connection = self._connection
        if connection is None:  # refused
            self.factory.counters.add("events_dropped", "closing")
            return
        try:
            connection.receive(decode_text(message) if isinstance(message, str) else decode_binary(message), size)
        except Exception:
            log.failure("connection {connection_id} failed", connection_id=connection.id)
            self.factory.counters.add("internal_errors")
            connection.disconnect(CloseCode.INTERNAL_ERROR, close_codes.INTERNAL)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The connection is over, whoever ended it."""
        connection, self._connection = self._connection, None
        if connection is None and self.comeback is None:
            return
        self.factory.pings.discard(self)
        end = "transport close" if wasClean else "parse error" if self.failedByMe else "transport error"
        if self.is_gone:
            end = "ping timeout"
        sent = self.count_close()
        if connection is None:  # it was still looked for what the client comes back to
            return
        if self.factory.hub.logs_debug:
            log.debug(
                "connection closed: {end} {code}",
                end=end,
                code=sent,
                connection_id=connection.id,
                request_id=connection.handshake.request_id,
            )
        if self.trail is not None:
            self.trail.end(is_broken=end in close_codes.RECOVERABLE and sent != CloseCode.NORMAL)
        connection.ended(end)

    # Link, beside what OutgoingProtocol has

    def accept(self) -> None:
        """What was sent meanwhile follows by itself, behind the welcome of a client that asked to recover."""
        comeback, connection = self.comeback, self._connection
        if comeback is not None and connection is not None:
            for data in comeback.frames(connection, envelope_wire(self._perMessageCompress)):
                self.write(data)

    def refuse(self, error: ClientError) -> None:
        """Close, with the reason in words."""
        if self.trail is not None:
            self.trail.end(is_broken=True)
        self.close(*error.close)

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; for who may come back to the connection, that one has ended."""
        super().close(code, reason)
        connection = self._connection
        if self.trail is not None and connection is not None:
            self.trail.end(is_broken=reason in close_codes.RECOVERABLE and not is_farewell(code))
            connection.ended(reason)

    def writing_changed(self, *, is_busy: bool) -> None:
        """The connection may, or may no longer, write to the socket itself."""
        super().writing_changed(is_busy=is_busy)
        connection = self._connection
        if connection is not None and is_busy != (connection.direct is None):
            connection.update_direct()

    def too_much(self) -> None:
        """The client sends too much."""
        if self._connection is not None:
            self._connection.disconnect(CloseCode.TOO_MANY, close_codes.TOO_MUCH)

    def too_slow(self) -> None:
        """The client does not read."""
        self.factory.counters.add("slow_consumers")
        if self._connection is not None:
            self._connection.disconnect(CloseCode.SLOW_CONSUMER, close_codes.SLOW)
