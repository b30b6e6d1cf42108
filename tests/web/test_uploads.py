"""Bodies of POSTs that their address bounds by itself: by bytes, by time, and told of every one that does not come."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from tests.clients.bench import BenchCase, Poller, event
from tests.tables import by_row, rows
from tests.web.memory import Bench, Client, Response, head
from wsservice.clients.settings import Settings
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.handshake import Handshake
from wsservice.web.answers import Answer
from wsservice.web.limits import Limits
from wsservice.web.request import WsRequest
from wsservice.web.resource import JsonResource
from wsservice.web.uploads import Upload

CHUNKED = "Transfer-Encoding: chunked"
UNKNOWN = {"code": 1, "message": "Session ID unknown"}


class Counted(Upload):
    """Counts what was lost."""

    losses = 0

    def lost(self) -> None:
        self.losses += 1


class UploadTests(SynchronousTestCase):
    """Of any address, with a limit of 20 bytes and 9 seconds, where the others have 10 and 5."""

    def setUp(self) -> None:
        self.made: list[Counted] = []
        self.seen: list[bytes] = []
        self.is_kept = True
        self.bench = Bench(Limits(body_bytes=10), uploads={"/up": self.open})
        self.bench.mount(b"up", JsonResource({"POST": self.take, "PUT": self.take}))

    def open(self, handshake: Handshake) -> Upload:
        self.made.append(Counted(20, 9.0, is_kept=self.is_kept, headers=((b"X-Mine", b"1"),)))
        return self.made[-1]

    def take(self, request: WsRequest) -> Answer:
        self.seen.append(request.content.read())
        return Answer(200, b"ok")

    def begin(self, *headers: str, method: str = "POST", path: str = "/up") -> Client:
        client = self.bench.connect()
        client.send(head(path, *headers, method=method))
        return client

    def refusal(self, client: Client) -> Response:
        answer = client.answer()
        self.assertEqual(answer.header("Connection"), "close")
        client.send(b"x" * 100_000)
        self.bench.clock.advance(1)
        self.assertEqual((client.ended, client.received()), ("closed", []))
        client.transport.drop()
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])
        return answer

    def test_it_has_its_own_limit(self) -> None:
        client = self.begin("Content-Length: 20")
        client.send(b"x" * 20)
        self.assertEqual((client.answer().body, self.seen), (b"ok", [b"x" * 20]))
        self.assertEqual(self.made[0].losses, 0)

    def test_other_methods_and_addresses_have_not(self) -> None:
        self.assertEqual(self.refusal(self.begin("Content-Length: 20", method="PUT")).status, 413)
        self.assertEqual(self.refusal(self.begin("Content-Length: 20", path="/echo")).status, 413)
        self.assertEqual(self.made, [])

    def test_one_byte_more_is_refused_by_the_head(self) -> None:
        answer = self.refusal(self.begin("Content-Length: 21"))
        self.assertEqual((answer.status, answer.error, answer.header("X-Mine")), (413, "too_large", "1"))
        self.assertEqual((self.made[0].losses, self.seen), (1, []))

    def test_chunks_are_counted_while_they_come(self) -> None:
        client = self.begin(CHUNKED)
        client.send(b"14\r\n" + b"x" * 20 + b"\r\n")
        self.assertEqual((client.received(), self.made[0].losses), ([], 0))
        client.send(b"1\r\nx\r\n")
        self.assertEqual(self.refusal(client).status, 413)
        self.assertEqual(self.made[0].losses, 1)

    def test_chunks_below_the_limit_are_taken(self) -> None:
        client = self.begin(CHUNKED)
        client.send(b"1\r\nx\r\n" * 20 + b"0\r\n\r\n")
        self.assertEqual((client.answer().body, self.seen), (b"ok", [b"x" * 20]))

    def test_broken_chunks_are_refused(self) -> None:
        client = self.begin(CHUNKED)
        client.send(b"zz\r\n")
        self.assertEqual(self.refusal(client).status, 400)
        self.assertEqual(self.made[0].losses, 1)

    def test_it_has_its_own_time(self) -> None:
        client = self.begin("Content-Length: 5")
        for _ in range(8):
            self.bench.clock.advance(1)
            client.send(b"x" if _ < 4 else b"")
        self.assertEqual((client.received(), self.made[0].losses), ([], 0))
        self.bench.clock.advance(1)
        answer = client.answer()
        self.assertEqual((answer.status, answer.header("X-Mine"), self.made[0].losses), (408, "1", 1))
        client.transport.drop()

    def test_a_client_that_goes_away_is_a_loss_once(self) -> None:
        client = self.begin("Content-Length: 5")
        client.send(b"xx")
        client.disconnect()
        self.assertEqual((self.made[0].losses, self.seen), (1, []))

    def test_one_that_goes_away_behind_the_body_is_none(self) -> None:
        client = self.begin("Content-Length: 5")
        client.send(b"xxxxx")
        client.disconnect()
        self.assertEqual((self.made[0].losses, self.seen), (0, [b"xxxxx"]))

    def test_a_body_that_nobody_wants_is_read_and_not_kept(self) -> None:
        self.is_kept = False
        client = self.begin("Content-Length: 20")
        client.send(b"x" * 20)
        self.assertEqual((client.answer().status, self.seen), (200, [b""]))

    def test_each_request_of_a_connection_has_its_own(self) -> None:
        client = self.begin("Content-Length: 3")
        client.send(b"abc" + head("/up", "Content-Length: 3", method="POST") + b"def")
        self.assertEqual([answer.status for answer in client.received()], [200, 200])
        self.assertEqual((self.seen, [one.losses for one in self.made]), ([b"abc", b"def"], [0, 0]))


@dataclass(frozen=True)
class Size:
    """A head that announces too much, and what comes behind it."""

    name: str
    headers: tuple[str, ...]
    body: bytes = b""
    status: int = 413


SIZES = (
    Size("one byte too many", ("Content-Length: 1001",)),
    Size("an exabyte", (f"Content-Length: {10**18}",)),
    Size("chunks of one byte too many", (CHUNKED,), b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"),
    Size("a chunk of a gigabyte", (CHUNKED,), b"40000000\r\n" + b"x" * 1001),
    Size("a chunk of a size without end", (CHUNKED,), b"f" * 5000, 400),
    Size("a chunk of no size", (CHUNKED,), b"\r\n", 400),
    Size("a length and chunks", (CHUNKED, "Content-Length: 5"), b"x", 400),
    Size("two lengths", ("Content-Length: 5", "Content-Length: 6"), b"x", 400),
    Size("a negative length", ("Content-Length: -1",), b"x", 400),
    Size("a length in words", ("Content-Length: five",), b"x", 400),
)


@by_row
class PollingUploadTests(BenchCase):
    """The same of long-polling, where a body that does not come is the end of the session."""

    def setUp(self) -> None:
        self.start(Settings(engine=EngineSettings(max_payload=1000)))
        self.poller = self.bench.poller("alice", "/")
        self.bench.steps.clear()

    def begin(self, *headers: str) -> Client:
        return self.bench.request("POST", self.poller.query, *headers)

    def assertOver(self, poller: Poller | None = None) -> None:
        poller = poller or self.poller
        self.assertEqual(self.bench.steps, [("disconnect", "/", "transport error")])
        self.assertEqual(self.bench.ask("GET", poller.query).json, UNKNOWN)
        self.bench.pollers.remove(poller)

    @rows(SIZES)
    def test_a_body_is_refused_with(self, row: Size) -> None:
        waiting = self.poller.get()
        exchange = self.begin(*row.headers)
        exchange.send(row.body)
        answer = exchange.answer()
        self.assertEqual((answer.status, answer.header("Connection")), (row.status, "close"))
        exchange.send(b"x" * 100_000)
        self.bench.clock.advance(1)
        self.assertEqual((exchange.ended, exchange.received()), ("closed", []))
        if self.bench.steps:
            self.assertEqual(waiting.answer().body, b"1")
            self.assertOver()
        else:  # the head itself was no request
            self.assertEqual(row.status, 400)

    def test_a_body_of_the_limit_is_taken(self) -> None:
        packet = event("m", "x" * 990)
        for body, headers in (
            (packet.encode(), ()),
            (b"%x\r\n%s\r\n0\r\n\r\n" % (len(packet), packet.encode()), (CHUNKED,)),
        ):
            self.assertEqual(len(packet), 1000)
            exchange = self.begin(*(headers or (f"Content-Length: {len(body)}",)))
            exchange.send(body)
            self.assertEqual(exchange.answer().body, b"ok")
        self.assertEqual(len(self.bench.steps), 2)

    def test_a_gigabyte_of_chunks_is_refused_at_the_limit_and_not_kept(self) -> None:
        exchange = self.begin(CHUNKED)
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        tracemalloc.start()
        try:
            base = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(200):
                exchange.send(chunk)
            peak = tracemalloc.get_traced_memory()[1] - base
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 1_000_000)
        self.assertEqual(exchange.answer().status, 413)
        self.assertOver()

    def test_a_post_that_is_given_up_ends_the_session(self) -> None:
        for sent in (b"", b"42"):
            with self.subTest(sent=sent):
                self.bench.steps.clear()
                poller = self.bench.poller("bob", "/")
                self.bench.steps.clear()
                exchange = self.bench.request("POST", poller.query, "Content-Length: 9")
                exchange.send(sent)
                exchange.disconnect()
                self.assertOver(poller)

    def test_a_slow_one_is_given_up(self) -> None:
        waiting = self.poller.get()
        self.bench.pollers.remove(self.poller)
        exchange = self.begin("Content-Length: 100")
        for _ in range(29):
            self.bench.clock.advance(1)
            exchange.send(b"x")
        self.assertEqual(self.bench.steps, [])
        self.bench.clock.advance(1)
        self.assertEqual(exchange.answer().status, 408)
        self.assertEqual(self.bench.steps, [("disconnect", "/", "transport error")])
        self.assertEqual([answer.body for answer in waiting.received()], [b"2"])

    def test_a_body_for_a_session_that_does_not_exist_is_read_and_dropped(self) -> None:
        for query in ("EIO=4&transport=polling&sid=unknown", "EIO=4&transport=polling", ""):
            exchange = self.bench.request("POST", query, "Content-Length: 1000")
            exchange.send(b"x" * 500)
            self.assertEqual(exchange.received(), [])
            exchange.send(b"x" * 500)
            self.assertEqual(exchange.answer().status, 400)
        exchange = self.bench.request("POST", "EIO=4&transport=polling&sid=unknown", "Content-Length: 1000")
        exchange.disconnect()
        self.assertEqual(self.bench.steps, [])

    def test_octets_are_refused_and_nothing_is_left_open(self) -> None:
        """CVE-2026-59725."""
        for number in range(20):
            poller = self.bench.poller(f"user-{number}", "/")
            answer = self.bench.ask("POST", poller.query, "Content-Type: application/octet-stream", body=b"\x04x")
            self.assertEqual(answer.status, 400)
            self.assertEqual(self.bench.ask("GET", poller.query).json, UNKNOWN)
            self.bench.pollers.remove(poller)
        self.assertEqual((len(self.bench.clients), self.bench.sizes()["channels"]), (1, 0))

    def test_continue_is_said_where_the_body_is_welcome(self) -> None:
        exchange = self.begin("Content-Length: 1", "Expect: 100-continue")
        self.assertEqual(exchange.transport.value(), b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange.transport.clear()
        exchange.send(b"3")
        self.assertEqual(exchange.answer().body, b"ok")
        exchange = self.begin("Content-Length: 1001", "Expect: 100-continue")
        self.assertEqual(exchange.answer().status, 413)
        self.bench.pollers.remove(self.poller)
