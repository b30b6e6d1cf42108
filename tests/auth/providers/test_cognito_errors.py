"""Tests of `wsservice.auth.providers.cognito_errors`."""

from __future__ import annotations

import json
from typing import Any

from botocore.session import Session
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.providers.cognito_errors import (
    MALFORMED,
    TABLE,
    CallFailed,
    Fault,
    Stage,
    advice,
    operation_unknown,
    provider_error,
    read_fault,
)
from wsservice.errors import (
    AccountNotReady,
    ChallengeFailed,
    InvalidCredentials,
    PasswordPolicy,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SessionExpired,
)

AWAY = ProviderUnavailable
Outcome = type[ProviderError]

#: (error, at login, at a challenge, at a refresh), as AUTH.md and AUTH-FACTS 1.6 want it
ROWS: list[tuple[str, Outcome, Outcome, Outcome]] = [
    ("NotAuthorizedException", InvalidCredentials, ChallengeFailed, SessionExpired),
    ("UserNotFoundException", InvalidCredentials, ChallengeFailed, SessionExpired),
    ("UserLambdaValidationException", InvalidCredentials, ChallengeFailed, SessionExpired),
    ("UserNotConfirmedException", AccountNotReady, AccountNotReady, SessionExpired),
    ("PasswordResetRequiredException", AccountNotReady, AccountNotReady, SessionExpired),
    ("InvalidPasswordException", InvalidCredentials, PasswordPolicy, AWAY),
    ("PasswordHistoryPolicyViolationException", InvalidCredentials, PasswordPolicy, AWAY),
    ("CodeMismatchException", InvalidCredentials, ChallengeFailed, AWAY),
    ("ExpiredCodeException", InvalidCredentials, ChallengeFailed, AWAY),
    ("SoftwareTokenMFANotFoundException", InvalidCredentials, ChallengeFailed, AWAY),
    ("MFAMethodNotFoundException", InvalidCredentials, ChallengeFailed, AWAY),
    ("AliasExistsException", InvalidCredentials, ChallengeFailed, AWAY),
    ("InvalidParameterException", AWAY, ChallengeFailed, AWAY),
    ("ResourceNotFoundException", AWAY, AWAY, AWAY),
    ("InvalidUserPoolConfigurationException", AWAY, AWAY, AWAY),
    ("OperationNotEnabledException", AWAY, AWAY, AWAY),
    ("UnsupportedOperationException", AWAY, AWAY, AWAY),
    ("FeatureUnavailableInTierException", AWAY, AWAY, AWAY),
    ("InvalidSmsRoleAccessPolicyException", AWAY, AWAY, AWAY),
    ("InvalidSmsRoleTrustRelationshipException", AWAY, AWAY, AWAY),
    ("InvalidEmailRoleAccessPolicyException", AWAY, AWAY, AWAY),
    ("TooManyRequestsException", RateLimited, RateLimited, RateLimited),
    ("LimitExceededException", RateLimited, RateLimited, RateLimited),
    ("TooManyFailedAttemptsException", RateLimited, RateLimited, RateLimited),
    ("ThrottlingException", RateLimited, RateLimited, RateLimited),
    ("RefreshTokenReuseException", AWAY, AWAY, SessionExpired),
    ("UnexpectedLambdaException", AWAY, AWAY, AWAY),
    ("InvalidLambdaResponseException", AWAY, AWAY, AWAY),
    ("InternalErrorException", AWAY, AWAY, AWAY),
    ("CodeDeliveryFailureException", AWAY, AWAY, AWAY),
    ("ForbiddenException", AWAY, AWAY, AWAY),
    ("UnrecognizedClientException", AWAY, AWAY, AWAY),
    ("SomethingNewException", AWAY, AWAY, AWAY),
]

#: messages of NotAuthorizedException that mean something else than a wrong password
SECRET_MESSAGES = [
    "Client 2abc is configured with secret but SECRET_HASH was not received",
    "Unable to verify secret hash for client 2abc",
    "SecretHash does not match for the client: 2abc",
    "Client 2abc is not configured for secret but secret was received",
    "Client 2abc is configured for secret but secret was not received",
    "Unable to verify client secret for client 2abc",
]


def body(kind: str, message: str = "") -> bytes:
    return json.dumps({"__type": kind, "message": message}).encode()


def outcomes(fault: Fault) -> list[type[ProviderError]]:
    return [type(provider_error(fault, stage)) for stage in (Stage.LOGIN, Stage.CHALLENGE, Stage.REFRESH)]


class TableTests(SynchronousTestCase):
    """Each error becomes the one that the caller should see."""

    def test_every_row(self) -> None:
        for kind, *expected in ROWS:
            with self.subTest(kind=kind):
                self.assertEqual(outcomes(read_fault(400, {}, body(kind))), expected)

    def test_every_error_of_the_operations_in_use_is_in_the_table(self) -> None:
        model = Session().get_service_model("cognito-idp")
        operations = ["InitiateAuth", "AdminInitiateAuth", "RespondToAuthChallenge", "AdminRespondToAuthChallenge"]
        for operation in [*operations, "GetTokensFromRefreshToken", "RevokeToken", "GlobalSignOut"]:
            for shape in model.operation_model(operation).error_shapes:
                self.assertIn(shape.name, TABLE, operation)

    def test_a_wrong_user_and_a_wrong_password_are_told_apart_by_nothing_that_a_client_sees(self) -> None:
        seen = set()
        for kind in ("NotAuthorizedException", "UserNotFoundException", "InvalidPasswordException"):
            error = provider_error(read_fault(400, {}, body(kind, kind)), Stage.LOGIN)
            seen.add((type(error), error.http_status, error.word, error.message))
        self.assertEqual(len(seen), 1)

    def test_a_disabled_user_is_an_account_that_cannot_log_in(self) -> None:
        fault = read_fault(400, {}, body("NotAuthorizedException", "User is disabled."))
        self.assertEqual(outcomes(fault), [AccountNotReady, AccountNotReady, SessionExpired])

    def test_locked_out_is_a_wrong_password(self) -> None:
        fault = read_fault(400, {}, body("NotAuthorizedException", "Password attempts exceeded"))
        self.assertEqual(outcomes(fault), [InvalidCredentials, ChallengeFailed, SessionExpired])

    def test_a_wrong_client_secret_is_our_fault_and_logs_nobody_out(self) -> None:
        for message in SECRET_MESSAGES:
            with self.subTest(message=message):
                fault = read_fault(400, {}, body("NotAuthorizedException", message))
                self.assertEqual(outcomes(fault), [AWAY, AWAY, AWAY])
                self.assertIn("AWS_COGNITO_CLIENT_SECRET", advice(fault))

    def test_faults_on_the_way_are_the_providers_absence(self) -> None:
        for word in ("refused", "tls", "timeout", "encoding", "too_large", "lost", "malformed"):
            self.assertEqual(outcomes(Fault(word)), [AWAY, AWAY, AWAY])

    def test_a_revocation_that_fails_is_some_provider_error(self) -> None:
        for kind in [*TABLE, "SomethingNewException"]:
            self.assertIsInstance(provider_error(Fault(kind, 400), Stage.REVOKE), ProviderError)
        self.assertIn("revocation", advice(Fault("UnsupportedOperationException", 400)))

    def test_throttling_says_when_to_come_back(self) -> None:
        error = provider_error(Fault("TooManyRequestsException", 400), Stage.LOGIN)
        assert isinstance(error, RateLimited)
        self.assertEqual(error.retry_after, 30)

    def test_faults_in_the_settings_come_with_advice_and_others_without(self) -> None:
        self.assertIn("AWS_COGNITO_CLIENT_ID", advice(Fault("ResourceNotFoundException", 400)))
        self.assertIn("AWS_SECRET_ACCESS_KEY", advice(Fault("InvalidSignatureException", 400)))
        self.assertIn("flow", advice(Fault("InvalidParameterException", 400)))
        for kind in ("NotAuthorizedException", "TooManyRequestsException", "InternalErrorException", "timeout"):
            self.assertEqual(advice(Fault(kind, 400)), "")


class ReadFaultTests(SynchronousTestCase):
    """An error's name is found wherever it stands, and nothing else is kept."""

    def kind(self, status: int, headers: dict[str, str], content: bytes) -> str:
        return read_fault(status, headers, content).kind

    def test_every_spelling_of_the_name(self) -> None:
        for spelled in (
            "UserNotFoundException",
            "com.amazonaws.cognito.identity.idp.model#UserNotFoundException",
            "CognitoLocal#UserNotFoundException",
            "UserNotFoundException:http://internal.amazon.com/coral/com.amazon.coral.service/",
            "aws.x#UserNotFoundException:http://internal.amazon.com/#a",
            " UserNotFoundException ",
            "UserNotFound",
        ):
            with self.subTest(spelled=spelled):
                self.assertEqual(self.kind(400, {}, body(spelled)), "UserNotFoundException")
                self.assertEqual(self.kind(400, {"x-amzn-errortype": spelled}, b"{}"), "UserNotFoundException")
                self.assertEqual(self.kind(400, {}, json.dumps({"code": spelled}).encode()), "UserNotFoundException")

    def test_the_body_counts_before_the_header(self) -> None:
        headers = {"x-amzn-errortype": "TooManyRequestsException"}
        self.assertEqual(self.kind(400, headers, body("UserNotFoundException")), "UserNotFoundException")
        self.assertEqual(self.kind(400, headers, b"<html>"), "TooManyRequestsException")

    def test_what_is_no_error_of_cognitos_is_malformed(self) -> None:
        for content in (
            b"",
            b"<!doctype html>",
            b"[]",
            b"null",
            b'"NotAuthorizedException"',
            b"{}",
            b'{"__type": 7, "message": []}',
            b'{"__type": ""}',
            b'{"__type": "<script>"}',
            b'{"__type": "' + b"A" * 65 + b'"}',
            b'{"__type": "NotAuthorizedException"',
            b'{"__type": "\xff"}',
            b"[" * 100_000,
            b'{"a":' * 100_000,
        ):
            with self.subTest(content=content[:30]):
                self.assertEqual(self.kind(500, {}, content), MALFORMED)

    def test_a_message_of_another_type_or_spelling_does_not_hide_the_name(self) -> None:
        for message in (7, None, ["User is disabled."]):
            content = json.dumps({"__type": "NotAuthorizedException", "message": message}).encode()
            self.assertEqual(self.kind(400, {}, content), "NotAuthorizedException")
        content = json.dumps({"__type": "NotAuthorizedException", "Message": "User is disabled."}).encode()
        self.assertEqual(self.kind(400, {}, content), "UserDisabled")

    def test_only_not_authorized_has_hidden_causes(self) -> None:
        self.assertEqual(self.kind(400, {}, body("CodeMismatchException", SECRET_MESSAGES[0])), "CodeMismatchException")

    def test_status_429_is_throttling_whatever_the_body_says(self) -> None:
        for content in (b"", b"<html>", body("WafSaysNo")):
            self.assertEqual(outcomes(read_fault(429, {}, content)), [RateLimited] * 3)

    def test_the_request_id_is_kept_if_it_is_one(self) -> None:
        for given, kept in (("7a1c-2B", "7a1c-2B"), ("", ""), ("a b", ""), ("a\nb", ""), ("a" * 65, "")):
            self.assertEqual(read_fault(400, {"x-amzn-requestid": given}, b"{}").request_id, kept)

    def test_no_text_of_the_providers_is_kept(self) -> None:
        secret = "eyJraWQiOiJhIn0.eyJzdWIiOiJiIn0.c2ln"
        for message in (secret, f"Access Token {secret} is disabled"):
            fault = read_fault(400, {"x-amzn-requestid": secret}, body("NotAuthorizedException", message))
            texts = [repr(fault), str(CallFailed(fault)), *(str(provider_error(fault, stage)) for stage in Stage)]
            for text in texts:
                self.assertNotIn(secret, text)
                self.assertNotIn("Access Token", text)


class OperationUnknownTests(SynchronousTestCase):
    """Which answers show that a provider lacks an operation, and which are outages."""

    def unknown(self, status: int, content: bytes, *, custom: bool) -> bool:
        return operation_unknown(read_fault(status, {}, content), custom_endpoint=custom)

    def test_the_answers_of_aws_and_of_the_emulators(self) -> None:
        rows: list[tuple[str, int, bytes, bool, bool]] = [
            # provider, status, body, at AWS's address, at an address set by hand
            ("AWS", 400, body("UnknownOperationException"), True, True),
            ("AWS, long form", 404, body("com.amazon.coral.service#UnknownOperationException"), True, True),
            ("moto", 500, b"<!doctype html><title>500 Internal Server Error</title>", False, True),
            ("cognito-local", 500, body("CognitoLocal#Unsupported"), True, True),
            ("LocalStack", 501, body("InternalFailure", "not yet implemented or pro feature"), False, True),
            ("a router", 404, b"", False, True),
            ("a router", 405, b"<html>", False, True),
            ("an outage", 502, b"<html>", False, False),
            ("an outage", 503, b"", False, False),
            ("an outage", 504, b"<html>", False, False),
            ("an outage", 500, body("InternalErrorException"), False, False),
            ("a wrong token", 400, body("NotAuthorizedException"), False, False),
            ("a wrong client", 400, body("ResourceNotFoundException"), False, False),
            ("no flow", 400, body("UnsupportedOperationException"), False, False),
        ]
        for provider, status, content, at_aws, by_hand in rows:
            with self.subTest(provider=provider, status=status):
                self.assertEqual(self.unknown(status, content, custom=False), at_aws)
                self.assertEqual(self.unknown(status, content, custom=True), by_hand)

    def test_no_answer_shows_nothing(self) -> None:
        for word in ("refused", "timeout", "lost", "malformed"):
            self.assertFalse(operation_unknown(Fault(word), custom_endpoint=True))


class CallFailedTests(SynchronousTestCase):
    """`CallFailed` carries the fault."""

    def test_its_text_is_the_faults_name(self) -> None:
        fault: Any = Fault("CodeMismatchException", 400, "abc")
        error = CallFailed(fault)
        self.assertIs(error.fault, fault)
        self.assertEqual(str(error), "CodeMismatchException (status 400)")
