"""Tests of `wsservice.auth.providers.cognito_api`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.fetch import FetchError, Response
from wsservice.auth.providers.cognito_api import Answer, CognitoApi
from wsservice.auth.providers.cognito_errors import MALFORMED, CallFailed, Fault
from wsservice.auth.sigv4 import Credentials, sign

URL = "https://cognito-idp.us-east-1.amazonaws.com/"
NOW = 1_795_000_000.0
KEYS = Credentials("AKIDEXAMPLE", "secret-key", "session-token")


class ScriptedPoster:
    """Gives the answers it was made with, in order, and keeps the requests."""

    def __init__(self, *answers: Response | Exception | Deferred[Response]) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, bytes, dict[str, str]]] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[Response]:
        self.requests.append((url, body, dict(headers)))
        answer = self._answers.pop(0)
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


def ok(body: Any) -> Response:
    return Response(200, {}, json.dumps(body).encode())


def api(poster: ScriptedPoster, credentials: Credentials | None = None) -> CognitoApi:
    return CognitoApi(poster, URL, region="us-east-1", credentials=credentials, now=lambda: NOW)


class RequestTests(SynchronousTestCase):
    """What goes over the wire."""

    def test_a_call_is_one_post_of_json(self) -> None:
        poster = ScriptedPoster(ok({}))
        self.successResultOf(api(poster).call("InitiateAuth", {"ClientId": "é"}))
        ((url, body, headers),) = poster.requests
        self.assertEqual(url, URL)
        self.assertEqual(json.loads(body), {"ClientId": "é"})
        self.assertEqual(
            headers,
            {
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
            },
        )

    def test_a_signed_call_has_the_signature_of_the_credentials(self) -> None:
        poster = ScriptedPoster(ok({}), ok({}))
        signing = api(poster, KEYS)
        self.successResultOf(signing.call("AdminInitiateAuth", {"ClientId": "c"}))
        self.successResultOf(signing.call_signed("AdminInitiateAuth", {"ClientId": "c"}))
        (_, body, plain), (_, signed_body, signed) = poster.requests
        self.assertEqual(signed_body, body)
        self.assertNotIn("Authorization", plain)
        self.assertEqual(
            signed,
            sign(
                "POST",
                URL,
                plain,
                body,
                region="us-east-1",
                service="cognito-idp",
                access_key="AKIDEXAMPLE",
                secret_key="secret-key",
                session_token="session-token",
                now=NOW,
            ),
        )

    def test_nothing_is_signed_without_credentials(self) -> None:
        poster = ScriptedPoster()
        self.assertFalse(api(poster).can_sign)
        self.assertTrue(api(poster, KEYS).can_sign)
        self.assertRaises(ValueError, api(poster).call_signed, "AdminInitiateAuth", {})
        self.assertEqual(poster.requests, [])


class AnswerTests(SynchronousTestCase):
    """What comes back."""

    def answer_to(self, response: Response) -> Answer:
        return self.successResultOf(api(ScriptedPoster(response)).call("InitiateAuth", {}))

    def fault_of(self, *answers: Response | Exception) -> Fault:
        deferred = api(ScriptedPoster(*answers)).call("InitiateAuth", {})
        return self.failureResultOf(deferred, CallFailed).value.fault

    def test_tokens(self) -> None:
        result = {"AccessToken": "a", "IdToken": "i", "RefreshToken": "r", "ExpiresIn": 3600, "TokenType": "Bearer"}
        answer = self.answer_to(ok({"AuthenticationResult": result, "ChallengeParameters": {}}))
        tokens = answer.authentication_result
        assert tokens is not None
        self.assertEqual((tokens.access_token, tokens.id_token, tokens.refresh_token), ("a", "i", "r"))
        self.assertIsNone(answer.challenge_name)

    def test_a_challenge(self) -> None:
        answer = self.answer_to(
            ok(
                {
                    "ChallengeName": "MFA_SETUP",
                    "Session": "s",
                    # a list, as moto sends it
                    "ChallengeParameters": {"MFAS_CAN_SETUP": ["SMS_MFA"]},
                    "AvailableChallenges": ["PASSWORD"],
                    "AuthenticationResult": None,
                    "Unknown": {},
                }
            )
        )
        self.assertEqual((answer.challenge_name, answer.session), ("MFA_SETUP", "s"))
        self.assertEqual(answer.challenge_parameters, {"MFAS_CAN_SETUP": ["SMS_MFA"]})
        self.assertEqual(answer.available_challenges, ["PASSWORD"])

    def test_an_empty_answer_is_one(self) -> None:
        self.assertEqual(self.answer_to(Response(200, {}, b"")), Answer())
        self.assertEqual(self.answer_to(ok({})), Answer())

    def test_an_answer_does_not_print_its_tokens(self) -> None:
        answer = self.answer_to(ok({"AuthenticationResult": {"AccessToken": "the-token"}, "Session": "the-session"}))
        for text in (repr(answer), str(answer), repr(answer.authentication_result)):
            self.assertNotIn("the-", text)

    def test_a_success_that_is_not_in_the_form_is_malformed(self) -> None:
        for body in (
            b"<!doctype html>",
            b"[]",
            b"null",
            b'{"AuthenticationResult": []}',
            b'{"AuthenticationResult": {"AccessToken": 7}}',
            b'{"ChallengeName": ["SMS_MFA"]}',
            b'{"ChallengeParameters": "x"}',
            b'{"AuthenticationResult": {"AccessToken": "a"}',
            b'{"Session": "\xff"}',
            b'{"a":' * 100_000,
        ):
            with self.subTest(body=body[:40]):
                fault = self.fault_of(Response(200, {"x-amzn-requestid": "abc"}, body))
                self.assertEqual(fault, Fault(MALFORMED, 200, "abc"))

    def test_an_error_has_its_name_status_and_request_id(self) -> None:
        headers = {"x-amzn-requestid": "abc"}
        fault = self.fault_of(Response(400, headers, b'{"__type":"CodeMismatchException"}'))
        self.assertEqual(fault, Fault("CodeMismatchException", 400, "abc"))

    def test_any_other_status_than_200_is_a_fault_even_with_tokens(self) -> None:
        for status in (201, 204, 301, 307, 500):
            body = b'{"AuthenticationResult": {"AccessToken": "a"}}'
            self.assertEqual(self.fault_of(Response(status, {}, body)), Fault(MALFORMED, status))

    def test_a_cancelled_call_is_no_fault_of_the_providers(self) -> None:
        deferred = api(ScriptedPoster(Deferred())).call("InitiateAuth", {})
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)


class RetryTests(SynchronousTestCase):
    """A connection that could not be made is tried once more, and nothing else."""

    def test_once_more_after_no_connection(self) -> None:
        poster = ScriptedPoster(FetchError("refused", "x"), ok({"Session": "s"}))
        answer = self.successResultOf(api(poster).call("InitiateAuth", {"ClientId": "c"}))
        self.assertEqual(answer.session, "s")
        self.assertEqual(poster.requests[0], poster.requests[1])

    def test_no_third_time(self) -> None:
        poster = ScriptedPoster(*[FetchError("refused", "x")] * 3)
        failure = self.failureResultOf(api(poster).call("InitiateAuth", {}), CallFailed)
        self.assertEqual(failure.value.fault, Fault("refused"))
        self.assertEqual(len(poster.requests), 2)

    def test_what_may_have_arrived_is_not_sent_again(self) -> None:
        for word in ("timeout", "lost", "tls", "too_large", "encoding", "malformed"):
            poster = ScriptedPoster(FetchError(word, "x"), ok({}))
            failure = self.failureResultOf(api(poster).call("InitiateAuth", {}), CallFailed)
            self.assertEqual(failure.value.fault, Fault(word))
            self.assertEqual(len(poster.requests), 1)

    def test_an_error_is_not_asked_for_twice(self) -> None:
        for status in (400, 429, 500, 503):
            poster = ScriptedPoster(Response(status, {}, b""), ok({}))
            self.failureResultOf(api(poster).call("InitiateAuth", {}), CallFailed)
            self.assertEqual(len(poster.requests), 1)
