"""A Redis without a network: an endpoint whose connections are answered when the test says so, on a Clock."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.resp import Reader
from wsservice.adapters.redis.url import RedisUrl
from wsservice.counters import Counters

Words = list[bytes]


class FakeTransport:
    """The client's end of a connection.

    Attributes:
        writes: each as it came.
        commands: what has arrived whole and is not answered.
        closes: what ended it from this side.
    """

    def __init__(self, clock: Clock) -> None:
        self.writes: list[bytes] = []
        self.commands: list[Words] = []
        self.closes: list[str] = []
        #: whether the far end closes when it is asked to
        self.is_polite = True
        self._reader = Reader(1 << 30)
        self._clock = clock
        self._protocol: Any = None
        self.subscribed = 0

    def connect(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.makeConnection(self)

    @property
    def is_open(self) -> bool:
        return self._protocol is not None

    @property
    def disconnecting(self) -> bool:
        return bool(self.closes)

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.commands += self._reader.feed(data)

    def receive(self, data: bytes) -> None:
        """Something comes from the far end."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def loseConnection(self) -> None:
        self.closes.append("lose")
        if self.is_polite:
            self._clock.callLater(0, self.lose, ConnectionDone())

    def abortConnection(self) -> None:
        self.closes.append("abort")
        self._clock.callLater(0, self.lose, ConnectionAborted())

    def lose(self, why: Exception | None = None) -> None:
        """It is gone."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(why or ConnectionLost()))


@implementer(IStreamClientEndpoint)
class FakeRedis:
    """Connects and answers.

    Attributes:
        mode: "up"; "away" refuses; "lost" never answers a SYN.
        is_silent: whether what is sent is left unanswered.
        log: every command that was answered.
        answers: by the name of a command, the answer's bytes instead of the usual.
    """

    def __init__(self, clock: Clock) -> None:
        self.mode = "up"
        self.is_silent = False
        self.attempts = 0
        self.cancelled = 0
        self.transports: list[FakeTransport] = []
        self.log: list[Words] = []
        self.answers: dict[bytes, bytes] = {}
        self._clock = clock

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        self.attempts += 1
        if self.mode == "away":
            return fail(ConnectionRefusedError())
        if self.mode == "lost":
            return Deferred(lambda _: setattr(self, "cancelled", self.cancelled + 1))
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        transport = FakeTransport(self._clock)
        self.transports.append(transport)
        transport.connect(protocol)
        return succeed(protocol)

    @property
    def open(self) -> list[FakeTransport]:
        """The connections that there are."""
        return [one for one in self.transports if one.is_open]

    def answer(self) -> bool:
        """Answer what has arrived, in one piece for each connection; False if there was nothing."""
        busy = False
        for transport in self.open:
            commands, transport.commands = transport.commands, []
            if commands:
                busy = True
                self.log += commands
                transport.receive(b"".join(self._reply(transport, words) for words in commands))
        return busy

    def _reply(self, transport: FakeTransport, words: Words) -> bytes:
        name = words[0]
        if name in self.answers:
            return self.answers[name]
        if name in (b"SUBSCRIBE", b"PSUBSCRIBE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE"):
            transport.subscribed += len(words) - 1
            kind = name.lower()
            return b"".join(
                b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n:1\r\n" % (len(kind), kind, len(one), one) for one in words[1:]
            )
        if name == b"PING":
            return b"*2\r\n$4\r\npong\r\n$0\r\n\r\n" if transport.subscribed else b"+PONG\r\n"
        return b":1\r\n" if name == b"PUBLISH" else b"+OK\r\n"


class Bench:
    """A link, its Redis and its clock."""

    def __init__(self, url: str = "redis://cache", **options: Any) -> None:
        self.clock = Clock()
        self.redis = FakeRedis(self.clock)
        self.counters = Counters()
        self.told: list[str] = []
        self.got: list[bytes] = []
        self.link = RedisLink(
            self.clock,
            RedisUrl.parse(url),
            self.counters,
            now=self.clock.seconds,
            chance=lambda: 0.0,
            endpoint=self.redis,
            **options,
        )
        self.link.on_up.append(lambda: self.told.append("up"))
        self.link.on_down.append(lambda: self.told.append("down"))

    def start(self) -> Bench:
        self.link.subscribe(b"c", lambda channel, message: self.got.append(message))
        self.link.start()
        self.settle()
        return self

    def settle(self) -> None:
        """Let the turns pass that need no time."""
        self.clock.advance(0)
        while not self.redis.is_silent and self.redis.answer():
            self.clock.advance(0)

    def advance(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass, with answers."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.settle()

    @property
    def commands(self) -> FakeTransport:
        """The connection for commands, while both are there."""
        return next(one for one in self.redis.open if not one.subscribed)

    @property
    def subscriber(self) -> FakeTransport:
        """The connection for subscriptions."""
        return next(one for one in self.redis.open if one.subscribed)

    def sent(self, name: bytes) -> list[Words]:
        """The commands of a name that were answered."""
        return [words for words in self.redis.log if words[0] == name]
