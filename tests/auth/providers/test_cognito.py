"""Tests of `wsservice.auth.providers.cognito`, against the fake Cognito, without sockets."""

from __future__ import annotations

import json
from typing import Any

import jwt
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.fakecognito import (
    AppClientRecord,
    Canned,
    Credentials,
    Delay,
    FakeCognito,
    Hang,
    MemoryPoster,
    Pool,
    Reset,
    User,
    error,
    html,
)
from wsservice.auth import sigv4
from wsservice.auth.keys import VerifyKey, parse_key_set
from wsservice.auth.providers.base import Challenge, KeySource, Readiness, Tokens
from wsservice.auth.providers.cognito import AppClient, CognitoProvider, secret_hash
from wsservice.auth.providers.cognito_api import CognitoApi
from wsservice.auth.tokens import Rules
from wsservice.errors import (
    AccountNotReady,
    ChallengeFailed,
    ConfigurationError,
    InvalidCredentials,
    PasswordPolicy,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SessionExpired,
    UnsupportedChallenge,
)

URL = "https://cognito-idp.us-east-1.amazonaws.com/"
START = 1_795_000_000.0
SECRET = "fakesecretfakesecretfakesecret"
PASSWORD = "correct horse 1!"
MODERN = "GetTokensFromRefreshToken"
UNKNOWN = "UnknownOperationException"


class PoolKeys(KeySource):
    """The fake pool's keys, at hand."""

    def __init__(self, pool: Pool) -> None:
        self._keys = parse_key_set(json.dumps(pool.tokens.jwks()).encode())

    def get(self, kid: str) -> Deferred[VerifyKey]:
        return Deferred.fromCoroutine(self._get(kid))

    async def _get(self, kid: str) -> VerifyKey:
        return self._keys[kid]

    def readiness(self) -> Readiness:
        return Readiness(True, "at hand")


class CognitoTestCase(SynchronousTestCase):
    """A fake pool with one user and one app client, and a provider for it."""

    secret: str | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.pool = Pool(now=self.clock.seconds)
        self.user = User("2f4a-ann", PASSWORD, "ann@example.com", groups=("staff",))
        self.record = AppClientRecord(secret=self.secret)
        self.pool.add(self.user, self.record)
        self.fake = FakeCognito(self.pool, now=self.clock.seconds)
        self.poster = MemoryPoster(self.fake, URL)
        self.provider = self.make_provider()
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.addCleanup(self.check_what_was_sent_and_logged)

    def make_provider(
        self,
        *,
        custom_endpoint: bool = False,
        credentials: sigv4.Credentials | None = None,
        client_secret: str | None = None,
        **client: Any,
    ) -> CognitoProvider:
        api = CognitoApi(self.poster, URL, region="us-east-1", credentials=credentials, now=self.clock.seconds)
        secret = client_secret or self.secret
        return CognitoProvider(
            PoolKeys(self.pool),
            Rules(frozenset({self.pool.tokens.issuer}), frozenset({self.record.client_id})),
            api,
            client=AppClient(self.pool.pool_id, self.record.client_id, secret, **client),
            custom_endpoint=custom_endpoint,
            now=self.clock.seconds,
        )

    def check_what_was_sent_and_logged(self) -> None:
        """In every test: requests fit the service model, and no secret is in the log."""
        self.assertEqual(self.fake.violations, [])
        texts = [
            formatEvent(event) + repr({k: v for k, v in event.items() if k != "log_logger"}) for event in self.events
        ]
        for text in texts:
            for secret in (PASSWORD, SECRET, "eyJ", "2f4a-ann", "ann@example.com", "MESSAGE"):
                self.assertNotIn(secret, text)

    def levels(self) -> list[LogLevel]:
        """Of what the provider logged."""
        return [
            event["log_level"] for event in self.events if event["log_namespace"] == "wsservice.auth.providers.cognito"
        ]

    def login(self, name: str = "ann@example.com", password: str = PASSWORD) -> Tokens | Challenge:
        return self.successResultOf(self.provider.login(name, password))

    def logged_in(self) -> Tokens:
        tokens = self.login()
        assert isinstance(tokens, Tokens)
        return tokens

    def challenged(self) -> Challenge:
        challenge = self.login()
        assert isinstance(challenge, Challenge)
        return challenge

    def refresh_token(self) -> str:
        token = self.logged_in().refresh
        assert token is not None
        return token

    def error_of(self, deferred: Deferred[Any]) -> ProviderError:
        failure: ProviderError = self.failureResultOf(deferred, ProviderError).value
        return failure


class LoginTests(CognitoTestCase):
    """`login` without a client secret."""

    def test_a_password_gives_tokens_that_verify(self) -> None:
        tokens = self.logged_in()
        principal = self.successResultOf(self.provider.verify(tokens.token))
        self.assertEqual(principal.id, self.user.sub)
        self.assertEqual(principal.username, "2f4a-ann")
        self.assertEqual(principal.roles, {"staff"})
        self.assertIsNotNone(tokens.refresh)
        self.assertTrue(self.provider.can_login)

    def test_the_request_is_user_password_auth(self) -> None:
        self.logged_in()
        expected = {
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": self.record.client_id,
            "AuthParameters": {"USERNAME": "ann@example.com", "PASSWORD": PASSWORD},
        }
        self.assertEqual(self.fake.calls, [("InitiateAuth", expected)])

    def test_the_access_token_is_the_sessions(self) -> None:
        claims = jwt.decode(self.logged_in().token, options={"verify_signature": False})
        self.assertEqual(claims["token_use"], "access")

    def test_the_id_token_is_by_setting(self) -> None:
        self.provider = self.make_provider(token_use="id")
        tokens = self.logged_in()
        claims = jwt.decode(tokens.token, options={"verify_signature": False})
        self.assertEqual(claims["token_use"], "id")
        refreshed = self.successResultOf(self.provider.refresh(tokens.refresh or "", None))
        self.assertEqual(jwt.decode(refreshed.token, options={"verify_signature": False})["token_use"], "id")

    def test_a_wrong_user_and_a_wrong_password_are_the_same_error(self) -> None:
        for hide in (False, True):
            self.record.hide_unknown_users = hide
            for name, password in (("ann@example.com", "wrong"), ("bob@example.com", PASSWORD)):
                self.assertIs(type(self.error_of(self.provider.login(name, password))), InvalidCredentials)

    def test_accounts_that_are_not_ready(self) -> None:
        for changes in ({"enabled": False}, {"status": "UNCONFIRMED"}, {"status": "RESET_REQUIRED"}):
            user = User("bob", PASSWORD, **changes)
            self.pool.users[:] = [user]
            with self.subTest(changes=changes):
                self.assertIsInstance(self.error_of(self.provider.login("bob", PASSWORD)), AccountNotReady)

    def test_what_cannot_be_a_name_or_password_is_not_sent(self) -> None:
        for name, password in (
            ("", PASSWORD),
            ("a" * 129, PASSWORD),
            ("a\ud800", PASSWORD),
            ("ann", ""),
            ("ann", "p" * 257),
            ("ann", "\udfff"),
        ):
            self.assertIsInstance(self.error_of(self.provider.login(name, password)), InvalidCredentials)
        self.assertEqual(self.fake.calls, [])

    def test_any_other_text_is_sent_as_it_is(self) -> None:
        for password in (' "\\\0é😀 ', "p" * 256):
            self.user.password = password
            self.assertIsInstance(self.login(password=password), Tokens)

    def test_a_missing_secret_is_a_setting(self) -> None:
        self.record.secret = SECRET
        self.assertIsInstance(self.error_of(self.provider.login("ann@example.com", PASSWORD)), ProviderUnavailable)
        self.assertEqual(self.levels(), [LogLevel.error])
        self.assertIn("AWS_COGNITO_CLIENT_SECRET", formatEvent(self.events[-1]))

    def test_a_flow_that_is_not_enabled_is_a_setting(self) -> None:
        self.record.flows = ("REFRESH_TOKEN_AUTH",)
        self.assertIsInstance(self.error_of(self.provider.login("ann@example.com", PASSWORD)), ProviderUnavailable)
        self.assertEqual(self.levels(), [LogLevel.error])

    def test_a_wrong_password_is_no_alarm(self) -> None:
        self.error_of(self.provider.login("ann@example.com", "wrong"))
        self.assertEqual(self.levels(), [LogLevel.info])
        text = formatEvent(self.events[-1])
        self.assertEqual(
            text,
            "Cognito InitiateAuth: NotAuthorizedException "
            "(status 400, AWS request id '7a1c2b7e-0000-4000-8000-00000000cafe')",
        )


class SecretTests(CognitoTestCase):
    """With an app client that has a secret."""

    secret = SECRET

    def test_the_hash_at_login_is_of_the_name_that_was_given(self) -> None:
        self.assertIsInstance(self.login("ann@example.com"), Tokens)
        self.assertIsInstance(self.login("2f4a-ann"), Tokens)

    def test_the_hash_at_a_challenge_is_of_the_real_name(self) -> None:
        self.user.mfa = ("SOFTWARE_TOKEN_MFA",)
        challenge = self.challenged()
        self.assertEqual(challenge.username, "2f4a-ann")
        answer = self.provider.answer(challenge, {"SOFTWARE_TOKEN_MFA_CODE": "123456"})
        self.assertIsInstance(self.successResultOf(answer), Tokens)

    def test_a_refresh_needs_no_name(self) -> None:
        tokens = self.successResultOf(self.provider.refresh(self.refresh_token(), None))
        self.assertIsNone(tokens.refresh)
        self.assertEqual(self.fake.calls[-1][1]["ClientSecret"], SECRET)
        self.assertNotIn("SECRET_HASH", repr(self.fake.calls[-1]))

    def test_a_revocation_ends_the_session(self) -> None:
        token = self.refresh_token()
        self.assertIsNone(self.successResultOf(self.provider.revoke(token)))
        self.assertIsInstance(self.error_of(self.provider.refresh(token, None)), SessionExpired)

    def test_a_wrong_secret_is_a_setting_everywhere(self) -> None:
        self.user.mfa = ("SMS_MFA",)
        challenge = self.challenged()
        self.user.mfa = ()
        token = self.refresh_token()
        wrong = self.make_provider(client_secret="wrongsecretwrongsecretwrong")
        for deferred in (
            wrong.login("ann@example.com", PASSWORD),
            wrong.answer(challenge, {"SMS_MFA_CODE": "123456"}),
            wrong.refresh(token, "2f4a-ann"),
            wrong.revoke(token),
        ):
            self.assertIsInstance(self.error_of(deferred), ProviderUnavailable)
        self.assertEqual(self.levels(), [LogLevel.error] * 4)

    def test_the_hash_is_openssls(self) -> None:
        # printf 'mytestuser1example23456789' | openssl dgst -sha256 -hmac '12345677890' -binary | base64
        self.assertEqual(
            secret_hash("mytestuser", "1example23456789", "12345677890"), "KfsSMqVSSC/bHb0iQGrhzz6x5emftluRvKSFbWtuYmU="
        )

    def test_secrets_are_not_in_reprs(self) -> None:
        self.assertNotIn(SECRET, repr(AppClient("p", "c", SECRET)))


class AdminTests(CognitoTestCase):
    """The admin flow, whose calls are signed."""

    secret = SECRET

    def setUp(self) -> None:
        super().setUp()
        key = Credentials()
        self.provider = self.make_provider(
            auth_flow="admin", credentials=sigv4.Credentials(key.access_key, key.secret_key)
        )

    def test_login_and_challenge_are_the_admin_operations(self) -> None:
        self.user.mfa = ("EMAIL_OTP",)
        challenge = self.challenged()
        answer = self.provider.answer(challenge, {"EMAIL_OTP_CODE": "123456"})
        self.assertIsInstance(self.successResultOf(answer), Tokens)
        (first, initiate), (second, respond) = self.fake.calls
        self.assertEqual((first, second), ("AdminInitiateAuth", "AdminRespondToAuthChallenge"))
        self.assertEqual(initiate["AuthFlow"], "ADMIN_USER_PASSWORD_AUTH")
        self.assertEqual(initiate["UserPoolId"], self.pool.pool_id)
        self.assertEqual(respond["UserPoolId"], self.pool.pool_id)

    def test_refresh_and_revoke_are_the_public_ones(self) -> None:
        token = self.refresh_token()
        self.successResultOf(self.provider.refresh(token, None))
        self.successResultOf(self.provider.revoke(token))
        self.assertEqual([name for name, _ in self.fake.calls[1:]], [MODERN, "RevokeToken"])

    def test_temporary_credentials_work(self) -> None:
        key = Credentials(session_token="FwoGZXIvYXdzEBY=")
        self.fake = FakeCognito(self.pool, now=self.clock.seconds, credentials=key)
        self.poster = MemoryPoster(self.fake, URL)
        credentials = sigv4.Credentials(key.access_key, key.secret_key, key.session_token)
        self.provider = self.make_provider(auth_flow="admin", credentials=credentials)
        self.assertIsInstance(self.login(), Tokens)

    def test_credentials_that_are_refused_are_a_setting(self) -> None:
        key = Credentials()
        for credentials in (
            sigv4.Credentials(key.access_key, "wrong"),
            sigv4.Credentials("AKIAOTHER", key.secret_key),
            sigv4.Credentials(key.access_key, key.secret_key, "token"),
        ):
            provider = self.make_provider(auth_flow="admin", credentials=credentials)
            error = self.error_of(provider.login("ann@example.com", PASSWORD))
            self.assertIsInstance(error, ProviderUnavailable)
        self.assertEqual(self.levels(), [LogLevel.error] * 3)
        self.assertIn("AWS_SECRET_ACCESS_KEY", formatEvent(self.events[-1]))

    def test_without_credentials_there_is_no_admin_flow(self) -> None:
        error = self.assertRaises(ConfigurationError, self.make_provider, auth_flow="admin")
        self.assertIn("AWS_ACCESS_KEY_ID", error.problems[0])

    def test_credentials_alone_make_no_admin_flow(self) -> None:
        self.provider = self.make_provider(credentials=sigv4.Credentials("a", "b"))
        self.logged_in()
        self.assertEqual(self.fake.calls[0][0], "InitiateAuth")


class ChallengeTests(CognitoTestCase):
    """`answer`, for every challenge that is supported."""

    secret = SECRET

    def answer(self, challenge: Challenge, **responses: str) -> Tokens | Challenge:
        return self.successResultOf(self.provider.answer(challenge, responses))

    def test_a_code(self) -> None:
        for name in ("SOFTWARE_TOKEN_MFA", "SMS_MFA", "EMAIL_OTP", "SMS_OTP"):
            self.user.mfa = (name,)
            challenge = self.challenged()
            self.assertEqual(challenge.name, name)
            self.assertIsInstance(self.answer(challenge, **{f"{name}_CODE": "123456"}), Tokens)

    def test_where_a_code_went_is_shown(self) -> None:
        self.user.mfa = ("SMS_MFA",)
        self.assertEqual(
            self.challenged().parameters,
            {"CODE_DELIVERY_DESTINATION": "+*******1234", "CODE_DELIVERY_DELIVERY_MEDIUM": "SMS"},
        )

    def test_a_new_password(self) -> None:
        self.user.status = "FORCE_CHANGE_PASSWORD"
        self.assertIsInstance(self.answer(self.challenged(), NEW_PASSWORD="new password 1!"), Tokens)
        self.assertIsInstance(self.login(password="new password 1!"), Tokens)

    def test_a_new_password_with_the_attributes_that_the_pool_wants(self) -> None:
        self.user.status, self.user.required_attributes = "FORCE_CHANGE_PASSWORD", ("name",)
        challenge = self.challenged()
        self.assertEqual(challenge.parameters, {"requiredAttributes": '["userAttributes.name"]'})
        self.assertIsInstance(
            self.answer(challenge, NEW_PASSWORD="new password 1!", **{"userAttributes.name": "Ann"}), Tokens
        )
        self.assertEqual(self.user.attributes, {"name": "Ann"})

    def test_a_new_password_that_is_too_weak(self) -> None:
        self.user.status = "FORCE_CHANGE_PASSWORD"
        answer = self.provider.answer(self.challenged(), {"NEW_PASSWORD": "short"})
        self.assertIsInstance(self.error_of(answer), PasswordPolicy)

    def test_steps_follow_each_other(self) -> None:
        self.user.status, self.user.mfa = "FORCE_CHANGE_PASSWORD", ("SMS_MFA", "SOFTWARE_TOKEN_MFA")
        second = self.answer(self.challenged(), NEW_PASSWORD="new password 1!")
        assert isinstance(second, Challenge)
        self.assertEqual(second.name, "SELECT_MFA_TYPE")
        self.assertEqual(second.parameters, {"MFAS_CAN_CHOOSE": '["SMS_MFA","SOFTWARE_TOKEN_MFA"]'})
        third = self.answer(second, ANSWER="SOFTWARE_TOKEN_MFA")
        assert isinstance(third, Challenge)
        self.assertEqual((third.name, third.username), ("SOFTWARE_TOKEN_MFA", "2f4a-ann"))
        self.assertIsInstance(self.answer(third, SOFTWARE_TOKEN_MFA_CODE="123456"), Tokens)

    def test_a_choice_of_password(self) -> None:
        self.user.mfa = ("SELECT_CHALLENGE",)
        self.assertIsInstance(self.answer(self.challenged(), PASSWORD=PASSWORD), Tokens)
        answer = self.provider.answer(self.challenged(), {"ANSWER": "PASSWORD", "PASSWORD": "wrong"})
        self.assertIsInstance(self.error_of(answer), ChallengeFailed)

    def test_a_wrong_code(self) -> None:
        self.user.mfa = ("SMS_MFA",)
        answer = self.provider.answer(self.challenged(), {"SMS_MFA_CODE": "000000"})
        self.assertIsInstance(self.error_of(answer), ChallengeFailed)

    def test_a_session_that_is_over_used_or_somebody_elses(self) -> None:
        self.user.mfa = ("SMS_MFA",)
        self.pool.add(User("bob", PASSWORD, mfa=("SMS_MFA",)))
        late = self.challenged()
        self.clock.advance(181)
        used = self.challenged()
        self.answer(used, SMS_MFA_CODE="123456")
        forged = Challenge("SMS_MFA", "x" * 20, "2f4a-ann")
        foreign = Challenge("SMS_MFA", self.challenged().session, "bob")
        for challenge in (late, used, forged, foreign):
            answer = self.provider.answer(challenge, {"SMS_MFA_CODE": "123456"})
            self.assertIsInstance(self.error_of(answer), ChallengeFailed)

    def test_an_unsupported_step_is_named(self) -> None:
        self.user.mfa = ("CUSTOM_CHALLENGE",)
        error = self.error_of(self.provider.login("ann@example.com", PASSWORD))
        assert isinstance(error, UnsupportedChallenge)
        self.assertEqual(error.challenge, "CUSTOM_CHALLENGE")

    def test_an_answer_that_cannot_be_one_is_not_sent(self) -> None:
        for name, expected in (("MFA_SETUP", UnsupportedChallenge), ("SMS_MFA", ChallengeFailed)):
            answer = self.provider.answer(Challenge(name, "s" * 20, "ann"), {})
            self.assertIsInstance(self.error_of(answer), expected)
        self.assertEqual(self.fake.calls, [])

    def test_moto_names_the_user_in_no_parameter(self) -> None:
        self.fake.inject(
            "InitiateAuth", Canned(200, b'{"ChallengeName":"SMS_MFA","Session":"s","ChallengeParameters":{}}')
        )
        self.assertEqual(self.challenged().username, "ann@example.com")


class RefreshTests(CognitoTestCase):
    """`refresh`: the modern operation, the older one, and when the second takes the place of the first."""

    secret = SECRET

    def refresh(self, token: str, username: str | None = "2f4a-ann") -> Tokens:
        return self.successResultOf(self.provider.refresh(token, username))

    def test_rotation_gives_the_next_refresh_token(self) -> None:
        self.record.rotation = True
        first = self.refresh_token()
        second = self.refresh(first, None).refresh
        assert second is not None
        self.assertNotEqual(first, second)
        self.assertIsNotNone(self.refresh(second, None).refresh)

    def test_a_spent_refresh_token_ends_the_session(self) -> None:
        self.record.rotation = True
        first = self.refresh_token()
        second = self.refresh(first).refresh or ""
        self.clock.advance(1)
        self.assertIsInstance(self.error_of(self.provider.refresh(first, None)), SessionExpired)
        self.assertIsInstance(self.error_of(self.provider.refresh(second, None)), SessionExpired)

    def test_a_refresh_token_that_is_unknown_or_whose_user_is_gone_ends_the_session(self) -> None:
        token = self.refresh_token()
        self.assertIsInstance(self.error_of(self.provider.refresh("unknown", None)), SessionExpired)
        self.user.enabled = False
        self.assertIsInstance(self.error_of(self.provider.refresh(token, None)), SessionExpired)

    def test_what_cannot_be_a_refresh_token_is_not_sent(self) -> None:
        for token in ("", "a b", "a\r\nb", "é", "a;b", "a\n"):
            self.assertIsInstance(self.error_of(self.provider.refresh(token, None)), SessionExpired)
            self.assertIsInstance(self.error_of(self.provider.revoke(token)), SessionExpired)
        self.assertEqual(self.fake.calls, [])

    def test_the_older_operation_is_used_where_the_modern_one_is_unknown(self) -> None:
        token = self.refresh_token()
        self.fake.always(MODERN, error(UNKNOWN))
        self.assertIsNone(self.refresh(token).refresh)
        (name, request) = self.fake.calls[-1]
        self.assertEqual(name, "InitiateAuth")
        self.assertEqual(request["AuthFlow"], "REFRESH_TOKEN_AUTH")
        expected = secret_hash("2f4a-ann", self.record.client_id, SECRET)
        self.assertEqual(request["AuthParameters"], {"REFRESH_TOKEN": token, "SECRET_HASH": expected})

    def modern_calls(self) -> int:
        """How often the modern operation is tried by one more refresh that succeeds."""
        tried: list[str] = []
        fault_for = self.fake.fault_for

        def watch(method: str, path: str, headers: Any) -> Any:
            tried.append(headers["x-amz-target"].partition(".")[2])
            return fault_for(method, path, headers)

        self.patch(self.fake, "fault_for", watch)
        self.refresh(self.refresh_token())
        return tried.count(MODERN)

    def test_that_it_is_unknown_is_remembered(self) -> None:
        token = self.refresh_token()
        self.fake.always(MODERN, error(UNKNOWN))
        self.refresh(token)
        self.assertEqual(self.modern_calls(), 0)

    def test_a_page_of_500_shows_it_at_an_address_set_by_hand_only(self) -> None:
        token = self.refresh_token()
        self.fake.always(MODERN, html(500))
        self.assertIsInstance(self.error_of(self.provider.refresh(token, "2f4a-ann")), ProviderUnavailable)
        self.assertEqual(self.fake.asked("InitiateAuth"), 1)
        self.provider = self.make_provider(custom_endpoint=True)
        self.refresh(token)
        self.assertEqual(self.modern_calls(), 0)

    def test_a_wrong_token_never_leads_to_the_older_operation(self) -> None:
        for custom in (False, True):
            self.provider = self.make_provider(custom_endpoint=custom)
            self.assertIsInstance(self.error_of(self.provider.refresh("unknown", "2f4a-ann")), SessionExpired)
        self.assertEqual(self.fake.asked("InitiateAuth"), 0)

    def test_an_outage_does_not_switch_the_older_operation_on(self) -> None:
        token = self.refresh_token()
        self.provider = self.make_provider(custom_endpoint=True)
        for outage in (html(500), html(502), html(503), error("InternalErrorException", status=500), Reset()):
            self.fake.always(MODERN, outage)
            self.fake.always("InitiateAuth", outage)
            self.assertIsInstance(self.error_of(self.provider.refresh(token, "2f4a-ann")), ProviderUnavailable)
        self.fake.always(MODERN, None)
        self.fake.always("InitiateAuth", None)
        self.record.rotation = True
        self.assertIsNotNone(self.refresh(token).refresh)

    def test_an_outage_after_the_modern_operation_worked_is_an_outage(self) -> None:
        self.record.rotation = True
        self.provider = self.make_provider(custom_endpoint=True)
        token = self.refresh(self.refresh_token()).refresh or ""
        self.fake.inject(MODERN, html(500), error(UNKNOWN))
        for _ in range(2):
            self.assertIsInstance(self.error_of(self.provider.refresh(token, "2f4a-ann")), ProviderUnavailable)
        self.assertEqual(self.fake.asked("InitiateAuth"), 1)
        self.assertIsNotNone(self.refresh(token).refresh)

    def test_a_refused_token_shows_that_the_modern_operation_is_known(self) -> None:
        token = self.refresh_token()
        self.provider = self.make_provider(custom_endpoint=True)
        self.error_of(self.provider.refresh("unknown", None))
        self.fake.inject(MODERN, html(500))
        self.assertIsInstance(self.error_of(self.provider.refresh(token, "2f4a-ann")), ProviderUnavailable)

    def test_a_failure_of_the_older_operation_brings_the_modern_one_back(self) -> None:
        token = self.refresh_token()
        self.fake.always(MODERN, error(UNKNOWN))
        self.refresh(token)
        self.fake.always(MODERN, None)
        self.record.rotation = True
        self.assertIsInstance(self.error_of(self.provider.refresh(token, "2f4a-ann")), SessionExpired)
        self.assertIsNotNone(self.refresh(token).refresh)

    def test_the_older_operation_needs_the_users_name_for_the_secret(self) -> None:
        token = self.refresh_token()
        self.fake.always(MODERN, error(UNKNOWN))
        for name in (None, "", "a\ud800", "a" * 129):
            self.assertIsInstance(self.error_of(self.provider.refresh(token, name)), SessionExpired)
        self.assertEqual(self.fake.asked("InitiateAuth"), 1)

    def test_an_alias_in_place_of_the_name_does_not_end_the_session(self) -> None:
        token = self.refresh_token()
        self.fake.always(MODERN, error(UNKNOWN))
        self.assertIsInstance(self.error_of(self.provider.refresh(token, "ann@example.com")), ProviderUnavailable)

    def test_without_a_secret_the_older_operation_needs_no_name(self) -> None:
        self.record.secret = self.secret = None
        self.provider = self.make_provider()
        token = self.refresh_token()
        self.fake.always(MODERN, error(UNKNOWN))
        self.refresh(token, None)
        self.assertEqual(self.fake.calls[-1][1]["AuthParameters"], {"REFRESH_TOKEN": token})


class RevokeTests(CognitoTestCase):
    """`revoke` without a secret."""

    def test_an_unknown_token_is_revoked_already(self) -> None:
        self.assertIsNone(self.successResultOf(self.provider.revoke("unknown")))

    def test_a_client_without_revocation_is_a_setting(self) -> None:
        self.record.revocation = False
        self.assertIsInstance(self.error_of(self.provider.revoke("unknown")), ProviderUnavailable)
        self.assertEqual(self.levels(), [LogLevel.error])

    def test_an_access_token_is_none_to_revoke(self) -> None:
        self.assertIsInstance(self.error_of(self.provider.revoke(self.logged_in().token)), SessionExpired)

    def test_moto_has_no_revocation(self) -> None:
        self.fake.always("RevokeToken", html(500))
        self.assertIsInstance(self.error_of(self.provider.revoke("token")), ProviderUnavailable)


class SignOutTests(CognitoTestCase):
    """`sign_out` is GlobalSignOut."""

    def sign_out(self, token: str, refresh: str | None = None) -> None:
        self.assertIsNone(self.successResultOf(self.provider.sign_out(token, refresh, "2f4a-ann")))

    def assert_ended(self, *tokens: str | None) -> None:
        for token in tokens:
            self.assertIsInstance(self.error_of(self.provider.refresh(token or "", None)), SessionExpired)

    def test_every_refresh_token_of_the_user_ends_and_no_other(self) -> None:
        self.pool.add(User("bob", PASSWORD))
        bob = self.login("bob")
        assert isinstance(bob, Tokens)
        one, other = self.logged_in(), self.logged_in()
        self.sign_out(one.token, one.refresh)
        self.assertEqual(self.fake.calls[-1], ("GlobalSignOut", {"AccessToken": one.token}))
        self.assert_ended(one.refresh, other.refresh)
        self.successResultOf(self.provider.refresh(bob.refresh or "", None))

    def test_with_an_id_token_an_access_token_is_made_first(self) -> None:
        for rotation in (False, True):
            self.record.rotation = rotation
            self.provider = self.make_provider(token_use="id")
            one, other = self.logged_in(), self.logged_in()
            self.sign_out(one.token, one.refresh)
            (modern, _), (last, request) = self.fake.calls[-2:]
            self.assertEqual((modern, last), (MODERN, "GlobalSignOut"))
            self.assertNotEqual(request["AccessToken"], one.token)
            self.assert_ended(one.refresh, other.refresh)

    def test_so_it_is_where_the_modern_operation_is_unknown(self) -> None:
        self.fake.always(MODERN, error(UNKNOWN))
        self.provider = self.make_provider(token_use="id")
        one, other = self.logged_in(), self.logged_in()
        self.sign_out(one.token, one.refresh)
        self.assert_ended(one.refresh, other.refresh)

    def test_an_id_token_alone_is_not_enough(self) -> None:
        self.provider = self.make_provider(token_use="id")
        token = self.logged_in().token
        for refresh in (None, "no token of Cognito's"):
            self.assertIsInstance(self.error_of(self.provider.sign_out(token, refresh, None)), SessionExpired)
        self.assertEqual(self.fake.asked("GlobalSignOut"), 0)

    def test_a_refresh_that_brings_no_access_token_is_the_providers_fault(self) -> None:
        self.provider = self.make_provider(token_use="id")
        tokens = self.logged_in()
        body = json.dumps({"AuthenticationResult": {"IdToken": tokens.token}}).encode()
        self.fake.inject(MODERN, Canned(200, body))
        error_ = self.error_of(self.provider.sign_out(tokens.token, tokens.refresh, None))
        self.assertIsInstance(error_, ProviderUnavailable)
        self.assertEqual(self.fake.asked("GlobalSignOut"), 0)

    def test_a_token_that_was_revoked_or_has_not_the_scope_is_refused(self) -> None:
        one = self.logged_in()
        self.successResultOf(self.provider.revoke(one.refresh or ""))
        self.assertIsInstance(self.error_of(self.provider.sign_out(one.token, None, None)), SessionExpired)
        refusal = error("NotAuthorizedException", "Access Token does not have required scopes")
        self.fake.inject("GlobalSignOut", refusal)
        self.assertIsInstance(self.error_of(self.provider.sign_out(self.logged_in().token, None, None)), SessionExpired)

    def test_a_pool_that_is_away_is_told(self) -> None:
        token = self.logged_in().token
        for fault, expected in ((html(500), ProviderUnavailable), (error("TooManyRequestsException"), RateLimited)):
            self.fake.inject("GlobalSignOut", fault)
            self.assertIsInstance(self.error_of(self.provider.sign_out(token, None, None)), expected)

    def test_a_message_with_the_token_goes_nowhere(self) -> None:
        token = self.logged_in().token
        self.fake.inject("GlobalSignOut", error("NotAuthorizedException", token))  # as moto does
        seen = self.error_of(self.provider.sign_out(token, None, None))
        self.assertNotIn("eyJ", f"{seen} {seen!r} {seen.message}")


class FaultTests(CognitoTestCase):
    """Whatever the provider does, the caller gets a `ProviderError`, and a password is sent once."""

    def test_every_fault_is_the_providers_absence(self) -> None:
        faults = [
            html(200),
            html(500),
            html(502),
            html(403),
            Canned(200, b""),
            Canned(200, b"{}"),
            Canned(200, b"[]"),
            Canned(200, b'{"AuthenticationResult": {}}'),
            Canned(200, b'{"AuthenticationResult": {"AccessToken": ""}}'),
            Canned(200, b'{"AuthenticationResult": {"AccessToken": 1}}'),
            Canned(200, b'{"AuthenticationResult": {"IdToken": "a"}}'),
            Canned(200, b'{"AuthenticationResult": {"AccessToken": "a", "RefreshToken": "b; Domain=x"}}'),
            Canned(200, b'{"AuthenticationResult": {"AccessToken": "a", "RefreshToken": ""}}'),
            Canned(200, b'{"ChallengeName": "SMS_MFA"}'),
            Canned(200, b'{"ChallengeName": "SMS_MFA", "Session": ""}'),
            Canned(302, b"", {"location": "https://evil.example/"}),
            error("InternalErrorException", status=500),
            error("ForbiddenException", status=403),
            Reset(),
        ]
        for number, fault in enumerate(faults, 1):
            with self.subTest(fault=fault):
                self.poster = MemoryPoster(self.fake, URL)
                self.fake.inject("InitiateAuth", fault)
                error_seen = self.error_of(self.make_provider().login("ann@example.com", PASSWORD))
                self.assertIs(type(error_seen), ProviderUnavailable)
                self.assertEqual(len(self.levels()), number)
        # none of them was taken as a reason to send the password again
        self.assertEqual(self.fake.asked("InitiateAuth"), 0)
        self.assertIsInstance(self.login(), Tokens)

    def test_throttling_is_told(self) -> None:
        self.fake.inject("InitiateAuth", error("TooManyRequestsException"), Canned(429, b""))
        for _ in range(2):
            self.assertIsInstance(self.error_of(self.provider.login("ann@example.com", PASSWORD)), RateLimited)
        self.assertEqual(self.levels(), [LogLevel.warn] * 2)

    def test_a_connection_that_could_not_be_made_is_tried_once_more(self) -> None:
        self.poster.refusals = ["refused"]
        self.assertIsInstance(self.login(), Tokens)
        self.poster.refusals = ["refused", "refused"]
        self.assertIsInstance(self.error_of(self.provider.login("ann@example.com", PASSWORD)), ProviderUnavailable)

    def test_a_timeout_is_not_tried_again(self) -> None:
        self.poster.refusals = ["timeout"]
        self.assertIsInstance(self.error_of(self.provider.login("ann@example.com", PASSWORD)), ProviderUnavailable)
        self.assertEqual(self.fake.calls, [])

    def test_a_slow_answer_counts(self) -> None:
        self.fake.inject("InitiateAuth", Delay(1))
        login = self.provider.login("ann@example.com", PASSWORD)
        self.assertNoResult(login)
        self.poster.release()
        self.assertIsInstance(self.successResultOf(login), Tokens)

    def test_a_login_can_be_cancelled(self) -> None:
        self.fake.inject("InitiateAuth", Hang())
        login = self.provider.login("ann@example.com", PASSWORD)
        self.assertNoResult(login)
        login.cancel()
        self.failureResultOf(login)
        self.assertEqual(self.levels(), [])

    def test_a_message_with_a_token_goes_nowhere(self) -> None:
        message = "MESSAGE eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
        for kind in ("NotAuthorizedException", "SomethingNewException", message):
            self.fake.inject("InitiateAuth", error(kind, message))
            self.fake.inject(MODERN, error(kind, message))
            self.fake.inject("RevokeToken", error(kind, message))
            for deferred in (
                self.provider.login("ann@example.com", PASSWORD),
                self.provider.refresh("token", None),
                self.provider.revoke("token"),
            ):
                seen = self.error_of(deferred)
                self.assertNotIn("eyJ", f"{seen} {seen!r} {seen.message}")


class ErrorsOnDemandTests(CognitoTestCase):
    """The rows of the table, through the wire and the provider; the whole table is in test_cognito_errors."""

    def test_each_stage_has_its_own_meaning(self) -> None:
        challenge = Challenge("SMS_MFA", "s" * 20, "ann")
        rows: list[tuple[str, type[ProviderError], type[ProviderError], type[ProviderError]]] = [
            ("NotAuthorizedException", InvalidCredentials, ChallengeFailed, SessionExpired),
            ("UserNotFoundException", InvalidCredentials, ChallengeFailed, SessionExpired),
            ("UserNotConfirmedException", AccountNotReady, AccountNotReady, SessionExpired),
            ("ExpiredCodeException", InvalidCredentials, ChallengeFailed, ProviderUnavailable),
            ("TooManyFailedAttemptsException", RateLimited, RateLimited, RateLimited),
            ("RefreshTokenReuseException", ProviderUnavailable, ProviderUnavailable, SessionExpired),
            ("UnexpectedLambdaException", ProviderUnavailable, ProviderUnavailable, ProviderUnavailable),
        ]
        for kind, *expected in rows:
            for operation in ("InitiateAuth", "RespondToAuthChallenge", MODERN):
                self.fake.inject(operation, error(f"com.amazonaws.cognito#{kind}"))
            deferreds: list[Deferred[Any]] = [
                self.provider.login("ann@example.com", PASSWORD),
                self.provider.answer(challenge, {"SMS_MFA_CODE": "1"}),
                self.provider.refresh("token", None),
            ]
            self.assertEqual([type(self.error_of(deferred)) for deferred in deferreds], expected, kind)
