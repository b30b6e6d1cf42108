"""Signing out everywhere, by bytes, over a scripted provider; a logout of one session stands in `test_auth`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.web.auth_bench import GENEROUS, NOW, AuthBench
from tests.web.memory import HOST, Browser, Client, LogCapture, Response
from wsservice.auth.providers.base import Tokens
from wsservice.auth.providers.dev import DevProvider, DevUser, FixedKeySet
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.errors import KeysUnavailable, ProviderUnavailable, RateLimited, SessionExpired
from wsservice.testing import Issuer
from wsservice.web.rates import Rate
from wsservice.web.services import AuthSettings

EVERYWHERE = {"everywhere": True}
LOGIN = {"username": "alice", "password": "PASSWORD-1"}


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.use(AuthBench())

    def use(self, bench: AuthBench) -> None:
        self.bench = bench
        self.bench.clock.advance(0.25)
        self.browser = self.bench.logged_in()
        self.token = self.browser.jar[("authToken", "/")]
        self.other = self.bench.logged_in(session="session-2", refresh="refresh-2")
        self.bob = self.bench.logged_in("bob", session="session-3", refresh="refresh-3")
        self.bench.scripted.calls.clear()

    def begin(self, *outcome: Any, body: Any = EVERYWHERE) -> Client:
        self.bench.script.extend(outcome)
        return self.browser.begin("POST", "/auth/logout", body)

    def end(self, *outcome: Any, body: Any = EVERYWHERE, browser: Browser | None = None) -> Response:
        """The answer, once the second is over."""
        self.browser = browser or self.browser
        client = self.begin(*outcome, body=body)
        self.bench.clock.advance(1)
        return self.browser.keep(client.answer())

    def me(self, browser: Browser) -> tuple[int, str | None]:
        answer = browser.request("GET", "/auth/me")
        return answer.status, answer.error if answer.status != 200 else None

    @property
    def steps(self) -> list[tuple[str, str]]:
        return self.bench.sessions.steps

    def count(self, word: str) -> int:
        return self.bench.counters.get("logouts", word)


class EverywhereTests(Base):
    def test_every_session_of_the_user_ends_and_no_other(self) -> None:
        answer = self.end(None)
        self.assertEqual((answer.status, answer.body, answer.header("Cache-Control")), (204, b"", "no-store"))
        self.assertEqual(self.browser.jar, {})
        self.assertEqual(self.steps, [("end_all", "alice"), ("end", "session-1")])
        self.assertEqual(self.bench.scripted.calls, [("sign_out", self.token, "refresh-1", "alice")])
        self.assertEqual(self.me(self.other), (401, "invalid"))
        self.assertEqual(self.me(self.bob), (200, None))
        self.assertEqual((self.count("everywhere"), self.count("ok")), (1, 0))

    def test_the_other_sessions_cannot_refresh_whatever_the_provider_gives(self) -> None:
        self.end(None)
        self.bench.clock.advance(100)
        renewed = self.bench.issuer.token("alice", origin_jti="session-2", auth_time=int(NOW))
        self.bench.script.append(Tokens(renewed, "refresh-22"))
        answer = self.other.post("/auth/refresh")
        self.assertEqual((answer.status, answer.error, self.other.jar), (401, "session_expired", {}))
        self.bench.script.append(self.bench.tokens("bob", session="session-3", refresh="refresh-33"))
        self.assertEqual(self.bob.post("/auth/refresh").status, 200)

    def test_a_refresh_that_it_overtakes_brings_nothing(self) -> None:
        waiting: Deferred[Tokens] = Deferred()
        self.bench.script.append(waiting)
        tab = self.other.begin("POST", "/auth/refresh", {})
        renewed = self.bench.tokens(session="session-2", refresh="refresh-22")
        self.end(None)
        waiting.callback(renewed)
        self.assertEqual(self.other.keep(tab.answer()).status, 401)
        self.assertEqual((self.other.jar, self.steps), ({}, [("end_all", "alice"), ("end", "session-1")]))

    def test_all_is_ended_here_before_the_provider_is_told(self) -> None:
        client = self.begin(Deferred())
        self.assertEqual(self.steps, [("end_all", "alice"), ("end", "session-1")])
        self.assertEqual(client.received(), [])

    def test_the_answer_waits_until_a_new_login_counts(self) -> None:
        client = self.begin(None)
        self.bench.clock.advance(0.74)
        self.assertEqual(client.received(), [])
        self.bench.clock.advance(0.01)
        self.assertEqual(client.answer().status, 204)
        fresh = self.bench.logged_in(session="session-4", refresh="refresh-4")
        self.assertEqual(self.me(fresh), (200, None))

    def test_a_login_before_that_is_told_to_come_again(self) -> None:
        self.begin(None)
        self.bench.script.append(self.bench.tokens(session="session-4"))
        answer = self.bench.browser().post("/auth/login", LOGIN)
        self.assertEqual((answer.status, answer.error, answer.header("Retry-After")), (429, "rate_limited", "1"))
        self.assertEqual(answer.all("Set-Cookie"), [])
        self.bench.script.append(self.bench.tokens("bob", session="session-5"))
        self.assertEqual(self.bench.browser().post("/auth/login", LOGIN).status, 200)

    def test_without_the_word_one_session_ends_at_once(self) -> None:
        for body in ({}, {"everywhere": False}):
            self.use(AuthBench())
            self.bench.script.append(None)
            self.assertEqual(self.browser.post("/auth/logout", body).status, 204)
            self.assertEqual(self.steps, [("end", "session-1")])
            self.assertEqual(self.me(self.other), (200, None))
            self.assertEqual((self.count("everywhere"), self.count("ok")), (0, 1))

    def test_anything_else_is_refused(self) -> None:
        for value in ("true", 1, 0, None, [], {}):
            answer = self.browser.post("/auth/logout", {"everywhere": value})
            self.assertEqual((answer.status, answer.error), (400, "bad_request"))
            self.assertEqual(answer.json["message"], "everywhere must be true or false.")
        self.assertEqual((self.steps, self.bench.scripted.calls), ([], []))
        self.assertEqual(self.me(self.browser), (200, None))

    def test_a_foreign_page_can_do_nothing(self) -> None:
        for foreign in ("https://evil.example", "null", f"https://{HOST}.evil.example"):
            evil = Browser(self.bench.site, origin=foreign)
            evil.jar = dict(self.browser.jar)
            answer = evil.post("/auth/logout", EVERYWHERE)
            self.assertEqual((answer.status, answer.error), (403, "origin_not_allowed"))
        self.assertEqual(self.steps, [])

    def test_a_client_that_goes_away_does_not_stop_it(self) -> None:
        waiting: Deferred[None] = Deferred()
        client = self.begin(waiting)
        client.disconnect()
        waiting.callback(None)
        self.bench.clock.advance(1)
        self.assertEqual((client.received(), self.count("everywhere")), ([], 1))

    def test_the_log_tells_it_without_the_user_or_a_token(self) -> None:
        with LogCapture() as log:
            self.end(ProviderUnavailable("SECRET"), None)
        self.assertEqual(len(log.named("signed out everywhere")), 1)
        for secret in ("alice", "eyJ", "refresh-1", "SECRET"):
            self.assertNotIn(secret, repr([{**event, "log_source": None} for event in log.events]))


class ProviderTests(Base):
    def test_it_does_not_fail_with_the_provider(self) -> None:
        for error in (ProviderUnavailable("x"), SessionExpired("x"), RateLimited("x"), KeysUnavailable("x")):
            self.use(AuthBench())
            with LogCapture() as log:
                self.assertEqual(self.end(error, None).status, 204)
            (event,) = log.named("the user's other sessions were not ended at the provider")
            self.assertEqual(event["reason"], type(error).__name__)
            self.assertEqual([call[0] for call in self.bench.scripted.calls], ["sign_out", "revoke"])
            self.assertEqual((self.browser.jar, self.me(self.other)), ({}, (401, "invalid")))

    def test_nor_with_a_bug(self) -> None:
        self.assertEqual(self.end(RuntimeError(), None).status, 204)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_nor_does_it_wait_for_one_that_does_not_answer(self) -> None:
        client = self.begin(Deferred(), Deferred())
        self.bench.clock.advance(2)
        self.assertEqual(client.received(), [])
        self.bench.clock.advance(2)
        self.assertEqual(client.answer().status, 204)

    def test_what_the_provider_did_not_end_is_refused_for_as_long_as_it_could_be_refreshed(self) -> None:
        day = 86_400
        for outcome, day_2, day_29 in (((None,), True, True), ((ProviderUnavailable("x"), None), False, False)):
            self.use(AuthBench())
            self.end(*outcome)
            for days, expected in ((2, day_2), (29, day_29)):
                self.bench.clock.advance(NOW + days * day - self.bench.clock.seconds())
                renewed = self.bench.issuer.token("alice", origin_jti="session-2", auth_time=int(NOW))
                self.bench.script.append(Tokens(renewed, "refresh-22"))
                browser = self.bench.browser()
                browser.jar = {("refreshToken", "/auth"): f"YWxpY2U~refresh-{days}"}
                self.assertEqual(browser.post("/auth/refresh").status == 200, expected, (outcome, days))

    def test_too_many_of_an_address_are_ended_here_only(self) -> None:
        self.use(AuthBench(AuthSettings(refresh_rate=Rate(1, 1000.0), login_rate=GENEROUS.login_rate)))
        self.end(None)
        self.assertEqual(self.end(browser=self.bob).status, 204)
        self.assertEqual(self.steps[-3:], [("end_all", "bob"), ("end", "session-3"), ("keep_ended", "bob")])
        self.assertEqual(len(self.bench.scripted.calls), 1)

    def test_logouts_of_an_address_have_a_rate(self) -> None:
        self.use(AuthBench(AuthSettings(session_rate=Rate(1, 1000.0), login_rate=GENEROUS.login_rate)))
        self.end(None)
        answer = self.bob.post("/auth/logout", EVERYWHERE)
        self.assertEqual((answer.status, answer.error), (429, "rate_limited"))


class WithoutTokenTests(Base):
    """The token has expired, or is missing, or is another's."""

    def renewed(self, user: str = "alice", refresh: str | None = "refresh-11") -> Tokens:
        return self.bench.tokens(user, refresh=refresh)

    def test_a_refresh_token_that_is_still_good_shows_who_it_is(self) -> None:
        for seconds, kept in ((7200, True), (0, False)):
            for refresh, spent in (("refresh-11", "refresh-11"), (None, "refresh-1")):
                self.use(AuthBench())
                self.bench.clock.advance(seconds)
                if not kept:
                    del self.browser.jar[("authToken", "/")]
                tokens = self.renewed(refresh=refresh)
                self.assertEqual(self.end(tokens, None).status, 204)
                calls = [("refresh", "refresh-1", "alice"), ("sign_out", tokens.token, spent, "alice")]
                self.assertEqual(self.bench.scripted.calls, calls)
                self.assertEqual(self.steps, [("end_all", "alice"), ("end", "session-1")])
                self.assertEqual((self.browser.jar, self.count("everywhere")), ({}, 1))

    def test_the_new_refresh_token_is_the_one_that_is_revoked_if_that_is_all_that_can_be(self) -> None:
        self.bench.clock.advance(7200)
        self.end(self.renewed(), ProviderUnavailable("x"), None)
        self.assertEqual(self.bench.scripted.calls[-1], ("revoke", "refresh-11"))

    def test_an_expired_token_alone_ends_its_own_session_only(self) -> None:
        self.bench.clock.advance(7200)
        for outcome in ([SessionExpired("x")], [ProviderUnavailable("x")], [KeysUnavailable("x")], []):
            self.steps.clear()
            jar = {("authToken", "/"): self.token}
            if outcome:
                jar[("refreshToken", "/auth")] = "YWxpY2U~refresh-1"
            self.browser.jar = jar
            with LogCapture() as log:
                answer = self.end(*outcome, None)
            self.assertEqual((answer.status, self.steps, self.browser.jar), (204, [("end", "session-1")], {}))
            self.assertEqual(len(log.named("nothing shows who wants to be signed out everywhere")), 1)
            self.bench.script.clear()
        self.assertEqual((self.count("ok"), self.count("everywhere")), (4, 0))

    def test_a_refresh_that_hangs_holds_it_up_for_a_while_only(self) -> None:
        self.bench.clock.advance(7200)
        client = self.begin(Deferred(), None)
        self.bench.clock.advance(2)
        self.assertEqual((client.answer().status, self.steps), (204, [("end", "session-1")]))

    def test_a_planted_refresh_token_signs_nobody_else_out(self) -> None:
        self.bench.clock.advance(7200)
        with LogCapture() as log:
            self.end(self.renewed("bob"), None)
        self.assertEqual(self.steps, [("end", "session-1")])
        self.assertEqual(len(log.named("a refresh gave another user")), 1)

    def test_nor_does_one_of_a_session_that_was_signed_out(self) -> None:
        self.bench.clock.advance(7200)
        self.bench.revocations.revoke("session-1", NOW + 100_000)
        del self.browser.jar[("authToken", "/")]
        self.end(self.renewed(), None)
        self.assertEqual(self.steps, [])

    def test_without_anything_it_is_the_same(self) -> None:
        self.browser.jar.clear()
        self.assertEqual(self.end().status, 204)
        self.assertEqual((self.steps, self.bench.scripted.calls), ([], []))

    def test_twice_is_once(self) -> None:
        jar = dict(self.browser.jar)
        self.end(None)
        self.browser.jar = jar
        self.assertEqual(self.end(SessionExpired("x"), None).status, 204)
        self.assertEqual(self.steps, [("end_all", "alice"), ("end", "session-1")])

    def test_two_refresh_tokens_are_none(self) -> None:
        self.browser.jar[("refreshToken", "/")] = "planted"
        self.assertEqual(self.end(None).status, 204)
        self.assertEqual(self.bench.scripted.calls, [("sign_out", self.token, None, "alice")])

    def test_a_bearer_token_does_as_well(self) -> None:
        self.browser.jar.clear()
        client = self.browser.begin(
            "POST", "/auth/logout", EVERYWHERE, headers=[("Authorization", f"Bearer {self.token}")]
        )
        self.bench.clock.advance(1)
        self.assertEqual((client.answer().status, self.steps[0]), (204, ("end_all", "alice")))


class VerifyOnlyTests(SynchronousTestCase):
    """A provider that people log in at elsewhere."""

    def test_all_sessions_end_here_and_nobody_is_told(self) -> None:
        issuer = Issuer(now=lambda: NOW)
        bench = AuthBench(provider=OidcProvider(FixedKeySet(issuer.key()), issuer.rules(), now=lambda: NOW))
        browser, other = bench.browser(), bench.browser()
        browser.jar[("authToken", "/")] = issuer.token("alice", origin_jti="session-1")
        browser.jar[("refreshToken", "/auth")] = "theirs"
        other.jar[("authToken", "/")] = issuer.token("alice", origin_jti="session-2")
        client = browser.begin("POST", "/auth/logout", EVERYWHERE)
        bench.clock.advance(1)
        self.assertEqual(browser.keep(client.answer()).status, 204)
        self.assertEqual(bench.sessions.steps, [("end_all", "alice"), ("end", "session-1")])
        self.assertEqual((other.request("GET", "/auth/me").status, bench.scripted.calls), (401, []))
        # logged in there again, perhaps without a word: by their session of long ago
        other.jar[("authToken", "/")] = issuer.token("alice", iat=int(NOW) + 1, auth_time=int(NOW) - 9000)
        self.assertEqual(other.request("GET", "/auth/me").status, 200)


class DevProviderTests(SynchronousTestCase):
    """With the provider of `--dev`, whose refresh tokens are its own."""

    def test_the_other_session_cannot_come_back(self) -> None:
        users = [DevUser("alice", "PASSWORD-1"), DevUser("bob", "PASSWORD-1")]
        dev = DevProvider(now=lambda: bench.clock.seconds(), users=users)
        bench = AuthBench(provider=dev)
        browsers = [bench.browser() for _ in range(3)]
        for browser, name in zip(browsers, ("alice", "alice", "bob"), strict=True):
            browser.post("/auth/login", {"username": name, "password": "PASSWORD-1"})
        first, other, bob = browsers
        client = first.begin("POST", "/auth/logout", EVERYWHERE)
        bench.clock.advance(1)
        self.assertEqual(first.keep(client.answer()).status, 204)
        self.assertEqual(other.request("GET", "/auth/me").status, 401)
        self.assertEqual((other.post("/auth/refresh").status, other.jar), (401, {}))
        self.assertEqual(bob.post("/auth/refresh").status, 200)
        self.assertEqual(other.post("/auth/login", LOGIN).status, 200)
        self.assertEqual((other.request("GET", "/auth/me").status, other.post("/auth/refresh").status), (200, 200))
