"""Connections to other nodes: opened, kept, shared, bounded, and what a bad node can do to them."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.transports.memory import MemoryTransport
from wsservice.counters import Counters
from wsservice.peers.heads import MAX_HEAD, AnswerHead
from wsservice.peers.links import CONNECT_TIMEOUT, IDLE, MOST_IDLE, Exchange, Links
from wsservice.peers.sids import Owner

ONE = Owner("one", "unix:/run/one.sock")
TWO = Owner("two", "tcp:192.0.2.2:4020")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver:
    def __init__(self) -> None:
        self.head: AnswerHead | None = None
        self.producer: Any = None
        self.body = b""
        self.end: str | None = None

    def began(self, head: AnswerHead, producer: Any) -> None:
        assert self.head is None
        self.head, self.producer = head, producer

    def received(self, data: bytes) -> None:
        assert self.end is None
        self.body += data

    def ended(self) -> None:
        self._end("ended")

    def failed(self, word: str) -> None:
        self._end(word)

    def _end(self, word: str) -> None:
        assert self.end is None, (self.end, word)
        self.end = word


class LinksCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.counters = Counters()
        self.links = Links(self.reactor, self.counters, answer_timeout=55.0, most=3)
        self.transports: list[MemoryTransport] = []

    def ask(self, owner: Owner = ONE, request: bytes = b"request") -> tuple[Exchange, Receiver]:
        receiver = Receiver()
        return self.links.exchange(owner, request, receiver), receiver

    def connect(self) -> MemoryTransport:
        """The connection that was asked for last comes about."""
        factory = (self.reactor.unixClients or self.reactor.tcpClients)[-1]
        protocol = next(one for one in factory if hasattr(one, "buildProtocol")).buildProtocol(None)
        transport = MemoryTransport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        self.transports.append(transport)
        return transport

    def asked(self, owner: Owner = ONE) -> tuple[MemoryTransport, Exchange, Receiver]:
        exchange, receiver = self.ask(owner)
        return self.connect(), exchange, receiver

    def refuse(self) -> None:
        factory = next(one for one in self.reactor.unixClients[-1] if hasattr(one, "buildProtocol"))
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    @property
    def failed(self) -> dict[str, int]:
        return {reason: count for name, reason, count in self.counters.items() if name == "passed_on_failed"}


class ExchangeTests(LinksCase):
    def test_the_request_goes_out_and_the_answer_comes_in_whatever_its_pieces(self) -> None:
        for size in (1, 7, 1000):
            self.links.stop()
            links = self.links = Links(self.reactor, self.counters, answer_timeout=55.0, most=3)
            transport, _, receiver = self.asked()
            self.assertEqual(transport.value(), b"request")
            for begin in range(0, len(OK), size):
                transport.protocol.dataReceived(OK[begin : begin + size])
            self.assertEqual(
                (receiver.head, receiver.body, receiver.end), (AnswerHead(200, (), 2, False), b"ok", "ended")
            )
            self.assertEqual(len(links), 1)

    def test_the_next_request_goes_the_same_way(self) -> None:
        transport, _, _ = self.asked()
        transport.protocol.dataReceived(OK)
        transport.clear()
        _, receiver = self.ask(request=b"second")
        self.assertEqual(transport.value(), b"second")
        transport.protocol.dataReceived(OK)
        self.assertEqual((receiver.end, len(self.reactor.unixClients)), ("ended", 1))

    def test_two_at_a_time_have_a_connection_each(self) -> None:
        self.asked()
        self.asked()
        self.assertEqual((len(self.links), len(self.reactor.unixClients)), (2, 2))

    def test_an_answer_without_a_body(self) -> None:
        transport, _, receiver = self.asked()
        transport.protocol.dataReceived(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual((receiver.body, receiver.end), (b"", "ended"))

    def test_the_last_answer_of_a_connection_closes_it(self) -> None:
        transport, _, receiver = self.asked()
        transport.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual((receiver.end, transport.ended), ("ended", "lost"))
        transport.finish()
        self.ask()
        self.assertEqual(len(self.reactor.unixClients), 2)

    def test_a_receiver_that_is_behind_has_the_sender_wait(self) -> None:
        transport, _, receiver = self.asked()
        transport.protocol.dataReceived(OK[:-2])
        receiver.producer.pauseProducing()
        receiver.producer.pauseProducing()
        self.assertTrue(transport.paused)
        receiver.producer.resumeProducing()
        self.assertFalse(transport.paused)
        receiver.producer.pauseProducing()
        transport.protocol.dataReceived(OK[-2:])
        self.assertFalse(transport.paused)
        receiver.producer.stopProducing()
        self.assertEqual(transport.ended, "aborted")

    def test_over_tcp_it_is_sent_at_once_and_a_dead_machine_noticed(self) -> None:
        transport, _, _ = self.asked(TWO)
        self.assertEqual((self.reactor.tcpClients[-1][:2], transport.keep_alive), (("192.0.2.2", 4020), True))


class FailureTests(LinksCase):
    def test_a_node_that_refuses(self) -> None:
        _, receiver = self.ask()
        self.refuse()
        self.assertEqual((receiver.end, self.failed, len(self.links)), ("unreachable", {"unreachable": 1}, 0))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_an_address_that_is_none(self) -> None:
        for address in ("nonsense", "tcp", "no-such-type:x"):
            _, receiver = self.ask(Owner("one", address))
            self.assertEqual(receiver.end, "unreachable", address)
        self.assertEqual(len(self.links), 0)

    def test_the_deadline_to_connect_stands_in_the_address(self) -> None:
        self.ask()
        self.assertIn(CONNECT_TIMEOUT, self.reactor.unixClients[-1])
        self.ask(Owner("one", "unix:/run/one.sock:timeout=7"))
        self.assertIn(7, self.reactor.unixClients[-1])

    def test_a_node_that_does_not_answer_in_time(self) -> None:
        transport, _, receiver = self.asked()
        self.reactor.advance(54)
        self.assertIsNone(receiver.end)
        self.reactor.advance(1)
        self.assertEqual((receiver.end, transport.ended, self.failed), ("timeout", "aborted", {"timeout": 1}))
        transport.finish()
        self.assertEqual(len(self.links), 0)

    def test_once_it_answers_it_may_take_its_time(self) -> None:
        transport, _, receiver = self.asked()
        transport.protocol.dataReceived(OK[:-1])
        self.reactor.advance(1000)
        self.assertIsNone(receiver.end)

    def test_a_node_that_breaks_off(self) -> None:
        for said in (b"", OK[:10], OK[:-1]):
            transport, _, receiver = self.asked()
            transport.protocol.dataReceived(said)
            transport.finish()
            self.assertEqual(receiver.end, "broken")
        self.assertEqual((self.failed, len(self.links)), ({"broken": 3}, 0))

    def test_nonsense(self) -> None:
        for said in (b"SSH-2.0\r\n\r\n", b"HTTP/1.1 101 OK\r\n\r\n", OK + b"!", b"x" * (MAX_HEAD + 1)):
            transport, _, receiver = self.asked()
            transport.protocol.dataReceived(said)
            self.assertEqual((receiver.end, transport.ended), ("broken", "aborted"), said[:20])
            transport.finish()
        self.assertEqual(len(self.links), 0)

    def test_what_nobody_asked_for(self) -> None:
        transport, _, _ = self.asked()
        transport.protocol.dataReceived(OK)
        transport.protocol.dataReceived(OK)
        self.assertEqual(transport.ended, "aborted")
        transport.finish()
        self.ask()
        self.assertEqual(len(self.reactor.unixClients), 2)

    def test_there_are_so_many_to_a_node_and_no_more(self) -> None:
        for _ in range(3):
            self.asked()
        _, receiver = self.ask()
        self.assertEqual((receiver.end, self.failed), ("full", {"full": 1}))
        self.assertIsNone(self.links.connect(ONE, MemoryTransport()))  # type: ignore[arg-type]
        _, other = self.ask(TWO)
        self.assertIsNone(other.end)
        self.transports[0].finish()
        self.assertIsNone(self.ask()[1].end)


class AbortTests(LinksCase):
    def test_while_it_connects(self) -> None:
        exchange, receiver = self.ask()
        exchange.abort()
        self.assertEqual((receiver.end, self.failed, len(self.links)), (None, {}, 0))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_while_it_waits_or_in_the_midst_of_the_answer(self) -> None:
        for said in (b"", OK[:-1]):
            transport, exchange, receiver = self.asked()
            transport.protocol.dataReceived(said)
            exchange.abort()
            self.assertEqual((receiver.end, transport.ended), (None, "aborted"))
            transport.finish()
        self.assertEqual((len(self.links), self.failed, self.reactor.getDelayedCalls()), (0, {}, []))


class IdleTests(LinksCase):
    def test_an_idle_connection_is_closed_after_a_while(self) -> None:
        transport, _, _ = self.asked()
        transport.protocol.dataReceived(OK)
        self.reactor.advance(IDLE - 1)
        self.assertIsNone(transport.ended)
        self.reactor.advance(1)
        self.assertEqual(transport.ended, "lost")
        transport.finish()
        self.assertEqual((len(self.links), self.reactor.getDelayedCalls()), (0, []))

    def test_one_that_is_used_is_kept(self) -> None:
        transport, _, _ = self.asked()
        for _ in range(10):
            transport.protocol.dataReceived(OK)
            self.reactor.advance(IDLE - 1)
            self.ask()
        self.assertIsNone(transport.ended)
        self.assertEqual(len(self.reactor.unixClients), 1)

    def test_one_that_the_node_has_closed_is_not_used(self) -> None:
        transport, _, _ = self.asked()
        transport.protocol.dataReceived(OK)
        transport.finish()
        self.ask()
        self.assertEqual(len(self.reactor.unixClients), 2)

    def test_so_many_are_kept_and_no_more(self) -> None:
        self.links = Links(self.reactor, self.counters, answer_timeout=55.0, most=1000)
        all_of_them = [self.asked()[0] for _ in range(MOST_IDLE + 1)]
        for transport in all_of_them:
            transport.protocol.dataReceived(OK)
        self.assertEqual([transport.ended for transport in all_of_them], [None] * MOST_IDLE + ["lost"])

    def test_a_stop_closes_them(self) -> None:
        transport, _, _ = self.asked()
        transport.protocol.dataReceived(OK)
        self.links.stop()
        self.assertEqual((transport.ended, self.reactor.getDelayedCalls()), ("aborted", []))
        transport.finish()
        self.links.stop()


class TellTests(LinksCase):
    def test_it_is_sent_and_the_connection_closed(self) -> None:
        self.links.tell(ONE, b"told")
        transport = self.connect()
        self.assertEqual((transport.value(), transport.ended), (b"told", "lost"))
        transport.finish()
        self.assertEqual(len(self.links), 0)

    def test_nobody_minds_if_it_cannot_be(self) -> None:
        self.links.tell(ONE, b"told")
        self.refuse()
        self.assertEqual((self.failed, len(self.links)), ({"unreachable": 1}, 0))
        for _ in range(3):
            self.asked()
        self.links.tell(ONE, b"told")
        self.assertEqual(self.failed, {"unreachable": 1, "full": 1})
