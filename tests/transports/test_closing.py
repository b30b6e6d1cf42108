"""Tests of wsservice.transports.closing; tests/integration/test_abuse_closing.py has real sockets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.transports.fixtures import Service
from tests.transports.memory import MemoryClient
from wsservice.transports.closing import LONGEST


class ClosingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.start()

    def start(self, unread_timeout: float = 10.0) -> None:
        self.service = Service(unread_timeout=unread_timeout)
        self.client = MemoryClient(self.service.factory)
        self.client.deliver()
        self.transport = self.client.transport

    def close(self, unsent: int = 0) -> None:
        """The service closes, and the client does not answer."""
        (connection,) = self.service.app.connections()
        self.transport.unsent = unsent
        connection.disconnect(1001, "Going away")

    def pass_time(self, seconds: float, *, taking: int = 0) -> None:
        """The client takes so many bytes a second."""
        for _ in range(round(seconds)):
            self.transport.unsent = max(0, self.transport.unsent - taking)
            self.service.clock.advance(1)

    def assertEnded(self, how: str | None, *, cut: int = 0) -> None:
        self.assertEqual(self.transport.ended, how)
        self.assertEqual(self.service.counters.get("connections_cut", "unread"), cut)

    def test_who_has_everything_and_does_not_answer_is_closed_without_a_reset(self) -> None:
        self.close()
        self.pass_time(2)
        self.assertEnded(None)
        self.pass_time(1)
        self.assertEnded("lost")

    def test_who_takes_nothing_is_cut_off(self) -> None:
        self.close(100_000)
        self.pass_time(9)
        self.assertEnded(None)
        self.pass_time(3)
        self.assertEnded("aborted", cut=1)

    def test_who_takes_something_now_and_then_is_waited_for(self) -> None:
        self.close(100_000)
        self.pass_time(9)
        self.pass_time(1, taking=1)
        self.pass_time(11)
        self.assertEnded(None)
        self.pass_time(4)
        self.assertEnded("aborted", cut=1)

    def test_so_it_is_however_short_the_time_is(self) -> None:
        for seconds in (1.0, 2.0, 3.0):
            self.start(seconds)
            self.close(100_000)
            self.pass_time(20, taking=1)
            self.assertEnded(None)
            self.pass_time(2 * seconds)
            self.assertEnded("aborted", cut=1)

    def test_who_gets_to_the_end_of_it_answers_as_anybody_does(self) -> None:
        self.close(400_000)
        self.pass_time(40, taking=10_000)
        self.assertEnded(None)
        self.client.deliver()
        self.client.deliver()
        self.assertEnded("lost")
        self.transport.finish()
        self.service.expirations.stop()
        self.assertEqual(self.service.clock.getDelayedCalls(), [])

    def test_who_would_take_it_all_day_is_cut_off_too(self) -> None:
        self.close(1_000_000)
        self.pass_time(LONGEST, taking=1)
        self.assertEnded("aborted", cut=1)

    def test_a_client_that_closes_and_does_not_take_the_rest_is_cut_off(self) -> None:
        self.transport.unsent = 100_000
        self.client.client.send_close(1000, "bye")
        self.client.deliver()
        self.assertEnded("lost")
        self.transport.ended = None
        self.pass_time(9)
        self.assertEnded(None)
        self.pass_time(3)
        self.assertEnded("aborted", cut=1)

    def test_one_that_does_not_end_its_tls_is_closed(self) -> None:
        self.client.client.send_close(1000, "bye")
        self.client.deliver()
        self.transport.ended = None
        self.pass_time(3)
        self.assertEnded("lost")

    def test_one_that_closes_and_takes_the_rest_is_waited_for(self) -> None:
        self.transport.unsent = 100_000
        self.client.client.send_close(1000, "bye")
        self.client.deliver()
        self.transport.ended = None
        self.pass_time(30, taking=1000)
        self.assertEnded(None)
        self.transport.finish()
        self.service.expirations.stop()
        self.assertEqual(self.service.clock.getDelayedCalls(), [])

    def test_a_second_violation_ends_the_wait(self) -> None:
        for _ in range(2):
            self.client.current.dataReceived(b"\xff\x80\0\0\0\0")
        self.assertEnded("lost")

    def test_at_the_end_of_the_service_what_the_system_has_is_left_to_it(self) -> None:
        (protocol,) = self.service.factory.live
        self.close()
        protocol.cut_off()
        self.assertEnded("lost")

    def test_and_what_it_has_not_is_lost(self) -> None:
        (protocol,) = self.service.factory.live
        self.close(1)
        protocol.cut_off()
        self.assertEnded("aborted")

    def test_who_is_being_closed_is_not_pinged(self) -> None:
        self.close(100_000)
        self.client.read()
        (protocol,) = self.service.factory.live
        protocol.ping()
        protocol.pong_missing()
        self.client.read()
        self.assertEnded(None)
        self.assertEqual(self.service.counters.get("messages_dropped", "closed"), 0)
        self.assertEqual(self.service.counters.get("pings_unanswered"), 0)
