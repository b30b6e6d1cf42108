"""Tests of wsservice.auth.authenticator."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.authenticator import Authenticator
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import IdentityProvider, Readiness
from wsservice.auth.revocations import Revocations
from wsservice.counters import Counters
from wsservice.errors import (
    ExpiredToken,
    HandshakeError,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
    NotPermitted,
    OriginNotAllowed,
)
from wsservice.handshake import Handshake, make_handshake

ALICE = Principal("u1", "alice", "s1", expires_at=1060.0)


class Provider(IdentityProvider):
    """Knows the token `good`; does with others what the test says."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.known: dict[str, Principal] = {}
        self.answer: Any = InvalidToken("not good")

    def recall(self, token: str) -> Principal | None:
        return self.known.get(token)

    def verify(self, token: str) -> Deferred[Principal]:
        self.seen.append(token)
        if token == "good":
            return succeed(ALICE)
        if isinstance(self.answer, Deferred):
            return self.answer
        raise self.answer

    def readiness(self) -> Readiness:
        return Readiness(True, "")


def handshake(*headers: tuple[str, str], target: str = "/ws") -> Handshake:
    every = (("host", "service.example"), ("x-request-id", "request-1"), *headers)
    return make_handshake("GET", target, every, peer="192.0.2.1", secure=True)


def cookie(value: str) -> tuple[str, str]:
    return "cookie", f"authToken={value}"


def bearer(value: str, scheme: str = "Bearer") -> tuple[str, str]:
    return "authorization", f"{scheme} {value}"


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.provider = Provider()
        self.counters = Counters()
        self.revocations = Revocations(lambda: 1000.0)
        self.authenticator = Authenticator(
            self.provider,
            cookie_name="authToken",
            origins=OriginPolicy(["https://app.example"]),
            revocations=self.revocations,
            counters=self.counters,
        )
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def authenticate(self, *headers: tuple[str, str], target: str = "/ws") -> Deferred[Principal]:
        return self.authenticator.authenticate(handshake(*headers, target=target))

    def assert_accepted(self, *headers: tuple[str, str]) -> None:
        self.assertEqual(self.successResultOf(self.authenticate(*headers)), ALICE)

    def assert_refused(self, kind: type[HandshakeError], *headers: tuple[str, str]) -> HandshakeError:
        error = self.failureResultOf(self.authenticate(*headers), kind).value
        self.assertIs(type(error), kind)
        return error

    def counted(self) -> dict[str, int]:
        return {reason: number for name, reason, number in self.counters.items() if name == "auth"}


class TokenTests(Case):
    def test_the_cookie_is_read(self) -> None:
        self.assert_accepted(cookie("good"))
        self.assertEqual(self.counted(), {"ok": 1})

    def test_the_cookies_name_is_a_setting(self) -> None:
        self.authenticator._cookie_name = "__Host-t"
        self.assert_accepted(("cookie", "__Host-t=good"), cookie("other"))

    def test_a_bearer_token_is_read_whatever_the_schemes_case(self) -> None:
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer "):
            self.assert_accepted(bearer("good", scheme))

    def test_without_a_token_it_is_missing(self) -> None:
        for headers in ((), (cookie(""),), (("cookie", "other=good"),), (("authorization", ""),)):
            self.assert_refused(MissingToken, *headers)
        self.assertEqual((self.provider.seen, self.counted()), ([], {"missing": 4}))

    def test_whether_there_is_a_token_at_all_is_known_without_a_look_at_it(self) -> None:
        for headers, expected in (
            ((), False),
            ((cookie(""),), False),
            ((("authorization", "Basic dTpw"),), False),
            ((cookie("bad"),), True),
            ((bearer("bad"),), True),
            ((cookie("a"), cookie("b")), True),
        ):
            self.assertIs(self.authenticator.has_token(handshake(*headers)), expected)

    def test_another_scheme_is_not_for_us(self) -> None:
        for value in ("Basic YTpi", "Digest good", "Bearerish good", "good"):
            self.assert_refused(MissingToken, ("authorization", value))
            self.assert_accepted(("authorization", value), cookie("good"))

    def test_a_malformed_bearer_token_is_invalid(self) -> None:
        for value in ("Bearer", "Bearer ", "Bearer good good", "Bearer good\tgood"):
            self.assert_refused(InvalidToken, ("authorization", value))
        self.assertEqual(self.provider.seen, [])

    def test_more_than_one_authorization_header_is_refused(self) -> None:
        self.assert_refused(InvalidToken, bearer("good"), bearer("good"))
        self.assert_refused(InvalidToken, ("authorization", "Basic YTpi"), bearer("good"))
        self.assert_refused(InvalidToken, cookie("good"), bearer("good"), bearer("good"))

    def test_the_token_never_comes_from_the_query_string(self) -> None:
        for name in ("authToken", "token", "access_token"):
            self.failureResultOf(self.authenticate(target=f"/ws?{name}=good"), MissingToken)

    def test_a_cookie_and_a_bearer_token_must_be_equal(self) -> None:
        self.assert_accepted(cookie("good"), bearer("good"))
        self.assert_refused(InvalidToken, cookie("good"), bearer("other"))
        self.assert_refused(InvalidToken, cookie("other"), bearer("good"))

    def test_two_different_cookies_are_refused(self) -> None:
        self.assert_refused(InvalidToken, cookie("good"), cookie("other"))
        self.assert_refused(InvalidToken, ("cookie", "authToken=good; authToken=other"))
        self.assertEqual(self.counted(), {"invalid": 2})

    def test_the_token_reaches_the_provider_as_it_is(self) -> None:
        self.authenticate(("cookie", 'a=b; authToken="x=y%20"')).addErrback(lambda _: None)
        self.assertEqual(self.provider.seen, ['"x=y%20"'])


class RecallTests(Case):
    def decide(self, *headers: tuple[str, str]) -> Principal | Deferred[Principal]:
        return self.authenticator.decide(handshake(*headers))

    def test_a_token_that_is_recalled_is_not_verified_and_needs_no_deferred(self) -> None:
        self.provider.known["before"] = ALICE
        self.assertIs(self.decide(cookie("before")), ALICE)
        self.assertIs(self.successResultOf(self.authenticate(bearer("before"))), ALICE)
        self.assertEqual((self.provider.seen, self.counted()), ([], {"ok": 2}))

    def test_any_other_is_verified(self) -> None:
        decided: Any = self.decide(cookie("good"))
        self.assertIs(self.successResultOf(decided), ALICE)
        self.assertEqual((self.provider.seen, self.counted()), (["good"], {"ok": 1}))

    def test_one_whose_session_was_signed_out_is_refused(self) -> None:
        self.provider.known["before"] = ALICE
        self.revocations.revoke("s1", 2000)
        self.assert_refused(InvalidToken, cookie("before"))
        self.assertEqual((self.counted(), self.events[-1]["auth_reason"]), ({"invalid": 1}, "invalid"))

    def test_two_different_tokens_are_refused_all_the_same(self) -> None:
        self.provider.known["before"] = ALICE
        self.assert_refused(InvalidToken, cookie("before"), bearer("good"))

    def test_a_provider_that_remembers_nothing_need_not_say_so(self) -> None:
        self.assertIsNone(IdentityProvider.recall(self.provider, "good"))


class OutcomeTests(Case):
    def test_every_refusal_reaches_the_caller_and_is_counted(self) -> None:
        for error, word in (
            (InvalidToken("x"), "invalid"),
            (ExpiredToken("x"), "expired"),
            (NotPermitted("x"), "forbidden"),
            (KeysUnavailable("x"), "unavailable"),
        ):
            self.provider.answer = error
            self.assert_refused(type(error), cookie("bad"))
            self.assertEqual(self.counted()[word], 1)

    def test_it_waits_for_the_provider(self) -> None:
        self.provider.answer = Deferred()
        waiting = self.authenticate(cookie("slow"))
        self.assertNoResult(waiting)
        self.provider.answer.callback(ALICE)
        self.assertEqual(self.successResultOf(waiting), ALICE)

    def test_a_session_that_was_signed_out_is_refused(self) -> None:
        self.revocations.revoke("other", 2000)
        self.assert_accepted(cookie("good"))
        self.revocations.revoke("s1", 2000)
        self.assertEqual(self.assert_refused(InvalidToken, cookie("good")).message, "Invalid authentication token")
        self.assertEqual(self.counted(), {"ok": 1, "invalid": 1})

    def test_a_session_signed_out_while_it_was_verified_is_refused(self) -> None:
        self.provider.answer = Deferred()
        waiting = self.authenticate(cookie("slow"))
        self.revocations.revoke("s1", 2000)
        self.provider.answer.callback(ALICE)
        self.failureResultOf(waiting, InvalidToken)

    def test_a_bug_is_logged_and_tells_the_client_nothing(self) -> None:
        self.provider.answer = ZeroDivisionError("a secret of ours")
        error = self.assert_refused(KeysUnavailable, cookie("bad"))
        self.assertEqual(error.message, "Authentication failed")
        self.assertNotIn("secret", str(error))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.counted(), {"error": 1})

    def test_a_bug_that_comes_later_is_treated_alike(self) -> None:
        self.provider.answer = Deferred()
        waiting = self.authenticate(cookie("slow"))
        self.provider.answer.errback(RuntimeError("x"))
        self.failureResultOf(waiting, KeysUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_client_that_goes_away_cancels(self) -> None:
        self.provider.answer = Deferred()
        waiting = self.authenticate(cookie("slow"))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.counted(), {"cancelled": 1})
        self.assertEqual(self.events, [])


class LogTests(Case):
    def refusal(self, error: Exception) -> Any:
        self.provider.answer = error
        self.failureResultOf(self.authenticate(cookie("s3cret-token")), type(error))
        return self.events[-1]

    def test_a_refusal_is_logged_with_reason_request_id_and_peer(self) -> None:
        event = self.refusal(InvalidToken("bad signature"))
        self.assertEqual(
            [event[name] for name in ("reason", "request_id", "peer", "auth_reason")],
            ["bad signature", "request-1", "192.0.2.1", "invalid"],
        )
        self.assertIs(event["log_level"], LogLevel.info)

    def test_what_happens_every_day_is_for_debugging(self) -> None:
        self.assertIs(self.refusal(ExpiredToken("expired"))["log_level"], LogLevel.debug)
        self.failureResultOf(self.authenticate())
        self.assertIs(self.events[-1]["log_level"], LogLevel.debug)

    def test_a_token_is_never_logged(self) -> None:
        self.refusal(InvalidToken("bad signature"))
        self.assertNotIn("s3cret-token", repr(self.events))

    def test_a_reason_is_escaped_and_cut(self) -> None:
        self.assertEqual(self.refusal(InvalidToken("a\r\n\x1b[31m\x85é"))["reason"], r"'a\r\n\x1b[31m\x85\xe9'")
        self.assertEqual(len(self.refusal(InvalidToken("x" * 10_000))["reason"]), 200)

    def test_an_acceptance_is_not_logged(self) -> None:
        self.assert_accepted(cookie("good"))
        self.assertEqual(self.events, [])


class OriginTests(Case):
    def test_an_allowed_origin_and_none_pass(self) -> None:
        self.authenticator.check_origin(handshake(("origin", "https://app.example")))
        self.authenticator.check_origin(handshake(("origin", "https://service.example")))
        self.authenticator.check_origin(handshake())
        self.assertEqual(self.counted(), {})

    def test_a_foreign_origin_is_refused_counted_and_logged(self) -> None:
        with self.assertRaises(OriginNotAllowed):
            self.authenticator.check_origin(handshake(("origin", "https://evil.example")))
        self.assertEqual(self.counted(), {"origin_not_allowed": 1})
        self.assertIn("https://evil.example", self.events[-1]["reason"])
        self.assertEqual(self.provider.seen, [])
