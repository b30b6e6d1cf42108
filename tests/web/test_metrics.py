"""Tests of wsservice.web.metrics."""

from __future__ import annotations

import zlib

from twisted.trial.unittest import SynchronousTestCase

from tests.web.memory import Bench
from wsservice.auth.api_keys import ApiKeys
from wsservice.web.metrics import metrics_resource

TOKEN, OTHER = "t" * 32, "o" * 32


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.asked: list[str] = []
        self.size = 10

    def bench(self, *tokens: str) -> Bench:
        bench = Bench()
        bench.mount(b"metrics", metrics_resource(self.write, ApiKeys(tokens)))
        return bench

    def write(self, accept: str) -> tuple[str, bytes]:
        self.asked.append(accept)
        return "text/plain; version=0.0.4", b"x" * self.size

    def test_the_text_comes_with_its_type_and_is_not_cached(self) -> None:
        answer = self.bench().get("/metrics", "Accept: application/openmetrics-text", "Accept: text/plain")
        self.assertEqual((answer.status, answer.body), (200, b"x" * 10))
        self.assertEqual(answer.header("Content-Type"), "text/plain; version=0.0.4")
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(self.asked, ["application/openmetrics-text,text/plain"])

    def test_head_has_no_body_and_other_methods_are_refused(self) -> None:
        bench = self.bench()
        answer = bench.get("/metrics", method="HEAD")
        self.assertEqual((answer.status, answer.body, answer.header("Content-Length")), (200, b"", "10"))
        answer = bench.get("/metrics", method="POST")
        self.assertEqual((answer.status, answer.header("Allow")), (405, "GET, HEAD, OPTIONS"))
        self.assertEqual(bench.get("/metrics/x").status, 404)

    def test_a_long_text_is_compressed_for_who_takes_that(self) -> None:
        self.size = 5000
        answer = self.bench().get("/metrics", "Accept-Encoding: gzip")
        self.assertEqual(answer.header("Content-Encoding"), "gzip")
        self.assertEqual(zlib.decompress(answer.body, 16 + zlib.MAX_WBITS), b"x" * 5000)
        self.assertIsNone(self.bench().get("/metrics").header("Content-Encoding"))

    def test_with_a_token_nobody_else_learns_anything(self) -> None:
        bench = self.bench(TOKEN, OTHER)
        for lines in (
            [],
            ["Authorization: Bearer"],
            [f"Authorization: Bearer {TOKEN}x"],
            [f"Authorization: Basic {TOKEN}"],
            [f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"],
        ):
            answer = bench.get("/metrics", *lines)
            self.assertEqual((answer.status, answer.header("WWW-Authenticate")), (401, "Bearer"), lines)
        self.assertEqual(self.asked, [])
        for token in (TOKEN, OTHER):
            self.assertEqual(bench.get("/metrics", f"Authorization: Bearer {token}").status, 200)
