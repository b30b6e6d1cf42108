"""Health and readiness."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.web.memory import Bench
from wsservice.auth.providers.base import Readiness
from wsservice.web.health import health_resource, ready_resource


class HealthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.keys = Readiness(True, "2 keys")
        self.draining = Readiness(True, "no")
        self.bench.mount(b"health", health_resource())
        self.bench.mount(b"ready", ready_resource({"keys": lambda: self.keys, "draining": lambda: self.draining}))

    def test_a_service_that_answers_is_healthy(self) -> None:
        self.keys = Readiness(False, "none")
        answer = self.bench.get("/health")
        self.assertEqual((answer.status, answer.json), (200, {"status": "ok"}))

    def test_it_is_ready_when_every_part_is(self) -> None:
        answer = self.bench.get("/ready")
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            answer.json,
            {
                "status": "ok",
                "checks": {"keys": {"ready": True, "detail": "2 keys"}, "draining": {"ready": True, "detail": "no"}},
            },
        )

    def test_the_part_that_is_not_ready_is_named(self) -> None:
        self.keys = Readiness(False, "connection refused")
        answer = self.bench.get("/ready")
        self.assertEqual((answer.status, answer.json["status"]), (503, "unavailable"))
        self.assertEqual(answer.json["checks"]["keys"], {"ready": False, "detail": "connection refused"})
        self.assertTrue(answer.json["checks"]["draining"]["ready"])

    def test_it_is_asked_anew_each_time(self) -> None:
        for ready, status in ((True, 200), (False, 503), (True, 200)):
            self.draining = Readiness(ready, "")
            self.assertEqual(self.bench.get("/ready").status, status)

    def test_nothing_is_cached_and_head_works(self) -> None:
        for path in ("/health", "/ready"):
            answer = self.bench.get(path, method="HEAD")
            self.assertEqual((answer.status, answer.body, answer.header("Cache-Control")), (200, b"", "no-store"))
            self.assertEqual(self.bench.get(path, method="POST").header("Allow"), "GET, HEAD, OPTIONS")
