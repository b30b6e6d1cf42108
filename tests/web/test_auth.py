"""Login, challenge, refresh, logout, me: by bytes, over a scripted provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, fail
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from tests.web.auth_bench import GENEROUS, NOW, AuthBench
from tests.web.memory import HOST, Browser, LogCapture, Response
from wsservice.auth.cookies import CookiePolicy
from wsservice.auth.keys import VerifyKey
from wsservice.auth.providers.base import Challenge, KeySource, Readiness, Tokens
from wsservice.auth.providers.dev import DevProvider, DevUser, FixedKeySet
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.errors import (
    AccountNotReady,
    ChallengeFailed,
    InvalidCredentials,
    KeysUnavailable,
    PasswordPolicy,
    ProviderUnavailable,
    RateLimited,
    SessionExpired,
    UnsupportedChallenge,
)
from wsservice.testing import Issuer, private_key
from wsservice.web.rates import Buckets, Rate
from wsservice.web.services import AuthSettings
from wsservice.web.session_cookies import SessionCookies

LOGIN = {"username": "alice", "password": "PASSWORD-1"}
ROUTES = (
    ("POST", "/auth/login"),
    ("POST", "/auth/challenge"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("GET", "/auth/me"),
)


class NoKeys(KeySource):
    """The provider is away, and nothing is cached."""

    def get(self, kid: str) -> Deferred[VerifyKey]:
        return fail(KeysUnavailable("SECRET"))

    def readiness(self) -> Readiness:
        return Readiness(False, "none")


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = AuthBench()
        self.browser = self.bench.browser()

    def login(self, outcome: Any, body: Any = LOGIN) -> Response:
        self.bench.script.append(outcome)
        return self.browser.post("/auth/login", body)

    def check_error(self, answer: Response, status: int, word: str) -> Response:
        self.assertEqual((answer.status, answer.error), (status, word))
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(answer.json["requestId"], answer.header("X-Request-Id"))
        self.assertNotIn("SECRET", str(answer))
        return answer

    def count(self, name: str, word: str) -> int:
        return self.bench.counters.get(name, word)


class LoginTests(Base):
    def test_a_login_sets_the_cookies_and_says_who_it_is(self) -> None:
        token = self.bench.issuer.token("user-1", username="alice", **{"cognito:groups": ["b", "a"]})
        answer = self.login(Tokens(token, "refresh-1"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            answer.json,
            {
                "user": {
                    "id": "user-1",
                    "username": "alice",
                    "roles": ["a", "b"],
                    "scopes": ["aws.cognito.signin.user.admin"],
                },
                "expiresAt": int(NOW) + 3600,
            },
        )
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(
            answer.all("Set-Cookie")[0], f"authToken={token}; Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Lax"
        )
        self.assertEqual(self.browser.jar, {("authToken", "/"): token, ("refreshToken", "/auth"): "YWxpY2U~refresh-1"})
        self.assertEqual(self.bench.scripted.calls, [("login", "alice", "PASSWORD-1")])
        self.assertEqual(self.count("logins", "ok"), 1)

    def test_an_id_token_without_scopes_says_none(self) -> None:
        answer = self.login(Tokens(self.bench.issuer.id_token("user-1"), "refresh-1"))
        self.assertEqual(answer.json["user"], {"id": "user-1", "username": "user-1", "roles": []})

    def test_an_email_address_does_as_well(self) -> None:
        self.login(self.bench.tokens(), {"email": "a@b.example", "password": "x"})
        self.assertEqual(self.bench.scripted.calls, [("login", "a@b.example", "x")])

    def test_no_token_is_in_the_body(self) -> None:
        answer = self.login(self.bench.tokens())
        self.assertNotIn(b"eyJ", answer.body)
        self.assertNotIn(b"refresh-1", answer.body)

    def test_wrong_user_and_wrong_password_are_the_same_answer(self) -> None:
        answers = []
        for error, body in (
            (InvalidCredentials("no such user"), {"username": "nobody", "password": "a"}),
            (InvalidCredentials("wrong password"), {"email": "alice@b.example", "password": "something else"}),
        ):
            self.bench.script.append(error)
            answers.append(
                self.check_error(
                    self.browser.post("/auth/login", body, headers=[("X-Request-Id", "request-77")]),
                    401,
                    "invalid_credentials",
                )
            )
        without_date = [[pair for pair in answer.headers if pair[0] != "Date"] for answer in answers]
        self.assertEqual(*without_date)
        self.assertEqual(answers[0].body, answers[1].body)
        self.assertEqual(answers[0].reason, answers[1].reason)
        self.assertEqual(answers[0].all("Set-Cookie"), [])
        self.assertEqual(self.count("logins", "invalid_credentials"), 2)

    def test_what_the_provider_refuses_has_its_status(self) -> None:
        for error, status, word in (
            (AccountNotReady("SECRET"), 403, "account_not_ready"),
            (RateLimited("SECRET", retry_after=9), 429, "rate_limited"),
            (ProviderUnavailable("SECRET"), 503, "auth_unavailable"),
            (UnsupportedChallenge("DEVICE_SRP_AUTH"), 409, "unsupported_challenge"),
        ):
            answer = self.check_error(self.login(error), status, word)
            self.assertEqual(answer.header("Retry-After"), {429: "9", 503: "5"}.get(status))
            self.assertEqual(answer.json.get("challenge"), "DEVICE_SRP_AUTH" if status == 409 else None)
            self.assertEqual(self.count("logins", word), 1)

    def test_a_bug_in_the_provider_is_an_internal_error(self) -> None:
        self.check_error(self.login(RuntimeError("SECRET")), 500, "internal_error")
        self.assertEqual(self.count("logins", "error"), 1)
        self.flushLoggedErrors(RuntimeError)

    def test_hostile_bodies_are_refused_before_the_provider_is_asked(self) -> None:
        for body in (
            b"",
            b"nonsense",
            b"[]",
            b"{}",
            b'{"username": "a"}',
            b'{"username": ["a"], "password": "x"}',
            b"[" * 4000,
        ):
            self.check_error(self.browser.request("POST", "/auth/login", body), 400, "bad_request")
        self.check_error(self.browser.request("POST", "/auth/login", b"a" * 8193), 413, "too_large")
        self.assertEqual(self.bench.scripted.calls, [])

    def test_a_form_is_refused(self) -> None:
        answer = self.browser.request(
            "POST", "/auth/login", b"username=a&password=b", content_type="application/x-www-form-urlencoded"
        )
        self.check_error(answer, 415, "unsupported_media_type")

    def test_a_token_that_does_not_verify_becomes_no_cookie(self) -> None:
        foreign = Issuer(now=self.bench.clock.seconds, first_key=5).token("alice")
        expired = self.bench.issuer.token("alice", exp=NOW - 1)
        for token in (foreign, expired, "nonsense"):
            with LogCapture() as log:
                answer = self.check_error(self.login(Tokens(token, "r")), 503, "auth_unavailable")
            self.assertEqual(answer.all("Set-Cookie"), [])
            (event,) = log.named("the provider issued a token")
            self.assertEqual(event["log_level"], LogLevel.error)
            self.assertNotIn(token, repr(event))

    def test_a_token_cannot_be_verified_without_keys(self) -> None:
        self.bench = AuthBench(keys=NoKeys())
        self.browser = self.bench.browser()
        answer = self.check_error(self.login(self.bench.tokens()), 503, "unavailable")
        self.assertEqual((answer.all("Set-Cookie"), answer.header("Retry-After")), ([], "2"))

    def test_a_token_that_fits_into_no_cookie_is_no_success(self) -> None:
        self.bench = AuthBench(
            AuthSettings(cookies=SessionCookies(policy=CookiePolicy(chunking=False)), login_rate=GENEROUS.login_rate)
        )
        self.browser = self.bench.browser()
        token = self.bench.issuer.token("alice", padding="a" * 3500)
        answer = self.check_error(self.login(Tokens(token, "r")), 500, "token_too_large")
        self.assertEqual(answer.all("Set-Cookie"), [])
        self.assertEqual((self.count("logins", "token_too_large"), self.count("logins", "ok")), (1, 0))

    def test_a_large_one_logs_in_by_chunks(self) -> None:
        self.login(Tokens(self.bench.issuer.token("alice", padding="a" * 3500), "r"))
        self.assertIn(("authToken.1", "/"), self.browser.jar)
        self.assertEqual(self.browser.request("GET", "/auth/me").status, 200)
        self.login(self.bench.tokens())
        self.assertNotIn(("authToken.1", "/"), self.browser.jar)
        self.assertEqual(self.browser.request("GET", "/auth/me").status, 200)

    def test_a_login_on_top_of_another_replaces_every_cookie(self) -> None:
        self.login(self.bench.tokens("alice"))
        before = dict(self.browser.jar)
        self.login(self.bench.tokens("bob", refresh=None))
        self.assertEqual(set(self.browser.jar), {("authToken", "/")})
        self.assertNotEqual(self.browser.jar[("authToken", "/")], before[("authToken", "/")])

    def test_a_planted_cookie_is_not_taken_over(self) -> None:
        self.browser.jar[("authToken", "/")] = "planted"
        self.login(self.bench.tokens())
        self.assertNotEqual(self.browser.cookie("authToken"), "planted")

    def test_the_log_names_neither_user_nor_password(self) -> None:
        with LogCapture() as log:
            self.login(InvalidCredentials("wrong"), {"username": "USER-1", "password": "PASSWORD-1"})
            self.login(self.bench.tokens(), {"username": "USER-1", "password": "PASSWORD-1"})
        for event in log.events:
            for secret in ("USER-1", "PASSWORD-1", "eyJ", "refresh-1"):
                self.assertNotIn(secret, repr({name: value for name, value in event.items() if name != "log_source"}))


class ChallengeTests(Base):
    challenge = Challenge("NEW_PASSWORD_REQUIRED", "handle-1", "alice-1", {"requiredAttributes": "[]"})

    def answer(self, outcome: Any, **members: Any) -> Response:
        self.bench.script.append(outcome)
        body = {"challenge": "NEW_PASSWORD_REQUIRED", "session": "handle-1", "username": "alice-1", **members}
        return self.browser.post("/auth/challenge", body)

    def test_a_login_may_end_in_a_challenge(self) -> None:
        answer = self.login(self.challenge)
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            answer.json,
            {
                "challenge": "NEW_PASSWORD_REQUIRED",
                "session": "handle-1",
                "username": "alice-1",
                "parameters": {"requiredAttributes": "[]"},
            },
        )
        self.assertEqual(answer.all("Set-Cookie"), [])
        self.assertEqual((self.count("logins", "challenge"), self.count("logins", "ok")), (1, 0))

    def test_its_answer_logs_in(self) -> None:
        answer = self.answer(self.bench.tokens(), newPassword="new")
        self.assertEqual((answer.status, answer.json["user"]["id"]), (200, "alice"))
        self.assertEqual(self.browser.request("GET", "/auth/me").status, 200)
        ((_, challenge, responses),) = self.bench.scripted.calls
        self.assertEqual(
            (challenge.name, challenge.session, challenge.username), ("NEW_PASSWORD_REQUIRED", "handle-1", "alice-1")
        )
        self.assertEqual(responses, {"NEW_PASSWORD": "new"})

    def test_or_ends_in_the_next_challenge(self) -> None:
        answer = self.answer(Challenge("SMS_MFA", "handle-2", "alice-1"), newPassword="new")
        self.assertEqual(
            (answer.status, answer.json["challenge"], answer.json["session"]), (200, "SMS_MFA", "handle-2")
        )

    def test_a_wrong_answer(self) -> None:
        for error, status, word in (
            (ChallengeFailed("SECRET"), 401, "challenge_failed"),
            (PasswordPolicy("SECRET"), 422, "password_policy"),
            (UnsupportedChallenge("X"), 409, "unsupported_challenge"),
        ):
            self.check_error(self.answer(error, newPassword="new"), status, word)

    def test_an_answer_without_an_answer_is_refused(self) -> None:
        self.check_error(
            self.browser.post("/auth/challenge", {"challenge": "SMS_MFA", "session": "x"}), 400, "bad_request"
        )
        self.assertEqual(self.bench.scripted.calls, [])


class RateTests(Base):
    def setUp(self) -> None:
        self.bench = AuthBench(AuthSettings(refresh_rate=Rate(2, 10.0)))
        self.browser = self.bench.browser()

    def attempt(self, username: str, peer: str) -> int:
        self.bench.script[:] = [InvalidCredentials("x")]
        browser = self.bench.browser(peer=peer)
        return browser.post("/auth/login", {"username": username, "password": "x"}).status

    def test_an_address_has_five_attempts_then_one_each_half_minute(self) -> None:
        self.assertEqual([self.attempt(f"user-{number}", "192.0.2.1") for number in range(7)], [401] * 5 + [429] * 2)
        self.assertEqual(self.attempt("another", "192.0.2.2"), 401)
        self.bench.clock.advance(30)
        self.assertEqual([self.attempt("user", "192.0.2.1") for _ in range(2)], [401, 429])

    def test_a_full_table_of_addresses_is_told(self) -> None:
        with mock.patch.object(Buckets.__init__, "__kwdefaults__", {**Buckets.__init__.__kwdefaults__, "capacity": 2}):
            self.bench = AuthBench()
        for number in range(3):
            self.attempt("user", f"192.0.2.{number}")
        self.assertEqual(self.bench.counters.get("tables_full", "rates"), 1)

    def test_a_user_name_has_a_rate_of_refreshes_whatever_its_addresses(self) -> None:
        self.bench = AuthBench(AuthSettings(user_refresh_rate=Rate(2, 10.0)))
        statuses = []
        for number in range(3):
            browser = self.bench.logged_in(session=f"session-{number}", refresh=f"refresh-{number}")
            self.bench.script[:] = [self.bench.tokens(session=f"session-{number}", refresh=f"new-{number}")]
            browser.peer = f"192.0.2.{number}"
            statuses.append(browser.post("/auth/refresh").status)
        self.assertEqual(statuses, [200, 200, 429])

    def test_who_asks_for_the_user_or_signs_out_has_a_rate_by_address(self) -> None:
        self.bench = AuthBench(AuthSettings(session_rate=Rate(2, 10.0)))
        ask = self.bench.browser(peer="192.0.2.1").request
        statuses = [ask("GET", "/auth/me").status, ask("POST", "/auth/logout").status, ask("GET", "/auth/me").status]
        self.assertEqual(statuses, [401, 204, 429])
        self.assertEqual(ask("POST", "/auth/logout").status, 429)
        self.assertEqual(self.bench.browser(peer="192.0.2.2").request("GET", "/auth/me").status, 401)

    def test_so_has_a_user_name_however_it_is_written(self) -> None:
        names = ["alice", "Alice", " alice", "ALICE ", "alice", "alice"]
        statuses = [self.attempt(name, f"192.0.2.{number}") for number, name in enumerate(names, 1)]
        self.assertEqual(statuses, [401] * 5 + [429])

    def test_an_ipv6_client_cannot_use_up_its_addresses(self) -> None:
        statuses = [self.attempt(f"user-{number}", f"2001:db8::{number}") for number in range(6)]
        self.assertEqual(statuses, [401] * 5 + [429])

    def test_who_comes_too_often_is_told_when_to_come_again(self) -> None:
        for _ in range(5):
            self.attempt("alice", "192.0.2.7")
        calls = len(self.bench.scripted.calls)
        answer = self.check_error(self.browser.post("/auth/login", LOGIN), 429, "rate_limited")
        self.assertEqual(answer.header("Retry-After"), "30")
        self.assertEqual(len(self.bench.scripted.calls), calls)
        self.assertEqual(self.count("logins", "rate_limited"), 1)

    def test_answers_to_challenges_count_too(self) -> None:
        body = {"challenge": "SMS_MFA", "session": "handle", "code": "1"}
        statuses = []
        for number in range(6):
            self.bench.script[:] = [ChallengeFailed("x")]
            statuses.append(self.browser.post("/auth/challenge", {**body, "session": str(number)}).status)
        self.assertEqual(statuses, [401] * 5 + [429])

    def test_bodies_that_make_no_sense_do_not(self) -> None:
        for _ in range(10):
            self.assertEqual(self.browser.post("/auth/login", {}).status, 400)

    def test_refreshes_that_reach_the_provider_are_bounded(self) -> None:
        statuses = []
        for number in range(3):
            self.browser.jar[("refreshToken", "/auth")] = f"made-up-{number}"
            self.bench.script[:] = [SessionExpired("x")]
            statuses.append(self.browser.post("/auth/refresh").status)
            self.browser.jar.clear()
        self.assertEqual(statuses, [401, 401, 429])

    def test_a_logout_works_even_when_the_provider_may_not_be_asked(self) -> None:
        for _ in range(4):
            self.browser.jar[("refreshToken", "/auth")] = "made-up"
            self.bench.script[:] = [None]
            self.assertEqual(self.browser.post("/auth/logout").status, 204)
        self.assertEqual(len(self.bench.scripted.calls), 2)


class RefreshTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.browser = self.bench.logged_in()
        self.bench.scripted.calls.clear()
        self.bench.clock.advance(1000)

    def refresh(self, *outcome: Any) -> Response:
        self.bench.script.extend(outcome)
        return self.browser.post("/auth/refresh")

    def check_gone(self) -> None:
        self.assertEqual(self.browser.jar, {})

    def test_a_refresh_brings_new_cookies_and_prolongs_the_session(self) -> None:
        before = dict(self.browser.jar)
        answer = self.refresh(self.bench.tokens(refresh="refresh-2"))
        self.assertEqual((answer.status, answer.json["expiresAt"]), (200, int(NOW) + 4600))
        self.assertEqual(answer.json["user"]["id"], "alice")
        self.assertNotEqual(self.browser.cookie("authToken"), before[("authToken", "/")])
        self.assertEqual(self.browser.cookie("refreshToken"), "YWxpY2U~refresh-2")
        self.assertEqual(self.bench.sessions.steps, [("renew", "session-1")])
        self.assertEqual(self.bench.scripted.calls, [("refresh", "refresh-1", "alice")])
        self.assertEqual(self.count("refreshes", "ok"), 1)

    def test_a_refresh_token_that_was_not_rotated_stays(self) -> None:
        self.refresh(self.bench.tokens(refresh=None))
        self.assertEqual(self.browser.cookie("refreshToken"), "YWxpY2U~refresh-1")

    def test_no_body_is_needed(self) -> None:
        self.bench.script.append(self.bench.tokens())
        self.assertEqual(self.browser.request("POST", "/auth/refresh").status, 200)

    def test_tabs_that_refresh_at_once_share_one_call(self) -> None:
        waiting: Deferred[Tokens] = Deferred()
        self.bench.script.append(waiting)
        tabs = [self.browser.begin("POST", "/auth/refresh", {}) for _ in range(3)]
        waiting.callback(self.bench.tokens(refresh="refresh-2"))
        answers = [tab.answer() for tab in tabs]
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual(len({tuple(answer.all("Set-Cookie")) for answer in answers}), 1)
        self.assertEqual(len(self.bench.scripted.calls), 1)

    def test_a_tab_that_comes_late_with_the_old_token_gets_the_same_result(self) -> None:
        old = dict(self.browser.jar)
        self.refresh(self.bench.tokens(refresh="refresh-2"))
        new = dict(self.browser.jar)
        self.browser.jar = old
        self.bench.clock.advance(9)
        self.assertEqual(self.refresh().status, 200)
        self.assertEqual(self.browser.jar, new)
        self.assertEqual(len(self.bench.scripted.calls), 1)

    def test_after_that_the_provider_decides(self) -> None:
        old = dict(self.browser.jar)
        self.refresh(self.bench.tokens(refresh="refresh-2"))
        self.browser.jar = old
        self.bench.clock.advance(10)
        self.check_error(self.refresh(SessionExpired("reuse")), 401, "session_expired")

    def test_it_works_when_the_token_is_long_gone(self) -> None:
        del self.browser.jar[("authToken", "/")]
        self.assertEqual(self.refresh(self.bench.tokens()).status, 200)
        self.assertEqual(self.bench.scripted.calls, [("refresh", "refresh-1", "alice")])

    def test_it_works_when_the_token_has_expired(self) -> None:
        self.bench.clock.advance(3600)
        self.assertEqual(self.refresh(self.bench.tokens()).status, 200)

    def test_the_bare_token_of_the_system_before_works(self) -> None:
        self.browser.jar = {
            ("refreshToken", "/"): "old-token",
            ("authToken", "/"): self.browser.jar[("authToken", "/")],
        }
        self.assertEqual(self.refresh(self.bench.tokens(refresh=None)).status, 200)
        self.assertEqual(self.bench.scripted.calls, [("refresh", "old-token", "alice")])
        self.assertNotIn(("refreshToken", "/"), self.browser.jar)
        self.assertEqual(self.browser.jar[("refreshToken", "/auth")], "YWxpY2U~old-token")

    def test_its_user_may_be_unknown(self) -> None:
        self.browser.jar = {("refreshToken", "/"): "old-token"}
        self.assertEqual(self.refresh(self.bench.tokens()).status, 200)
        self.assertEqual(self.bench.scripted.calls, [("refresh", "old-token", None)])

    def test_a_session_that_has_ended_is_taken_from_the_browser_and_closed(self) -> None:
        self.check_error(self.refresh(SessionExpired("SECRET")), 401, "session_expired")
        self.check_gone()
        self.assertEqual(self.bench.sessions.steps, [("end", "session-1")])
        self.assertEqual(self.count("refreshes", "session_expired"), 1)

    def test_an_expired_token_tells_which(self) -> None:
        self.bench.clock.advance(3600)
        self.refresh(SessionExpired("x"))
        self.assertEqual(self.bench.sessions.steps, [("end", "session-1")])

    def test_a_token_that_is_not_the_providers_does_not(self) -> None:
        for token in (
            Issuer(now=self.bench.clock.seconds, first_key=5).token("alice", origin_jti="session-9"),
            Issuer(now=self.bench.clock.seconds, first_key=5).token("alice", origin_jti="session-9", exp=NOW - 10),
            "nonsense",
        ):
            self.browser.jar = {("refreshToken", "/auth"): "x", ("authToken", "/"): token}
            self.check_error(self.refresh(SessionExpired("x")), 401, "session_expired")
        self.assertEqual(self.bench.sessions.steps, [])

    def test_without_a_refresh_token_the_token_stays(self) -> None:
        del self.browser.jar[("refreshToken", "/auth")]
        answer = self.check_error(self.refresh(), 401, "session_expired")
        self.assertEqual(answer.all("Set-Cookie"), [])
        self.assertEqual(self.bench.sessions.steps, [])

    def test_two_refresh_tokens_are_none(self) -> None:
        self.browser.jar[("refreshToken", "/")] = "planted"
        self.check_error(self.refresh(), 401, "session_expired")
        self.check_gone()
        self.assertEqual((self.bench.scripted.calls, self.bench.sessions.steps), ([], []))

    def test_a_provider_that_is_away_costs_nobody_the_session(self) -> None:
        for error, status in ((ProviderUnavailable("x"), 503), (RateLimited("x"), 429), (KeysUnavailable("x"), 503)):
            before = dict(self.browser.jar)
            self.assertEqual(self.refresh(error).status, status)
            self.assertEqual((self.browser.jar, self.bench.sessions.steps), (before, []))
        self.assertEqual(self.refresh(self.bench.tokens()).status, 200)

    def test_another_users_token_is_refused(self) -> None:
        with LogCapture() as log:
            self.check_error(self.refresh(self.bench.tokens("mallory")), 401, "session_expired")
        self.check_gone()
        self.assertEqual(self.bench.sessions.steps, [])
        self.assertEqual(len(log.named("a refresh gave another user")), 1)

    def test_so_it_is_when_only_the_cookie_tells_the_user(self) -> None:
        del self.browser.jar[("authToken", "/")]
        self.check_error(self.refresh(self.bench.tokens("mallory")), 401, "session_expired")
        self.check_gone()

    def test_a_token_that_does_not_verify_is_refused(self) -> None:
        self.check_error(self.refresh(Tokens("nonsense", "r")), 503, "auth_unavailable")

    def test_a_logout_that_overtakes_a_refresh_wins(self) -> None:
        waiting: Deferred[Tokens] = Deferred()
        self.bench.script.append(waiting)
        tab = self.browser.begin("POST", "/auth/refresh", {})
        self.bench.script.append(None)
        self.assertEqual(self.browser.post("/auth/logout").status, 204)
        waiting.callback(self.bench.tokens(refresh="refresh-2"))
        self.check_error(self.browser.keep(tab.answer()), 401, "session_expired")
        self.check_gone()
        self.assertEqual(self.bench.sessions.steps, [("end", "session-1")])

    def test_a_client_that_goes_away_does_not_stop_it(self) -> None:
        waiting: Deferred[Tokens] = Deferred()
        self.bench.script.append(waiting)
        tab = self.browser.begin("POST", "/auth/refresh", {})
        tab.disconnect()
        waiting.callback(self.bench.tokens(refresh="refresh-2"))
        self.assertEqual(tab.received(), [])
        self.assertEqual(self.bench.sessions.steps, [("renew", "session-1")])
        self.assertEqual(self.refresh().status, 200)
        self.assertEqual(self.browser.cookie("refreshToken"), "YWxpY2U~refresh-2")

    def test_the_log_has_no_token(self) -> None:
        with LogCapture() as log:
            self.refresh(self.bench.tokens(refresh="refresh-2"))
        self.assertNotIn("eyJ", repr(log.events))
        self.assertNotIn("refresh-2", repr(log.events))


class LogoutTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.browser = self.bench.logged_in()
        self.bench.scripted.calls.clear()

    def logout(self, *outcome: Any) -> Response:
        self.bench.script.extend(outcome)
        return self.browser.post("/auth/logout")

    def test_a_logout_ends_the_session_everywhere(self) -> None:
        cookies = dict(self.browser.jar)
        answer = self.logout(None)
        self.assertEqual((answer.status, answer.body, answer.header("Cache-Control")), (204, b"", "no-store"))
        self.assertEqual(self.browser.jar, {})
        self.assertEqual(self.bench.sessions.steps, [("end", "session-1")])
        self.assertEqual(self.bench.scripted.calls, [("revoke", "refresh-1")])
        self.assertEqual(self.count("logouts", "ok"), 1)
        self.browser.jar = cookies
        self.check_error(self.browser.request("GET", "/auth/me"), 401, "invalid")

    def test_the_sockets_are_closed_before_the_provider_is_told(self) -> None:
        self.bench.script.append(Deferred())
        tab = self.browser.begin("POST", "/auth/logout", {})
        self.assertEqual(self.bench.sessions.steps, [("end", "session-1")])
        self.assertEqual(tab.received(), [])
        self.bench.clock.advance(2)
        self.assertEqual(tab.answer().status, 204)

    def test_it_does_not_fail_with_the_provider(self) -> None:
        for error in (ProviderUnavailable("x"), SessionExpired("x")):
            self.browser.jar[("refreshToken", "/auth")] = "x"
            with LogCapture() as log:
                self.assertEqual(self.logout(error).status, 204)
            self.assertEqual(log.named("the refresh token was not revoked")[0]["reason"], type(error).__name__)
        self.assertEqual(self.browser.jar, {})

    def test_nor_with_a_bug(self) -> None:
        self.assertEqual(self.logout(RuntimeError()).status, 204)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_without_a_session_it_is_the_same(self) -> None:
        self.browser.jar.clear()
        for _ in range(2):
            self.assertEqual(self.logout().status, 204)
        self.assertEqual((self.bench.sessions.steps, self.bench.scripted.calls), ([], []))

    def test_twice_is_once(self) -> None:
        cookies = dict(self.browser.jar)
        self.logout(None)
        self.browser.jar = cookies
        self.assertEqual(self.logout(None).status, 204)
        self.assertEqual(self.bench.sessions.steps, [("end", "session-1")])

    def test_an_expired_token_still_tells_the_session(self) -> None:
        self.bench.clock.advance(7200)
        self.assertEqual(self.logout(None).status, 204)
        self.assertEqual(self.bench.sessions.steps, [("end", "session-1")])

    def test_a_token_that_does_not_verify_tells_nothing(self) -> None:
        for changes in ({}, {"exp": NOW - 10}):
            forged = Issuer(now=self.bench.clock.seconds, first_key=5).token("bob", origin_jti="session-9", **changes)
            self.browser.jar = {("authToken", "/"): forged}
            self.assertEqual(self.logout().status, 204)
        self.assertEqual((self.bench.sessions.steps, self.browser.jar), ([], {}))

    def test_a_bearer_token_does_as_well(self) -> None:
        token = self.browser.jar[("authToken", "/")]
        self.browser.jar.clear()
        for seconds in (0, 7200):
            self.bench.sessions.steps.clear()
            self.bench.clock.advance(seconds)
            answer = self.browser.post("/auth/logout", headers=[("Authorization", f"Bearer {token}")])
            self.assertEqual((answer.status, self.bench.sessions.steps), (204, [("end", "session-1")]))

    def test_two_refresh_tokens_are_cleared_and_not_revoked(self) -> None:
        self.browser.jar[("refreshToken", "/")] = "planted"
        self.assertEqual(self.logout().status, 204)
        self.assertEqual((self.browser.jar, self.bench.scripted.calls), ({}, []))

    def test_chunks_are_cleared(self) -> None:
        self.bench.script.append(Tokens(self.bench.issuer.token("alice", padding="a" * 3500), "r"))
        self.browser.post("/auth/login", LOGIN)
        self.logout(None)
        self.assertEqual(self.browser.jar, {})

    def test_a_client_that_goes_away_does_not_stop_it(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.bench.script.append(waiting)
        tab = self.browser.begin("POST", "/auth/logout", {})
        tab.disconnect()
        waiting.callback(None)
        self.assertEqual(tab.received(), [])
        self.assertEqual(self.count("logouts", "ok"), 1)


class MeTests(Base):
    def me(self, **options: Any) -> Response:
        return self.browser.request("GET", "/auth/me", **options)

    def test_who_is_logged_in(self) -> None:
        self.browser = self.bench.logged_in()
        answer = self.me()
        self.assertEqual(answer.status, 200)
        self.assertEqual((answer.json["user"]["id"], answer.json["expiresAt"]), ("alice", int(NOW) + 3600))
        self.assertEqual(answer.all("Set-Cookie"), [])

    def test_a_bearer_token_does_as_well(self) -> None:
        answer = self.me(headers=[("Authorization", f"Bearer {self.bench.issuer.token('bob')}")])
        self.assertEqual(answer.json["user"]["id"], "bob")

    def check_401(self, word: str) -> None:
        answer = self.check_error(self.me(), 401, word)
        self.assertEqual(answer.header("WWW-Authenticate"), f'Cookie realm="wsservice", error="{word}"')

    def test_nobody_is(self) -> None:
        self.check_401("missing")

    def test_the_token_is_bad(self) -> None:
        self.browser.jar[("authToken", "/")] = "nonsense"
        self.check_401("invalid")

    def test_the_token_has_expired(self) -> None:
        self.browser = self.bench.logged_in()
        self.bench.clock.advance(3600)
        self.check_401("expired")

    def test_the_keys_cannot_be_had(self) -> None:
        self.bench = AuthBench(keys=NoKeys())
        self.browser = self.bench.browser()
        self.browser.jar[("authToken", "/")] = self.bench.issuer.token("alice")
        answer = self.check_error(self.me(), 503, "unavailable")
        self.assertEqual(answer.header("Retry-After"), "2")

    def test_head_works(self) -> None:
        self.browser = self.bench.logged_in()
        self.assertEqual(self.browser.request("HEAD", "/auth/me").status, 200)


class EveryRouteTests(Base):
    def test_other_methods_are_refused(self) -> None:
        for right, path in ROUTES:
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
                if method == right or (method, right) == ("HEAD", "GET"):
                    continue
                with self.subTest(method=method, path=path):
                    answer = self.browser.request(method, path)
                    self.assertEqual(answer.status, 405)
                    self.assertEqual(
                        answer.header("Allow"), "GET, HEAD, OPTIONS" if right == "GET" else "OPTIONS, POST"
                    )

    def test_options_is_answered(self) -> None:
        for _, path in ROUTES:
            self.assertEqual(self.browser.request("OPTIONS", path).status, 204)

    def test_a_foreign_page_can_do_nothing(self) -> None:
        logged_in = self.bench.logged_in()
        self.bench.scripted.calls.clear()
        for method, path in ROUTES:
            for foreign in ("https://evil.example", "null", f"http://{HOST}", f"https://{HOST}.evil.example"):
                with self.subTest(path=path, origin=foreign):
                    evil = Browser(self.bench.site, origin=foreign)
                    evil.jar = dict(logged_in.jar)
                    answer = evil.request(method, path, headers=[("Origin", foreign)] if method == "GET" else ())
                    self.check_error(answer, 403, "origin_not_allowed")
        self.assertEqual((self.bench.scripted.calls, self.bench.sessions.steps), ([], []))

    def test_an_allowed_one_can_and_may_read_the_answer(self) -> None:
        self.browser.origin = "https://app.example"
        answer = self.login(self.bench.tokens())
        self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (200, "https://app.example"))
        answer = self.login(InvalidCredentials("x"))
        self.assertEqual((answer.status, answer.header("Access-Control-Allow-Credentials")), (401, "true"))

    def test_what_is_no_json_is_refused(self) -> None:
        for method, path in ROUTES:
            for content_type in (None, "text/plain"):
                if method == "POST":
                    answer = self.browser.request(method, path, b"{}", content_type=content_type)
                    self.check_error(answer, 415, "unsupported_media_type")

    def test_nothing_is_below(self) -> None:
        for method, path in (*ROUTES, ("GET", "/auth"), ("POST", "/auth/register")):
            for end in ("/", "/x") if path != "/auth/register" else ("",):
                self.assertEqual(self.browser.request(method, path + end).status, 404)

    def test_a_pending_login_holds_what_is_pipelined_behind_it(self) -> None:
        waiting: Deferred[Tokens] = Deferred()
        self.bench.script.append(waiting)
        client = self.browser.begin("POST", "/auth/login", LOGIN)
        client.send(self.browser.head("GET", "/auth/me"))
        self.assertEqual(client.received(), [])
        waiting.callback(self.bench.tokens())
        self.assertEqual([answer.status for answer in client.received()], [200, 401])

    def test_a_client_that_leaves_its_login_gets_nothing(self) -> None:
        for outcome in (self.bench.tokens(), InvalidCredentials("x")):
            waiting: Deferred[Tokens] = Deferred()
            self.bench.script.append(waiting)
            client = self.browser.begin("POST", "/auth/login", LOGIN)
            client.disconnect()
            finish: Callable[[Any], None] = waiting.errback if isinstance(outcome, Exception) else waiting.callback
            finish(outcome)
            self.assertEqual(client.received(), [])
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])


class VerifyOnlyTests(Base):
    """A provider that people log in at elsewhere."""

    def setUp(self) -> None:
        issuer = Issuer(now=lambda: NOW)
        provider = OidcProvider(FixedKeySet(issuer.key()), issuer.rules(), now=lambda: NOW)
        self.bench = AuthBench(provider=provider)
        self.browser = self.bench.browser()
        self.browser.jar[("authToken", "/")] = issuer.token("alice", origin_jti="session-1")
        self.browser.jar[("refreshToken", "/auth")] = "theirs"

    def test_login_challenge_and_refresh_are_not_here(self) -> None:
        for path in ("login", "challenge", "refresh"):
            self.check_error(self.browser.post(f"/auth/{path}", LOGIN), 404, "login_not_supported")

    def test_me_works(self) -> None:
        self.assertEqual(self.browser.request("GET", "/auth/me").json["user"]["id"], "alice")

    def test_logout_closes_the_session_here(self) -> None:
        self.assertEqual(self.browser.post("/auth/logout").status, 204)
        self.assertEqual((self.bench.sessions.steps, self.browser.jar), ([("end", "session-1")], {}))


class DevProviderTests(SynchronousTestCase):
    """The whole way with the provider of `--dev`."""

    def test_from_a_first_login_to_a_logout(self) -> None:
        users = [DevUser("newuser", "first-password", must_change=True)]
        provider = DevProvider(now=lambda: NOW, users=users)
        bench = AuthBench(provider=provider)
        browser = bench.browser()
        wrong = browser.post("/auth/login", {"username": "newuser", "password": "wrong"})
        self.assertEqual(wrong.error, "invalid_credentials")
        challenge = browser.post("/auth/login", {"username": "newuser", "password": "first-password"}).json
        short = browser.post("/auth/challenge", {**challenge, "newPassword": "short"})
        self.assertEqual((short.status, short.error), (422, "password_policy"))
        done = browser.post("/auth/challenge", {**challenge, "newPassword": "long-enough-1"})
        self.assertEqual(done.json["user"]["username"], "newuser")
        first = browser.cookie("refreshToken")
        self.assertEqual(browser.post("/auth/refresh").status, 200)
        self.assertNotEqual(browser.cookie("refreshToken"), first)
        self.assertEqual(browser.request("GET", "/auth/me").status, 200)
        self.assertEqual(browser.post("/auth/logout").status, 204)
        self.assertEqual(browser.request("GET", "/auth/me").error, "missing")
        self.assertEqual([step for step, _ in bench.sessions.steps], ["renew", "end"])


class KeyTests(SynchronousTestCase):
    def test_the_foreign_key_of_these_tests_is_another_one(self) -> None:
        self.assertNotEqual(private_key(0).public_key(), private_key(5).public_key())
