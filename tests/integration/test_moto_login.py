"""Logging in at moto's real HTTP server, with a pool that boto3 made: the wire is AWS's, not ours.

Where moto (5.2) is not as Cognito, and what that means here:

* GetTokensFromRefreshToken is unknown to it (a page of HTML with 500), so REFRESH_TOKEN_AUTH takes its place.
  That one checks SECRET_HASH, of the name that the user logged in with. A wrong hash has a message that is the
  hash itself, so it looks like a wrong token.
* RevokeToken is unknown to it, too: a revocation fails, and the caller goes on. GlobalSignOut works; a token that it
  refuses comes back in its message.
* USER_PASSWORD_AUTH does not look at SECRET_HASH at all: tests/fakecognito does.
* An unknown user is UserNotFoundException whatever the client's PreventUserExistenceErrors.
* Admin calls need no good signature: tests/fakecognito has botocore check them.
* The key set has one fixed key, for pools that do not exist as well; tokens live 3600 s whatever the client says.
* ChallengeParameters lacks USER_ID_FOR_SRP, and for MFA it is empty.
* A session that is unknown is ResourceNotFoundException, as if the client did not exist.
* Messages hold secrets: a wrong hash comes back whole.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.integration.moto import CREDENTIALS, missing, shared
from wsservice.auth.endpoints import CognitoEndpoints, cognito_endpoints
from wsservice.auth.fetch import BoundedFetcher
from wsservice.auth.jwks import RemoteKeySet
from wsservice.auth.providers.base import Challenge, Tokens
from wsservice.auth.providers.cognito import AppClient, CognitoProvider
from wsservice.auth.providers.cognito_api import CognitoApi
from wsservice.auth.sigv4 import Credentials
from wsservice.auth.tokens import Rules
from wsservice.counters import Counters
from wsservice.errors import (
    AccountNotReady,
    InvalidCredentials,
    InvalidToken,
    PasswordPolicy,
    ProviderUnavailable,
    SessionExpired,
)

REGION = CREDENTIALS["AWS_DEFAULT_REGION"]
PASSWORD = "Correct-horse-1!"
FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


class MotoTestCase(TestCase):
    """One server for all tests; a fresh pool, with two app clients and a user, for each."""

    skip = missing()

    async def setUp(self) -> None:
        await deferToThread(self.make_pool)
        self.provider = self.make_provider(self.plain)

    def make_pool(self) -> None:
        """Blocks, so it runs in a thread."""
        self.moto = shared()
        self.moto.reset()
        self.boto3 = self.moto.boto3
        self.pool_id = self.boto3.create_user_pool(PoolName="people")["UserPool"]["Id"]
        self.plain = self.make_client("plain")
        self.hidden = self.make_client("with a secret", GenerateSecret=True)
        self.boto3.create_group(UserPoolId=self.pool_id, GroupName="staff")
        self.make_user("ann")
        self.boto3.admin_add_user_to_group(UserPoolId=self.pool_id, Username="ann", GroupName="staff")

    def make_client(self, name: str, **options: Any) -> dict[str, Any]:
        client: dict[str, Any] = self.boto3.create_user_pool_client(
            UserPoolId=self.pool_id, ClientName=name, ExplicitAuthFlows=FLOWS, **options
        )["UserPoolClient"]
        return client

    def make_user(self, name: str, *, permanent: bool = True) -> None:
        user = {"UserPoolId": self.pool_id, "Username": name}
        self.boto3.admin_create_user(**user, TemporaryPassword=PASSWORD, MessageAction="SUPPRESS")
        if permanent:
            self.boto3.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)

    def endpoints(self) -> CognitoEndpoints:
        return cognito_endpoints(REGION, self.pool_id, endpoint_override=self.moto.url)

    def make_provider(self, record: dict[str, Any], *, client_id: str | None = None, **client: Any) -> CognitoProvider:
        endpoints = self.endpoints()
        fetcher = BoundedFetcher(reactor, timeout=30)
        credentials = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        provider = CognitoProvider(
            RemoteKeySet(fetcher.get, endpoints.jwks_url, clock=reactor, counters=Counters(), wait=30),
            Rules(frozenset(endpoints.issuers), frozenset({record["ClientId"]})),
            CognitoApi(fetcher, endpoints.api, region=REGION, credentials=credentials, now=time.time),
            client=AppClient(self.pool_id, client_id or record["ClientId"], record.get("ClientSecret"), **client),
            custom_endpoint=endpoints.custom,
            now=time.time,
        )
        provider.start()
        self.addCleanup(provider.stop)
        return provider

    async def logged_in(self, name: str = "ann", password: str = PASSWORD) -> Tokens:
        tokens = await self.provider.login(name, password)
        assert isinstance(tokens, Tokens)
        return tokens

    async def challenged(self, name: str) -> Challenge:
        challenge = await self.provider.login(name, PASSWORD)
        assert isinstance(challenge, Challenge)
        return challenge


class LoginTests(MotoTestCase):
    """Login, refresh, revocation."""

    async def test_login_gives_a_token_that_verifies_by_motos_keys(self) -> None:
        principal = await self.provider.verify((await self.logged_in()).token)
        self.assertEqual(principal.username, "ann")
        self.assertEqual(principal.roles, {"staff"})
        self.assertEqual(principal.claims["token_use"], "access")
        self.assertGreater(principal.expires_at, time.time())

    async def test_the_id_token_verifies_as_well(self) -> None:
        self.provider = self.make_provider(self.plain, token_use="id")
        principal = await self.provider.verify((await self.logged_in()).token)
        self.assertEqual(principal.claims["token_use"], "id")
        self.assertEqual(principal.username, "ann")

    async def test_a_refresh_keeps_the_session(self) -> None:
        tokens = await self.logged_in()
        before = await self.provider.verify(tokens.token)
        # twice: the second time it is known that GetTokensFromRefreshToken is not
        for _ in range(2):
            refreshed = await self.provider.refresh(tokens.refresh or "", None)
            after = await self.provider.verify(refreshed.token)
            self.assertEqual((after.id, after.session), (before.id, before.session))

    async def test_login_and_refresh_with_a_client_secret(self) -> None:
        self.assertTrue(self.hidden["ClientSecret"])
        self.provider = self.make_provider(self.hidden)
        tokens = await self.logged_in()
        principal = await self.provider.verify(tokens.token)
        refreshed = await self.provider.refresh(tokens.refresh or "", principal.username)
        self.assertEqual((await self.provider.verify(refreshed.token)).id, principal.id)
        await self.assertFailure(self.provider.refresh(tokens.refresh or "", "bob"), SessionExpired)

    async def test_a_token_of_another_client_does_not_verify(self) -> None:
        tokens = await self.logged_in()
        await self.assertFailure(self.make_provider(self.hidden).verify(tokens.token), InvalidToken)

    async def test_a_wrong_password_and_an_unknown_user_are_the_same(self) -> None:
        wrong = await self.assertFailure(self.provider.login("ann", "wrong"), InvalidCredentials)
        unknown = await self.assertFailure(self.provider.login("bob", PASSWORD), InvalidCredentials)
        self.assertIs(type(wrong), type(unknown))

    async def test_accounts_that_are_not_ready(self) -> None:
        def prepare() -> None:
            self.boto3.admin_disable_user(UserPoolId=self.pool_id, Username="ann")
            self.boto3.sign_up(ClientId=self.plain["ClientId"], Username="bob", Password=PASSWORD)

        await deferToThread(prepare)
        for name in ("ann", "bob"):
            await self.assertFailure(self.provider.login(name, PASSWORD), AccountNotReady)

    async def test_an_unknown_client_is_a_setting(self) -> None:
        self.provider = self.make_provider(self.plain, client_id="2unknown")
        await self.assertFailure(self.provider.login("ann", PASSWORD), ProviderUnavailable)

    async def test_a_refresh_token_that_nobody_issued(self) -> None:
        await self.assertFailure(self.provider.refresh("unknown", "ann"), SessionExpired)

    async def test_a_revocation_that_moto_does_not_know_fails_as_a_provider_error(self) -> None:
        tokens = await self.logged_in()
        await self.assertFailure(self.provider.revoke(tokens.refresh or ""), ProviderUnavailable)

    async def test_signing_out_everywhere_ends_every_refresh_token_of_the_user(self) -> None:
        await deferToThread(self.make_user, "bob")
        one, other, bob = [await self.logged_in(name) for name in ("ann", "ann", "bob")]
        await self.provider.sign_out(one.token, one.refresh, "ann")
        for tokens in (one, other):
            await self.assertFailure(self.provider.refresh(tokens.refresh or "", "ann"), SessionExpired)
        await self.provider.refresh(bob.refresh or "", "bob")
        await self.assertFailure(self.provider.sign_out(other.token, None, "ann"), SessionExpired)

    async def test_signing_out_everywhere_with_an_id_token(self) -> None:
        self.provider = self.make_provider(self.plain, token_use="id")
        one, other = await self.logged_in(), await self.logged_in()
        await self.provider.sign_out(one.token, one.refresh, "ann")
        await self.assertFailure(self.provider.refresh(other.refresh or "", "ann"), SessionExpired)

    async def test_the_admin_flow(self) -> None:
        self.provider = self.make_provider(self.hidden, auth_flow="admin")
        principal = await self.provider.verify((await self.logged_in()).token)
        self.assertEqual(principal.username, "ann")
        await self.assertFailure(self.provider.login("ann", "wrong"), InvalidCredentials)
        await self.assertFailure(self.provider.login("bob", PASSWORD), InvalidCredentials)


class ChallengeTests(MotoTestCase):
    """Steps after the password."""

    async def test_a_new_password(self) -> None:
        await deferToThread(self.make_user, "eve", permanent=False)
        for record, flow in ((self.plain, "user"), (self.hidden, "admin")):
            with self.subTest(flow=flow):
                self.provider = self.make_provider(record, auth_flow=flow)
                challenge = await self.challenged("eve")
                self.assertEqual((challenge.name, challenge.username), ("NEW_PASSWORD_REQUIRED", "eve"))
                weak = self.provider.answer(challenge, {"NEW_PASSWORD": "weak"})
                await self.assertFailure(weak, PasswordPolicy)
                tokens = await self.provider.answer(await self.challenged("eve"), {"NEW_PASSWORD": "New-password-1!"})
                assert isinstance(tokens, Tokens)
                self.assertEqual((await self.provider.verify(tokens.token)).username, "eve")
                await self.logged_in("eve", "New-password-1!")
                await deferToThread(self.make_temporary, "eve")

    def make_temporary(self, name: str) -> None:
        self.boto3.admin_set_user_password(UserPoolId=self.pool_id, Username=name, Password=PASSWORD, Permanent=False)

    async def test_a_code_of_an_app(self) -> None:
        await deferToThread(self.enrol, "ann")
        self.provider = self.make_provider(self.hidden)
        challenge = await self.challenged("ann")
        self.assertEqual((challenge.name, challenge.username), ("SOFTWARE_TOKEN_MFA", "ann"))
        tokens = await self.provider.answer(challenge, {"SOFTWARE_TOKEN_MFA_CODE": "123456"})
        assert isinstance(tokens, Tokens)
        await self.provider.verify(tokens.token)

    def enrol(self, name: str) -> None:
        login = self.boto3.initiate_auth(
            ClientId=self.plain["ClientId"],
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )
        token = login["AuthenticationResult"]["AccessToken"]
        self.boto3.associate_software_token(AccessToken=token)
        self.boto3.verify_software_token(AccessToken=token, UserCode="123456")
        self.boto3.set_user_mfa_preference(
            AccessToken=token, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
        )

    async def test_a_session_that_is_unknown_is_refused(self) -> None:
        challenge = Challenge("SOFTWARE_TOKEN_MFA", "unknown-session-0123456789", "ann")
        answer = self.provider.answer(challenge, {"SOFTWARE_TOKEN_MFA_CODE": "123456"})
        await self.assertFailure(answer, ProviderUnavailable)
