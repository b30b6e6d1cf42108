"""One HTTP connection: its bounds of size and time, its order, its end."""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from tests.web.memory import HOST, Bench, Client, LogCapture, Response, head
from wsservice.web.answers import json_answer
from wsservice.web.channel import State
from wsservice.web.limits import Limits

ALWAYS = ("X-Request-Id", "Content-Security-Policy", "X-Content-Type-Options", "Date", "Server", "Content-Length")
CHUNKED = "Transfer-Encoding: chunked"


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(Limits(head_bytes=1000, headers=10, body_bytes=100))
        self.client = self.bench.connect()

    def check_refused(self, status: int, word: str, client: Client | None = None) -> Response:
        """The only answer is this error, and the connection closes once the client had time to read it."""
        if client is None:
            client = self.client
        else:
            self.client.transport.drop()
        answer = client.answer()
        self.assertEqual((answer.status, answer.error), (status, word))
        for name in ALWAYS:
            self.assertIsNotNone(answer.header(name), name)
        self.assertEqual(answer.header("Connection"), "close")
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(answer.json["requestId"], answer.header("X-Request-Id"))
        self.assertIsNone(client.ended)
        client.send(head("/hello") * 3)
        self.bench.clock.advance(1)
        self.assertEqual(client.ended, "closed")
        self.assertEqual(client.received(), [])
        client.transport.drop()
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])
        self.assertEqual(self.bench.site.channels, set())
        return answer


class OrderTests(Base):
    def test_a_connection_serves_one_request_after_the_other(self) -> None:
        for _ in range(3):
            self.client.send(head("/hello"))
            self.assertEqual(self.client.answer().json, {"hello": "world"})
        self.assertIsNone(self.client.ended)

    def test_after_a_few_pipelined_requests_others_have_their_turn(self) -> None:
        self.client.send(head("/hello") * 20)
        self.assertEqual(len(self.client.received()), 8)
        self.bench.clock.advance(0)
        self.assertEqual(len(self.client.received()), 12)

    def test_one_that_closes_with_its_turn_reads_on_for_the_clients_end(self) -> None:
        self.client.send(head("/hello") * 7 + head("/hello", "Connection: close"))
        self.assertEqual(len(self.client.received()), 8)
        self.assertEqual(self.client.transport.producerState, "producing")

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        self.client.send(head("/later") + head("/hello") + head("/nowhere") + head("/later"))
        self.assertEqual(self.client.received(), [])
        self.bench.later[0].callback(json_answer(200, {"first": True}))
        first, second, third = self.client.received()
        self.assertEqual((first.json, second.json, third.status), ({"first": True}, {"hello": "world"}, 404))
        self.bench.later[1].callback(json_answer(200, {"last": True}))
        self.assertEqual(self.client.answer().json, {"last": True})

    def test_a_request_may_come_byte_by_byte(self) -> None:
        request = head("/echo", "Content-Length: 3", method="POST") + b"abc"
        for index in range(len(request)):
            self.client.send(request[index : index + 1])
        self.assertEqual(self.client.answer().json, {"body": "abc"})

    def test_a_chunked_body_is_put_together(self) -> None:
        self.client.send(head("/echo", CHUNKED, method="POST") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        self.assertEqual(self.client.answer().json, {"body": "abcde"})

    def test_a_request_after_a_body_is_a_new_one(self) -> None:
        self.client.send(head("/echo", "Content-Length: 3", method="POST") + b"abc" + head("/hello"))
        self.assertEqual([answer.status for answer in self.client.received()], [200, 200])

    def test_connection_close_is_heeded(self) -> None:
        self.client.send(head("/hello", "Connection: close") + head("/hello"))
        self.assertEqual(self.client.answer().header("Connection"), "close")
        self.assertEqual(self.client.ended, "closed")

    def test_http_1_0_is_answered_and_closed(self) -> None:
        self.client.send(b"GET /hello HTTP/1.0\r\n\r\n")
        self.assertEqual(self.client.answer().status, 200)
        self.assertEqual(self.client.ended, "closed")

    def test_100_continue_is_said_when_the_body_is_welcome(self) -> None:
        self.client.send(head("/echo", "Content-Length: 3", "Expect: 100-continue", method="POST"))
        self.assertEqual(self.client.transport.value(), b"HTTP/1.1 100 Continue\r\n\r\n")


class HeadTests(Base):
    def test_a_control_or_high_byte_in_a_header_is_refused(self) -> None:
        for byte in (0x00, 0x0B, 0x0C, 0x1C, 0x7F, 0x85, 0xFF):
            with self.subTest(byte=byte):
                client = self.bench.connect()
                client.send(head("/hello", f"X-Foo: 1{chr(byte)}Cookie: authToken=EVIL"))
                self.check_refused(400, "bad_request", client)

    def test_so_it_is_in_a_later_request_of_the_connection(self) -> None:
        self.client.send(head("/hello"))
        self.client.received()
        self.client.send(head("/hello", "X-Foo: 1\x85Cookie: authToken=EVIL") + head("/hello"))
        self.check_refused(400, "bad_request")

    def test_what_comes_before_a_refused_request_is_answered(self) -> None:
        self.client.send(head("/hello") + head("/hello", "X-Foo: \x85") + head("/hello"))
        self.assertEqual([answer.status for answer in self.client.received()], [200, 400])

    def test_a_refused_header_is_not_followed_by_an_answer_to_its_request(self) -> None:
        self.client.send(head("/hello", "X-Foo: \x85", "X-Bar: fine"))
        self.check_refused(400, "bad_request")

    def test_what_is_no_http_is_refused(self) -> None:
        for text in (
            b"nonsense\r\n\r\n",
            b"GET /hello HTTP/2.0\r\n\r\n",
            b"GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n",
            b"G@T /hello HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n",
            b"GET /hel\xa0lo HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /hel\x7flo HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nAccept: */*\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ):
            with self.subTest(text=text):
                client = self.bench.connect()
                client.send(text)
                self.check_refused(400, "bad_request", client)

    def test_nothing_of_the_request_is_in_the_refusal(self) -> None:
        self.client.send(b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: <evil>\r\nX-Foo: \x85<evil>\r\n\r\n")
        answer = self.check_refused(400, "bad_request")
        self.assertNotIn(b"<", answer.body)
        self.assertNotIn("<", "".join(value for _, value in answer.headers))

    def test_a_head_may_have_so_many_bytes_and_no_more(self) -> None:
        spare = 1000 - len(head("/hello", "X-Foo: ")) + 2  # the empty line comes after the last header
        for extra, status in ((0, 200), (3, 431)):
            with self.subTest(extra=extra):
                client = self.bench.connect()
                client.send(head("/hello", "X-Foo: " + "a" * (spare - 2 + extra)))
                self.assertEqual(client.answer().status, status)

    def test_a_line_without_an_end_is_refused(self) -> None:
        self.client.send(b"GET /" + b"a" * 1100)
        self.check_refused(431, "head_too_large")

    def test_a_head_of_many_short_lines_is_refused(self) -> None:
        self.client.send(head("/hello", *["X: y"] * 11))
        self.check_refused(431, "head_too_large")

    def test_it_may_have_as_many_lines_as_it_is_allowed(self) -> None:
        bench = Bench(Limits(head_bytes=100_000, headers=2000))
        for lines, status in ((1999, 200), (2000, 431)):  # beside Host
            client = bench.connect()
            client.send(head("/hello", *["X: y"] * lines))
            self.assertEqual(client.answer().status, status)

    def test_empty_lines_do_not_go_on_for_ever(self) -> None:
        self.client.send(b"\r\n" * 3)
        self.check_refused(400, "bad_request")

    def test_the_bounds_are_for_each_request(self) -> None:
        for _ in range(5):
            self.client.send(head("/hello", "X-Foo: " + "a" * 800, *["X: y"] * 8))
            self.assertEqual(self.client.answer().status, 200)

    def test_a_good_request_id_is_echoed_even_by_a_refusal(self) -> None:
        self.client.send(head("/hello", "X-Request-Id: abcdefgh-1", "X-Foo: \x85"))
        self.assertEqual(self.check_refused(400, "bad_request").header("X-Request-Id"), "abcdefgh-1")

    def test_a_refusal_is_counted_and_logged(self) -> None:
        with LogCapture() as log:
            self.client.send(head("/hello?token=SECRET", "X-Foo: \x85SECRET"))
        self.assertEqual(self.bench.counters.get("http_refused", "bad_request"), 1)
        (event,) = log.named("request refused")
        self.assertEqual((event["status"], event["peer"]), (400, "192.0.2.7"))
        self.assertNotIn("SECRET", repr(event))

    def test_a_refusal_over_tls_asks_for_tls(self) -> None:
        client = self.bench.connect(secure=True)
        client.send(head("/hello", "X-Foo: \x85"))
        self.assertIsNotNone(client.answer().header("Strict-Transport-Security"))


class BodyTests(Base):
    def test_a_body_may_have_so_many_bytes(self) -> None:
        self.client.send(head("/echo", "Content-Length: 100", method="POST") + b"a" * 100)
        self.assertEqual(self.client.answer().status, 200)
        self.client.send(head("/echo", CHUNKED, method="POST") + b"64\r\n" + b"a" * 100 + b"\r\n0\r\n\r\n")
        self.assertEqual(self.client.answer().status, 200)

    def test_a_larger_content_length_is_refused_before_a_byte_of_the_body(self) -> None:
        self.client.send(head("/echo", "Content-Length: 101", method="POST"))
        self.check_refused(413, "too_large")

    def test_it_is_not_asked_for_either(self) -> None:
        self.client.send(head("/echo", "Content-Length: 101", "Expect: 100-continue", method="POST"))
        self.check_refused(413, "too_large")

    def test_a_gigantic_content_length_is_refused(self) -> None:
        self.client.send(head("/echo", "Content-Length: 99999999999999999999", method="POST"))
        self.check_refused(413, "too_large")

    def test_too_many_chunks_are_refused_while_they_come(self) -> None:
        self.client.send(head("/echo", CHUNKED, method="POST"))
        for _ in range(10):
            self.client.send(b"a\r\n" + b"a" * 10 + b"\r\n")
        self.assertEqual(self.client.received(), [])
        self.client.send(b"1\r\na\r\n" + b"a\r\n" + b"a" * 10 + b"\r\n0\r\n\r\n")
        self.check_refused(413, "too_large")

    def test_a_body_that_ends_in_the_segment_that_made_it_too_large_is_not_handled(self) -> None:
        self.client.send(head("/echo", CHUNKED, method="POST") + b"65\r\n" + b"a" * 101 + b"\r\n0\r\n\r\n")
        self.check_refused(413, "too_large")

    def test_a_broken_chunk_is_refused(self) -> None:
        self.client.send(head("/echo", CHUNKED, method="POST") + b"3\r\nabcXX")
        self.check_refused(400, "bad_request")

    def test_a_client_that_leaves_in_its_body_leaves_nothing(self) -> None:
        self.client.send(head("/echo", "Content-Length: 10", method="POST") + b"abc")
        with LogCapture() as log:
            self.client.disconnect()
        self.assertEqual(log.events, [])
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])


class TimeTests(Base):
    def test_a_client_that_says_nothing_is_refused(self) -> None:
        self.bench.clock.advance(5)
        self.check_refused(408, "timeout")

    def test_a_byte_each_second_does_not_keep_a_head_open(self) -> None:
        for byte in b"GET /":
            self.client.send(bytes([byte]))
            self.bench.clock.advance(1)
        self.check_refused(408, "timeout")

    def test_nor_the_head_of_a_later_request(self) -> None:
        self.client.send(head("/hello"))
        self.client.received()
        self.bench.clock.advance(50)
        for byte in b"GET /":
            self.client.send(bytes([byte]))
            self.bench.clock.advance(1)
        self.check_refused(408, "timeout")

    def test_nor_a_body(self) -> None:
        self.client.send(head("/echo", "Content-Length: 50", method="POST"))
        for _ in range(5):
            self.client.send(b"a")
            self.bench.clock.advance(1)
        self.check_refused(408, "timeout")

    def test_nor_a_head_that_began_behind_a_request(self) -> None:
        self.client.send(head("/hello") + b"GET /")
        self.client.received()
        for _ in range(5):
            self.client.send(b"a")
            self.bench.clock.advance(1)
        self.check_refused(408, "timeout")

    def test_nor_one_that_came_along_with_a_request_and_goes_no_further(self) -> None:
        for part in (b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHo"):
            self.client.send(head("/hello") + part)
            self.assertEqual(self.client.answer().status, 200)
            self.bench.clock.advance(5)
            self.check_refused(408, "timeout")
            self.client = self.bench.connect()

    def test_head_and_body_have_their_own_time(self) -> None:
        self.bench.clock.advance(4)
        self.client.send(head("/echo", "Content-Length: 3", method="POST"))
        self.bench.clock.advance(4)
        self.client.send(b"abc")
        self.assertEqual(self.client.answer().status, 200)

    def test_an_answer_may_take_as_long_as_it_wants(self) -> None:
        self.client.send(head("/later"))
        self.bench.clock.advance(1000)
        self.bench.later[0].callback(json_answer(200, {}))
        self.assertEqual(self.client.answer().status, 200)
        self.assertIsNone(self.client.ended)

    def test_bytes_that_come_while_it_is_made_do_not_start_a_deadline(self) -> None:
        self.client.send(head("/later"))
        self.client.send(b"GET /hel")
        self.bench.clock.advance(1000)
        self.bench.later[0].callback(json_answer(200, {}))
        self.client.send(b"lo HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual([answer.status for answer in self.client.received()], [200, 200])

    def test_so_it_is_behind_many_requests(self) -> None:
        for _ in range(8):
            self.client.send(head("/hello"))
            self.client.received()
        self.bench.clock.advance(0)
        self.bench.clock.advance(59)
        self.assertEqual((self.client.ended, self.client.received()), (None, []))
        self.bench.clock.advance(1)
        self.assertEqual((self.client.ended, self.client.received()), ("closed", []))

    def test_an_idle_connection_is_closed(self) -> None:
        self.client.send(head("/hello"))
        self.client.received()
        self.bench.clock.advance(59)
        self.assertIsNone(self.client.ended)
        self.bench.clock.advance(1)
        self.assertEqual((self.client.ended, self.client.received()), ("closed", []))

    def test_a_client_that_has_read_its_answer_is_closed_without_its_end_of_tls(self) -> None:
        self.client.send(head("/hello", "Connection: close"))
        self.client.transport.ended = None
        self.bench.clock.advance(10)
        self.assertEqual(self.client.ended, "closed")
        self.assertEqual(self.bench.counters.get("http_dropped", "unread"), 0)

    def test_a_client_that_reads_now_and_then_is_waited_for(self) -> None:
        self.client.transport.unsent = 1000
        self.client.send(head("/hello", "Connection: close"))
        for left in range(900, 0, -100):
            self.client.transport.unsent = left
            self.bench.clock.advance(10)
            self.assertEqual(self.client.ended, "closed")
        self.bench.clock.advance(10)
        self.assertEqual(self.client.ended, "aborted")
        self.assertEqual(self.bench.counters.get("http_dropped", "unread"), 1)

    def test_who_wants_to_know_is_told_of_an_answer_that_was_not_taken(self) -> None:
        for unsent in (0, 1):
            client, told = self.bench.connect(), []
            client.channel.on_lost(lambda told=told: told.append("lost"))
            client.send(head("/hello"))
            client.transport.unsent = unsent
            client.transport.drop()
            self.assertEqual(told, ["lost"] * unsent)

    def test_who_asks_on_has_taken_the_answer(self) -> None:
        for pieces in ([head("/hello")], [head("/hello")[:7], head("/hello")[7:]], [head("/hello")[:7]]):
            client, told = self.bench.connect(), []
            client.channel.on_lost(lambda told=told: told.append("lost"))
            client.send(head("/hello"))
            for piece in pieces:
                client.send(piece)
            client.transport.unsent = 1
            client.transport.drop()
            self.assertEqual(told, [])

    def test_who_does_not_wait_for_an_answer_may_lose_several(self) -> None:
        told: list[int] = []
        self.client.send(head("/later") * 3)
        for number in range(3):
            self.client.channel.on_lost(lambda number=number: told.append(number))
            self.bench.later[number].callback(json_answer(200, {}))
        self.client.transport.unsent = 1
        self.client.transport.drop()
        self.assertEqual(told, [0, 1, 2])

    def test_who_never_waits_costs_no_more_for_it(self) -> None:
        self.client.send(head("/later") * 100)
        for number in range(100):
            self.client.channel.on_lost(lambda: None)
            self.bench.later[number].callback(json_answer(200, {}))
            self.bench.clock.advance(0)
        self.assertLess(len(self.client.channel._lost), 10)

    def test_a_client_that_reads_no_answer_is_cut_off(self) -> None:
        self.client.transport.unsent = 1
        self.client.send(head("/hello", "Connection: close"))
        self.assertEqual(self.client.ended, "closed")
        self.bench.clock.advance(10)
        self.assertEqual(self.client.ended, "aborted")
        self.client.transport.drop()
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_so_is_one_that_asks_on_and_on_without_reading(self) -> None:
        self.client.send(head("/hello"))
        self.client.channel.pauseProducing()  # the transport's buffer is full
        self.client.channel.pauseProducing()
        self.assertEqual(self.client.transport.producerState, "paused")
        self.bench.clock.advance(10)
        self.assertEqual(self.client.ended, "aborted")
        self.assertEqual(self.bench.counters.get("http_dropped", "unread"), 1)

    def test_one_that_reads_late_is_not(self) -> None:
        self.client.send(head("/hello"))
        self.client.channel.pauseProducing()
        self.bench.clock.advance(9)
        self.client.channel.resumeProducing()
        self.bench.clock.advance(9)
        self.assertIsNone(self.client.ended)
        self.assertEqual(self.client.transport.producerState, "producing")

    def test_requests_of_one_that_does_not_read_wait(self) -> None:
        self.client.channel.pauseProducing()
        self.client.send(head("/hello") * 3)
        self.client.send(head("/hello"))
        self.assertEqual(len(self.client.received("GET")), 1)
        self.assertEqual(self.client.transport.producerState, "paused")
        self.bench.clock.advance(9)
        self.client.channel.resumeProducing()
        self.assertEqual([answer.status for answer in self.client.received(*["GET"] * 3)], [200] * 3)
        self.assertEqual(self.client.transport.producerState, "producing")
        self.bench.clock.advance(50)
        self.assertIsNone(self.client.ended)

    def test_half_a_request_of_one_that_does_not_read_waits_without_a_deadline(self) -> None:
        self.client.channel.pauseProducing()
        self.client.send(head("/hello") + b"GET /hel")
        self.bench.clock.advance(9)
        self.client.channel.resumeProducing()
        self.client.send(head("/hello")[8:])
        self.assertEqual([answer.status for answer in self.client.received("GET", "GET")], [200, 200])

    def test_a_connection_that_ends_leaves_no_timer(self) -> None:
        for data in (b"", b"GET /", head("/hello"), head("/later"), head("/hello", "X-Foo: \x85")):
            with self.subTest(data=data):
                client = self.bench.connect()
                if data:
                    client.send(data)
                client.disconnect()
                client.disconnect()
        self.client.disconnect()
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])
        self.assertEqual(self.bench.site.channels, set())


class StopTests(Base):
    def test_an_idle_connection_keeps_nobody_busy_and_gets_one_more_answer(self) -> None:
        self.client.send(head("/hello"))
        self.client.received()
        self.bench.site.finish_up()
        self.assertFalse(self.bench.site.is_busy)
        self.client.send(head("/hello"))
        self.assertEqual(self.client.answer().header("Connection"), "close")
        self.assertEqual(self.client.ended, "closed")

    def test_a_request_under_way_is_answered_first(self) -> None:
        self.client.send(head("/later") + head("/hello"))
        self.bench.site.finish_up()
        self.assertIsNone(self.client.ended)
        self.assertTrue(self.bench.site.is_busy)
        self.bench.later[0].callback(json_answer(200, {}))
        self.assertEqual(self.client.answer().header("Connection"), "close")
        self.assertEqual(self.client.ended, "closed")
        self.assertFalse(self.bench.site.is_busy)

    def test_a_request_that_is_being_read_is_answered_and_is_the_last(self) -> None:
        for cut in (10, len(head("/echo", "Content-Length: 3", method="POST")) + 1):
            with self.subTest(cut=cut):
                client = self.bench.connect()
                data = head("/echo", "Content-Length: 3", method="POST") + b"abc"
                client.send(data[:cut])
                self.bench.site.finish_up()
                self.assertTrue(self.bench.site.is_busy)
                client.send(data[cut:])
                self.assertEqual(client.answer().header("Connection"), "close")
                self.assertEqual(client.ended, "closed")

    def test_what_is_left_is_cut_off(self) -> None:
        self.client.send(head("/later"))
        self.bench.site.close_all()
        self.assertEqual(self.client.ended, "closed")

    def test_bytes_after_the_end_are_dropped(self) -> None:
        self.client.send(head("/hello", "Connection: close"))
        self.client.received()
        self.client.send(head("/hello") * 2)
        self.assertEqual(self.client.received(), [])
        self.assertIs(self.client.channel.state, State.CLOSING)


class PeerTests(SynchronousTestCase):
    def handshake_of(self, *headers: str, trusted: str = "", address: Any = None) -> Any:
        networks = (ipaddress.ip_network(trusted),) if trusted else ()
        bench = Bench(trusted=networks)
        client = bench.connect()
        if address is not None:
            client.transport.peerAddr = address
        client.send(head("/later?a=1", *headers))
        return client.channel.requests[0].handshake

    def test_a_handshake_tells_what_was_asked_and_by_whom(self) -> None:
        handshake = self.handshake_of("Cookie: a=1", "Cookie: b=2", "X-Foo: bar")
        self.assertEqual((handshake.method, handshake.path, handshake.query), ("GET", "/later", {"a": "1"}))
        self.assertEqual((handshake.host, handshake.peer, handshake.secure), (HOST, "192.0.2.7", False))
        self.assertEqual(handshake.header_values("cookie"), ["a=1", "b=2"])
        self.assertEqual(handshake.header("x-foo"), "bar")

    def test_a_trusted_proxy_is_believed(self) -> None:
        handshake = self.handshake_of(
            "X-Forwarded-For: 198.51.100.9", "X-Forwarded-Proto: https", trusted="192.0.2.0/24"
        )
        self.assertEqual((handshake.peer, handshake.secure), ("198.51.100.9", True))

    def test_another_is_not(self) -> None:
        handshake = self.handshake_of("X-Forwarded-For: 198.51.100.9", "X-Forwarded-Proto: https")
        self.assertEqual((handshake.peer, handshake.secure), ("192.0.2.7", False))

    def test_a_unix_socket_has_no_address(self) -> None:
        self.assertEqual(self.handshake_of(address=UNIXAddress("/run/socket")).peer, "")
