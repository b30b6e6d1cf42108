"""Polls that are passed on: what goes to the owner, what comes back, and what becomes of both when one side goes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.clients.bench import APP_ORIGIN, EVIL_ORIGIN, Bench, make_head
from tests.peers.memory import Exchange, MemoryLinks, Producer, foreign_sid, here
from tests.web.memory import Client
from wsservice.peers.heads import AnswerHead
from wsservice.peers.sids import Sids
from wsservice.web.passing import Passing

COOKIE = "Cookie: token=alice"
TEXT = ((b"Content-Type", b"text/plain"), (b"Cache-Control", b"no-store"))


class PassingCase(SynchronousTestCase):
    """Everything both ways: read in one step, and by twisted.web."""

    def setUp(self) -> None:
        self.links = MemoryLinks()
        self.sid = foreign_sid()
        self.query = f"EIO=4&transport=polling&sid={self.sid}"
        nodes = here()
        bench = self.bench = Bench(passing=None)
        self.passing = Passing(
            nodes,
            Sids(nodes),
            self.links,
            counters=bench.counters,
            now=lambda: 1e9,  # type: ignore[arg-type]
        )
        bench.polling._passing = self.passing

    def ways(self) -> tuple[bool, bool]:
        return (True, False)

    def send(self, method: str, *headers: str, body: bytes = b"", short: bool = True) -> Client:
        """A request on a connection of its own."""
        client = Client(self.bench.site)
        lines = (*headers, f"Content-Length: {len(body)}") if method == "POST" else headers
        data = make_head(method, self.query, *lines) + body
        for piece in [data] if short else [data[:20], data[20:]]:
            client.send(piece)
        return client

    def passed(self) -> Exchange:
        """The one exchange since the last one."""
        (exchange,) = self.links.exchanges
        self.links.exchanges.clear()
        return exchange

    def answer(self, exchange: Exchange, body: bytes, status: int = 200, headers: Any = TEXT) -> None:
        exchange.receiver.began(AnswerHead(status, headers, len(body), False), Producer())
        exchange.receiver.received(body[:3])
        exchange.receiver.received(body[3:])
        exchange.receiver.ended()


class AnsweredTests(PassingCase):
    def test_the_owner_gets_the_request_and_the_client_its_answer(self) -> None:
        for short in self.ways():
            client = self.send("GET", COOKIE, short=short)
            exchange = self.passed()
            self.assertEqual(exchange.owner.node, "owner")
            self.assertTrue(exchange.request.startswith(f"GET /socket.io/?{self.query} HTTP/1.1\r\n".encode()))
            self.assertIn(b"\r\ncookie: token=alice\r\n", exchange.request)
            self.assertEqual(client.received(), [])
            self.answer(exchange, b'42["hello"]')
            answer = client.answer()
            self.assertEqual((answer.status, answer.body), (200, b'42["hello"]'))
            self.assertEqual((answer.header("Content-Type"), answer.header("Server")), ("text/plain", "wsservice"))
            self.assertEqual(len(self.passing), 0)
        self.assertEqual(self.bench.counters.get("passed_on", "poll"), 2)

    def test_a_post_is_passed_on_with_its_body(self) -> None:
        for short in self.ways():
            client = self.send("POST", COOKIE, body=b'42["m",1]', short=short)
            exchange = self.passed()
            self.assertTrue(exchange.request.endswith(b'\r\ncontent-length: 9\r\n\r\n42["m",1]'), exchange.request)
            self.answer(exchange, b"ok")
            self.assertEqual(client.answer().body, b"ok")
        self.assertEqual(self.bench.counters.get("passed_on", "post"), 2)

    def test_the_next_request_of_the_connection_is_answered_too(self) -> None:
        client = self.send("GET")
        self.answer(self.passed(), b"6")
        client.answer()
        client.send(make_head("GET", self.query))
        self.answer(self.passed(), b"2")
        self.assertEqual(client.answer().body, b"2")

    def test_a_refusal_of_the_owner_is_the_clients(self) -> None:
        client = self.send("GET")
        self.answer(self.passed(), b'{"code":1}', 400, ((b"Content-Type", b"application/json"),))
        answer = client.answer()
        self.assertEqual((answer.status, answer.json), (400, {"code": 1}))

    def test_a_long_answer_goes_on_as_it_comes_and_waits_for_the_client(self) -> None:
        for short in self.ways():
            client = self.send("GET", short=short)
            exchange, producer = self.passed(), Producer()
            exchange.receiver.began(AnswerHead(200, TEXT, 100_000, False), producer)
            exchange.receiver.received(b"a" * 50_000)
            self.assertIn(b"aaa", client.transport.value())
            client.channel.pauseProducing()
            client.channel.resumeProducing()
            self.assertEqual(producer.steps, ["pause", "resume"])
            exchange.receiver.received(b"b" * 50_000)
            exchange.receiver.ended()
            answer = client.answer()
            self.assertEqual((answer.status, len(answer.body)), (200, 100_000))
            client.send(make_head("GET", self.query))
            self.answer(self.passed(), b"6")
            self.assertEqual(client.answer().body, b"6")


class RefusedTests(PassingCase):
    def test_each_failure_has_its_answer(self) -> None:
        for word, status, message in (
            ("unreachable", 503, "The session's node cannot be reached"),
            ("full", 503, "The session's node cannot be reached"),
            ("timeout", 502, "The session's node gave no answer"),
            ("broken", 502, "The session's node gave no answer"),
        ):
            for short in self.ways():
                client = self.send("GET", f"Origin: {APP_ORIGIN}", short=short)
                self.passed().receiver.failed(word)
                answer = client.answer()
                self.assertEqual((answer.status, answer.json), (status, {"code": 3, "message": message}))
                self.assertEqual(answer.header("Access-Control-Allow-Origin"), APP_ORIGIN)
        counted = {reason: count for name, reason, count in self.bench.counters.items() if name == "polls_refused"}
        self.assertEqual(counted, {"owner_unreachable": 4, "owner_broken": 4})

    def test_what_fails_at_once_is_answered_at_once(self) -> None:
        self.links.fails = "full"
        self.assertEqual(self.send("GET").answer().status, 503)
        self.assertEqual(self.send("POST", body=b"3").answer().status, 503)
        self.assertEqual(len(self.passing), 0)

    def test_half_an_answer_is_cut_off(self) -> None:
        for short in self.ways():
            client = self.send("GET", short=short)
            exchange = self.passed()
            exchange.receiver.began(AnswerHead(200, TEXT, 100_000, False), Producer())
            exchange.receiver.received(b"a")
            exchange.receiver.failed("broken")
            self.assertEqual(client.ended, "aborted")

    def test_only_polls_are_passed_on(self) -> None:
        for method in ("HEAD", "PUT", "DELETE"):
            self.assertEqual(self.send(method).answer(method).status, 400)
        self.assertEqual(self.send("OPTIONS").answer("OPTIONS").status, 204)
        self.assertEqual(self.send("GET", f"Origin: {EVIL_ORIGIN}").answer().status, 403)
        self.assertEqual(self.links.exchanges, [])

    def test_a_forged_sid_reaches_nobody(self) -> None:
        self.query = self.query[:-1] + ("A" if self.query[-1] != "A" else "B")
        for method in ("GET", "POST"):
            answer = self.send(method).answer()
            self.assertEqual((answer.status, answer.json["code"]), (400, 1))
        self.assertEqual(self.links.exchanges, [])

    def test_a_body_over_the_bound_is_refused_and_the_owner_told(self) -> None:
        client = Client(self.bench.site)
        client.send(make_head("POST", self.query, "Content-Length: 2000000"))
        self.assertEqual(client.answer().status, 413)
        self.assertEqual((len(self.links.told), self.links.exchanges), (1, []))


class LimitTests(PassingCase):
    """A body that is more than everybody may send: the owner is asked first."""

    def begin(self, *headers: str, body: bytes = b"") -> tuple[Client, Exchange]:
        """The head of a POST, and perhaps more; the client, and the question."""
        client = Client(self.bench.site)
        client.send(make_head("POST", self.query, *headers) + body)
        question = self.passed()
        self.assertTrue(question.request.startswith(f"OPTIONS /socket.io/?{self.query} HTTP/1.1\r\n".encode()))
        self.assertIn(b"\r\nx-wsservice-note: limit?\r\n", question.request)
        self.assertEqual(client.transport.producerState, "paused")
        return client, question

    def decide(self, question: Exchange, limit: bytes) -> None:
        self.answer(question, b"", 204, ((b"X-Wsservice-Limit", limit),))

    def test_one_that_may_come_is_read_on(self) -> None:
        client, question = self.begin("Content-Length: 100000", body=b"4")
        self.decide(question, b"1000000")
        self.assertEqual(client.transport.producerState, "producing")
        client.send(b"x" * 99_999)
        self.assertTrue(self.passed().request.endswith(b"\r\n\r\n4" + b"x" * 99_999))

    def test_one_that_may_not_is_refused_and_the_owner_told(self) -> None:
        for limit in (b"16384", b"99999", b"", b"x"):
            client, question = self.begin("Content-Length: 100000")
            self.decide(question, limit)
            self.assertEqual(client.answer().status, 413)
            self.assertEqual(client.transport.producerState, "producing")
        self.assertEqual(len(self.links.told), 4)

    def test_so_it_is_where_the_owner_does_not_say(self) -> None:
        client, question = self.begin("Content-Length: 100000")
        question.receiver.failed("broken")
        self.assertEqual(client.answer().status, 413)
        self.links.fails = "full"
        client = Client(self.bench.site)
        client.send(make_head("POST", self.query, "Content-Length: 100000"))
        self.assertEqual(client.answer().status, 413)

    def test_one_in_chunks_is_bounded_as_it_comes(self) -> None:
        client, question = self.begin("Transfer-Encoding: chunked")
        self.decide(question, b"20000")
        client.send(b"4e20\r\n" + b"4" * 20_000 + b"\r\n")
        self.assertEqual(client.received("POST"), [])
        client.send(b"1\r\n4\r\n0\r\n\r\n")
        self.assertEqual(client.answer().status, 413)

    def test_a_small_one_that_came_whole_goes_on_without_an_answer(self) -> None:
        client = Client(self.bench.site)
        client.send(make_head("POST", self.query, "Transfer-Encoding: chunked") + b"1\r\n3\r\n0\r\n\r\n")
        question, passed = self.links.exchanges
        self.assertTrue(passed.request.endswith(b"content-length: 1\r\n\r\n3"))
        self.decide(question, b"0")
        self.assertEqual(client.transport.producerState, "producing")

    def test_a_client_that_goes_away_takes_the_question_with_it(self) -> None:
        client, question = self.begin("Content-Length: 100000")
        client.disconnect()
        self.assertTrue(question.is_aborted)
        self.assertEqual(len(self.links.told), 1)

    def test_one_that_is_too_slow_meanwhile_is_read_on_to_its_end(self) -> None:
        client, question = self.begin("Content-Length: 100000")
        self.bench.clock.advance(30)
        self.assertEqual(client.answer().status, 408)
        self.assertEqual(client.transport.producerState, "producing")
        self.assertTrue(question.is_aborted)

    def test_what_anybody_may_send_needs_no_question(self) -> None:
        self.send("POST", body=b"4" * 16384, short=False)
        self.assertTrue(self.passed().request.startswith(b"POST "))

    def test_nor_does_what_came_in_one_read(self) -> None:
        self.send("POST", body=b"4" * 50_000)
        self.assertTrue(self.passed().request.startswith(b"POST "))


class GoneTests(PassingCase):
    def test_a_client_that_goes_away_ends_the_request_to_the_owner(self) -> None:
        for short in self.ways():
            client = self.send("GET", short=short)
            exchange = self.passed()
            client.disconnect()
            self.assertTrue(exchange.is_aborted)
            self.assertEqual(len(self.passing), 0)

    def test_so_it_does_in_the_midst_of_a_long_answer(self) -> None:
        for short in self.ways():
            client = self.send("GET", short=short)
            exchange = self.passed()
            exchange.receiver.began(AnswerHead(200, TEXT, 100_000, False), Producer())
            client.disconnect()
            self.assertTrue(exchange.is_aborted)

    def assertToldOnce(self) -> None:
        """The owner was told that the client has not taken an answer."""
        ((owner, data),) = self.links.told
        self.links.told.clear()
        self.assertEqual(owner.node, "owner")
        self.assertTrue(data.startswith(f"POST /socket.io/?{self.query} HTTP/1.1\r\n".encode()), data)
        self.assertIn(b"\r\nx-wsservice-note: lost\r\n", data)
        self.assertTrue(data.endswith(b"content-length: 1\r\n\r\n"), data)

    def test_the_owner_learns_of_an_answer_that_was_not_taken(self) -> None:
        for short in self.ways():
            for size in (3, 100_000):
                for unsent in (0, 1):
                    client = self.send("GET", short=short)
                    self.answer(self.passed(), b"a" * size)
                    self.assertEqual(client.answer().status, 200)
                    client.transport.unsent = unsent
                    client.disconnect()
                    if unsent:
                        self.assertToldOnce()
                    self.assertEqual(self.links.told, [])
        self.assertEqual(self.bench.counters.get("passed_on", "lost_poll"), 4)

    def test_so_it_does_of_one_that_was_not_taken_to_its_end(self) -> None:
        for short in self.ways():
            client = self.send("GET", short=short)
            self.passed().receiver.began(AnswerHead(200, TEXT, 100_000, False), Producer())
            client.disconnect()
            self.assertToldOnce()

    def test_a_refusal_and_an_ok_may_be_lost(self) -> None:
        for method, status in (("GET", 400), ("POST", 200)):
            for short in self.ways():
                client = self.send(method, body=b"3", short=short)
                self.answer(self.passed(), b"abcd", status)
                client.transport.unsent = 1
                client.disconnect()
        self.assertEqual(self.links.told, [])

    def test_no_client_says_so_itself(self) -> None:
        self.send("GET", "X-Wsservice-Note: lost")
        self.assertNotIn(b"note", self.passed().request.lower())

    def test_the_owner_learns_of_a_body_that_breaks_off(self) -> None:
        client = Client(self.bench.site)
        client.send(make_head("POST", self.query, "Content-Length: 9") + b"42[")
        client.disconnect()
        self.assertEqual(self.links.exchanges, [])
        ((owner, data),) = self.links.told
        self.assertEqual(owner.node, "owner")
        self.assertTrue(data.endswith(b"content-length: 1\r\n\r\n"), data)
        self.assertEqual(self.bench.counters.get("passed_on", "lost_post"), 1)

    def test_a_stop_refuses_what_is_under_way_but_for_half_an_answer(self) -> None:
        waiting, streamed = self.send("GET"), self.send("GET")
        first, second = self.links.exchanges
        second.receiver.began(AnswerHead(200, TEXT, 100_000, False), Producer())
        self.passing.drain()
        self.assertTrue(first.is_aborted)
        answer = waiting.answer()
        self.assertEqual((answer.status, answer.error, answer.header("Retry-After")), (503, "stopping", "5"))
        self.assertFalse(second.is_aborted)
        for method in ("GET", "POST"):
            self.assertEqual(self.send(method).answer().error, "stopping")
        self.assertEqual(len(self.links.exchanges), 2)
        second.receiver.received(b"x" * 100_000)
        second.receiver.ended()
        self.assertEqual(streamed.answer().status, 200)
