"""Tests of wsservice.transports.outgoing: what is lost is counted. Its bounds are tested in test_websocket."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.transports.fixtures import Service
from tests.transports.memory import MemoryClient

#: a message's bytes, and those of its frame
TEXT, SIZE = "x" * 98, 100


class LostTests(SynchronousTestCase):
    """Over a transport that does not say when it is empty, such as a Unix socket's."""

    def setUp(self) -> None:
        self.service = Service(send_queue_bytes=1_000_000)
        self.client = MemoryClient(self.service.factory)
        self.client.deliver()
        self.transport = self.client.transport
        (self.connection,) = self.service.app.connections()
        (self.protocol,) = self.service.factory.live

    def send(self, count: int, *, unsent: int = 0) -> None:
        """So many messages, of which so many bytes then wait."""
        for _ in range(count):
            self.connection.send(TEXT)
        self.transport.unsent = unsent

    def assertLost(self, count: int) -> None:
        self.transport.finish()
        self.assertEqual(self.service.counters.get("messages_dropped", "lost"), count)

    def test_nothing_is_lost_of_what_the_system_took(self) -> None:
        self.send(100)
        self.assertLost(0)

    def test_a_part_of_a_message_is_a_message(self) -> None:
        self.send(10, unsent=2 * SIZE + 1)
        self.assertLost(3)

    def test_what_left_long_ago_is_forgotten(self) -> None:
        self.send(10_000)
        self.assertLess(len(self.protocol._handed), 100)

    def test_and_what_waits_is_not(self) -> None:
        self.transport.unsent = 1000 * SIZE
        self.send(1000, unsent=700 * SIZE)
        self.assertLost(700)

    def test_what_waits_for_the_transport_counts_and_pings_do_not(self) -> None:
        self.send(1, unsent=SIZE)
        self.transport.producer.pauseProducing()
        self.protocol.ping()
        self.send(2, unsent=SIZE)
        self.assertLost(3)

    def test_pings_and_pongs_and_the_close_frame_in_the_transport_do_not_count(self) -> None:
        self.send(1)
        self.protocol.ping()
        self.protocol.onPing(b"")
        self.connection.disconnect(1001)
        self.transport.unsent = len(b"\x89\x00" + b"\x8a\x00" + b"\x88\x02\x03\xe9")
        self.assertLost(0)

    def test_the_message_before_them_does(self) -> None:
        self.send(1)
        self.protocol.ping()
        self.transport.unsent = 3
        self.assertLost(1)

    def test_pings_are_not_among_what_a_slow_client_is_not_sent(self) -> None:
        self.transport.producer.pauseProducing()
        self.protocol.ping()
        self.connection.send("x" * 1_000_000)
        self.assertEqual(self.service.counters.get("messages_dropped", "slow"), 1)
