"""Long-polling to the byte: answers and errors, bodies and bounds, headers and pages. SOCKETIO.md 1.3, 1.6, 1.10."""

from __future__ import annotations

import gzip
import time
import zlib
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent

from tests.clients.bench import (
    APP_ORIGIN,
    EVIL_ORIGIN,
    BystanderCase,
    Socketeer,
    event,
    make_head,
    principal,
    upgrade_head,
)
from tests.tables import by_row, rows
from tests.web.memory import Client as Exchange
from tests.web.memory import LogCapture, Response
from wsservice.clients.settings import Settings
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.errors import InvalidToken
from wsservice.handshake import Handshake
from wsservice.peers.proofs import NotAPeer
from wsservice.web.polling import PollingSettings

HANDSHAKE = "EIO=4&transport=polling"
UNKNOWN = {"code": 1, "message": "Session ID unknown"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}
FROM_APP = f"Origin: {APP_ORIGIN}"
TEXT = "text/plain; charset=UTF-8"


class PollingCase(BystanderCase):
    """Alice polls; Bob is somebody else, whom nothing of this may harm."""

    def come(self) -> None:
        self.bob = self.bench.poller("bob", "/")
        self.poller = self.bench.poller("alice", "/")

    def tearDown(self) -> None:
        self.bob.hear()
        self.assertWorks(self.bob)
        super().tearDown()

    def assertOver(self, reason: str) -> None:
        """Alice's session has ended."""
        self.assertEqual(self.bench.steps[-1:], [("disconnect", "/", reason)])
        answer = self.bench.ask("GET", self.poller.query)
        self.assertEqual((answer.status, answer.json), (400, UNKNOWN))
        self.bench.pollers.remove(self.poller)

    def assertRefused(self, answer: Response, body: dict[str, Any] = BAD_REQUEST, status: int = 400) -> None:
        self.assertEqual((answer.status, answer.json), (status, body))
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(answer.header("Cache-Control"), "no-store")

    @property
    def refused(self) -> dict[str, int]:
        """By which reasons requests were refused so far."""
        return {reason: count for name, reason, count in self.bench.counters.items() if name == "polls_refused"}


class GetTests(PollingCase):
    def test_a_session_begins_with_the_open_packet(self) -> None:
        answer = self.bench.ask("GET", HANDSHAKE)
        self.assertEqual((answer.status, answer.header("Content-Type")), (200, TEXT))
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(answer.header("Content-Length"), str(len(answer.body)))
        self.assertIsNone(answer.header("Set-Cookie"))
        self.assertRegex(
            answer.body,
            rb'^0\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\["websocket"\],'
            rb'"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$',
        )

    def test_no_upgrade_is_offered_where_there_is_none(self) -> None:
        for settings in (EngineSettings(allow_upgrades=False), EngineSettings(websocket=False)):
            self.begin(Settings(engine=settings))
            self.assertEqual(self.poller.handshake["upgrades"], [])

    def test_a_get_is_held_until_there_is_something_and_gets_a_turn_of_it(self) -> None:
        waiting = self.poller.get()
        self.bench.clock.advance(10)
        self.assertEqual(waiting.received(), [])
        connection = self.bench.connection()
        for number in range(3):
            connection.emit("x", number)
        self.assertEqual(waiting.received(), [])
        self.bench.turn()
        answer = waiting.answer()
        self.assertEqual((answer.body, answer.header("Content-Type")), (b'42["x",0]\x1e42["x",1]\x1e42["x",2]', TEXT))

    def test_what_waited_is_the_answer_at_once(self) -> None:
        self.bench.connection().emit("a", b"\x00\xff")
        self.bench.connection().emit("é\x1e")
        answer = self.poller.get().answer()
        self.assertEqual(
            answer.body,
            b'451-["a",{"_placeholder":true,"num":0}]\x1ebAP8=\x1e42["\xc3\xa9\\u001e"]',
        )

    def test_a_ping_releases_it(self) -> None:
        waiting = self.poller.get()
        self.bench.pollers.remove(self.poller)
        self.bench.advance(25)
        self.assertEqual(waiting.answer().body, b"2")

    def test_a_second_get_ends_the_session(self) -> None:
        first = self.poller.get()
        self.assertRefused(self.poller.get().answer())
        answer = first.answer()
        self.assertEqual((answer.status, answer.body), (200, b"1"))
        self.assertOver("transport error")

    def test_a_get_that_is_given_up_ends_the_session(self) -> None:
        self.poller.get().disconnect()
        self.assertOver("transport error")

    def test_so_it_does_when_an_answer_is_on_its_way(self) -> None:
        waiting = self.poller.get()
        self.bench.connection().emit("x")
        waiting.disconnect()
        self.bench.turn()
        self.assertOver("transport error")

    def test_one_that_is_given_up_after_its_answer_ends_nothing(self) -> None:
        waiting = self.poller.get()
        self.bench.connection().emit("x")
        self.bench.turn()
        waiting.disconnect()
        self.assertWorks(self.poller)

    def test_an_answer_that_was_not_taken_ends_it_and_its_messages_are_counted(self) -> None:
        waiting = self.poller.get()
        for word in "xyz":
            self.bench.connection().emit(word)
        self.bench.turn()
        waiting.transport.unsent = 1
        waiting.disconnect()
        self.assertOver("transport error")
        self.assertEqual(self.bench.counters.get("messages_dropped", "lost"), 3)

    def test_one_that_was_not_taken_behind_the_end_is_counted(self) -> None:
        waiting = self.poller.get()
        self.bench.connection().emit("x")
        self.bench.connection().disconnect(1012)
        self.bench.turn()
        waiting.transport.unsent = 1
        waiting.disconnect()
        self.bench.pollers.remove(self.poller)
        self.assertEqual(self.bench.counters.get("messages_dropped", "lost"), 1)

    def tell(self, *headers: str) -> None:
        """A node says that the answer to the last poll was lost."""
        client = self.bench.request("POST", self.poller.query, "X-Wsservice-Note: lost", "Content-Length: 1", *headers)
        client.disconnect()

    def test_a_peer_tells_of_an_answer_that_was_not_taken(self) -> None:
        self.bench.polling._gate = lambda handshake: None
        for word in "xyz":
            self.bench.connection().emit(word)
        self.poller.get().answer()
        self.tell()
        self.assertOver("transport error")
        self.assertEqual(self.bench.counters.get("messages_dropped", "lost"), 3)

    def test_what_was_taken_before_a_poll_that_waits_is_not_lost(self) -> None:
        self.bench.polling._gate = lambda handshake: None
        self.bench.connection().emit("x")
        self.poller.get().answer()
        self.poller.get()
        self.tell()
        self.assertOver("transport error")
        self.assertEqual(self.bench.counters.get("messages_dropped", "lost"), 0)

    def test_a_client_cannot_say_so(self) -> None:
        self.bench.connection().emit("x")
        self.poller.get().answer()
        self.tell()
        self.assertOver("transport error")  # for the body that breaks off
        self.assertEqual(self.bench.counters.get("messages_dropped", "lost"), 0)

    def test_only_a_peer_is_told_how_much_a_client_may_send(self) -> None:
        question = ("OPTIONS", self.poller.query, "X-Wsservice-Note: limit?")
        self.assertIsNone(self.bench.ask(*question).header("X-Wsservice-Limit"))
        self.bench.polling._gate = lambda handshake: None
        self.assertEqual(self.bench.ask(*question).header("X-Wsservice-Limit"), "1000000")
        stranger = self.bench.poller(None)
        question = ("OPTIONS", stranger.query, "X-Wsservice-Note: limit?")
        self.assertEqual(self.bench.ask(*question).header("X-Wsservice-Limit"), "16384")
        question = ("OPTIONS", "EIO=4&transport=polling&sid=unknown", "X-Wsservice-Note: limit?")
        self.assertIsNone(self.bench.ask(*question).header("X-Wsservice-Limit"))

    def test_a_stranger_is_told_nothing(self) -> None:
        def refuse(handshake: Handshake) -> None:
            raise NotAPeer

        self.bench.polling._gate = refuse
        question = ("OPTIONS", self.poller.query, "X-Wsservice-Note: limit?")
        self.assertEqual(self.bench.ask(*question).status, 403)
        self.bench.polling._gate = None

    def test_the_session_is_over_to_the_instant(self) -> None:
        self.begin(Settings(engine=EngineSettings(ping_interval=0.3, ping_timeout=0.2)))
        self.bench.pollers.clear()
        poller = self.bench.poller("alice")
        self.bench.pollers.clear()
        self.bench.clock.advance(0.3)
        self.bench.clock.advance(0.2)
        self.assertRefused(poller.get().answer(), UNKNOWN)
        self.begin(Settings())

    def test_connections_may_be_kept_alive(self) -> None:
        exchange = Exchange(self.bench.port)
        self.bench.exchanges.append(exchange)
        for number in range(3):
            body = event("back", number).encode()
            exchange.send(make_head("POST", self.poller.query, body=body) + body + make_head("GET", self.poller.query))
            posted, got = exchange.received()
            self.assertEqual((posted.body, got.body), (b"ok", f'42["back",{number}]'.encode()))


@dataclass(frozen=True)
class Body:
    """The body of a POST that ends the session."""

    name: str
    body: bytes
    headers: tuple[str, ...] = ()


BAD_BODIES = (
    Body("nothing", b""),
    Body("a separator", b"\x1e"),
    Body("a leading separator", b"\x1e3"),
    Body("a trailing separator", b"3\x1e"),
    Body("a double separator", b"3\x1e\x1e3"),
    Body("an unknown type", b"7"),
    Body("an unknown type behind good ones", b'42["m"]\x1e8'),
    Body("a space", b" "),
    Body("bytes that are not UTF-8", b"4\xff"),
    Body("a lone surrogate", b"4\xed\xa0\x80"),
    Body("an overlong slash", b"4\xc0\xaf"),
    Body("a zero byte", b"\x00"),
    Body("a byte order mark", b"\xef\xbb\xbf3"),
    Body("the form of JSONP", b"d=42%5B%22m%22%5D"),
    Body("the payload of version 3", b'7:42["m"]'),
    Body("the binary payload of version 3", b"\x00\x07\xff42"),
    Body("junk in base64", b"bAP8*"),
    Body("base64 of a wrong length", b"bAAAAA"),
    Body("a ping", b"2"),
    Body("bytes by their type", b'42["m"]', ("Content-Type: application/octet-stream",)),
    Body("bytes by their type in capitals", b'42["m"]', ("Content-Type: Application/Octet-Stream; x=y",)),
    Body("a compressed body", gzip.compress(b'42["m"]'), ("Content-Encoding: gzip",)),
)


@by_row
class PostTests(PollingCase):
    def test_ok_is_two_small_letters(self) -> None:
        answer = self.poller.send('42["m",1]')
        self.assertEqual((answer.status, answer.body, answer.header("Cache-Control")), (200, b"ok", "no-store"))
        self.assertEqual(self.bench.steps, [("m", 1)])

    @rows(BAD_BODIES)
    def test_the_session_ends_by(self, row: Body) -> None:
        waiting = self.poller.get()
        self.assertRefused(self.poller.send(row.body, *row.headers))
        self.assertEqual([step[0] for step in self.bench.steps], ["disconnect"])
        self.assertEqual(waiting.answer().body, b"1")
        reason = "transport error" if row.headers[:1] and "octet" in row.headers[0].lower() else "parse error"
        self.assertOver("transport error" if row.body == b"2" else reason)

    def test_each_refusal_is_counted_by_its_reason(self) -> None:
        for query, method in (
            ("EIO=4", "GET"),
            ("EIO=4&transport=polling&sid=x", "GET"),
            ("EIO=4&transport=polling", "POST"),
            ("EIO=3&transport=polling", "GET"),
            ("EIO=4&transport=polling&j=1", "GET"),
        ):
            self.assertEqual(self.bench.ask(method, query).status, 400)
        self.bench.ask("GET", HANDSHAKE, f"Origin: {EVIL_ORIGIN}")
        reasons = ["bad_handshake_method", "bad_request", "origin_not_allowed", "session_unknown", "transport_unknown"]
        self.assertEqual(self.refused, dict.fromkeys([*reasons, "unsupported_version"], 1))
        self.poller.send("nonsense")
        self.assertEqual(self.refused["parse_error"], 1)
        self.assertOver("parse error")

    def test_any_other_type_of_content_is_text(self) -> None:
        for number, kind in enumerate(
            (
                "text/plain;charset=UTF-8",
                "text/html",
                "application/x-www-form-urlencoded",
                "x",
                "multipart/form-data; a",
            )
        ):
            self.poller.send(event("m", number), f"Content-Type: {kind}")
            self.assertEqual(self.bench.steps[-1], ("m", number))

    def test_a_get_may_be_open_meanwhile(self) -> None:
        waiting = self.poller.get()
        self.poller.say(event("back", 1))
        self.assertEqual(waiting.answer().body, b'42["back",1]')

    def test_a_second_post_ends_the_session(self) -> None:
        waiting = self.poller.get()
        first = self.bench.request("POST", self.poller.query, "Content-Length: 7")
        first.send(b"42")
        self.assertRefused(self.poller.send('42["m"]'))
        self.assertEqual(waiting.answer().body, b"1")
        first.send(b'["m"]')
        self.assertRefused(first.answer(), UNKNOWN)
        self.assertEqual(self.refused, {"conflict": 1, "session_unknown": 1})
        self.assertOver("transport error")

    def test_a_post_whose_session_ends_meanwhile_is_refused(self) -> None:
        first = self.bench.request("POST", self.poller.query, "Content-Length: 7")
        self.poller.get().disconnect()
        first.send(b'42["m"]')
        self.assertRefused(first.answer(), UNKNOWN)
        self.assertOver("transport error")

    def test_packets_of_a_session_that_the_service_ended_are_dropped(self) -> None:
        self.bench.connection().disconnect(1012, "restart")
        answer = self.poller.send('42["m"]')
        self.assertEqual((answer.body, self.bench.steps), (b"ok", [("disconnect", "/", "restart")]))
        self.assertEqual(self.poller.fetch(), ["1"])

    def test_a_post_by_a_foreign_page_is_forbidden_and_does_no_harm(self) -> None:
        answer = self.bench.ask("POST", self.poller.query, f"Origin: {EVIL_ORIGIN}", body=b"1")
        self.assertRefused(answer, {"code": 4, "message": "Forbidden"}, 403)
        answer = self.bench.ask("GET", self.poller.query, f"Origin: {EVIL_ORIGIN}")
        self.assertRefused(answer, {"code": 4, "message": "Forbidden"}, 403)
        self.assertEqual(self.bench.steps, [])
        self.assertWorks(self.poller)

    def test_another_transport_in_the_query_does_no_harm(self) -> None:
        head = upgrade_head(f"EIO=4&transport=websocket&sid={self.poller.sid}", method="POST")
        exchange = Exchange(self.bench.port)
        exchange.send(head[:-2] + b"Content-Length: 1\r\n\r\n1")
        self.assertRefused(exchange.answer())
        exchange.transport.drop()
        self.assertWorks(self.poller)


class CostTests(PollingCase):
    """CVE-2020-36048 and CVE-2020-36049: time and memory are linear in the size."""

    def seconds(self, body: bytes) -> float:
        best = 9.0
        for _ in range(3):
            poller = self.bench.poller("carol", "/")
            exchange = self.bench.request("POST", poller.query, f"Content-Length: {len(body)}", user="carol")
            began = time.perf_counter()
            for start in range(0, len(body), 65536):
                exchange.send(body[start : start + 65536])
            best = min(best, time.perf_counter() - began)
            exchange.transport.drop()
        self.bench.pollers[:] = [self.bob, self.poller]
        return best

    def test_a_megabyte_of_separators(self) -> None:
        whole, half = self.seconds(b"\x1e" * 1_000_000), self.seconds(b"\x1e" * 500_000)
        self.assertLess(whole, 0.1)
        self.assertLess(whole, 6 * half + 0.01)

    def test_a_megabyte_of_the_smallest_packets(self) -> None:
        for packet in (b"3", b"6", b"0"):
            body = b"\x1e".join([packet] * 500_000)
            whole, half = self.seconds(body), self.seconds(body[:499_999])
            self.assertLess(whole, 4)
            self.assertLess(whole, 6 * half + 0.01)
        self.assertEqual(self.bench.sizes()["timers"], 1)

    def test_a_megabyte_of_the_smallest_packets_and_a_bad_one(self) -> None:
        self.assertLess(self.seconds(b"\x1e".join([b"3"] * 499_998 + [b"9"])), 4)

    def test_thousands_of_connects_that_are_refused(self) -> None:
        self.bench.gate.answers["carol"] = InvalidToken("x")
        poller = self.bench.poller("carol")
        seen = len(self.bench.gate.seen)
        for _ in range(60):  # in bodies of 16 KiB, since nobody knows who it is
            poller.send("\x1e".join(["40"] * 5460))
            if poller.posted is not None and poller.posted.status != 200:
                break
        self.assertLessEqual(len(self.bench.gate.seen) - seen, 1)
        self.assertEqual(poller.fetch(), ["1"])
        self.bench.pollers.remove(poller)


@by_row
class PageTests(PollingCase):
    """Pages of other origins, and what they may read."""

    def assertShared(self, answer: Response, origin: str = APP_ORIGIN) -> None:
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), origin)
        self.assertEqual(answer.header("Access-Control-Allow-Credentials"), "true")
        self.assertIn("Origin", answer.all("Vary"))

    def assertNotShared(self, answer: Response) -> None:
        self.assertEqual([name for name, _ in answer.headers if name.lower().startswith("access-control-")], [])

    def test_an_allowed_page_reads_every_answer_errors_too(self) -> None:
        query = self.poller.query
        for method, asked, status in (
            ("GET", HANDSHAKE, 200),
            ("POST", query, 200),
            ("GET", "", 400),
            ("GET", "EIO=3&transport=polling", 400),
            ("POST", HANDSHAKE, 400),
            ("GET", f"{HANDSHAKE}&sid=unknown", 400),
            ("POST", f"{HANDSHAKE}&sid=unknown", 400),
            ("DELETE", query, 405),
            ("PUT", query, 405),
            ("GET", f"{HANDSHAKE}&j=0", 400),
        ):
            with self.subTest(method=method, query=asked):
                answer = self.bench.ask(method, asked, FROM_APP, body=b"3" if method == "POST" else None)
                self.assertEqual(answer.status, status)
                self.assertShared(answer)
                plain = self.bench.ask(method, asked, body=b"3" if method == "POST" else None)
                self.assertNotShared(plain)
        self.bench.connection().emit("x")
        answer = self.bench.request("GET", query, FROM_APP).answer()
        self.assertShared(answer)

    def test_the_body_of_one_who_is_not_known_is_small(self) -> None:
        for size, status, packet in ((16384, 200, b'44{"'), (16385, 413, b"1")):
            body = b'40{"x":"' + b"x" * (size - 10) + b'"}'
            for parts in ([body], [b"", body]):  # the first goes the short way
                poller = self.bench.poller(None)
                waiting = poller.get()
                post = Exchange(self.bench.port)
                self.bench.exchanges.append(post)
                parts[0] = make_head("POST", poller.query, body=body, user=None) + parts[0]
                for part in parts:
                    post.send(part)
                self.assertEqual(post.answer().status, status, size)
                self.bench.turn()
                self.assertTrue(waiting.answer().body.startswith(packet), size)
                self.bench.pollers.remove(poller)

    def test_it_reads_why_a_body_was_refused_too(self) -> None:
        answer = self.bench.ask("POST", self.poller.query, FROM_APP, "Content-Length: 1000001")
        self.assertEqual(answer.status, 413)
        self.assertShared(answer)
        answer = self.bench.ask("POST", f"{HANDSHAKE}&sid=unknown", FROM_APP, "Content-Length: 1000001")
        self.assertEqual(answer.status, 413)
        self.assertShared(answer)
        self.assertOver("transport error")

    def test_a_foreign_page_is_forbidden_and_no_session_begins(self) -> None:
        before = len(self.bench.clients)
        for origin in (EVIL_ORIGIN, "null", f"{APP_ORIGIN}.evil.example", "x y", f"{APP_ORIGIN}/", ""):
            for query in (HANDSHAKE, "", "EIO=3&transport=polling", self.poller.query):
                answer = self.bench.ask("GET", query, f"Origin: {origin}")
                self.assertRefused(answer, {"code": 4, "message": "Forbidden"}, 403)
                self.assertNotShared(answer)
        self.assertEqual((len(self.bench.clients), len(self.bench.gate.seen)), (before, 2))
        self.assertWorks(self.poller)

    def test_two_origins_are_none(self) -> None:
        answer = self.bench.ask("GET", HANDSHAKE, FROM_APP, FROM_APP)
        self.assertRefused(answer, {"code": 4, "message": "Forbidden"}, 403)

    def test_the_pages_of_the_service_itself_need_no_sharing(self) -> None:
        answer = self.bench.ask("GET", HANDSHAKE, "Origin: http://localhost")
        self.assertEqual(answer.status, 200)
        self.assertNotShared(answer)

    def test_a_preflight_touches_no_session(self) -> None:
        waiting = self.poller.get()
        for query in ("", HANDSHAKE, self.poller.query, f"{HANDSHAKE}&sid=unknown"):
            answer = self.bench.ask(
                "OPTIONS",
                query,
                FROM_APP,
                "Access-Control-Request-Method: POST",
                "Access-Control-Request-Headers: authorization,x-custom",
            )
            self.assertEqual((answer.status, answer.body), (204, b""))
            self.assertShared(answer)
            self.assertEqual(answer.header("Access-Control-Allow-Methods"), "GET, POST")
            self.assertEqual(answer.header("Access-Control-Allow-Headers"), "authorization,x-custom")
            plain = self.bench.ask("OPTIONS", query)
            self.assertEqual(plain.status, 204)
            self.assertNotShared(plain)
            evil = self.bench.ask("OPTIONS", query, f"Origin: {EVIL_ORIGIN}")
            self.assertEqual(evil.status, 204)
            self.assertNotShared(evil)
        answer = self.bench.ask("OPTIONS", "", FROM_APP)
        self.assertEqual(answer.header("Access-Control-Allow-Headers"), "Content-Type, X-Request-Id")
        self.assertEqual(waiting.received(), [])
        self.bench.connection().emit("x")
        self.bench.turn()
        self.assertEqual(waiting.answer().body, b'42["x"]')


class MethodTests(PollingCase):
    def test_other_methods_are_not_allowed_and_do_no_harm(self) -> None:
        waiting = self.poller.get()
        for method in ("PUT", "DELETE", "PATCH", "HEAD", "TRACE", "BREW"):
            answer = self.bench.ask(method, self.poller.query)
            self.assertEqual(answer.status, 405, method)
            self.assertEqual(answer.header("Allow"), "GET, OPTIONS, POST")
            answer = self.bench.ask(method, HANDSHAKE)
            self.assertEqual(answer.status, 400)
        self.assertEqual(waiting.received(), [])
        self.bench.connection().emit("x")
        self.bench.turn()
        self.assertEqual(waiting.answer().body, b'42["x"]')

    def test_the_path_is_good_with_and_without_its_slash_and_no_other(self) -> None:
        for path, status in (
            ("/socket.io", 200),
            ("/socket.io/", 200),
            ("/socket.io/x", 404),
            ("/socket.io/x/", 404),
            ("/socket.iox", 404),
            ("/", 404),
        ):
            self.assertEqual(self.bench.ask("GET", HANDSHAKE, path=path).status, status, path)

    def test_a_path_that_is_spelled_otherwise_takes_no_body_and_does_no_harm(self) -> None:
        for path in ("/socket%2Eio/", "/socket.io//", "/socket.io/%2e"):
            answer = self.bench.ask("POST", self.poller.query, body=b"1", path=path)
            self.assertIn(answer.status, (404, 405), path)
        self.assertWorks(self.poller)

    def test_jsonp_is_no_longer_spoken(self) -> None:
        for method, query in (("GET", HANDSHAKE), ("GET", self.poller.query), ("POST", self.poller.query)):
            answer = self.bench.ask(method, f"{query}&j=3", body=b"d=3" if method == "POST" else None)
            self.assertRefused(answer)
        self.assertWorks(self.poller)

    def test_of_a_repeated_parameter_the_last_counts(self) -> None:
        answer = self.bench.ask("GET", "EIO=3&EIO=4&transport=websocket&transport=polling&sid=unknown&sid=")
        self.assertEqual(answer.status, 200)
        answer = self.bench.ask("GET", f"EIO=4&EIO=3&transport=polling&sid={self.poller.sid}")
        self.assertRefused(answer)
        for query in ("%", "&&&", "=%ff", "EIO=4&transport=polling&sid=%00", "a" * 8000, "&".join(["a=b"] * 3000)):
            self.assertEqual(self.bench.ask("GET", query).status, 400, query[:20])


class CookieTests(PollingCase):
    def test_the_cookie_comes_with_the_first_answer_and_no_other(self) -> None:
        self.begin(cookie=lambda sid: f"io={sid}; Path=/; HttpOnly; SameSite=Lax")
        answer = self.bench.ask("GET", HANDSHAKE)
        sid = answer.body.decode().split('"')[3]
        self.assertEqual(answer.header("Set-Cookie"), f"io={sid}; Path=/; HttpOnly; SameSite=Lax")
        self.bench.connection().emit("x")
        for answer in (self.poller.get().answer(), self.poller.send("3"), self.bench.ask("GET", "")):
            self.assertIsNone(answer.header("Set-Cookie"))

    def test_nobody_reads_it(self) -> None:
        self.begin(cookie=lambda sid: f"io={sid}")
        answer = self.bench.ask("GET", HANDSHAKE, f"Cookie: io={self.poller.sid}", user=None)
        self.assertNotIn(self.poller.sid.encode(), answer.body)


@dataclass(frozen=True)
class Accepts:
    """What a client accepts, and what it is sent."""

    name: str
    accepts: str | None
    coding: str | None


CODINGS = (
    Accepts("gzip", "gzip", "gzip"),
    Accepts("deflate", "deflate", "deflate"),
    Accepts("what browsers say", "gzip, deflate, br, zstd", "gzip"),
    Accepts("gzip refused", "gzip;q=0, deflate", "deflate"),
    Accepts("both refused", "gzip;q=0, deflate;q=0", None),
    Accepts("anything", "*", "gzip"),
    Accepts("nothing that we know", "br", None),
    Accepts("no word of it", None, None),
    Accepts("nonsense", ";;q=;,=,gzip;q=x", None),
)


@by_row
class CompressionTests(PollingCase):
    def setUp(self) -> None:
        super().setUp()
        self.begin(polling=PollingSettings(compression=True))

    def fetch(self, size: int, *headers: str) -> Response:
        self.bench.connection().emit("x", "y" * size)
        exchange = self.bench.request("GET", self.poller.query, *headers)
        answer = exchange.answer()
        exchange.transport.drop()
        return answer

    @rows(CODINGS)
    def test_a_client_that_accepts(self, row: Accepts) -> None:
        answer = self.fetch(5000, *([] if row.accepts is None else [f"Accept-Encoding: {row.accepts}"]))
        self.assertEqual(answer.header("Content-Encoding"), row.coding)
        self.assertIn("Accept-Encoding", answer.all("Vary"))
        plain = answer.body
        if row.coding is not None:
            self.assertLess(len(answer.body), 500)
            plain = gzip.decompress(plain) if row.coding == "gzip" else zlib.decompress(plain)
        self.assertEqual(plain, event("x", "y" * 5000).encode())

    def test_small_answers_are_plain(self) -> None:
        answer = self.fetch(1000, "Accept-Encoding: gzip")
        self.assertIsNone(answer.header("Content-Encoding"))
        self.assertEqual(len(answer.body), 1010)
        self.assertEqual(self.fetch(1014, "Accept-Encoding: gzip").header("Content-Encoding"), "gzip")

    def test_it_can_be_off(self) -> None:
        self.begin(polling=PollingSettings(compression=False))
        answer = self.fetch(5000, "Accept-Encoding: gzip")
        self.assertIsNone(answer.header("Content-Encoding"))
        self.assertEqual(answer.all("Vary"), [])

    def test_pages_of_other_origins_get_both_reasons_to_vary(self) -> None:
        answer = self.fetch(5000, "Accept-Encoding: gzip", FROM_APP)
        self.assertEqual(sorted(answer.all("Vary")), ["Accept-Encoding", "Origin"])


class HandshakeTests(PollingCase):
    """The token of a handshake takes a while to be checked."""

    def setUp(self) -> None:
        super().setUp()
        self.before = self.bench.sizes()
        self.cancelled: list[Any] = []
        self.checking: Deferred[Any] = Deferred(self.cancelled.append)
        self.bench.gate.answers["carol"] = self.checking
        self.exchange = self.bench.request("GET", HANDSHAKE, FROM_APP, user="carol")

    def test_the_session_begins_when_it_is(self) -> None:
        self.assertEqual((self.exchange.received(), len(self.bench.clients)), ([], 2))
        self.checking.callback(principal("carol"))
        self.assertEqual(self.exchange.answer().body[:1], b"0")

    def test_a_client_that_leaves_meanwhile_has_none(self) -> None:
        self.exchange.disconnect()
        self.assertEqual(self.cancelled, [self.checking])
        self.assertEqual(self.bench.sizes(), self.before)

    def test_so_it_is_where_the_check_cannot_be_cancelled(self) -> None:
        stubborn: Deferred[Any] = Deferred(lambda _: None)
        self.bench.gate.answers["dave"] = lambda: stubborn
        exchange = self.bench.request("GET", HANDSHAKE, user="dave")
        stubborn.pause()
        stubborn.callback(principal("dave"))
        exchange.disconnect()
        stubborn.unpause()
        self.exchange.disconnect()
        self.assertEqual(self.bench.sizes(), self.before)

    def test_a_refusal_begins_one_too(self) -> None:
        self.checking.errback(InvalidToken("x"))
        self.assertEqual(self.exchange.answer().body[:1], b"0")

    def test_a_broken_authenticator_is_a_500_and_no_session(self) -> None:
        self.checking.errback(RuntimeError("SECRET"))
        answer = self.exchange.answer()
        self.assertEqual((answer.status, answer.error), (500, "internal_error"))
        self.assertNotIn(b"SECRET", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.exchange.transport.drop()
        self.assertEqual(self.bench.sizes(), self.before)

    def test_one_that_raises_is_too(self) -> None:
        def raises() -> Any:
            raise RuntimeError("SECRET")

        self.bench.gate.answers["dave"] = raises
        answer = self.bench.ask("GET", HANDSHAKE, user="dave")
        self.assertEqual(answer.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class SecrecyTests(PollingCase):
    def test_no_log_line_holds_a_secret_id_or_a_token(self) -> None:
        with LogCapture() as log:
            self.begin(recovery={})
            secrets = [self.poller.sid, "token=alice"]
            self.poller.say("40/other,", "40/nope,")
            secrets += [part for packet in self.poller.fetch() for part in str(packet).split('"')[7:8]]
            self.poller.say(event("echo"), event("raise"))
            socket = self.bench.move(self.poller)
            socket.say(event("raise"))
            for query in (
                f"{self.poller.query}&j=1",
                self.poller.query,
                f"EIO=3&transport=polling&sid={self.poller.sid}",
            ):
                self.bench.ask("GET", query)
                self.bench.ask("POST", query, "Content-Length: 2000000")
                refusal = Socketeer(self.bench, query=query)
                self.assertGreaterEqual(refusal.refusal.status, 400)
            socket.say("47")
        self.flushLoggedErrors(RuntimeError)
        self.assertGreater(len(log.events), 10)
        self.assertEqual(len(secrets), 3)
        for line in log.events:
            printed = f"{formatEvent(line)} {sorted((key, str(value)) for key, value in line.items())}"
            for secret in secrets:
                self.assertNotIn(secret, printed)
