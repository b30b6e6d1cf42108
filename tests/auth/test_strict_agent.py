"""Tests of wsservice.auth.strict_agent: the agent and the connections under it, without treq."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import BrowserLikePolicyForHTTPS, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer

from tests.auth.memory import Net
from wsservice.auth.strict_agent import LINGER, BytesProducer, FetchError, StrictAgent, Wire, too_large


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.net = Net()
        self.wire = Wire(self.net, BrowserLikePolicyForHTTPS(), 500)
        self.agent = StrictAgent(self.net, self.wire, 100)

    def request(self, **arguments: Any) -> Deferred[Any]:
        return self.agent.request(b"GET", b"http://localhost/", **arguments)

    def closed(self) -> Deferred[None]:
        return ensureDeferred(self.wire.closed())


class StrictAgentTests(Case):
    def test_it_is_an_agent(self) -> None:
        self.assertTrue(IAgent.providedBy(self.agent))

    def test_it_asks_for_no_encoding_whatever_its_caller_asked_for(self) -> None:
        headers = Headers({"Accept-Encoding": ["gzip"], "X-Own": ["1"]})
        self.request(headers=headers)
        sent = self.net.accept().value()
        self.assertIn(b"Accept-Encoding: identity\r\n", sent)
        self.assertIn(b"X-Own: 1\r\n", sent)
        self.assertEqual(headers.getRawHeaders("Accept-Encoding"), ["gzip"])

    def test_the_response_is_handed_on(self) -> None:
        got = self.request()
        self.net.accept().send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc")
        response = self.successResultOf(got)
        self.assertEqual(response.code, 404)
        self.assertEqual(self.successResultOf(readBody(response)), b"abc")

    def test_an_encoded_answer_is_refused(self) -> None:
        got = self.request()
        self.net.accept().send(b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n")
        self.assertEqual(self.failureResultOf(got, FetchError).value.word, "encoding")

    def test_an_announced_length_over_the_bound_is_refused(self) -> None:
        got = self.request()
        self.net.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n")
        self.assertEqual(self.failureResultOf(got, FetchError).value.word, "too_large")

    def test_the_error_for_a_large_body_says_the_bound(self) -> None:
        self.assertIn("100 bytes", str(too_large(100)))


class WireTests(Case):
    def test_without_a_connection_it_is_closed_at_once_and_leaves_no_timer(self) -> None:
        self.successResultOf(self.closed())
        self.assertEqual(self.net.left_behind(), [])

    def test_it_counts_what_comes_in_and_aborts_past_the_limit(self) -> None:
        got = self.request()
        peer = self.net.accept()
        peer.send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400)
        self.assertFalse(self.wire.overflowed)
        peer.send(b"x" * 200)
        self.assertTrue(self.wire.overflowed)
        self.assertTrue(peer.aborted)
        self.net.settle()
        self.failureResultOf(got)
        self.successResultOf(self.closed())

    def test_what_comes_past_the_limit_is_not_admitted(self) -> None:
        self.assertEqual([self.wire.admit(size) for size in (400, 100, 1, 0)], [True, True, False, False])

    def test_closing_waits_for_the_peer_and_then_aborts(self) -> None:
        self.request().addErrback(lambda _: None)
        peer = self.net.accept(closes=False)
        closed = self.closed()
        self.net.advance(LINGER * 0.9)
        self.assertNoResult(closed)
        self.assertFalse(peer.aborted)
        self.net.advance(LINGER * 0.2)
        self.net.settle()
        self.successResultOf(closed)
        self.assertTrue(peer.aborted)
        self.assertEqual(self.net.left_behind(), [])

    def test_it_is_closed_when_the_last_connection_is(self) -> None:
        for _ in range(2):
            self.request().addErrback(lambda _: None)
        first, second = self.net.accept(), self.net.accept()
        closed = self.closed()
        first.close()
        self.assertNoResult(closed)
        second.close()
        self.successResultOf(closed)

    def test_cancelling_the_wait_aborts_and_still_waits(self) -> None:
        self.request().addErrback(lambda _: None)
        peer = self.net.accept(closes=False)
        closed = self.closed()
        closed.cancel()
        self.assertTrue(peer.aborted)
        self.assertNoResult(closed)
        self.net.settle()
        self.successResultOf(closed)
        self.assertEqual(self.net.left_behind(), [])

    def test_cancelling_twice_ends_the_wait(self) -> None:
        self.request().addErrback(lambda _: None)
        self.net.accept(closes=False)
        closed = self.closed()
        closed.cancel()
        closed.cancel()
        self.failureResultOf(closed, CancelledError)
        self.net.settle()
        self.assertEqual(self.net.left_behind(), [])

    def test_a_url_with_https_is_spoken_to_in_tls(self) -> None:
        self.agent.request(b"GET", b"https://localhost/").addErrback(lambda _: None)
        self.assertEqual(self.net.tcpClients[0][1], 443)
        self.assertEqual(self.net.accept().value()[:1], b"\x16")


class BytesProducerTests(SynchronousTestCase):
    def test_it_writes_its_bytes_at_once(self) -> None:
        class Consumer(list[bytes]):
            write = list.append

        consumer = Consumer()
        producer = BytesProducer(b"abc")
        self.assertTrue(IBodyProducer.providedBy(producer))
        self.assertEqual(producer.length, 3)
        self.successResultOf(producer.startProducing(consumer))  # type: ignore[arg-type]
        producer.pauseProducing()
        producer.resumeProducing()
        producer.stopProducing()
        self.assertEqual(consumer, [b"abc"])
