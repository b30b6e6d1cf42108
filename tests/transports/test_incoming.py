"""What a WebSocket client may send in a time, and whether it is still there."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode

from tests.transports.fixtures import Service
from tests.transports.memory import MemoryClient
from wsservice.connection_limits import ConnectionLimits
from wsservice.errors import InvalidToken
from wsservice.traffic import TrafficLimits


class Base(SynchronousTestCase):
    limits = ConnectionLimits()

    def setUp(self) -> None:
        self.service = Service(hub={"limits": self.limits, "pause_timeout": 30.0})
        self.clock, self.counters = self.service.clock, self.service.counters
        self.events: list[Any] = []
        self.gone: list[str] = []
        self.service.app.on("message")(lambda connection, data: self.events.append(data))
        self.service.app.on_disconnect(lambda connection, reason: self.gone.append(reason))

    def connect(self) -> MemoryClient:
        client = MemoryClient(self.service.factory)
        client.deliver()
        return client


class RateTests(Base):
    limits = ConnectionLimits(traffic=TrafficLimits(messages=10, octets=1000, burst=1))

    def flood(self, client: MemoryClient, messages: int, text: bytes = b"x") -> None:
        for _ in range(messages):
            client.client.send_text(text)
        client.deliver()

    def test_a_client_over_its_rate_waits_and_nothing_is_lost(self) -> None:
        client = self.connect()
        self.flood(client, 25)
        self.assertEqual((len(self.events), client.transport.paused), (11, True))
        for _ in range(40):
            self.clock.advance(0.1)
        self.assertEqual((len(self.events), client.transport.paused, client.close), (25, False, None))
        self.assertGreater(self.counters.get("reading_paused", "traffic"), 0)

    def test_bytes_count_for_themselves(self) -> None:
        client = self.connect()
        self.flood(client, 2, b"x" * 900)
        self.assertTrue(client.transport.paused)
        self.clock.advance(0.8)
        self.clock.advance(0)
        self.assertEqual((len(self.events), client.transport.paused), (2, False))

    def test_a_client_that_never_keeps_to_it_is_closed(self) -> None:
        client = self.connect()
        for _ in range(400):
            self.flood(client, 5)
            self.clock.advance(0.1)
            if client.close is not None:
                break
        self.assertEqual(client.close, (4429, "Too many messages"))
        self.assertGreater(self.clock.seconds(), 30)
        client.deliver()
        client.transport.finish()
        self.assertEqual(self.gone, ["Too many messages"])

    def test_what_was_read_is_parsed_before_more_is_read(self) -> None:
        client = self.connect()
        read = Frame(Opcode.TEXT, b"").serialize(mask=True) * 1000
        for _ in range(200):
            if not client.transport.paused:
                client.current.dataReceived(read)
            self.assertLessEqual(len(client.current.data), len(read))
            self.clock.advance(0.05)
        self.assertGreater(len(self.events), 100)

    def test_pings_and_pieces_of_messages_cost_as_much_as_messages(self) -> None:
        for opcode, fin in ((Opcode.PING, True), (Opcode.PONG, True), (Opcode.CONT, False)):
            client = self.connect()
            if not fin:
                client.client.send_text(b"", fin=False)
                client.deliver()
            before = self.counters.get("reading_paused", "traffic")
            (data := bytearray()).extend(Frame(opcode, b"", fin).serialize(mask=True) * 30)
            client.current.dataReceived(bytes(data))
            self.assertTrue(client.transport.paused, opcode)
            for _ in range(40):
                self.clock.advance(0.1)
            self.assertFalse(client.transport.paused, opcode)
            self.assertGreaterEqual(self.counters.get("reading_paused", "traffic") - before, 18)

    def test_a_client_that_is_closed_for_its_flood_is_read_no_faster(self) -> None:
        client = self.connect()
        for _ in range(400):
            self.flood(client, 5)
            self.clock.advance(0.1)
            if client.close is not None:
                break
        client.current.dataReceived(Frame(Opcode.PING, b"").serialize(mask=True) * 30)
        self.assertTrue(client.transport.paused)

    def test_a_refused_client_is_read_no_faster_until_it_has_gone(self) -> None:
        self.service.authenticator.answer = InvalidToken("bad")
        client = self.connect()
        self.assertEqual(client.close, (1008, "Invalid authentication token"))
        client.current.dataReceived(Frame(Opcode.PING, b"").serialize(mask=True) * 30)
        self.assertTrue(client.transport.paused)

    def test_now_and_then_a_burst_is_forgiven(self) -> None:
        client = self.connect()
        for _ in range(20):
            self.flood(client, 15)
            for _ in range(100):
                self.clock.advance(0.1)
        client.read()
        self.assertEqual((client.close, len(self.events)), (None, 300))

    def test_a_pause_for_the_rate_does_not_end_one_for_the_handlers(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.service.hub.inbox_limit = 2
        self.service.app.on("slow")(lambda connection, data: waiting)
        client = self.connect()
        self.flood(client, 1, b'{"event": "slow"}')
        self.flood(client, 3)
        self.clock.advance(10)
        self.assertTrue(client.transport.paused)
        waiting.callback(None)
        self.clock.advance(0)
        self.assertEqual((client.transport.paused, len(self.events)), (False, 3))


class PingTests(Base):
    def pings(self, client: MemoryClient) -> int:
        return sum(frame.opcode is Opcode.PING for frame in client.frames)

    def run_for(self, seconds: int, client: MemoryClient, *, answers: bool = True) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            if answers:
                client.read()
                client.deliver()

    def test_a_client_that_answers_stays(self) -> None:
        client = self.connect()
        self.run_for(200, client)
        self.assertEqual((self.pings(client), client.transport.ended, self.gone), (8, None, []))

    def test_one_that_is_gone_without_a_word_is_cut_off(self) -> None:
        client = self.connect()
        self.run_for(44, client, answers=False)
        self.assertIsNone(client.transport.ended)
        self.run_for(1, client, answers=False)
        self.assertEqual(client.transport.ended, "aborted")
        client.transport.finish()
        self.assertEqual((self.gone, self.counters.get("pings_unanswered")), (["ping timeout"], 1))
        self.service.expirations.stop()
        self.assertEqual((len(self.service.factory.pings), self.clock.getDelayedCalls()), (0, []))

    def test_whom_we_do_not_read_is_not_gone(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.service.hub.inbox_limit = 1
        self.service.hub.pause_timeout = 3600
        self.service.app.on("slow")(lambda connection, data: waiting)
        client = self.connect()
        for text in (b'{"event": "slow"}', b"1", b"2"):
            client.client.send_text(text)
        client.deliver()
        self.run_for(300, client)
        self.assertIsNone(client.transport.ended)
        waiting.callback(None)
        self.run_for(100, client)
        self.assertEqual((client.transport.ended, self.events), (None, ["1", "2"]))

    def test_all_share_one_timer(self) -> None:
        clients = [self.connect() for _ in range(20)]
        self.service.expirations.stop()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for client in clients:
            client.transport.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])
