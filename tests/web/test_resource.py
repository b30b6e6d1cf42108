"""Resources as tables of handlers, and strict JSON bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.web.memory import Bench, Client, LogCapture, Response, head, make_origins
from wsservice.errors import InvalidCredentials, KeysUnavailable
from wsservice.web.answers import Answer, json_answer
from wsservice.web.limits import Limits
from wsservice.web.request import WsRequest
from wsservice.web.resource import MAX_JSON, JsonResource, read_json


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(Limits(body_bytes=2 * MAX_JSON))

    def mount(self, handlers: dict[str, Any], **options: Any) -> None:
        self.bench.mount(b"it", JsonResource(handlers, **options))

    def ask(self, method: str, *headers: str, body: bytes = b"") -> Response:
        client = self.bench.connect()
        client.send(head("/it", f"Content-Length: {len(body)}", *headers, method=method) + body)
        return client.answer(method)


class HandlerTests(Base):
    def test_a_handler_may_answer_at_once_or_later(self) -> None:
        async def coroutine(request: WsRequest) -> Answer:
            return await succeed(json_answer(200, {"by": "coroutine"}))

        handlers: list[Callable[[WsRequest], Any]] = [
            lambda request: json_answer(200, {"by": "value"}),
            lambda request: succeed(json_answer(200, {"by": "deferred"})),
            coroutine,
        ]
        for handler, by in zip(handlers, ("value", "deferred", "coroutine"), strict=True):
            self.mount({"GET": handler})
            self.assertEqual(self.ask("GET").json, {"by": by})

    def test_an_error_of_ours_becomes_its_status_and_words(self) -> None:
        async def later(request: WsRequest) -> Answer:
            raise KeysUnavailable("SECRET")

        def now(request: WsRequest) -> Answer:
            raise InvalidCredentials("SECRET")

        self.mount({"GET": later, "POST": now})
        self.assertEqual((self.ask("GET").status, self.ask("GET").error), (503, "unavailable"))
        answer = self.ask("POST")
        self.assertEqual((answer.status, answer.error), (401, "invalid_credentials"))
        self.assertEqual(answer.json["requestId"], answer.header("X-Request-Id"))
        self.assertNotIn(b"SECRET", answer.body)

    def test_the_log_has_the_reason_escaped_and_cut_short(self) -> None:
        def refuse(request: WsRequest) -> Answer:
            raise InvalidCredentials("a\nb" + "c" * 1000)

        self.mount({"GET": refuse})
        with LogCapture() as log:
            self.ask("GET", "X-Request-Id: request-77")
        (event,) = log.named("refused")
        self.assertEqual((event["request_id"], len(event["reason"])), ("request-77", 200))
        self.assertNotIn("\n", event["reason"])

    def test_a_bug_is_logged_with_the_request_id(self) -> None:
        with LogCapture() as log:
            self.assertEqual(self.bench.get("/broken", "X-Request-Id: request-77").status, 500)
        self.assertEqual(log.named("a handler failed")[0]["request_id"], "request-77")
        self.flushLoggedErrors(RuntimeError)

    def test_headers_that_a_handler_set_before_it_failed_are_sent(self) -> None:
        def refuse(request: WsRequest) -> Answer:
            request.responseHeaders.addRawHeader(b"Set-Cookie", b"a=")
            raise InvalidCredentials("x")

        self.mount({"POST": refuse})
        self.assertEqual(self.ask("POST").all("Set-Cookie"), ["a="])


class MethodTests(Base):
    def test_head_is_get_without_a_body(self) -> None:
        self.mount({"GET": lambda request: json_answer(200, {"a": 1})})
        answer = self.ask("HEAD")
        self.assertEqual((answer.status, answer.header("Content-Length"), answer.body), (200, "7", b""))

    def test_other_methods_are_refused_with_those_that_work(self) -> None:
        for handlers, allowed in (
            ({"GET": None}, "GET, HEAD, OPTIONS"),
            ({"POST": None}, "OPTIONS, POST"),
            ({"GET": None, "POST": None}, "GET, HEAD, OPTIONS, POST"),
        ):
            self.mount(handlers)
            for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "BREW"):
                with self.subTest(method=method, allowed=allowed):
                    answer = self.ask(method)
                    self.assertEqual((answer.status, answer.error), (405, "method_not_allowed"))
                    self.assertEqual(answer.header("Allow"), allowed)
        self.assertEqual(self.bench.counters.get("http_refused", "method_not_allowed"), 3 * 7)

    def test_head_is_refused_where_there_is_no_get(self) -> None:
        self.mount({"POST": None})
        self.assertEqual(self.ask("HEAD").status, 405)

    def test_options_tells_the_methods(self) -> None:
        self.mount({"GET": None})
        answer = self.ask("OPTIONS", "Origin: https://evil.example")
        self.assertEqual((answer.status, answer.header("Allow")), (204, "GET, HEAD, OPTIONS"))
        self.assertIsNone(answer.header("Access-Control-Allow-Origin"))


class OriginTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.handled: list[str] = []
        self.mount({"GET": self.handle, "POST": self.handle}, origins=make_origins())

    def handle(self, request: WsRequest) -> Answer:
        self.handled.append(request.handshake.method)
        if "fail" in request.handshake.query:
            raise InvalidCredentials("x")
        return json_answer(200, {})

    def test_a_preflight_of_an_allowed_origin_is_answered(self) -> None:
        answer = self.ask("OPTIONS", "Origin: https://app.example", "Access-Control-Request-Method: POST")
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.all("Access-Control-Allow-Origin"), ["https://app.example"])
        self.assertEqual(answer.all("Access-Control-Allow-Credentials"), ["true"])
        self.assertEqual(answer.header("Access-Control-Allow-Methods"), "GET, POST")
        self.assertEqual(answer.header("Access-Control-Allow-Headers"), "Content-Type, X-Request-Id")
        self.assertEqual(answer.header("Access-Control-Max-Age"), "600")
        self.assertEqual(answer.header("Vary"), "Origin")
        self.assertEqual(self.handled, [])

    def test_one_of_another_is_not(self) -> None:
        for origin in ("https://evil.example", "null", "https://app.example.evil.example", "https://app.example:444"):
            answer = self.ask("OPTIONS", f"Origin: {origin}", "Access-Control-Request-Method: POST")
            self.assertEqual((answer.status, answer.error), (403, "origin_not_allowed"))
            self.assertIsNone(answer.header("Access-Control-Allow-Origin"))

    def test_an_allowed_origin_may_read_the_answer(self) -> None:
        for method in ("GET", "POST", "HEAD"):
            answer = self.ask(method, "Origin: https://app.example")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), "https://app.example")
            self.assertEqual(answer.header("Access-Control-Expose-Headers"), "X-Request-Id, Retry-After, Date")
            self.assertEqual(answer.header("Vary"), "Origin")

    def test_errors_too(self) -> None:
        client = self.bench.connect()
        client.send(head("/it?fail", "Origin: https://app.example"))
        self.assertEqual(client.answer().header("Access-Control-Allow-Origin"), "https://app.example")
        self.assertEqual(self.ask("PUT", "Origin: https://app.example").header("Vary"), "Origin")

    def test_a_foreign_one_reaches_no_handler(self) -> None:
        for method in ("GET", "POST"):
            answer = self.ask(method, "Origin: https://evil.example")
            self.assertEqual((answer.status, answer.error), (403, "origin_not_allowed"))
            self.assertIsNone(answer.header("Access-Control-Allow-Origin"))
        self.assertEqual(self.handled, [])
        self.assertEqual(self.bench.counters.get("http_refused", "origin_not_allowed"), 2)

    def test_a_client_that_is_no_browser_passes(self) -> None:
        self.assertEqual(self.ask("POST").status, 200)

    def test_a_post_from_a_browser_without_an_origin_passes_only_from_the_same_one(self) -> None:
        for site, status in (("same-origin", 200), ("same-site", 403), ("cross-site", 403), ("none", 403)):
            with self.subTest(site=site):
                self.assertEqual(self.ask("POST", f"Sec-Fetch-Site: {site}").status, status)

    def test_an_allowed_origin_of_another_site_passes(self) -> None:
        answer = self.ask("POST", "Origin: https://app.example", "Sec-Fetch-Site: cross-site")
        self.assertEqual(answer.status, 200)

    def test_a_get_that_somebody_typed_passes(self) -> None:
        self.assertEqual(self.ask("GET", "Sec-Fetch-Site: none").status, 200)
        self.assertEqual(self.ask("GET", "Sec-Fetch-Site: cross-site").status, 403)


class JsonBodyTests(Base):
    may_be_empty = False

    def setUp(self) -> None:
        super().setUp()
        self.mount({"POST": self.echo})

    def echo(self, request: WsRequest) -> Answer:
        return json_answer(200, {"body": read_json(request, may_be_empty=self.may_be_empty)})

    def post(self, body: bytes, content_type: str | None = "application/json") -> Response:
        headers = () if content_type is None else (f"Content-Type: {content_type}",)
        return self.ask("POST", *headers, body=body)

    def test_an_object_is_taken(self) -> None:
        self.assertEqual(self.post(b'{"a": [1, {"b": null}]}').json, {"body": {"a": [1, {"b": None}]}})
        self.assertEqual(self.post(b" {} ").json, {"body": {}})

    def test_what_is_no_object_in_strict_json_is_refused(self) -> None:
        for body in (
            b"",
            b"nonsense",
            b"[]",
            b'[{"a": 1}]',
            b'"text"',
            b"7",
            b"null",
            b'{"a": 1',
            b'{"a": 1} {}',
            b'{"a": NaN}',
            b'{"a": Infinity}',
            b'{"a": 1e999}',
            b'{"a": 1, "a": 2}',
            b'{"a": {"b": 1, "b": 2}}',
            b"{'a': 1}",
            b'{"a": 1,}',
            b'\xef\xbb\xbf{"a": 1}',
            b'{"a": "\xff"}',
            b'{"a": "\\ud800"}',
            b'{"a": "\\ud800x"}',
            b'{"a": "\\udc00\\ud800"}',
            b'{"a": "\x01"}',
            b'{"a":' * 1000 + b"1" + b"}" * 1000,
            b'{"a":' + b"[" * 4000 + b"]" * 4000 + b"}",
            b"[" * 8000,
            b"a=b&c=d",
            b"\x1f\x8b\x08\x00",
        ):
            with self.subTest(body=body[:40]):
                answer = self.post(body)
                self.assertEqual((answer.status, answer.error), (400, "bad_request"))
                self.assertEqual(answer.json["message"], "The body must be a JSON object.")

    def test_the_size_is_bounded(self) -> None:
        fits = json.dumps({"a": "b" * (MAX_JSON - 9)}).encode()
        self.assertEqual(len(fits), MAX_JSON)
        self.assertEqual(self.post(fits).status, 200)
        self.assertEqual(self.post(fits + b" ").error, "too_large")

    def test_only_json_is_taken(self) -> None:
        for content_type in (
            None,
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "text/plain; application/json",
            "application/json, text/plain",
        ):
            with self.subTest(content_type=content_type):
                answer = self.post(b"{}", content_type)
                self.assertEqual((answer.status, answer.error), (415, "unsupported_media_type"))

    def test_parameters_and_case_do_not_matter(self) -> None:
        for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"):
            self.assertEqual(self.post(b"{}", content_type).status, 200)

    def test_two_types_are_none(self) -> None:
        answer = self.ask("POST", "Content-Type: application/json", "Content-Type: text/plain", body=b"{}")
        self.assertEqual(answer.status, 415)

    def test_a_chunked_body_is_as_good(self) -> None:
        client = self.bench.connect()
        client.send(head("/it", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST"))
        client.send(b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n')
        self.assertEqual(client.answer().json, {"body": {"a": 1}})


class EmptyBodyTests(JsonBodyTests):
    may_be_empty = True

    def test_what_is_no_object_in_strict_json_is_refused(self) -> None:
        self.assertEqual(self.post(b"[]").status, 400)

    def test_no_body_is_an_empty_object(self) -> None:
        self.assertEqual(self.post(b"").json, {"body": {}})

    def test_but_the_type_must_be_told(self) -> None:
        self.assertEqual(self.post(b"", None).status, 415)


class BranchTests(Base):
    def test_what_is_not_there_is_not_found_by_any_method(self) -> None:
        for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "BREW"):
            for path in ("/", "/nowhere", "/nowhere/below", "/hello/below"):
                with self.subTest(method=method, path=path):
                    answer = self.bench.get(path, method=method)
                    self.assertEqual((answer.status, answer.header("Cache-Control")), (404, "no-store"))


class PendingTests(Base):
    def test_pipelined_requests_wait_for_a_handler_that_takes_long(self) -> None:
        waiting: Deferred[Answer] = Deferred()
        self.mount({"GET": lambda request: waiting})
        client: Client = self.bench.connect()
        client.send(head("/it") + head("/hello"))
        self.assertEqual(client.received(), [])
        waiting.callback(json_answer(200, {"slow": True}))
        self.assertEqual([answer.json for answer in client.received()], [{"slow": True}, {"hello": "world"}])
