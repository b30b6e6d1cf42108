"""Logging in against a Cognito user pool: passwords, challenges, refresh, revocation.

Verifying is `OidcProvider`'s. A refresh has two ways, and which one a provider knows is found out by use:

    UNTRIED --GetTokensFromRefreshToken gave tokens, or refused one--> ROTATING   (what fails now is an outage)
    UNTRIED --unknown to the provider, and REFRESH_TOKEN_AUTH gave tokens--> PLAIN
    PLAIN   --REFRESH_TOKEN_AUTH failed--> UNTRIED

So an outage can lead to `PLAIN` only where REFRESH_TOKEN_AUTH works, and is forgotten when it does not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from wsservice.auth.providers.base import Challenge, KeySource, Tokens
from wsservice.auth.providers.cognito_api import Answer, CognitoApi
from wsservice.auth.providers.cognito_challenges import answer_fields, read_challenge, sendable
from wsservice.auth.providers.cognito_errors import (
    MALFORMED,
    CallFailed,
    Fault,
    Stage,
    advice,
    operation_unknown,
    provider_error,
)
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.auth.strict_json import decode_object
from wsservice.auth.tokens import Rules, parse_token
from wsservice.errors import (
    ConfigurationError,
    InvalidCredentials,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SessionExpired,
)

log = Logger()

#: characters, by the service model
MAX_USERNAME = 128
MAX_PASSWORD = 256
# The model's pattern: what does not fit cannot have been issued, and must not go into a cookie.
_REFRESH_TOKEN = re.compile(r"[A-Za-z0-9_=.-]+", re.ASCII)

_LOG = "Cognito {operation}: {kind} (status {status}, AWS request id {aws_request!r})"
_LOG_ADVICE = _LOG + ": {advice}"


@dataclass(frozen=True, slots=True)
class AppClient:
    """The pool's app client that people log in with.

    Attributes:
        pool_id: needed for the admin flow only.
        client_secret: where the app client has one.
        auth_flow: `user` is USER_PASSWORD_AUTH, which anybody may call; `admin` is ADMIN_USER_PASSWORD_AUTH,
            which only AWS credentials may.
        token_use: which token of a login becomes the session's: `access`, or `id`.
    """

    pool_id: str
    client_id: str
    client_secret: str | None = field(repr=False, default=None)
    auth_flow: Literal["user", "admin"] = "user"
    token_use: Literal["access", "id"] = "access"  # noqa: S105 - no password


class _RefreshWay(Enum):
    """See the module's docstring."""

    UNTRIED = "untried"
    ROTATING = "GetTokensFromRefreshToken"
    PLAIN = "REFRESH_TOKEN_AUTH"


class CognitoProvider(OidcProvider):
    """A Cognito user pool: verifies its tokens, and logs people in.

    The tokens that `login`, `answer` and `refresh` fire with are not verified: give them to `verify` before
    anything is built on them. No text of Cognito's gets into an error or into the log.

    Args:
        keys: the pool's public keys.
        rules: what a token must be.
        api: the pool's API.
        client: the app client.
        custom_endpoint: the API's address was set by hand (`CognitoEndpoints.custom`).
        now: gives POSIX seconds.

    Raises:
        ConfigurationError: the admin flow without AWS credentials.
    """

    can_login = True

    def __init__(
        self,
        keys: KeySource,
        rules: Rules,
        api: CognitoApi,
        *,
        client: AppClient,
        custom_endpoint: bool = False,
        now: Callable[[], float],
    ) -> None:
        super().__init__(keys, rules, now=now)
        if client.auth_flow == "admin" and not api.can_sign:
            raise ConfigurationError("--auth-flow admin needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        self._api = api
        self._client = client
        self._custom_endpoint = custom_endpoint
        self._way = _RefreshWay.UNTRIED

    def login(self, username: str, password: str) -> Deferred[Tokens | Challenge]:
        """Exchange a password for tokens, or for a challenge; a password is sent once."""
        if not (sendable(username, MAX_USERNAME) and sendable(password, MAX_PASSWORD)):
            return fail(InvalidCredentials("user name or password is empty, too long or no text"))
        admin = self._client.auth_flow == "admin"
        request = {
            "AuthFlow": "ADMIN_USER_PASSWORD_AUTH" if admin else "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": username, "PASSWORD": password, **self._hash_of(username)},
        }
        return Deferred.fromCoroutine(self._step(Stage.LOGIN, "InitiateAuth", request, username=username))

    def answer(self, challenge: Challenge, responses: dict[str, str]) -> Deferred[Tokens | Challenge]:
        """Answer a challenge with the fields of `cognito_challenges.ANSWER_FIELDS`, and `userAttributes.*`.

        Other fields are ignored.
        """
        try:
            fields = answer_fields(challenge, responses)
        except ProviderError as error:
            return fail(error)
        username = challenge.username
        request = {
            "ChallengeName": challenge.name,
            "Session": challenge.session,
            "ChallengeResponses": {**fields, "USERNAME": username, **self._hash_of(username)},
        }
        return Deferred.fromCoroutine(self._step(Stage.CHALLENGE, "RespondToAuthChallenge", request, username=username))

    def refresh(self, refresh_token: str, username: str | None) -> Deferred[Tokens]:
        """Exchange a refresh token for a new token; run one at a time for a session, for it may rotate.

        Args:
            username: is needed only where the provider lacks GetTokensFromRefreshToken and the client has a secret.
        """
        if not _REFRESH_TOKEN.fullmatch(refresh_token):
            return fail(SessionExpired("the refresh token is none that Cognito can have issued"))
        return Deferred.fromCoroutine(self._refresh(refresh_token, username)).addCallback(self._tokens)

    def revoke(self, refresh_token: str) -> Deferred[None]:
        """Revoke a refresh token; where that fails the caller goes on, for the session is to end anyway."""
        if not _REFRESH_TOKEN.fullmatch(refresh_token):
            return fail(SessionExpired("the refresh token is none that Cognito can have issued"))
        return Deferred.fromCoroutine(self._revoke(refresh_token))

    def sign_out(self, token: str, refresh_token: str | None, username: str | None) -> Deferred[None]:
        """End every session of the user by GlobalSignOut, which wants an access token.

        Where `token` is an ID token, one is made by the refresh token; without that it fails with `SessionExpired`.
        So does an access token without the scope `aws.cognito.signin.user.admin`, which logins by the API have.
        """
        return Deferred.fromCoroutine(self._sign_out(token, refresh_token, username))

    async def _step(
        self, stage: Stage, operation: str, request: dict[str, Any], *, username: str
    ) -> Tokens | Challenge:
        """Take a step of a login, by the operation for everybody or, signed, the one for administrators."""
        request["ClientId"] = self._client.client_id
        call = self._api.call
        if self._client.auth_flow == "admin":
            operation, call = f"Admin{operation}", self._api.call_signed
            request["UserPoolId"] = self._client.pool_id
        try:
            answer = await call(operation, request)
            return self._challenge(answer, username) if answer.challenge_name else self._tokens(answer)
        except CallFailed as error:
            raise _explain(error.fault, stage, operation) from error

    async def _refresh(self, refresh_token: str, username: str | None) -> Answer:
        """The answer, in which `_tokens` finds what it needs."""
        if self._way is _RefreshWay.PLAIN:
            return await self._refresh_plain(refresh_token, username)
        operation = "GetTokensFromRefreshToken"
        request = {"RefreshToken": refresh_token, **self._client_members()}
        try:
            answer = await self._api.call(operation, request)
            self._tokens(answer)
        except CallFailed as error:
            fault = error.fault
            if self._way is _RefreshWay.UNTRIED and operation_unknown(fault, custom_endpoint=self._custom_endpoint):
                return await self._refresh_plain(refresh_token, username)
            explained = _explain(fault, Stage.REFRESH, operation)
            if isinstance(explained, SessionExpired):
                self._way = _RefreshWay.ROTATING
            raise explained from error
        self._way = _RefreshWay.ROTATING
        return answer

    async def _refresh_plain(self, refresh_token: str, username: str | None) -> Answer:
        """Refresh as before rotation existed: SECRET_HASH is of the token's own user, whom the caller must know."""
        if self._client.client_secret and not (username and sendable(username, MAX_USERNAME)):
            raise SessionExpired("REFRESH_TOKEN_AUTH with a client secret needs the user's name, and none is known")
        operation = "InitiateAuth"
        request = {
            "AuthFlow": "REFRESH_TOKEN_AUTH",
            "ClientId": self._client.client_id,
            "AuthParameters": {"REFRESH_TOKEN": refresh_token, **self._hash_of(username or "")},
        }
        try:
            answer = await self._api.call(operation, request)
            self._tokens(answer)
        except CallFailed as error:
            self._way = _RefreshWay.UNTRIED
            raise _explain(error.fault, Stage.REFRESH, operation) from error
        self._way = _RefreshWay.PLAIN
        return answer

    async def _revoke(self, refresh_token: str) -> None:
        operation = "RevokeToken"
        try:
            await self._api.call(operation, {"Token": refresh_token, **self._client_members()})
        except CallFailed as error:
            raise _explain(error.fault, Stage.REVOKE, operation) from error

    async def _sign_out(self, token: str, refresh_token: str | None, username: str | None) -> None:
        access: str | None = token
        if not _is_access_token(token):
            if refresh_token is None or not _REFRESH_TOKEN.fullmatch(refresh_token):
                raise SessionExpired("GlobalSignOut wants an access token; there is an ID token and no refresh token")
            result = (await self._refresh(refresh_token, username)).authentication_result
            access = None if result is None else result.access_token
        operation = "GlobalSignOut"
        try:
            if not access:
                raise CallFailed(Fault(MALFORMED, 200))
            await self._api.call(operation, {"AccessToken": access})
        except CallFailed as error:
            raise _explain(error.fault, Stage.REVOKE, operation) from error

    def _challenge(self, answer: Answer, username: str) -> Challenge:
        """Raises `UnsupportedChallenge`, or `CallFailed` where a member is missing."""
        challenge = read_challenge(
            answer.challenge_name or "",
            answer.session or "",
            username=username,
            parameters=answer.challenge_parameters or {},
            available=answer.available_challenges,
        )
        if not challenge.session:
            raise CallFailed(Fault(MALFORMED, 200))
        return challenge

    def _tokens(self, answer: Answer) -> Tokens:
        """Raises `CallFailed` where the tokens are missing, or nothing to put into a cookie."""
        result = answer.authentication_result
        if result is not None:
            wants_id = self._client.token_use == "id"  # noqa: S105 - no password
            token = result.id_token if wants_id else result.access_token
            if token and (result.refresh_token is None or _REFRESH_TOKEN.fullmatch(result.refresh_token)):
                return Tokens(token, result.refresh_token)
        raise CallFailed(Fault(MALFORMED, 200))

    def _hash_of(self, username: str) -> dict[str, str]:
        """The member that proves the client's secret, where it has one."""
        secret = self._client.client_secret
        return {"SECRET_HASH": secret_hash(username, self._client.client_id, secret)} if secret else {}

    def _client_members(self) -> dict[str, str]:
        """The client as the newer operations want it: the plain secret, and no user's name."""
        secret = self._client.client_secret
        return {"ClientId": self._client.client_id, **({"ClientSecret": secret} if secret else {})}


def _is_access_token(token: str) -> bool:
    """Whether a token that was verified is one."""
    return decode_object(parse_token(token).payload).get("token_use") == "access"


def secret_hash(username: str, client_id: str, client_secret: str) -> str:
    """Cognito's SECRET_HASH: Base64(HMAC-SHA256(client secret, user name + client id))."""
    digest = hmac.new(client_secret.encode(), f"{username}{client_id}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _explain(fault: Fault, stage: Stage, operation: str) -> ProviderError:
    """Log a fault, in words that are ours or AWS's names of errors, and make the error for the caller."""
    error = provider_error(fault, stage)
    fields = {
        "operation": operation,
        "kind": fault.kind,
        "status": fault.status,
        "aws_request": fault.request_id,
        "log_flood": f"{operation}: {error.word}",
    }
    if isinstance(error, ProviderUnavailable) and advice(fault):
        log.error(_LOG_ADVICE, advice=advice(fault), **fields)
    elif isinstance(error, ProviderUnavailable | RateLimited):
        log.warn(_LOG, **fields)
    else:
        log.info(_LOG, **fields)
    return error
