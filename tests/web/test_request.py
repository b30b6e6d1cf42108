"""Requests and the site: what every answer carries, what is logged, what a bug looks like from outside."""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.web.memory import HOST, Bench, LogCapture, head
from wsservice.web.answers import Answer, json_answer
from wsservice.web.limits import Limits


class Foreign(Resource):
    """A resource as others write them."""

    isLeaf = True

    def __init__(self, render: Any) -> None:
        super().__init__()
        self._render = render

    def render_GET(self, request: Request) -> Any:
        return self._render(request)


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()


class HeaderTests(Base):
    def test_what_is_not_there_is_counted(self) -> None:
        for path, method in (("/nowhere", "GET"), ("*", "OPTIONS"), ("/hello/more", "GET"), ("/", "POST")):
            self.assertEqual(self.bench.get(path, method=method).status, 404)
        self.assertEqual(self.bench.counters.get("http_refused", "not_found"), 4)

    def test_an_answer_that_refuses_may_be_held_out_of_the_log_and_a_good_one_not(self) -> None:
        with LogCapture() as log:
            self.bench.get("/nowhere")
            self.bench.get("/hello")
        told = [event["log_flood"] for event in log.named("{method} {path} {status}")]
        self.assertEqual(told, ["answered 404", None])

    def test_every_answer_carries_the_same_headers(self) -> None:
        for path, method, status in (
            ("/hello", "GET", 200),
            ("/hello", "HEAD", 200),
            ("/hello", "OPTIONS", 204),
            ("/hello", "DELETE", 405),
            ("/nowhere", "GET", 404),
            ("/broken", "GET", 500),
            ("*", "OPTIONS", 404),
        ):
            with self.subTest(path=path, method=method):
                answer = self.bench.get(path, method=method)
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.header("Server"), "wsservice")
                self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
                self.assertIn(f"ws://{HOST}", answer.header("Content-Security-Policy") or "")
                self.assertIsNone(answer.header("Strict-Transport-Security"))
                self.assertRegex(answer.header("X-Request-Id") or "", "^[0-9a-f]{16}$")
                self.assertRegex(answer.header("Date") or "", "GMT$")
                self.assertNotIn("wisted", str(answer.headers))
        self.flushLoggedErrors(RuntimeError)

    def test_a_request_id_is_echoed_if_it_is_harmless(self) -> None:
        self.assertEqual(self.bench.get("/hello", "X-Request-Id: abcd-1234").header("X-Request-Id"), "abcd-1234")
        for bad in ("short", "a" * 65, "abcd 1234", "<script>1"):
            self.assertRegex(
                self.bench.get("/hello", f"X-Request-Id: {bad}").header("X-Request-Id") or "", "^[0-9a-f]{16}$"
            )

    def test_over_tls_the_browser_is_told_to_stay_there(self) -> None:
        client = self.bench.connect(secure=True)
        client.send(head("/hello"))
        answer = client.answer()
        self.assertEqual(answer.header("Strict-Transport-Security"), "max-age=31536000")
        self.assertIn(f"wss://{HOST}", answer.header("Content-Security-Policy") or "")

    def test_so_it_is_behind_a_trusted_proxy_that_speaks_tls(self) -> None:
        bench = Bench(trusted=(ipaddress.ip_network("192.0.2.0/24"),))
        answer = bench.get("/hello", "X-Forwarded-Proto: https")
        self.assertIsNotNone(answer.header("Strict-Transport-Security"))

    def test_head_has_the_headers_of_get_and_no_body(self) -> None:
        got, headed = (self.bench.get("/hello", "X-Request-Id: same-id-1", method=method) for method in ("GET", "HEAD"))
        without_date = [[pair for pair in answer.headers if pair[0] != "Date"] for answer in (got, headed)]
        self.assertEqual(*without_date)
        self.assertEqual(headed.body, b"")

    def test_http_2_is_not_offered(self) -> None:
        self.assertEqual(self.bench.site.acceptableProtocols(), [b"http/1.1"])

    def test_the_site_runs_no_timer_of_its_own(self) -> None:
        self.bench.site.doStart()
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])
        self.bench.site.doStop()


class PathTests(Base):
    def test_paths_are_looked_up_decoded_and_nowhere_else(self) -> None:
        for path, status in (
            ("/hello", 200),
            ("/hello?a=b", 200),
            ("/%68ello", 200),
            ("/hello/", 404),
            ("/hello/more", 404),
            ("//hello", 404),
            ("/./hello", 404),
            ("/x/../hello", 404),
            ("/hello%2f", 404),
            ("/%ff", 404),
            ("/%", 404),
            ("/", 404),
            ("*", 404),
            (f"http://{HOST}/hello", 404),
            ("hello", 404),
        ):
            with self.subTest(path=path):
                answer = self.bench.get(path)
                self.assertEqual(answer.status, status)
                if status == 404:
                    self.assertEqual(answer.error, "not_found")


class FailureTests(Base):
    def test_a_bug_in_a_handler_is_told_to_the_log_alone(self) -> None:
        answer = self.bench.get("/broken", "X-Request-Id: request-77")
        self.assertEqual((answer.status, answer.error), (500, "internal_error"))
        self.assertNotIn(b"SECRET", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_bug_in_a_foreign_resource_is_too(self) -> None:
        def fail(request: Request) -> bytes:
            raise RuntimeError("SECRET-INTERNAL")

        self.bench.mount(b"foreign", Foreign(fail))
        with LogCapture() as log:
            answer = self.bench.get("/foreign", "X-Request-Id: request-77")
        self.assertEqual(
            (answer.status, answer.error, answer.header("Content-Type")),
            (500, "internal_error", "application/json; charset=utf-8"),
        )
        self.assertNotIn(b"SECRET", answer.body)
        self.assertEqual(log.named("a resource failed")[0]["request_id"], "request-77")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_half_an_answer_is_cut_off(self) -> None:
        def fail(request: Request) -> bytes:
            request.write(b"half")
            raise RuntimeError

        self.bench.mount(b"foreign", Foreign(fail))
        client = self.bench.connect()
        client.send(head("/foreign"))
        self.assertEqual(client.ended, "closed")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_bug_behind_an_answer_changes_nothing(self) -> None:
        def fail(request: Request) -> bytes:
            request.setHeader(b"Content-Length", b"4")
            request.write(b"done")
            request.finish()
            raise RuntimeError

        self.bench.mount(b"foreign", Foreign(fail))
        client = self.bench.connect()
        client.send(head("/foreign"))
        self.assertEqual((client.answer().body, client.ended), (b"done", None))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_resource_that_gives_no_bytes_is_a_bug(self) -> None:
        self.bench.mount(b"foreign", Foreign(lambda request: None))
        self.assertEqual(self.bench.get("/foreign").status, 500)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_an_answer_that_cannot_be_sent_is_a_bug(self) -> None:
        self.bench.mount(b"foreign", Foreign(lambda request: request.send(Answer(200, "text")) or NOT_DONE_YET))  # type: ignore[arg-type]
        client = self.bench.connect()
        client.send(head("/foreign"))
        self.assertEqual(client.ended, "closed")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class ForeignResourceTests(Base):
    def test_its_bytes_are_the_body(self) -> None:
        self.bench.mount(b"foreign", Foreign(lambda request: b"text"))
        answer = self.bench.get("/foreign")
        self.assertEqual((answer.status, answer.body, answer.header("Content-Length")), (200, b"text", "4"))

    def test_a_method_that_it_does_not_have_is_answered_in_our_words(self) -> None:
        self.bench.mount(b"foreign", Foreign(lambda request: b"text"))
        answer = self.bench.get("/foreign/<script>", method="POST")
        self.assertEqual(
            (answer.status, answer.error, answer.header("Allow")), (405, "method_not_allowed", "GET, HEAD")
        )

    def test_a_connection_that_is_given_away_is_forgotten(self) -> None:
        def take(request: Request) -> int:
            request.channel.transport = None
            return NOT_DONE_YET

        self.bench.mount(b"ws", Foreign(take))
        client = self.bench.connect()
        client.send(head("/ws"))
        self.assertEqual(self.bench.site.channels, set())
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])
        self.assertFalse(self.bench.site.is_busy)


class DisconnectTests(Base):
    def test_an_answer_to_nobody_is_dropped(self) -> None:
        client = self.bench.connect()
        client.send(head("/later"))
        client.disconnect()
        self.bench.later[0].callback(json_answer(200, {}))
        self.assertEqual(client.received(), [])

    def test_so_is_an_error_but_for_the_log(self) -> None:
        client = self.bench.connect()
        client.send(head("/later"))
        client.disconnect()
        self.bench.later[0].errback(RuntimeError())
        self.assertEqual(client.received(), [])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_the_handler_is_not_stopped(self) -> None:
        client = self.bench.connect()
        client.send(head("/later"))
        client.disconnect()
        waiting: Deferred[Answer] = self.bench.later[0]
        self.assertFalse(waiting.called)


class BodyTests(SynchronousTestCase):
    """Bounds are tested whole in test_channel.py."""

    def setUp(self) -> None:
        self.bench = Bench(Limits(body_bytes=5))
        self.client = self.bench.connect()
        self.client.send(head("/echo", "Transfer-Encoding: chunked", method="POST"))

    def test_a_body_is_kept_until_it_is_whole(self) -> None:
        self.client.send(b"2\r\nab\r\n")
        self.assertEqual(self.client.received(), [])
        self.client.send(b"3\r\ncde\r\n0\r\n\r\n")
        self.assertEqual(self.client.answer().json, {"body": "abcde"})

    def test_a_body_that_grows_too_large_is_refused_counted_and_logged(self) -> None:
        with LogCapture() as log:
            self.client.send(b"6\r\nabcdef\r\n")
        self.assertEqual(self.client.answer().error, "too_large")
        self.assertEqual(self.bench.counters.get("http_refused", "too_large"), 1)
        self.assertEqual(log.named("request refused")[0]["status"], 413)

    def test_a_request_that_never_was_whole_is_not_logged_as_one(self) -> None:
        with LogCapture() as log:
            self.client.disconnect()
        self.assertEqual(log.named("{method} {path}"), [])


class StopTests(Base):
    """The connections' part is tested in test_channel.py."""

    def test_a_site_is_busy_while_a_request_is_under_way(self) -> None:
        self.assertFalse(self.bench.site.is_busy)
        client = self.bench.connect()
        client.send(head("/later"))
        self.bench.site.finish_up()
        self.assertTrue(self.bench.site.is_busy)
        self.bench.site.close_all()
        self.assertEqual(client.ended, "closed")
        client.transport.drop()
        self.assertFalse(self.bench.site.is_busy)

    def test_and_while_an_answer_waits_for_its_client(self) -> None:
        client = self.bench.connect()
        client.send(head("/hello"))
        self.assertFalse(self.bench.site.is_busy)
        client.transport.unsent = 1
        self.assertTrue(self.bench.site.is_busy)
        self.bench.site.close_all()
        self.assertEqual(client.ended, "aborted")


class AccessLogTests(Base):
    def logged(self, *lines: bytes) -> list[dict[str, Any]]:
        with LogCapture() as log:
            for line in lines:
                self.bench.connect().send(line)
        return log.named("{method} {path}")

    def test_an_answer_is_one_event(self) -> None:
        (event,) = self.logged(head("/hello", "X-Request-Id: request-77"))
        fields = {name: event[name] for name in ("method", "path", "status", "bytes", "request_id", "peer")}
        self.assertEqual(
            fields,
            {
                "method": "GET",
                "path": "/hello",
                "status": 200,
                "bytes": len(b'{"hello":"world"}'),
                "request_id": "request-77",
                "peer": "192.0.2.7",
            },
        )
        self.assertEqual(event["log_level"], LogLevel.info)

    def test_the_duration_is_measured(self) -> None:
        client = self.bench.connect()
        client.send(head("/later"))
        self.bench.clock.advance(1.5)
        with LogCapture() as log:
            self.bench.later[0].callback(json_answer(200, {}))
        self.assertEqual(log.named("{method} {path}")[0]["duration_ms"], 1500)

    def test_the_query_cookies_and_credentials_are_not_logged(self) -> None:
        with LogCapture() as log:
            self.bench.get("/hello?token=SECRET", "Cookie: authToken=SECRET", "Authorization: Bearer SECRET")
            self.bench.get("/nowhere?token=SECRET", "Referer: https://a.example/SECRET", "User-Agent: SECRET")
        self.assertEqual(len(log.named("{method} {path}")), 2)
        for event in log.events:
            shown = {name: value for name, value in event.items() if name not in ("log_logger", "log_source")}
            self.assertNotIn("SECRET", repr(shown))

    def test_a_client_that_went_away_is_logged_as_such(self) -> None:
        client = self.bench.connect()
        client.send(head("/later"))
        with LogCapture() as log:
            client.disconnect()
        self.assertEqual([event["status"] for event in log.named("{method} {path}")], [499])

    def test_health_checks_are_for_those_who_want_them(self) -> None:
        (event,) = self.logged(head("/health"))
        self.assertEqual(event["log_level"], LogLevel.debug)

    def test_a_clients_text_is_cut_short(self) -> None:
        (event,) = self.logged(head("/" + "a" * 1000, method="X" * 1000))
        self.assertEqual((len(event["path"]), len(event["method"])), (256, 256))
