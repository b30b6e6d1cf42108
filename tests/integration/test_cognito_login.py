"""Logging in at the fake Cognito over real sockets, its faults included."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, DeferredList
from twisted.trial.unittest import TestCase

from tests.fakecognito import (
    AppClientRecord,
    Canned,
    Credentials,
    Delay,
    FakeCognito,
    FakeSite,
    Hang,
    Pool,
    Reset,
    User,
    html,
)
from wsservice.auth import sigv4
from wsservice.auth.endpoints import cognito_endpoints
from wsservice.auth.fetch import BoundedFetcher
from wsservice.auth.jwks import RemoteKeySet
from wsservice.auth.providers.base import Challenge, Tokens
from wsservice.auth.providers.cognito import AppClient, CognitoProvider
from wsservice.auth.providers.cognito_api import CognitoApi
from wsservice.auth.tokens import Rules
from wsservice.counters import Counters
from wsservice.errors import InvalidCredentials, ProviderUnavailable

SECRET = "fakesecretfakesecretfakesecret"
PASSWORD = "correct horse 1!"
NAME = "ann@example.com"


class LoginTests(TestCase):
    """The provider as the service puts it together, against the fake on a socket."""

    def setUp(self) -> None:
        self.pool = Pool(now=time.time)
        self.record = AppClientRecord(secret=SECRET, rotation=True, grace=60)
        self.user = User("2f4a-ann", PASSWORD, NAME, groups=("staff",))
        self.pool.add(self.user, self.record)
        self.fake = FakeCognito(self.pool, now=time.time)
        self.site = FakeSite(self.fake, reactor)
        self.addCleanup(self.site.stop)
        self.addCleanup(lambda: self.assertEqual(self.fake.violations, []))
        self.provider = self.make_provider()

    def make_provider(self, *, timeout: float = 30.0, **client: Any) -> CognitoProvider:
        endpoints = cognito_endpoints("us-east-1", self.pool.pool_id, endpoint_override=self.site.url)
        fetcher = BoundedFetcher(reactor, timeout=timeout)
        keys = RemoteKeySet(fetcher.get, endpoints.jwks_url, clock=reactor, counters=Counters())
        key = Credentials()
        credentials = sigv4.Credentials(key.access_key, key.secret_key)
        provider = CognitoProvider(
            keys,
            Rules(frozenset(endpoints.issuers), frozenset({self.record.client_id})),
            CognitoApi(fetcher, endpoints.api, region="us-east-1", credentials=credentials, now=time.time),
            client=AppClient(self.pool.pool_id, self.record.client_id, SECRET, **client),
            custom_endpoint=endpoints.custom,
            now=time.time,
        )
        provider.start()
        self.addCleanup(provider.stop)
        return provider

    async def logged_in(self) -> Tokens:
        tokens = await self.provider.login(NAME, PASSWORD)
        assert isinstance(tokens, Tokens)
        return tokens

    async def test_a_session_from_login_to_revocation(self) -> None:
        tokens = await self.logged_in()
        principal = await self.provider.verify(tokens.token)
        self.assertEqual((principal.id, principal.username), (self.user.sub, "2f4a-ann"))
        self.assertEqual(principal.roles, {"staff"})
        refreshed = await self.provider.refresh(tokens.refresh or "", principal.username)
        self.assertEqual((await self.provider.verify(refreshed.token)).session, principal.session)
        await self.provider.revoke(refreshed.refresh or "")

    async def test_the_id_token_verifies_as_well(self) -> None:
        self.provider = self.make_provider(token_use="id")
        principal = await self.provider.verify((await self.logged_in()).token)
        self.assertEqual(principal.claims["token_use"], "id")
        self.assertEqual(principal.username, "2f4a-ann")

    async def test_the_admin_flow_with_a_challenge(self) -> None:
        self.provider = self.make_provider(auth_flow="admin")
        self.user.mfa = ("SOFTWARE_TOKEN_MFA",)
        challenge = await self.provider.login(NAME, PASSWORD)
        assert isinstance(challenge, Challenge)
        tokens = await self.provider.answer(challenge, {"SOFTWARE_TOKEN_MFA_CODE": "123456"})
        assert isinstance(tokens, Tokens)
        await self.provider.verify(tokens.token)
        self.assertEqual([name for name, _ in self.fake.calls], ["AdminInitiateAuth", "AdminRespondToAuthChallenge"])

    async def test_a_wrong_password_and_user(self) -> None:
        await self.assertFailure(self.provider.login(NAME, "wrong"), InvalidCredentials)
        await self.assertFailure(self.provider.login("bob", PASSWORD), InvalidCredentials)

    async def test_faults_are_the_providers_absence_and_pass(self) -> None:
        for fault in (
            html(500),
            html(200),
            Canned(200, b""),
            Canned(200, b"x" * 300_000),
            Canned(200, b"{}", {"content-encoding": "gzip"}),
            Canned(307, b"", {"location": "/elsewhere"}),
            Reset(),
            Reset(after=b'{"AuthenticationResult": {"AccessToken": "a"}'),
        ):
            self.fake.inject("InitiateAuth", fault)
            await self.assertFailure(self.provider.login(NAME, PASSWORD), ProviderUnavailable)
        self.assertEqual(self.fake.calls, [])
        await self.logged_in()

    async def test_a_provider_that_does_not_answer(self) -> None:
        self.provider = self.make_provider(timeout=0.2)
        self.fake.inject("InitiateAuth", Hang())
        await self.assertFailure(self.provider.login(NAME, PASSWORD), ProviderUnavailable)
        self.assertEqual(self.fake.calls, [])

    async def test_a_provider_that_is_away(self) -> None:
        await self.site.stop()
        await self.assertFailure(self.provider.login(NAME, PASSWORD), ProviderUnavailable)
        await self.assertFailure(self.provider.refresh("token", None), ProviderUnavailable)
        await self.assertFailure(self.provider.revoke("token"), ProviderUnavailable)

    async def test_a_login_that_hangs_holds_no_other_one_up(self) -> None:
        self.fake.inject("InitiateAuth", Hang())
        logins = [self.provider.login(NAME, PASSWORD) for _ in range(2)]
        await DeferredList(logins, fireOnOneCallback=True)
        (hanging,) = [login for login in logins if not login.called]
        hanging.cancel()
        await self.assertFailure(hanging, CancelledError)

    async def test_a_late_answer_is_an_answer(self) -> None:
        self.fake.inject("InitiateAuth", Delay(0.1))
        await self.logged_in()

    async def test_what_is_sent_is_utf_8(self) -> None:
        self.user.password = 'Пароль "\\ 😀'
        await self.provider.login(NAME, self.user.password)
        self.assertEqual(self.fake.calls[0][1]["AuthParameters"]["PASSWORD"], self.user.password)
