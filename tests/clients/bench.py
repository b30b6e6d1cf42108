"""All of Socket.IO in memory: the real port, site, factory and table of clients on a Clock, and clients of both kinds.

    Bench       the service; `sizes` is what must be the same again when a client has come and gone
    Poller      a client on long-polling, one connection a request
    Socketeer   a client on a WebSocket, by the `websockets` library

Both clients `say` Engine.IO packets (text, or bytes for a binary message) and `hear` them, and pong by themselves.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Opcode

from tests.transports.memory import MemoryClient
from tests.web.memory import Client as Exchange
from tests.web.memory import Response
from wsservice.app import App
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.clients.client import Client
from wsservice.clients.settings import Settings
from wsservice.clients.table import Clients
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.deadlines import RunningClock
from wsservice.errors import MissingToken
from wsservice.expiry import Expirations
from wsservice.handshake import Handshake
from wsservice.history import History
from wsservice.hub import Hub
from wsservice.registry import Registry
from wsservice.transports.port import PortFactory
from wsservice.transports.socketio import SocketIoFactory
from wsservice.transports.upgrade import UpgradeResource
from wsservice.web.polling import PollingResource, PollingSettings
from wsservice.web.request import WsSite
from wsservice.web.resource import Branch

HOST = "localhost"
APP_ORIGIN = "https://app.example"
EVIL_ORIGIN = "https://evil.example"
#: longer than any session lives without a sign of its client
A_LIFETIME = 70.0


class Gatekeeper:
    """Takes the cookie `token=<user>` for a token; `answers` may say otherwise of a user.

    Attributes:
        answers: user -> a Principal, an error, a Deferred, or a function that gives one of them.
        seen: the handshakes that it was asked about.
    """

    def __init__(self, origins: OriginPolicy) -> None:
        self.answers: dict[str, Any] = {}
        self.seen: list[Handshake] = []
        self._origins = origins

    def check_origin(self, handshake: Handshake) -> None:
        self._origins.check(handshake)

    def decide(self, handshake: Handshake) -> Principal | Deferred[Principal]:
        """As the authenticator does it of a token that it saw before, where the answer is there."""
        deciding = self.authenticate(handshake)
        return deciding.result if isinstance(getattr(deciding, "result", None), Principal) else deciding

    def authenticate(self, handshake: Handshake) -> Deferred[Principal]:
        self.seen.append(handshake)
        cookie = handshake.header("cookie")
        if cookie is None:
            return fail(MissingToken("no cookie"))
        user = cookie.removeprefix("token=")
        answer = self.answers.get(user) or principal(user)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


def principal(user: str, *, session: str | None = None, expires_at: float = 1e6) -> Principal:
    """A verified user; the session is named after it unless told otherwise."""
    return Principal(user, user, session or f"session-{user}", expires_at)


class Bench:
    """The service.

    Args:
        recovery: options of the History; None: clients cannot recover.
        passing, splices: what passes on to other nodes.
        hub: options of the Hub.
        clock: of several benches together.

    Attributes:
        steps: what the application saw: ("connect", namespace, user), (event, *args), and
            ("disconnect", namespace, reason).
        waiting: what the handlers of `wait` and of the namespace `/slow` wait for, the oldest first.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        recovery: dict[str, Any] | None = None,
        polling: PollingSettings | None = None,
        hub: dict[str, Any] | None = None,
        compression: bool = False,
        cookie: Callable[[str], str] | None = None,
        clock: Clock | None = None,
        history_class: type[History] = History,
        passing: Any = None,
        splices: Any = None,
    ) -> None:
        self.clock = clock or Clock()
        self.counters = Counters()
        self.app = App()
        self.registry: Registry[Connection] = Registry(self.counters)
        self.expirations = Expirations(self.clock, self.clock.seconds)
        self.history = None if recovery is None else history_class(self.clock.seconds, self.counters, **recovery)
        self.hub = Hub(
            self.app,
            self.registry,
            self.expirations,
            self.clock,
            self.counters,
            history=self.history,
            **(hub or {}),
        )
        self.app.serve(self.hub)
        self.revoked: set[str] = set()
        origins = OriginPolicy([APP_ORIGIN])
        self.gate: Any = Gatekeeper(origins)
        self.running = RunningClock(self.clock.seconds)
        self.clients = Clients(
            self.hub,
            settings or Settings(),
            find=self.app.find,
            authenticate=self.gate.authenticate,
            is_revoked=lambda principal: principal.session in self.revoked,
            clock=self.running,
            wall_clock=self.clock.seconds,
        )
        self.sockets = SocketIoFactory(
            self.clients, self.gate, clock=self.clock, compression=compression, cookie=cookie
        )
        self.polling = PollingResource(
            self.clients,
            self.gate,
            origins,
            polling or PollingSettings(compression=False, cookie=cookie),
            passing=passing,
        )
        root = Branch()
        root.putChild(b"socket.io", UpgradeResource(self.sockets, self.polling, splices))
        uploads = dict.fromkeys(("/socket.io", "/socket.io/"), self.polling.open_upload)
        polls = dict.fromkeys(("/socket.io", "/socket.io/"), self.polling)
        self.site = WsSite(root, clock=self.clock, counters=self.counters, uploads=uploads, polls=polls)
        self.port = PortFactory(
            {b"/socket.io": self.sockets, b"/socket.io/": self.sockets},
            self.site,
            clock=self.clock,
            counters=self.counters,
            head_timeout=5.0,
            splices=splices,
        )
        self.steps: list[tuple[Any, ...]] = []
        self.waiting: list[Deferred[Any]] = []
        self.pollers: list[Poller] = []
        self.socketeers: list[Socketeer] = []
        self.exchanges: list[Exchange] = []
        _declare(self)

    # -- clients

    def poller(self, user: str | None = "alice", *namespaces: str, **options: Any) -> Poller:
        """A client on long-polling that has joined the namespaces."""
        return Poller(self, user, **options).begin().join(*namespaces)

    def socketeer(self, user: str | None = "alice", *namespaces: str, **options: Any) -> Socketeer:
        """A client on a WebSocket that has joined the namespaces."""
        socketeer = Socketeer(self, user, **options)
        socketeer.deliver()
        return socketeer.join(*namespaces)

    def move(self, poller: Poller) -> Socketeer:
        """The session of a poller, on a WebSocket from now on."""
        moved = Socketeer(self, poller.user, sid=poller.sid)
        moved.deliver()
        moved.say("2probe")
        assert moved.messages == ["3probe"], moved.messages
        poller.listen()
        moved.hear()
        moved.say("5")
        self.pollers.remove(poller)
        return moved

    def peer(self, transport: str, user: str | None = "alice", *namespaces: str) -> Poller | Socketeer:
        """A client on the transport that a test is about."""
        if transport == "polling":
            return self.poller(user, *namespaces)
        return self.socketeer(user, *namespaces)

    def request(
        self,
        method: str,
        query: str,
        *headers: str,
        body: bytes | None = None,
        user: str | None = "alice",
        path: str = "/socket.io/",
    ) -> Exchange:
        """One HTTP request on a connection of its own; its answer may take longer."""
        exchange = Exchange(self.port)
        self.exchanges.append(exchange)
        exchange.send(make_head(method, query, *headers, body=body, user=user, path=path) + (body or b""))
        return exchange

    def ask(self, method: str, query: str, *headers: str, **options: Any) -> Response:
        """A request that is answered at once."""
        exchange = self.request(method, query, *headers, **options)
        answer = exchange.answer(method)
        exchange.transport.drop()
        return answer

    def connection(self, user: str = "alice", namespace: str = "/") -> Connection:
        """The one connection of a user in a namespace."""
        (found,) = [one for one in self.connections(namespace) if one.user.id == user]
        return found

    def connections(self, namespace: str = "/") -> list[Connection]:
        return list(self.registry._namespaces.get(namespace, ()))

    # -- time

    def turn(self) -> None:
        """The turn of the event loop ends."""
        self.clock.advance(0)

    def advance(self, seconds: float, step: float = 0.5) -> None:
        """Time passes, in steps, since the clocks take a long one for a loop that was blocked; clients pong."""
        until = self.clock.seconds() + seconds
        while self.clock.seconds() < until - 1e-9:
            self.clock.advance(min(step, until - self.clock.seconds()))
            for peer in (*self.pollers, *self.socketeers):
                if peer.pongs:
                    peer.listen()

    # -- the end

    def let_go(self) -> None:
        """Every client is gone, without a word."""
        for exchange in self.exchanges:
            exchange.transport.drop(ConnectionLost())
        for socketeer in self.socketeers:
            socketeer.drop()
        self.exchanges, self.pollers, self.socketeers = [], [], []
        self.turn()

    def sizes(self) -> dict[str, Any]:
        """How much is kept of whom."""
        self.turn()
        registry = {name: len(table) for name, table in vars(self.registry).items() if isinstance(table, dict)}
        history = self.history
        return {
            **registry,
            "clients": len(self.clients),
            "deadlines": len(self.clients.deadlines),
            "expirations": sum(map(len, self.expirations._buckets.values())),
            "running": self.hub.running,
            "calls": sum(len(one._calls or ()) for one in self.registry._by_id.values()),
            "live": 0 if history is None else len(history.live),
            "sockets": len(self.sockets.live),
            "channels": len(self.site.channels),
            "heads": len(self.port.waiting),
            "timers": len([call for call in self.clock.getDelayedCalls() if not _is_expiry(call)]),
        }


class BenchCase(SynchronousTestCase):
    """A test with a bench, which is empty again at its end."""

    bench: Bench

    def setUp(self) -> None:
        self.start()

    def start(self, settings: Settings | None = None, **options: Any) -> Bench:
        """A bench; another one takes the place of the first."""
        self.bench = Bench(settings, **options)
        return self.bench

    def tearDown(self) -> None:
        self.check_nothing_is_left()

    def check_nothing_is_left(self) -> None:
        """Once all clients are gone, and the time of those that nobody takes leave of is over."""
        bench = self.bench
        for waiting in bench.waiting:
            if not waiting.called:
                waiting.callback(None)
        bench.waiting.clear()
        bench.let_go()
        bench.advance(A_LIFETIME)
        self.assertEqual({name: size for name, size in bench.sizes().items() if size}, {})
        self.assertEqual(bench.clients.deadlines._heap, [])

    def assertHears(self, peer: Poller | Socketeer, *packets: Any) -> None:
        """The peer hears exactly these packets by now; a pattern stands for what matches it."""
        heard = peer.hear()
        self.assertEqual(len(heard), len(packets), heard)
        for one, expected in zip(heard, packets, strict=True):
            if isinstance(expected, re.Pattern):
                self.assertRegex(one, expected)
            else:
                self.assertEqual(one, expected)


class BystanderCase(BenchCase):
    """There is somebody else from the beginning, whom nothing of this may harm."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self, settings: Settings | None = None, **options: Any) -> None:
        """Everybody who is there from the beginning comes; with anything given, to another bench."""
        if settings is not None or options:
            self.bench.let_go()
            self.start(settings, **options)
        self.come()
        self.bench.steps.clear()

    def come(self) -> None:
        """Make the clients that are there from the beginning."""
        raise NotImplementedError

    def assertWorks(self, peer: Poller | Socketeer) -> None:
        """It is answered, and hears nothing else."""
        peer.say(event("echo", "works", id=7))
        self.assertEqual(peer.hear(), ['437["works"]'])


class Poller:
    """A client on long-polling.

    Attributes:
        pongs: whether it answers pings when the bench's time passes.
        heard: every packet so far; `hear` takes them out.
        posted: the answer to the last POST.
        refused: the answer that ended it.
        is_over: whether it was told `1`, or was refused.
    """

    transport = "polling"

    def __init__(self, bench: Bench, user: str | None = "alice", *, headers: tuple[str, ...] = ()) -> None:
        self.bench = bench
        self.user = user
        self.headers = headers
        self.sid = ""
        self.pongs = True
        self.heard: list[str | bytes] = []
        self.open_get: Exchange | None = None
        self.posted: Response | None = None
        self.refused: Response | None = None
        self.is_over = False
        self.handshake: dict[str, Any] = {}

    def begin(self) -> Poller:
        """The request that begins the session."""
        answer = self.bench.ask("GET", "EIO=4&transport=polling", *self.headers, user=self.user)
        assert answer.status == 200, answer
        packet, *more = split(answer.body)
        assert isinstance(packet, str)
        assert packet[0] == "0", packet
        self.heard += more
        self.handshake = json.loads(packet[1:])
        self.sid = self.handshake["sid"]
        self.bench.pollers.append(self)
        return self

    @property
    def query(self) -> str:
        return f"EIO=4&transport=polling&sid={quote(self.sid)}"

    @property
    def client(self) -> Client | None:
        """The server's side."""
        return self.bench.clients.get(self.sid)

    def join(self, *namespaces: str) -> Poller:
        """Connect to namespaces, and fetch the answers; no GET stays open."""
        if namespaces:
            self.say(*("40" if namespace == "/" else f"40{namespace}," for namespace in namespaces))
            heard = self.fetch()
            assert len(heard) == len(namespaces), heard
        return self

    def fetch(self) -> list[str | bytes]:
        """The packets of one GET that is answered at once."""
        exchange = self.get()
        answer = exchange.answer()
        exchange.transport.drop()
        return split(answer.body)

    def get(self) -> Exchange:
        """A GET, whose answer may take longer."""
        return self.bench.request("GET", self.query, *self.headers, user=self.user)

    def post(self, body: str | bytes, *headers: str) -> Exchange:
        """A POST, whose answer may take longer."""
        data = body.encode() if isinstance(body, str) else body
        return self.bench.request("POST", self.query, *self.headers, *headers, body=data, user=self.user)

    def send(self, body: str | bytes, *headers: str) -> Response:
        """A POST that is answered once its packets have had their turns."""
        exchange = self.post(body, *headers)
        while self.client is not None and self.client._continues:
            self.bench.turn()
        self.posted = exchange.answer()
        exchange.transport.drop()
        return self.posted

    def say(self, *packets: str | bytes) -> None:
        """Packets in one POST."""
        self.send(join(packets))

    def hear(self) -> list[str | bytes]:
        """The packets since the last time, without pings and noops; a GET stays open."""
        self.listen()
        heard, self.heard = self.heard, []
        return [packet for packet in heard if packet not in ("2", "6")]

    def listen(self) -> None:
        """Poll until nothing comes, or nothing but noops."""
        noops = 0
        while not self.is_over and noops < 2 and (packets := self._poll()):
            noops += packets == ["6"]

    def _poll(self) -> list[str | bytes]:
        """What the open GET was answered, if it was."""
        self.bench.turn()
        if self.open_get is None:
            self.open_get = self.get()
        answers = self.open_get.received()
        if not answers:
            return []
        (answer,) = answers
        self.open_get.transport.drop()
        self.open_get = None
        if answer.status != 200:
            self.refused, self.is_over = answer, True
            return []
        packets = split(answer.body)
        self.heard += packets
        self.is_over = "1" in packets
        if "2" in packets and self.pongs and not self.is_over:
            self.say("3")
        return packets

    def drop(self) -> None:
        """Give the open GET up."""
        assert self.open_get is not None
        exchange, self.open_get = self.open_get, None
        exchange.disconnect()

    @property
    def close(self) -> tuple[int, str] | None:
        """Polling has no codes."""
        return None


class Socketeer(MemoryClient):
    """A client on a WebSocket: of a session of its own, or with a sid to try for one on long-polling."""

    def __init__(
        self,
        bench: Bench,
        user: str | None = "alice",
        *,
        sid: str = "",
        query: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        path: str = "/socket.io/",
    ) -> None:
        cookie = () if user is None else (("Cookie", f"token={user}"),)
        if query is None:
            query = "EIO=4&transport=websocket" + (f"&sid={quote(sid)}" if sid else "")
        super().__init__(bench.port, f"{path}?{query}", (*cookie, *headers))
        self.bench = bench
        self.pongs = True
        self.given_sid = sid
        self.heard_frames = 0
        self.pings = 0
        self.is_gone = False
        bench.socketeers.append(self)

    def join(self, *namespaces: str) -> Socketeer:
        """Connect to namespaces, and hear of it."""
        for namespace in namespaces:
            self.say("40" if namespace == "/" else f"40{namespace},")
        if namespaces:
            heard = self.hear()
            assert len(heard) == len(namespaces), heard
        return self

    def say(self, *packets: str | bytes) -> None:
        """Packets, a message each, as long as the server does not close."""
        for packet in packets:
            if self.close is None:
                self.send(packet)

    def hear(self) -> list[str | bytes]:
        """The packets since the last time, without the open packet and pings."""
        self.listen()
        messages = self.messages
        heard, self.heard_frames = messages[self.heard_frames :], len(messages)
        return [packet for packet in heard if packet != "2" and not _is_open(packet)]

    def listen(self) -> None:
        """Take what comes, and pong."""
        if self.is_gone:
            return
        self.bench.turn()
        self.deliver()
        pings = self.messages.count("2")
        for _ in range(pings - self.pings):
            if self.pongs and self.close is None:
                self.send("3")
        self.pings = pings

    @property
    def sid(self) -> str:
        """The secret id of its session."""
        return self.given_sid or str(self.handshake["sid"])

    @property
    def handshake(self) -> dict[str, Any]:
        """What the open packet said."""
        for packet in self.messages:
            if _is_open(packet):
                found: dict[str, Any] = json.loads(packet[1:])
                return found
        raise AssertionError(f"no open packet: {self.messages}")

    @property
    def server(self) -> Client | None:
        """The server's side."""
        return self.bench.clients.get(self.sid)

    @property
    def is_over(self) -> bool:
        """Whether the server closed."""
        self.deliver()
        return self.close is not None or self.transport.ended is not None

    @property
    def refusal(self) -> Response:
        """The HTTP answer to a handshake that was refused."""
        if data := self.flush():
            self.current.dataReceived(data)
        return parse_answer(self.transport.value())

    @property
    def pongs_heard(self) -> list[bytes]:
        """The payloads of the protocol's own pongs."""
        self.deliver()
        return [bytes(frame.data) for frame in self.frames if frame.opcode is Opcode.PONG]

    def raw(self, data: bytes) -> None:
        """Bytes that no library would send."""
        self.current.dataReceived(data)
        self.read()

    def drop(self, reason: Exception | None = None) -> None:
        """The connection is gone, without a close frame."""
        if not self.is_gone:
            self.is_gone = True
            self.current.connectionLost(Failure(reason or ConnectionLost()))


def make_head(
    method: str,
    query: str,
    *headers: str,
    body: bytes | None = None,
    user: str | None = "alice",
    path: str = "/socket.io/",
) -> bytes:
    """A request's head, with the cookie of the user."""
    lines = [f"{method} {path}?{query} HTTP/1.1", f"Host: {HOST}", *headers]
    if user is not None:
        lines.append(f"Cookie: token={user}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upgrade_head(query: str, *headers: str, user: str | None = "alice", method: str = "GET") -> bytes:
    """The head of a WebSocket handshake."""
    return make_head(
        method,
        query,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
        user=user,
    )


def join(packets: Iterable[str | bytes]) -> str:
    """A polling payload."""
    return "\x1e".join(packet if isinstance(packet, str) else "b" + b64encode(packet).decode() for packet in packets)


def split(payload: bytes) -> list[str | bytes]:
    """The packets of a polling payload."""
    return [b64decode(packet[1:]) if packet[:1] == "b" else packet for packet in payload.decode().split("\x1e")]


def parse_answer(data: bytes) -> Response:
    """A whole HTTP answer."""
    top, _, body = data.partition(b"\r\n\r\n")
    status_line, *lines = top.decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines]
    return Response(int(status_line.split(" ")[1]), status_line, [(name, value) for name, _, value in pairs], body)


def event(name: str, *args: Any, id: int | None = None, namespace: str = "/") -> str:
    """The Engine.IO packet of an event."""
    where = "" if namespace == "/" else f"{namespace},"
    return f"42{where}{'' if id is None else id}{json.dumps([name, *args], separators=(',', ':'))}"


def _declare(bench: Bench) -> None:
    """The application."""
    for namespace in (bench.app, bench.app.namespace("/other"), bench.app.namespace(re.compile(r"/room-[0-9]+"))):
        _handlers(bench, namespace)
    slow = bench.app.namespace("/slow")

    @slow.on_connect
    async def connecting(connection: Connection) -> None:
        bench.waiting.append(Deferred())
        await bench.waiting[-1]
        bench.steps.append(("connect", "/slow", connection.user.id))
        connection.emit("welcome")

    @slow.on_disconnect
    def left_slow(connection: Connection, reason: str) -> None:
        bench.steps.append(("disconnect", "/slow", reason))

    @slow.on_any
    def slow_event(connection: Connection, name: str, *args: Any) -> None:
        bench.steps.append((name, *args))


def _handlers(bench: Bench, namespace: Any) -> None:
    @namespace.on_connect
    def connected(connection: Connection) -> None:
        bench.steps.append(("connect", connection.namespace, connection.user.id))

    @namespace.on_disconnect
    def left(connection: Connection, reason: str) -> None:
        bench.steps.append(("disconnect", connection.namespace, reason))

    @namespace.on("echo")
    def echo(connection: Connection, *args: Any) -> tuple[Any, ...]:
        bench.steps.append(("echo", *args))
        return args

    @namespace.on("m")
    def m(connection: Connection, *args: Any) -> None:
        bench.steps.append(("m", *args))

    @namespace.on("back")
    def back(connection: Connection, *args: Any) -> None:
        connection.emit("back", *args)

    @namespace.on("all")
    def everybody(connection: Connection, *args: Any) -> None:
        bench.app.emit("all", *args)

    @namespace.on("enter")
    def enter(connection: Connection, room: str) -> None:
        connection.join(room)

    @namespace.on("wait")
    async def wait(connection: Connection, *args: Any) -> Any:
        bench.waiting.append(Deferred())
        answer = await bench.waiting[-1]
        bench.steps.append(("wait", *args))
        return answer

    @namespace.on("raise")
    def fails(connection: Connection) -> None:
        raise RuntimeError("the handler's own")


def _is_open(packet: str | bytes) -> bool:
    return isinstance(packet, str) and packet.startswith("0{")


def _is_expiry(call: Any) -> bool:
    """The one timer of the expirations looks at the clock for as long as it runs."""
    return getattr(call.func, "__name__", "") == "_tick"
