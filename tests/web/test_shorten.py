"""Tests of wsservice.web.shorten: by bytes, over the provider of `--dev`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.web.auth_bench import GENEROUS, NOW, AuthBench
from tests.web.memory import Browser, Response
from wsservice.auth.providers.dev import DevProvider, DevUser
from wsservice.web.rates import Rate
from wsservice.web.services import AuthSettings

PATH = "/auth/dev/shorten"
MESSAGE = "seconds must be a whole number from 1 to 3600."


class ShortenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.use(GENEROUS)

    def use(self, settings: AuthSettings) -> None:
        self.dev = DevProvider(now=lambda: self.bench.clock.seconds(), users=[DevUser("alice", "PASSWORD-1", ("a",))])
        self.bench = AuthBench(settings, provider=self.dev, shorten=self.dev.shorten)
        self.browser = self.bench.browser()
        self.browser.post("/auth/login", {"username": "alice", "password": "PASSWORD-1"})
        self.bench.clock.advance(5)

    def shorten(self, body: Any, **options: Any) -> Response:
        return self.browser.post(PATH, body, **options)

    def claims(self) -> dict[str, Any]:
        return self.successResultOf(self.dev.verify(self.browser.jar[("authToken", "/")])).claims

    def test_the_session_has_a_token_that_ends_soon(self) -> None:
        before, refresh = self.claims(), self.browser.jar[("refreshToken", "/auth")]
        answer = self.shorten({"seconds": 10})
        self.assertEqual(answer.status, 200)
        user = {"id": before["sub"], "username": "alice", "roles": ["a"], "scopes": ["aws.cognito.signin.user.admin"]}
        self.assertEqual(answer.json, {"user": user, "expiresAt": int(NOW) + 15})
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertIn("Max-Age=10; Path=/; HttpOnly; Secure; SameSite=Lax", answer.all("Set-Cookie")[0])
        after = self.claims()
        for name in ("sub", "origin_jti", "auth_time", "username"):
            self.assertEqual(after[name], before[name])
        self.assertEqual(self.browser.jar[("refreshToken", "/auth")], refresh)
        self.assertEqual(self.bench.sessions.steps, [("renew", before["origin_jti"])])
        self.bench.clock.advance(10)
        self.assertEqual(self.browser.request("GET", "/auth/me").error, "expired")

    def test_it_can_be_refreshed_as_any_other(self) -> None:
        self.shorten({"seconds": 10})
        self.bench.clock.advance(11)
        self.assertEqual(self.browser.post("/auth/refresh").status, 200)
        self.assertEqual(self.claims()["exp"], int(NOW) + 16 + 3600)

    def test_a_second_to_an_hour_can_be_had(self) -> None:
        for seconds in (1, 3600):
            self.assertEqual(self.shorten({"seconds": seconds}).json["expiresAt"], int(NOW) + 5 + seconds)

    def test_anything_else_is_refused(self) -> None:
        for body in ({}, *({"seconds": value} for value in (0, -1, 3601, 10**30, 1.0, 1.5, True, "10", None, [10]))):
            answer = self.shorten(body)
            self.assertEqual((answer.status, answer.error, answer.json["message"]), (400, "bad_request", MESSAGE), body)
        self.assertEqual(self.browser.request("POST", PATH, b"").status, 400)
        self.assertEqual(self.browser.request("POST", PATH, b"{}", content_type="text/plain").status, 415)
        self.assertEqual(self.bench.sessions.steps, [])

    def test_it_needs_a_session(self) -> None:
        jar = dict(self.browser.jar)
        for token, word in ((None, "missing"), ("nonsense", "invalid"), (self.dev.issue("alice", 1), "expired")):
            self.browser.jar = {("authToken", "/"): token} if token else {}
            self.bench.clock.advance(1)
            answer = self.shorten({"seconds": 10})
            self.assertEqual((answer.status, answer.error, answer.all("Set-Cookie")), (401, word, []))
        self.browser.jar = dict(jar)
        self.browser.post("/auth/logout", {})
        self.bench.sessions.steps.clear()
        self.browser.jar = dict(jar)
        self.assertEqual(self.shorten({"seconds": 10}).error, "invalid")
        self.assertEqual(self.bench.sessions.steps, [])

    def test_a_token_without_a_login_can_be_shortened_too(self) -> None:
        self.browser.jar = {("authToken", "/"): self.dev.issue("alice")}
        self.assertEqual(self.shorten({"seconds": 10}).status, 200)
        self.assertEqual(set(self.browser.jar), {("authToken", "/")})

    def test_two_refresh_tokens_are_none(self) -> None:
        self.browser.jar[("refreshToken", "/")] = "planted"
        self.assertEqual(self.shorten({"seconds": 10}).status, 200)
        self.assertEqual(set(self.browser.jar), {("authToken", "/")})

    def test_a_foreign_page_can_do_nothing(self) -> None:
        for foreign in ("https://evil.example", "null"):
            evil = Browser(self.bench.site, origin=foreign)
            evil.jar = dict(self.browser.jar)
            self.assertEqual(evil.post(PATH, {"seconds": 10}).error, "origin_not_allowed")

    def test_an_allowed_one_can_and_may_read_the_answer(self) -> None:
        self.browser.origin = "https://app.example"
        answer = self.shorten({"seconds": 10})
        self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (200, "https://app.example"))

    def test_an_address_has_a_rate(self) -> None:
        self.use(AuthSettings(session_rate=Rate(1, 1000.0)))
        self.assertEqual([self.shorten({"seconds": 10}).status for _ in range(2)], [200, 429])

    def test_other_methods_are_refused_and_nothing_is_beside_it(self) -> None:
        self.assertEqual(self.browser.request("GET", PATH).status, 405)
        for path in ("/auth/dev", "/auth/dev/", "/auth/dev/other", PATH + "/x"):
            self.assertEqual(self.browser.post(path, {}).status, 404)

    def test_without_dev_it_is_not_there(self) -> None:
        bench = AuthBench()
        answer = bench.logged_in().post(PATH, {"seconds": 10})
        self.assertEqual((answer.status, answer.error), (404, "not_found"))
