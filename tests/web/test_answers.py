"""How answers and errors look."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice import errors
from wsservice.web.answers import (
    Answer,
    RequestRefused,
    bad_request,
    empty_answer,
    error_answer,
    json_answer,
    not_allowed,
    not_found,
    reason_phrase,
    too_large,
)


def header(answer: Answer, name: bytes) -> bytes | None:
    return dict(answer.headers).get(name)


def make(kind: type[Exception]) -> Exception:
    return kind("SECRET")


class AnswerTests(SynchronousTestCase):
    def test_json_is_not_cached_and_keeps_further_headers(self) -> None:
        answer = json_answer(200, {"a": 1}, ((b"Set-Cookie", b"x=1"), (b"Set-Cookie", b"y=2")))
        self.assertEqual((answer.status, json.loads(answer.body)), (200, {"a": 1}))
        self.assertEqual(header(answer, b"Content-Type"), b"application/json; charset=utf-8")
        self.assertEqual(header(answer, b"Cache-Control"), b"no-store")
        self.assertEqual(answer.headers[-2:], ((b"Set-Cookie", b"x=1"), (b"Set-Cookie", b"y=2")))

    def test_an_empty_answer_has_no_body(self) -> None:
        answer = empty_answer(((b"X", b"y"),))
        self.assertEqual((answer.status, answer.body, header(answer, b"X")), (204, b"", b"y"))
        self.assertEqual(header(answer, b"Cache-Control"), b"no-store")

    def test_every_status_in_use_has_words(self) -> None:
        for status in (200, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 503):
            self.assertTrue(reason_phrase(status))


class ErrorTests(SynchronousTestCase):
    def check(self, error: Exception, status: int, word: str) -> tuple[dict[str, Any], Answer]:
        answer = error_answer(error, "request-1")
        body = json.loads(answer.body)
        self.assertEqual((answer.status, body["error"], body["requestId"]), (status, word, "request-1"))
        self.assertTrue(body["message"])
        self.assertNotIn("SECRET", answer.body.decode())
        self.assertEqual(header(answer, b"Cache-Control"), b"no-store")
        return body, answer

    def test_each_error_has_its_status_and_word_and_nothing_of_its_text(self) -> None:
        for kind, status, word in (
            (errors.BadHandshake, 400, "bad_request"),
            (errors.OriginNotAllowed, 403, "origin_not_allowed"),
            (errors.MissingToken, 401, "missing"),
            (errors.InvalidToken, 401, "invalid"),
            (errors.ExpiredToken, 401, "expired"),
            (errors.NotPermitted, 403, "forbidden"),
            (errors.KeysUnavailable, 503, "unavailable"),
            (errors.InvalidCredentials, 401, "invalid_credentials"),
            (errors.AccountNotReady, 403, "account_not_ready"),
            (errors.ChallengeFailed, 401, "challenge_failed"),
            (errors.PasswordPolicy, 422, "password_policy"),
            (errors.SessionExpired, 401, "session_expired"),
            (errors.RateLimited, 429, "rate_limited"),
            (errors.LoginNotSupported, 404, "login_not_supported"),
            (errors.TokenTooLarge, 500, "token_too_large"),
            (errors.ProviderUnavailable, 503, "auth_unavailable"),
            (RuntimeError, 500, "internal_error"),
            (errors.ConfigurationError, 500, "internal_error"),
        ):
            with self.subTest(kind=kind):
                self.check(make(kind), status, word)

    def test_a_401_names_its_reason_in_a_scheme_that_opens_no_dialog(self) -> None:
        for error, reason in (
            (errors.ExpiredToken("x"), "expired"),
            (errors.InvalidCredentials("x"), "invalid_credentials"),
        ):
            _, answer = self.check(error, 401, reason)
            self.assertEqual(
                header(answer, b"WWW-Authenticate"), f'Cookie realm="wsservice", error="{reason}"'.encode()
            )

    def test_who_may_come_again_is_told_when(self) -> None:
        for error, seconds in (
            (errors.RateLimited("x", retry_after=17), b"17"),
            (errors.KeysUnavailable("x"), b"2"),
            (errors.ProviderUnavailable("x"), b"5"),
        ):
            self.assertEqual(header(error_answer(error, "r"), b"Retry-After"), seconds)

    def test_the_name_of_an_unsupported_challenge_is_told_cut_short(self) -> None:
        body, _ = self.check(errors.UnsupportedChallenge("DEVICE_SRP_AUTH"), 409, "unsupported_challenge")
        self.assertEqual(body["challenge"], "DEVICE_SRP_AUTH")
        body, _ = self.check(errors.UnsupportedChallenge("A" * 100), 409, "unsupported_challenge")
        self.assertEqual(body["challenge"], "A" * 64)

    def test_refusals_of_http_itself(self) -> None:
        self.check(bad_request("Not so."), 400, "bad_request")
        self.check(too_large(5), 413, "too_large")
        self.check(not_found(), 404, "not_found")
        _, answer = self.check(not_allowed("GET, HEAD"), 405, "method_not_allowed")
        self.assertEqual(header(answer, b"Allow"), b"GET, HEAD")

    def test_further_headers_are_kept(self) -> None:
        answer = error_answer(RequestRefused(400, "a", "b"), "r", ((b"X", b"y"),))
        self.assertEqual(header(answer, b"X"), b"y")
