"""The short way of a poll: as twisted.web answers, whatever the bytes and wherever they are cut; and how it writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from itertools import count
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.bench import APP_ORIGIN, EVIL_ORIGIN, Bench, event, make_head
from tests.web.memory import HOST, Client, LogCapture, MemoryTransport
from wsservice.clients.settings import Settings
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.errors import BadHandshake
from wsservice.handshake import Handshake
from wsservice.web import short_way
from wsservice.web.answers import Answer
from wsservice.web.limits import Limits
from wsservice.web.polling import PollingSettings
from wsservice.web.short_way import ShortRequest, ShortWay

#: in a request, for what both services give the same name
SID = "S" * 20
GOOD = f"EIO=4&transport=polling&sid={SID}"
LIMITS = Limits(head_bytes=1000, headers=12)
MAX_BODY = 100

# -- requests

QUERIES = [
    *[GOOD] * 8,
    f"EIO=4&transport=polling&t=Pq4x&sid={SID}",
    f"EIO=4&transport=polling&sid={SID}&t=a%20b",
    f"EIO=4&transport=polling&sid=x&sid={SID}",
    f"EIO=3&transport=polling&sid={SID}",
    f"transport=websocket&EIO=4&sid={SID}",
    "EIO=4&transport=polling",
    "EIO=4&transport=polling&sid=unknown",
    "",
]
TARGETS = [
    *["/socket.io/?{}"] * 12,
    "/socket.io?{}",
    "/socket.io/x?{}",
    "/socket%2eio/?{}",
    "/nothing?{}",
    "/socket.io/?{}#f",
    "/socket.io/?{}\xff",
    "socket.io/?{}",
    "http://a/socket.io/?{}",
]
HEADERS = [
    f"Origin: {APP_ORIGIN}",
    f"origin:   {APP_ORIGIN}\t",
    f"Origin: {EVIL_ORIGIN}",
    f"Origin: http://{HOST}",
    "Sec-Fetch-Site: cross-site",
    "X-Request-Id: from-a-proxy",
    "X-Forwarded-For: 198.51.100.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: other.example",
    "Connection: keep-alive",
    "Connection: Keep-Alive",
    "Connection: close",
    "Connection: keep-alive, close",
    "Connection: close x",
    "Cookie: token=alice",
    "Cookie: token=bob",
    "Accept-Encoding: gzip, deflate",
    "Content-Type: application/octet-stream",
    "Content-Type: text/plain;charset=UTF-8",
    "Content-Length: 0",
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Upgrade: websocket",
    f"Host: {HOST}",
    "X-Long: " + "x" * 700,
    "X-Empty:",
    " folded: 1",
    "no colon",
    "X Y: 1",
    "X-High: \xe9",
    "X-Zero: \0",
    *[f"X-{number}: 1" for number in range(6)],
]
BODIES = [
    b"3",
    b"2",
    b"1",
    b"",
    b"7",
    b"4\xff",
    *(event(*one).encode() for one in (("back", 1), ("m", 2), ("wait", 3))),
]
BODIES += [event("m", "x" * 60).encode(), event("m", "x" * 200).encode(), b"42", event("echo", 1, id=2).encode()]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Mostly good ones."""
    method = draw(st.sampled_from([*["GET"] * 6, *["POST"] * 6, "OPTIONS", "HEAD", "PUT", "get"]))
    target = draw(st.sampled_from(TARGETS)).format(draw(st.sampled_from(QUERIES)))
    version = draw(st.sampled_from([*["HTTP/1.1"] * 12, "HTTP/1.0", "HTTP/2.0"]))
    lines = [f"{method} {target} {version}"]
    if draw(st.integers(0, 19)):
        lines.append(draw(st.sampled_from([*[f"Host: {HOST}"] * 9, "Host: [::1]:80", "Host: a;b"])))
    lines += draw(st.lists(st.sampled_from(HEADERS), max_size=draw(st.sampled_from([0, 1, 2, 14]))))
    body = b""
    if method in ("POST", "PUT"):
        body = draw(st.sampled_from(BODIES))
        lines += [f"Content-Length: {len(body)}"] * draw(st.sampled_from([1] * 12 + [0, 2]))
    if draw(st.integers(0, 14)) == 0:  # to the bound, or a byte past it
        size = sum(len(line) + 2 for line in lines) + 2
        lines.append("X-Pad: " + "x" * (LIMITS.head_bytes - size - 9 + draw(st.integers(-1, 1))))
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


GET = make_head("GET", GOOD)
#: as clients send them
PLAIN = [GET, GET, *(make_head("POST", GOOD, body=body) + body for body in BODIES if len(body) < MAX_BODY)]
#: what happens: a name, a connection, and more
STEPS = st.one_of(
    *[st.tuples(st.just("send"), st.integers(0, 2), st.sampled_from(PLAIN), st.just(()))] * 5,
    *[st.tuples(st.just("send"), st.integers(0, 2), requests(), st.just(()))] * 5,
    st.tuples(st.just("send"), st.integers(0, 2), requests(), st.lists(st.integers(0, 300), max_size=3).map(tuple)),
    st.tuples(
        st.just("send"),
        st.integers(0, 2),
        st.lists(st.one_of(requests(), st.sampled_from([b"\r\n", b"x"])), max_size=3).map(b"".join),
        st.lists(st.integers(0, 600), max_size=3).map(tuple),
    ),
    st.tuples(st.just("emit"), st.sampled_from([1, 5, 2000])),
    st.tuples(st.just("advance"), st.sampled_from([0.5, 4.9, 5.0, 24.0, 60.0])),
    st.tuples(st.sampled_from(["turn", "turn", "finish_up", "go on"])),
    st.tuples(st.sampled_from(["disconnect", "pause", "resume"]), st.integers(0, 2)),
)


# -- two services


class Recorder:
    """A service with a session, and three connections to it; what can be seen of that from outside and in the log."""

    def __init__(self, stack: ExitStack, *, is_short: bool, trusted: bool, secure: bool) -> None:
        stack.enter_context(mock.patch("secrets.token_hex", return_value="0123456789abcdef"))
        stack.enter_context(
            mock.patch("wsservice.clients.table.make_secret", side_effect=(f"{number:020}" for number in count()))
        )
        self.bench = bench = Bench(
            Settings(engine=EngineSettings(max_payload=MAX_BODY)),
            polling=PollingSettings(compression=True, cookie=lambda sid: f"io={sid}; Path=/"),
        )
        bench.site.limits = LIMITS
        if not is_short:
            bench.site.polls = {}
        if trusted:
            bench.site.trusted = (ip_network("192.0.2.0/24"),)
        self.log = stack.enter_context(LogCapture())
        self.poller = bench.poller("alice", "/")
        self.clients = [Client(bench.port, secure=secure) for _ in range(3)]
        self.taken = 0

    def do(self, step: tuple[Any, ...]) -> None:
        """One step."""
        name, *rest = step
        if name == "send":
            number, data, places = rest
            data = data.replace(SID.encode(), self.poller.sid.encode())
            for piece in cut(data, places):
                if not self.clients[number].transport.is_lost:
                    self.clients[number].send(piece)
        elif name == "emit":
            self.bench.app.emit("x", "y" * rest[0])
        elif name == "advance":
            self.bench.clock.advance(rest[0])
        elif name == "turn":
            self.bench.turn()
        elif name == "finish_up":
            self.bench.site.finish_up()
        elif name == "go on":
            for waiting in self.bench.waiting:
                waiting.callback(None)
            self.bench.waiting.clear()
        elif not self.clients[rest[0]].transport.is_lost:
            self.touch(name, self.clients[rest[0]])

    def touch(self, name: str, client: Client) -> None:
        """What the network does to a connection."""
        producer = getattr(client.transport, "producer", None)
        if name == "disconnect":
            client.disconnect()
        elif producer is not None and client.ended is None:
            (producer.pauseProducing if name == "pause" else producer.resumeProducing)()

    def seen(self) -> list[Any]:
        """What came of it."""
        events = self.log.events[self.taken :]
        self.taken = len(self.log.events)
        connections = [
            (
                re.sub(rb"\r\nDate: [^\r]*", b"", client.transport.value()),
                client.ended,
                client.transport.producerState,
                getattr(client.transport.protocol, "state", None),
            )
            for client in self.clients
        ]
        return [
            connections,
            [(one["log_level"], formatEvent(one), one.get("log_flood")) for one in events],
            self.bench.counters.items(),
            list(self.bench.steps),
            self.bench.site.busy,
            len(self.bench.clients),
        ]


def cut(data: bytes, places: tuple[int, ...]) -> Iterator[bytes]:
    """The pieces between the places."""
    ends = sorted({place for place in places if 0 < place < len(data)})
    for begin, end in zip([0, *ends], [*ends, len(data)], strict=True):
        yield data[begin:end]


def trace(steps: list[Any], **options: Any) -> list[Any]:
    """What is seen after each step."""
    with ExitStack() as stack:
        recorder = Recorder(stack, **options)
        found = [recorder.seen()]
        for step in steps:
            recorder.do(step)
            found.append(recorder.seen())
        for client in recorder.clients:
            client.disconnect()
        recorder.bench.let_go()
        recorder.bench.advance(100)
        left = {name: size for name, size in recorder.bench.sizes().items() if size and name != "running"}
        return [*found, recorder.seen(), left]


APP_GET = make_head("GET", GOOD, f"Origin: {APP_ORIGIN}", "Accept-Encoding: gzip")
WAITING = make_head("POST", GOOD, body=event("wait").encode()) + event("wait").encode()
#: what chance meets too seldom
STORIES: list[list[Any]] = [
    [("send", 0, GET, ()), ("finish_up",), ("emit", 1), ("turn",)],
    [("send", 0, WAITING, ()), ("finish_up",), ("go on",)],
    [("send", 0, GET, ()), ("send", 0, PLAIN[2], ()), ("emit", 1), ("turn",), ("send", 0, GET, ())],
    [("send", 0, GET, ()), ("send", 0, PLAIN[2] + GET, ()), ("emit", 1), ("turn",), ("emit", 1), ("turn",)],
    [("send", 0, GET, ()), ("send", 0, b"\r\n" + GET + b"\r\n", ()), ("emit", 1), ("turn",), ("turn",)],
    [("send", 0, GET, ()), ("send", 0, b"x" * 20000, ()), ("emit", 1), ("turn",)],
    [
        ("send", 0, GET, ()),
        ("pause", 0),
        ("emit", 1),
        ("turn",),
        ("send", 0, GET, ()),
        ("resume", 0),
        ("emit", 1),
        ("turn",),
    ],
    [("send", 0, APP_GET, ()), ("emit", 2000), ("turn",), ("send", 0, APP_GET, ()), ("emit", 1), ("turn",)],
    [("send", 0, GET, ()), ("send", 1, GET, ())],
    [("send", 0, WAITING, ()), ("send", 1, PLAIN[2], ()), ("go on",)],
    [("send", 0, GET, ()), ("disconnect", 0), ("send", 1, GET, ())],
    [("send", 0, make_head("GET", "EIO=4&transport=polling", f"Origin: {APP_ORIGIN}"), ())],
    [("send", 0, GET, ()), *[("advance", 20.0), ("send", 1, PLAIN[2], ())] * 6],
]


class SameTests(SynchronousTestCase):
    def test_so_they_do_in_these_stories(self) -> None:
        for steps in STORIES:
            for trusted in (True, False):
                with self.subTest(steps=steps):
                    short, long = (trace(steps, is_short=it, trusted=trusted, secure=False) for it in (True, False))
                    self.assertEqual(short, long)

    @settings(deadline=None, max_examples=400)
    @given(st.lists(STEPS, min_size=1, max_size=16), st.booleans(), st.booleans())
    def test_both_ways_see_the_same_and_answer_the_same(self, steps: list[Any], trusted: bool, secure: bool) -> None:
        short = trace(steps, is_short=True, trusted=trusted, secure=secure)
        long = trace(steps, is_short=False, trusted=trusted, secure=secure)
        for number, (one, other) in enumerate(zip(short, long, strict=True)):
            self.assertEqual(one, other, f"after step {number}: {steps[:number]}")


# -- what the way takes, and how it answers


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.way = self.make()

    def make(self, **limits: int) -> ShortWay:
        return ShortWay(self.bench.site.polls, Limits(**limits), (), peer="192.0.2.7", secure=False)

    def test_a_common_request_is_taken(self) -> None:
        for head, body in (
            (make_head("GET", GOOD), b""),
            (make_head("GET", GOOD, "Connection: Keep-Alive"), b""),
            (make_head("GET", GOOD, path="/socket.io"), b""),
            (make_head("POST", GOOD, body=b"3"), b"3"),
            (make_head("POST", GOOD, body=b""), b""),
        ):
            with self.subTest(head=head):
                short = self.way.read(head + body)
                assert short is not None
                self.assertEqual((short.handshake.query_string, short.body), (GOOD, body))
                self.assertEqual(short.handshake.header("cookie"), "token=alice")

    def test_everything_else_is_left_alone(self) -> None:
        get, post = make_head("GET", GOOD), make_head("POST", GOOD, body=b"3")
        for data in (
            *(get[:size] for size in range(len(get))),
            get + b"x",
            get + get,
            b"\r\n" + get,
            post,
            post + b"33",
            get.replace(b"GET", b"HEAD"),
            get.replace(b"GET", b"OPTIONS"),
            get.replace(b"1.1", b"1.0"),
            get.replace(b"/socket.io/", b"/health"),
            get.replace(b"\r\n", b"\n"),
            make_head("GET", GOOD, body=b""),
            make_head("POST", GOOD),
            make_head("POST", GOOD, "Content-Length: 0005") + b"3",
            make_head("POST", GOOD, "Content-Length: " + "0" * 5000) + b"",
            make_head("POST", GOOD, "Content-Length: +1") + b"3",
            make_head("GET", GOOD, f"Host: {HOST}"),
            make_head("GET", GOOD, "X: 1", "x: 1"),
            make_head("GET", GOOD, "Transfer-Encoding: chunked"),
            make_head("GET", GOOD, "Expect: 100-continue"),
            make_head("GET", GOOD, "Upgrade: websocket"),
            make_head("GET", GOOD, "Connection: close"),
            make_head("GET", GOOD, "Connection: keep-alive, Upgrade"),
            make_head("GET", GOOD, "X: \xe9"),
            make_head("GET", GOOD, " X: 1"),
            make_head("GET", GOOD, *(f"X-{number}: 1" for number in range(100))),
            make_head("GET", GOOD, "X: " + "x" * 16384),
        ):
            with self.subTest(data=data[:300]):
                self.assertIsNone(self.way.read(data))

    def test_a_large_body_is_left_alone(self) -> None:
        size = self.bench.polling.max_body
        for extra, is_taken in ((0, True), (1, False)):
            body = b"4" * (size + extra)
            self.assertEqual(self.way.read(make_head("POST", GOOD, body=body) + body) is not None, is_taken)

    def test_the_bounds_of_a_head_hold_for_a_known_one_too(self) -> None:
        size = len(make_head("GET", GOOD))
        way = self.make(head_bytes=size, headers=2)
        self.assertIsNotNone(way.read(make_head("GET", GOOD)))
        self.assertIsNone(way.read(make_head("GET", GOOD + "&")))
        self.assertIsNotNone(way.read(make_head("GET", GOOD[1:])))
        self.assertIsNone(self.make(headers=1).read(make_head("GET", GOOD)))

    def test_a_known_head_is_not_parsed_again_and_another_is(self) -> None:
        with mock.patch.object(short_way, "parse_head", wraps=short_way.parse_head) as parse:
            for user in ("alice", "alice", "bob"):
                for number in range(2):
                    body = b"3" * (number + 1)
                    for method, data in (("GET", b""), ("POST", body)):
                        head = make_head(method, f"{GOOD}&t={number}", user=user, body=data or None)
                        short = self.way.read(head + data)
                        assert short is not None
                        handshake = short.handshake
                        self.assertEqual(
                            (handshake.method, handshake.header("cookie"), handshake.query["t"], short.body),
                            (method, f"token={user}", str(number), data),
                        )
        gets = [call.args[0] for call in parse.call_args_list if call.args[0].startswith(b"GET")]
        self.assertEqual(len(gets), 2)

    def test_a_large_head_is_not_kept(self) -> None:
        for size, parses in ((1000, 1), (5000, 3)):
            with mock.patch.object(short_way, "parse_head", wraps=short_way.parse_head) as parse:
                for _ in range(3):
                    self.assertIsNotNone(self.way.read(make_head("GET", GOOD, f"X: {'x' * size}")))
            self.assertEqual(parse.call_count, parses)

    def test_every_request_has_an_id_of_its_own_or_its_proxy_s(self) -> None:
        ids = [self.read_id(make_head("GET", GOOD)) for _ in range(3)]
        self.assertEqual(len(set(ids)), 3)
        self.assertEqual(self.read_id(make_head("GET", GOOD, "X-Request-Id: of-a-proxy")), "of-a-proxy")

    def read_id(self, head: bytes) -> str:
        short = self.way.read(head)
        assert short is not None
        return short.handshake.request_id


class QuickTransport(MemoryTransport):
    """One that can write at once."""

    def write_now(self, data: bytes) -> None:
        self.quick: list[bytes] = [*getattr(self, "quick", []), data]
        self.write(data)


class WrappingTransport(MemoryTransport):
    """As TLS does, it answers for what it lacks by what is below."""

    def __getattr__(self, name: str) -> Any:
        if name == "write_now":
            raise AssertionError("plain text would be sent")
        raise AttributeError(name)


class Broken:
    """Raises, or answers later."""

    max_body = 10

    def __init__(self) -> None:
        self.requests: list[ShortRequest] = []

    def open_upload(self, handshake: Handshake) -> Any:
        raise NotImplementedError

    def answer(self, request: Any) -> None:
        self.requests.append(request)
        if request.handshake.query_string == "raise":
            raise RuntimeError("SECRET-INTERNAL")


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(Settings(engine=EngineSettings(ping_interval=200)))
        self.poller = self.bench.poller("alice", "/")

    def connect(self, transport_class: type[MemoryTransport] = MemoryTransport, *, is_polled: bool = True) -> Client:
        with mock.patch("tests.web.memory.MemoryTransport", transport_class):
            client = Client(self.bench.site)
        if is_polled:
            client.send(make_head("GET", self.poller.query))
        return client

    @contextmanager
    def own_polls(self) -> Iterator[Broken]:
        broken = Broken()
        self.bench.site.polls = {"/x": broken}
        yield broken

    def test_an_answer_is_one_write_and_at_once_where_the_transport_can(self) -> None:
        client = self.connect(QuickTransport)
        self.bench.app.emit("x")
        self.bench.turn()
        transport: Any = client.transport
        self.assertEqual(transport.quick, [client.transport.value()])
        self.assertEqual(client.answer().body, b'42["x"]')

    def test_what_lies_below_tls_is_never_written_to(self) -> None:
        client = self.connect(WrappingTransport)
        self.bench.app.emit("x")
        self.bench.turn()
        self.assertEqual(client.answer().body, b'42["x"]')

    def test_a_get_may_wait_for_longer_than_a_connection_may_idle(self) -> None:
        client = self.connect()
        for _ in range(150):
            self.bench.clock.advance(1)
        self.assertIsNone(client.ended)
        self.bench.app.emit("x")
        self.bench.turn()
        self.assertEqual(client.answer().body, b'42["x"]')
        for _ in range(59):
            self.bench.clock.advance(1)
        self.assertIsNone(client.ended)
        self.bench.clock.advance(1)
        self.assertEqual(client.ended, "closed")

    def test_a_first_request_ends_the_time_for_it(self) -> None:
        client = self.connect()
        self.bench.clock.advance(5)
        self.assertEqual(client.received(), [])

    def test_a_bug_is_an_internal_error(self) -> None:
        with self.own_polls():
            client = self.connect(is_polled=False)
            client.send(make_head("GET", "raise", path="/x"))
        answer = client.answer()
        self.assertEqual((answer.status, answer.error), (500, "internal_error"))
        self.assertNotIn(b"SECRET", answer.body)
        self.assertEqual(self.bench.counters.get("internal_errors"), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        client.send(make_head("GET", self.poller.query))
        self.assertEqual(client.received(), [])

    def test_a_bug_behind_the_answer_is_only_logged(self) -> None:
        with self.own_polls() as polls:
            client = self.connect(is_polled=False)
            client.send(make_head("GET", "later", path="/x"))
        (request,) = polls.requests
        request.send(Answer(200, b"x"))
        request.processingFailed(Failure(RuntimeError("late")))
        self.assertEqual(client.answer().body, b"x")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_nobody_is_answered_who_is_gone(self) -> None:
        with self.own_polls() as polls:
            client = self.connect(is_polled=False)
            client.send(make_head("GET", "later", path="/x"))
        (request,) = polls.requests
        gone: list[bool] = []
        request.on_gone(lambda: gone.append(request.gone))
        with LogCapture() as log:
            client.disconnect()
        self.assertEqual(gone, [True])
        self.assertIn("/x 499, 0 bytes", formatEvent(log.events[-1]) or "")
        request.send(Answer(200, b"x"))
        self.assertEqual(client.received(), [])

    def test_lines_that_nobody_reads_are_not_made(self) -> None:
        for logs_quiet in (True, False):
            self.bench.site.logs_quiet = logs_quiet
            with LogCapture() as log:
                self.poller.send("3")
            self.assertEqual(bool(log.named("{method} {path} {status}")), logs_quiet)

    def test_a_head_that_is_refused_is_refused_by_the_general_way(self) -> None:
        with mock.patch.object(short_way, "parse_head", side_effect=BadHandshake("x")):
            client = self.connect()
        self.bench.app.emit("x")
        self.bench.turn()
        self.assertEqual(client.answer().body, b'42["x"]')
