"""The whole service in memory, on a clock of its own: what the targets of the wire speak to."""

from __future__ import annotations

import functools
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from tests.fakes import make_handshake
from wsservice.app import App
from wsservice.assembly import assemble
from wsservice.auth.principal import Principal
from wsservice.clients.client import Client
from wsservice.config import load_config
from wsservice.connection import Connection
from wsservice.errors import CallError, ClientError
from wsservice.surroundings import Surroundings

#: POSIX seconds at the start; the clock begins at 0
BEGIN = 1_800_000_000.0
#: seconds after which a token is replaced by a new one
_TOKEN_AGE = 600.0
#: bytes that a client which reads slowly leaves in the transport's buffer
_FULL = 16384
#: timers that may fire while the clients are silent
_TIMERS = 2000
#: seconds that each timer takes at least: a clock that stands still is none
_RESOLUTION = 1e-6
#: seconds of a slow handler; rounds of half of it, for all of them together
_SLOW, _ROUNDS = 0.02, 1000
#: seconds: more than every deadline of the service, one after the other
_LONG = 200.0
_FLAGS = {
    "dev": "yes",
    "compression": "yes",
    "trusted_proxy": ["192.0.2.7"],
    "cors_origin": ["https://app.example.com", "https://*.example.org"],
    "max_message_size": "2000",
    "max_http_buffer_size": "2000",
    "inbox_messages": "5",
    "recovery": "60",
    "send_queue_bytes": "70000",
}


class Transport(StringTransport):
    """Remembers how it was ended.

    Args:
        slow: the client does not read: the transport fills.
    """

    protocol: Any

    def __init__(self, *, slow: bool) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.7", 40000))
        alsoProvides(self, ITCPTransport)
        self.ended = ""
        self.is_lost = False
        self.paused = False
        self._slow = slow

    def setTcpNoDelay(self, enabled: bool) -> None:
        """What a TCP transport has."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Who is told that the client is behind."""
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Nobody is, any more."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """Bytes for the client."""
        if self.is_lost:
            return
        super().write(data)
        if self._slow and self.producer is not None and self.io.tell() > _FULL:
            self.producer.pauseProducing()

    def pauseProducing(self) -> None:
        """The service does not want more."""
        self.paused = True

    def resumeProducing(self) -> None:
        """It does again."""
        self.paused = False

    def loseConnection(self) -> None:
        """The end, once everything is written."""
        self.ended = self.ended or "closed"

    def abortConnection(self) -> None:
        """The end, at once."""
        self.ended = "aborted"

    def read(self) -> None:
        """A slow client has read everything."""
        if self._slow and self.producer is not None:
            self._slow = False
            self.producer.resumeProducing()

    def lose(self, reason: Exception) -> None:
        """The reactor tells the protocol."""
        if not self.is_lost:
            self.is_lost = True
            self.protocol.connectionLost(Failure(reason))


class Peer:
    """One connection to the service."""

    def __init__(self, whole: Whole, *, slow: bool = False) -> None:
        self._whole = whole
        self._waiting: list[bytes] = []
        self.transport = Transport(slow=slow)
        self.transport.protocol = whole.parts.port.buildProtocol(self.transport.getPeer())
        self.transport.protocol.makeConnection(self.transport)

    @property
    def output(self) -> bytes:
        """All that the service wrote."""
        return self.transport.value()

    def send(self, data: bytes) -> None:
        """Bytes arrive, once the service wants them."""
        if data:
            self._waiting.append(data)
        self.flush()

    def flush(self) -> None:
        """Let what waits arrive, and let the reactor end what was ended."""
        while self._waiting and not self.transport.paused and not self.transport.ended:
            self.transport.protocol.dataReceived(self._waiting.pop(0))
            self._whole.tick(0)
        if self.transport.ended:
            self.transport.lose(ConnectionAborted() if self.transport.ended == "aborted" else ConnectionDone())

    @property
    def is_waiting(self) -> bool:
        """Whether bytes are still to arrive."""
        return bool(self._waiting) and not self.transport.ended

    def leave(self) -> None:
        """The client is gone."""
        self.transport.lose(ConnectionLost())

    @property
    def is_websocket(self) -> bool:
        """Whether it may stay open without a word."""
        parts = self._whole.parts
        return self.transport.protocol in parts.raw.live or self.transport.protocol in parts.socketio.live


class Whole:
    """A service with an app of a few handlers; make it once in a process.

    Attributes:
        log: what the app was told, in order; taken out by the targets.
        errors: what was logged as an error.
    """

    def __init__(self) -> None:
        self.clock = MemoryReactorClock()
        self.log: list[Any] = []
        self.errors: list[Any] = []
        self.peers: list[Peer] = []
        around = Surroundings(now=self._now, monotonic=self.clock.seconds, app=self._make_app())
        with tempfile.TemporaryDirectory() as folder:
            config = load_config(_FLAGS, {}, directory=Path(folder))
            self.parts: Any = assemble(config, self.clock, lambda: False, around=around)
        self._token, self._token_until = "", 0.0

    def _now(self) -> float:
        return BEGIN + self.clock.seconds()

    def _observe(self, event: dict[str, Any]) -> None:
        if event.get("log_level", LogLevel.info) >= LogLevel.error or event.get("isError"):
            self.errors.append(event.get("log_failure") or event)

    @property
    def token(self) -> str:
        """A token of alice that is good for a while."""
        if self.clock.seconds() >= self._token_until:
            self._token = self.parts.provider.issue("alice")
            self._token_until = self.clock.seconds() + _TOKEN_AGE
        return self._token

    @property
    def password(self) -> str:
        """Of alice."""
        return str(dict(self.parts.provider.credentials)["alice"])

    def connect(self, *, slow: bool = False) -> Peer:
        """A new connection."""
        peer = Peer(self, slow=slow)
        self.peers.append(peer)
        return peer

    def begin_session(self) -> Client:
        """A Socket.IO session on long-polling that has got its open packet."""
        user = Principal("alice", "alice", "session-alice", self._now() + 3600, frozenset({"admin"}))
        client: Client = self.parts.clients.prepare(make_handshake("/socket.io/"), user)
        client.open_poll(lambda body: None)
        return client

    def tick(self, seconds: float) -> None:
        """Time passes, from timer to timer, as on a machine that has little to do.

        Raises:
            AssertionError: the timers never rest.
        """
        until = self.clock.seconds() + seconds
        for _ in range(_TIMERS):
            now = self.clock.seconds()
            if not self.clock.calls or self.clock.calls[0].getTime() > until:
                self.clock.advance(max(0.0, until - now))
                return
            self.clock.advance(max(_RESOLUTION, self.clock.calls[0].getTime() - now))
        raise AssertionError("timers that spin")

    def step(self) -> None:
        """A moment passes, which is shorter than any handler takes that takes its time."""
        self.tick(_SLOW / 2)
        for peer in self.peers:
            peer.flush()

    def settle(self) -> None:
        """Let the handlers finish."""
        for rounds in range(_ROUNDS):
            self.step()
            if rounds and not self.parts.hub.running and not any(peer.is_waiting for peer in self.peers):
                return

    @contextmanager
    def life(self) -> Iterator[None]:
        """What happens in here starts afresh, and nothing may be left of it.

        Raises:
            AssertionError: something is.
        """
        self.log.clear()
        self.errors.clear()
        self.parts.hub.last_call_id = 0
        self._forget_history()
        globalLogPublisher.addObserver(self._observe)
        try:
            yield
            self._end()
        except BaseException:
            whole.cache_clear()  # whatever it left must not spoil the next input
            raise
        finally:
            globalLogPublisher.removeObserver(self._observe)

    def _end(self) -> None:
        """Everybody goes."""
        for peer in self.peers:
            peer.leave()
        self.peers.clear()
        for client in self.parts.clients:
            client.end("over", discard=True)
        self.tick(_LONG)
        parts = self.parts
        left = {
            "heads": len(parts.port.waiting),
            "raw": len(parts.raw.live),
            "socketio": len(parts.socketio.live),
            "channels": len(parts.web.channels),
            "clients": len(parts.clients),
            "connections": len(parts.hub.registry),
            "running": parts.hub.running,
            "recoverable": len(parts.hub.history.live),
            "timers": max(0, len(self.clock.getDelayedCalls()) - 2),
        }
        assert not any(left.values()), f"left behind: {left}"
        for error in self.errors:
            if isinstance(error, Failure):
                error.raiseException()
            raise AssertionError(f"an error was logged: {error}")

    def _forget_history(self) -> None:
        """Ids are counted anew in each life; those of the last one must not come back."""
        history = self.parts.hub.history
        history._number = history._bytes = 0
        for memory in (history._entries, history._saved, history.away):
            memory.clear()

    def _make_app(self) -> App:
        app = App()
        _declare(app, self)
        app.namespace("/admin").on("hello")(lambda connection, data: data)
        return app


def _declare(app: App, whole: Whole) -> None:
    log = whole.log

    @app.on_connect
    def connected(connection: Connection) -> None:
        log.append(("connected", connection.user.username))
        if "slow" in connection.handshake.query:
            connection.emit("held", 1)

    @app.on_disconnect
    def disconnected(connection: Connection, reason: str) -> None:
        log.append(("disconnected", reason))

    @app.on_any
    def anything(connection: Connection, event: str, *args: Any) -> Any:
        log.append((event, args))
        return args[0] if args else None

    @app.on("message")
    def message(connection: Connection, data: Any) -> dict[str, bool]:
        log.append(("message", data))
        app.emit("message", data)
        return {"delivered": True}

    @app.on("slow")
    async def slow(connection: Connection, data: Any) -> str:
        log.append(("slow", data))
        waiting: Deferred[None] = Deferred()
        whole.clock.callLater(_SLOW, waiting.callback, None)
        await waiting
        log.append(("slow is done", data))
        return "late"

    @app.on("refuse")
    def refuse(connection: Connection, data: Any) -> None:
        raise ClientError("no", "No.", {"because": data})

    @app.on("room")
    def room(connection: Connection, name: Any) -> None:
        connection.join(str(name))
        app.emit("news", name, room=str(name), volatile=True)

    @app.on("call")
    async def call(connection: Connection, data: Any) -> Any:
        try:
            answer = await connection.call("ask", data, timeout=0.5)
        except CallError:
            answer = "none"
        log.append(("answer", answer))
        return None

    @app.on("flood")
    def flood(connection: Connection, data: Any) -> None:
        for number in range(40):
            connection.emit("news", "x" * 1000, volatile=number % 4 == 0)

    @app.on("close")
    def close(connection: Connection, data: Any) -> None:
        connection.disconnect(4000, "closed by the app")


@functools.cache
def whole() -> Whole:
    """The one of this process."""
    return Whole()


@contextmanager
def counted_ids() -> Iterator[None]:
    """Ids that are the same in each life, so that lives can be compared."""
    numbers = count()
    with (
        mock.patch.object(secrets, "token_urlsafe", lambda size: f"{next(numbers):0{size * 4 // 3}d}"),
        mock.patch.object(secrets, "token_hex", lambda size: f"{next(numbers):0{size * 2}d}"),
    ):
        yield
