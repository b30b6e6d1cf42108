"""WebSockets that are another node's: their bytes both ways, and every way to end."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.bench import Bench
from tests.peers.memory import ADDRESS, MemoryLinks, foreign_sid, here
from tests.transports.memory import MemoryTransport
from wsservice.peers.sids import Sids
from wsservice.transports.splice import ANSWER_TIMEOUT, LINGER, SpliceFactory

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


class SpliceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.links = MemoryLinks()
        self.nodes = here()
        bench = Bench()
        paths = frozenset({b"/socket.io", b"/socket.io/"})
        self.factory = SpliceFactory(
            self.nodes,
            Sids(self.nodes),
            self.links,
            paths=paths,
            clock=bench.clock,
            counters=bench.counters,
            now=lambda: 1e9,
        )
        self.bench = Bench(splices=self.factory)
        self.factory.clock = self.bench.clock
        self.factory.counters = self.bench.counters
        self.sid = foreign_sid()

    def head(self, sid: str | None = None, path: str = "/socket.io/", *lines: str) -> bytes:
        first = f"GET {path}?EIO=4&transport=websocket&sid={sid or self.sid} HTTP/1.1"
        headers = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        headers += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *lines]
        return "\r\n".join([first, *headers, "", ""]).encode("latin-1")

    def come(self, data: bytes) -> MemoryTransport:
        """A client of the port that says this at first."""
        transport = MemoryTransport()
        transport.protocol = self.bench.port.buildProtocol(transport.getPeer())
        transport.protocol.makeConnection(transport)
        transport.protocol.dataReceived(data)
        return transport

    def connected(self, index: int = -1) -> MemoryTransport:
        """The owner's side, connected."""
        _, protocol, connecting = self.links.connections[index]
        transport = MemoryTransport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        connecting.callback(protocol)
        return transport

    def spliced(self) -> tuple[MemoryTransport, MemoryTransport]:
        client = self.come(self.head())
        owner = self.connected()
        owner.clear()
        owner.protocol.dataReceived(SWITCHING)
        client.clear()
        return client, owner

    def counted(self, word: str) -> int:
        return self.bench.counters.get("passed_on_failed", word)

    def status(self, transport: Any) -> int:
        return int(transport.value()[9:12])


class OpeningTests(SpliceCase):
    def test_the_owner_gets_the_handshake_and_what_came_behind_it(self) -> None:
        client = self.come(self.head() + b"early")
        self.assertTrue(client.paused)
        client.protocol.dataReceived(b" bytes")
        owner = self.connected()
        head, _, behind = owner.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"GET /socket.io/?EIO=4&transport=websocket&sid=owner."), head)
        for line in (b"upgrade: websocket", b"connection: upgrade", b"x-forwarded-for: 192.0.2.7"):
            self.assertIn(b"\r\n" + line, head)
        self.assertIn(b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", head)
        self.assertEqual(behind, b"early bytes")
        self.assertFalse(client.paused)
        self.assertEqual(self.bench.counters.get("passed_on", "websocket"), 1)

    def test_only_what_is_another_nodes_goes_there(self) -> None:
        for data in (
            self.head(self.sid[:-2] + "__"),
            self.head("unknown"),
            self.head(Sids(self.nodes).make()),
            self.head(path="/elsewhere"),
        ):
            self.assertIn(self.status(self.come(data)), (400, 404))
        self.assertEqual(self.links.connections, [])

    def test_a_head_that_is_none_is_refused(self) -> None:
        client = self.come(self.head(None, "/socket.io/", "X: a\x0bb"))
        self.assertEqual(self.status(client), 400)
        self.assertEqual(client.ended, "lost")

    def test_an_owner_that_is_known_to_be_dead_by_now(self) -> None:
        splice = self.factory.buildProtocol(None)
        transport = MemoryTransport()
        transport.protocol = splice
        splice.makeConnection(transport)
        splice.dataReceived(self.head()[:50])
        self.nodes.addresses.clear()
        splice.dataReceived(self.head()[50:])
        self.assertEqual(self.status(transport), 400)

    def test_one_that_cannot_be_reached_or_is_full(self) -> None:
        client = self.come(self.head())
        self.links.connections[0][2].errback(Failure(ConnectionRefusedError()))
        self.assertEqual((self.status(client), self.counted("unreachable")), (503, 1))
        self.links.is_full = True
        self.assertEqual(self.status(self.come(self.head())), 503)

    def test_one_that_does_not_answer(self) -> None:
        client = self.come(self.head())
        owner = self.connected()
        self.bench.clock.advance(ANSWER_TIMEOUT)
        self.assertEqual((self.status(client), self.counted("timeout")), (502, 1))
        self.assertEqual((client.ended, owner.ended), ("lost", "lost"))

    def test_one_that_breaks_off(self) -> None:
        client = self.come(self.head())
        self.connected().finish()
        self.assertEqual((self.status(client), self.counted("broken")), (502, 1))
        self.assertEqual(self.links.released, [ADDRESS])

    def test_a_client_that_has_gone_meanwhile(self) -> None:
        client = self.come(self.head())
        cancelled: list[Any] = []
        self.links.connections[0][2].addErrback(cancelled.append)
        client.finish()
        self.assertEqual((self.factory.live, self.counted("unreachable")), (set(), 0))
        self.assertEqual(len(self.bench.port.admission), 0)


class SplicedTests(SpliceCase):
    def test_bytes_go_both_ways(self) -> None:
        client, owner = self.spliced()
        client.protocol.dataReceived(b"to the owner")
        owner.protocol.dataReceived(b"to the client")
        self.assertEqual((owner.value(), client.value()), (b"to the owner", b"to the client"))

    def test_each_side_waits_for_the_other(self) -> None:
        client, owner = self.spliced()
        self.assertIs(client.producer, owner)
        self.assertIs(owner.producer, client)

    def test_it_has_no_deadline(self) -> None:
        client, owner = self.spliced()
        self.bench.clock.advance(1000)
        self.assertEqual((client.ended, owner.ended), (None, None))

    def test_the_owners_end_is_the_clients_after_what_it_said_last(self) -> None:
        client, owner = self.spliced()
        owner.protocol.dataReceived(b"good-bye")
        owner.finish()
        self.assertEqual((client.value(), client.ended, client.producer), (b"good-bye", "lost", None))
        client.protocol.dataReceived(b"too late")
        client.finish()
        self.assertEqual(self.factory.live, set())
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_a_client_that_does_not_take_it_is_cut_off(self) -> None:
        client, owner = self.spliced()
        client.unsent = 1000
        owner.finish()
        client.ended = None
        for _ in range(3):
            self.bench.clock.advance(LINGER)
            self.assertIsNone(client.ended)
        self.bench.clock.advance(LINGER)
        self.assertEqual(client.ended, "aborted")
        self.assertEqual(self.bench.counters.get("connections_cut", "unread"), 1)

    def test_one_that_takes_it_slowly_is_waited_for(self) -> None:
        client, owner = self.spliced()
        client.unsent = 1000
        owner.finish()
        client.ended = None
        while client.unsent:
            self.bench.clock.advance(LINGER)
            self.assertIsNone(client.ended)
            client.unsent -= 100
        self.bench.clock.advance(LINGER)
        self.assertEqual(client.ended, "lost")
        self.assertEqual(self.bench.counters.get("connections_cut", "unread"), 0)

    def test_at_the_end_of_the_service_what_the_system_has_is_left_to_it(self) -> None:
        for left, end in ((0, "lost"), (1, "aborted")):
            client, _ = self.spliced()
            client.unsent = left
            client.protocol.cut_off()
            self.assertEqual(client.ended, end)

    def test_the_clients_end_is_the_owners(self) -> None:
        client, owner = self.spliced()
        client.finish()
        self.assertEqual((owner.ended, owner.producer), ("lost", None))
        owner.protocol.dataReceived(b"too late")
        owner.ended = None
        self.bench.clock.advance(LINGER)
        self.assertEqual(owner.ended, "aborted")
        owner.finish()
        self.assertEqual(self.links.released, [ADDRESS])

    def test_a_stop_ends_both_sides(self) -> None:
        self.spliced()
        opening = self.come(self.head())
        for splice in self.factory.stop_opening():
            splice.drain()
        self.assertEqual(self.status(opening), 503)
        self.assertEqual(self.status(self.come(self.head())), 503)
        self.assertEqual(len(self.links.connections), 2)
        self.links.connections[1][2].addErrback(lambda _: None)

    def test_an_upgrade_behind_a_poll(self) -> None:
        client = self.come(b"GET /elsewhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.clear()
        client.protocol.dataReceived(self.head() + b"early")
        self.assertTrue(self.connected().value().endswith(b"\r\n\r\nearly"))
