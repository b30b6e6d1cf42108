"""The fake Cognito, with boto3 as its client: it must speak as AWS's own SDK expects.

boto3 blocks, so each of its calls runs in a thread. Nothing of wsservice takes part here.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

import boto3
import jwt
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, readBody

from tests.fakecognito import AppClientRecord, Credentials, FakeCognito, FakeSite, Pool, User, error
from wsservice.auth.providers.cognito import secret_hash

SECRET = "fakesecretfakesecretfakesecret"
PASSWORD = "correct horse 1!"
PLAIN = "2plainclient"
HIDDEN = "3clientwithsecret"


@cache
def _session() -> boto3.session.Session:
    """One for all: it keeps the service model, which takes longer to load than a test runs."""
    return boto3.session.Session()


class Boto3Tests(TestCase):
    """Every operation, as boto3 calls it."""

    def setUp(self) -> None:
        # What boto3 signs has the time of this machine.
        self.clock = Clock()
        self.clock.advance(time.time())
        self.pool = Pool(now=self.clock.seconds)
        self.user = User("2f4a-ann", PASSWORD, "ann@example.com")
        self.pool.add(self.user, AppClientRecord(PLAIN), AppClientRecord(HIDDEN, SECRET, rotation=True))
        self.fake = FakeCognito(self.pool, now=self.clock.seconds)
        self.site = FakeSite(self.fake, reactor)
        self.addCleanup(self.site.stop)
        self.addCleanup(lambda: self.assertEqual(self.fake.violations, []))
        self.boto3 = self.client(Credentials())

    def client(self, key: Credentials) -> BaseClient:
        return _session().client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=self.site.url,
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
            aws_session_token=key.session_token,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
        )

    async def call(self, operation: str, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await deferToThread(getattr(self.boto3, operation), **request)
        return answer

    async def kind(self, operation: str, **request: Any) -> str:
        """The error that boto3 makes of the answer."""
        try:
            await self.call(operation, **request)
        except ClientError as refused:
            modelled = getattr(self.boto3.exceptions, refused.response["Error"]["Code"], None)
            self.assertIsInstance(refused, modelled or ClientError)
            return str(refused.response["Error"]["Code"])
        raise self.failureException(f"{operation} succeeded")

    def password(self, client_id: str, name: str = "ann@example.com", **more: str) -> dict[str, Any]:
        parameters = {"USERNAME": name, "PASSWORD": PASSWORD, **more}
        return {"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": client_id, "AuthParameters": parameters}

    async def test_login_and_refresh_without_a_secret(self) -> None:
        answer = await self.call("initiate_auth", **self.password(PLAIN))
        result = answer["AuthenticationResult"]
        self.assertEqual(set(result), {"AccessToken", "IdToken", "RefreshToken", "ExpiresIn", "TokenType"})
        self.assertTrue(answer["ResponseMetadata"]["RequestId"])
        token = result["RefreshToken"]
        again = await self.call("get_tokens_from_refresh_token", RefreshToken=token, ClientId=PLAIN)
        self.assertNotIn("RefreshToken", again["AuthenticationResult"])
        plain = {"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": PLAIN, "AuthParameters": {"REFRESH_TOKEN": token}}
        self.assertIn("AccessToken", (await self.call("initiate_auth", **plain))["AuthenticationResult"])

    async def test_the_tokens_verify_by_the_key_set(self) -> None:
        result = (await self.call("initiate_auth", **self.password(PLAIN)))["AuthenticationResult"]
        url = f"{self.site.url}/{self.pool.pool_id}/.well-known/jwks.json"
        response = await Agent(reactor).request(b"GET", url.encode())
        keys = {key["kid"]: jwt.PyJWK(key) for key in json.loads(await readBody(response))["keys"]}
        self.assertEqual(len(keys), 2)
        for name, audience in (("AccessToken", None), ("IdToken", PLAIN)):
            kid = jwt.get_unverified_header(result[name])["kid"]
            claims = jwt.decode(result[name], keys[kid], ["RS256"], audience=audience, issuer=self.pool.tokens.issuer)
            self.assertEqual(claims["sub"], self.user.sub)

    async def test_the_secret_hash_is_checked(self) -> None:
        right = secret_hash("ann@example.com", HIDDEN, SECRET)
        await self.call("initiate_auth", **self.password(HIDDEN, SECRET_HASH=right))
        wrong = secret_hash("2f4a-ann", HIDDEN, SECRET)
        for more in ({}, {"SECRET_HASH": wrong}, {"SECRET_HASH": ""}):
            kind = await self.kind("initiate_auth", **self.password(HIDDEN, **more))
            self.assertEqual(kind, "NotAuthorizedException")

    async def test_refusals_have_the_names_of_the_model(self) -> None:
        request = self.password(PLAIN)
        request["AuthParameters"]["PASSWORD"] = "wrong"
        self.assertEqual(await self.kind("initiate_auth", **request), "NotAuthorizedException")
        self.assertEqual(await self.kind("initiate_auth", **self.password(PLAIN, "bob")), "UserNotFoundException")
        self.assertEqual(await self.kind("initiate_auth", **self.password("other")), "ResourceNotFoundException")
        self.user.status = "UNCONFIRMED"
        self.assertEqual(await self.kind("initiate_auth", **self.password(PLAIN)), "UserNotConfirmedException")
        self.user.enabled = False
        self.assertEqual(await self.kind("initiate_auth", **self.password(PLAIN)), "NotAuthorizedException")

    async def test_rotation_and_reuse(self) -> None:
        first_hash = secret_hash("ann@example.com", HIDDEN, SECRET)
        login = await self.call("initiate_auth", **self.password(HIDDEN, SECRET_HASH=first_hash))
        first = login["AuthenticationResult"]["RefreshToken"]
        request = {"ClientId": HIDDEN, "ClientSecret": SECRET}
        answer = await self.call("get_tokens_from_refresh_token", RefreshToken=first, **request)
        second = answer["AuthenticationResult"]["RefreshToken"]
        self.assertNotEqual(first, second)
        self.clock.advance(1)
        reused = await self.kind("get_tokens_from_refresh_token", RefreshToken=first, **request)
        self.assertEqual(reused, "RefreshTokenReuseException")
        ended = await self.kind("get_tokens_from_refresh_token", RefreshToken=second, **request)
        self.assertEqual(ended, "NotAuthorizedException")

    async def test_signing_out_everywhere(self) -> None:
        one, other = [
            (await self.call("initiate_auth", **self.password(PLAIN)))["AuthenticationResult"] for _ in range(2)
        ]
        for wrong in (one["IdToken"], "nonsense"):
            self.assertEqual(await self.kind("global_sign_out", AccessToken=wrong), "NotAuthorizedException")
        await self.call("global_sign_out", AccessToken=one["AccessToken"])
        for result in (one, other):
            request = {"RefreshToken": result["RefreshToken"], "ClientId": PLAIN}
            self.assertEqual(await self.kind("get_tokens_from_refresh_token", **request), "NotAuthorizedException")
        again = await self.kind("global_sign_out", AccessToken=other["AccessToken"])
        self.assertEqual(again, "NotAuthorizedException")

    async def test_revocation(self) -> None:
        result = (await self.call("initiate_auth", **self.password(PLAIN)))["AuthenticationResult"]
        kind = await self.kind("revoke_token", Token=result["AccessToken"], ClientId=PLAIN)
        self.assertEqual(kind, "UnsupportedTokenTypeException")
        await self.call("revoke_token", Token=result["RefreshToken"], ClientId=PLAIN)
        request = {"RefreshToken": result["RefreshToken"], "ClientId": PLAIN}
        self.assertEqual(await self.kind("get_tokens_from_refresh_token", **request), "NotAuthorizedException")

    async def test_challenges(self) -> None:
        self.user.status, self.user.mfa = "FORCE_CHANGE_PASSWORD", ("SOFTWARE_TOKEN_MFA",)
        first = await self.call("initiate_auth", **self.password(PLAIN))
        self.assertEqual(first["ChallengeName"], "NEW_PASSWORD_REQUIRED")
        username = first["ChallengeParameters"]["USER_ID_FOR_SRP"]
        responses = {"USERNAME": username, "NEW_PASSWORD": "new password 1!"}
        request = {"ClientId": PLAIN, "ChallengeName": "NEW_PASSWORD_REQUIRED"}
        second = await self.call(
            "respond_to_auth_challenge", **request, Session=first["Session"], ChallengeResponses=responses
        )
        self.assertEqual(second["ChallengeName"], "SOFTWARE_TOKEN_MFA")
        responses = {"USERNAME": username, "SOFTWARE_TOKEN_MFA_CODE": "123456"}
        request = {"ClientId": PLAIN, "ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": second["Session"]}
        last = await self.call("respond_to_auth_challenge", **request, ChallengeResponses=responses)
        self.assertIn("AccessToken", last["AuthenticationResult"])
        spent = await self.kind("respond_to_auth_challenge", **request, ChallengeResponses=responses)
        self.assertEqual(spent, "NotAuthorizedException")

    async def test_a_wrong_code(self) -> None:
        self.user.mfa = ("SMS_MFA",)
        session = (await self.call("initiate_auth", **self.password(PLAIN)))["Session"]
        request = {"ClientId": PLAIN, "ChallengeName": "SMS_MFA", "Session": session}
        responses = {"USERNAME": "2f4a-ann", "SMS_MFA_CODE": "000000"}
        kind = await self.kind("respond_to_auth_challenge", **request, ChallengeResponses=responses)
        self.assertEqual(kind, "CodeMismatchException")

    async def test_admin_calls_want_a_good_signature(self) -> None:
        request = {**self.password(PLAIN), "AuthFlow": "ADMIN_USER_PASSWORD_AUTH", "UserPoolId": self.pool.pool_id}
        answer = await self.call("admin_initiate_auth", **request)
        self.assertIn("AccessToken", answer["AuthenticationResult"])
        self.boto3 = self.client(Credentials(secret_key="wrong"))
        self.assertEqual(await self.kind("admin_initiate_auth", **request), "InvalidSignatureException")
        self.boto3 = self.client(Credentials(access_key="AKIAOTHER"))
        self.assertEqual(await self.kind("admin_initiate_auth", **request), "UnrecognizedClientException")
        self.boto3 = self.client(Credentials())
        self.clock.advance(3600)
        self.assertEqual(await self.kind("admin_initiate_auth", **request), "InvalidSignatureException")

    async def test_what_the_fake_does_not_know_is_unknown(self) -> None:
        self.assertEqual(await self.kind("list_user_pools", MaxResults=1), "UnknownOperationException")

    async def test_errors_to_order(self) -> None:
        self.fake.inject("InitiateAuth", error("TooManyRequestsException", "Rate exceeded"))
        self.assertEqual(await self.kind("initiate_auth", **self.password(PLAIN)), "TooManyRequestsException")
        await self.call("initiate_auth", **self.password(PLAIN))
