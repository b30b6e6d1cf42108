"""Cognito's API on the wire: one call is one POST of JSON (AWS JSON 1.1), signed or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred

from wsservice.auth.fetch import FetchError, Response
from wsservice.auth.providers.cognito_errors import MALFORMED, UNREADABLE, CallFailed, Fault, read_fault, request_id_of
from wsservice.auth.sigv4 import Credentials, sign

TARGET_PREFIX = "AWSCognitoIdentityProviderService"
CONTENT_TYPE = "application/x-amz-json-1.1"
#: the service's name in a signature's scope
SIGNING_NAME = "cognito-idp"


class Poster(Protocol):
    """What is needed of `wsservice.auth.fetch.BoundedFetcher`."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[Response]:
        """Fire with the answer, whatever its status; fails with `FetchError`."""
        ...  # pragma: no cover


class _Secretive(msgspec.Struct, frozen=True, rename="pascal"):
    """A part of an answer: it holds tokens, so it does not print itself."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class AuthenticationResult(_Secretive, frozen=True):
    """The tokens of a login or refresh; emulators leave some out."""

    access_token: str | None = None
    id_token: str | None = None
    refresh_token: str | None = None


class Answer(_Secretive, frozen=True):
    """What the login operations answer; one that ends a session answers with nothing.

    The values of `challenge_parameters` are strings, except where an emulator puts lists.
    """

    challenge_name: str | None = None
    session: str | None = None
    challenge_parameters: dict[str, Any] | None = None
    available_challenges: list[Any] | None = None
    authentication_result: AuthenticationResult | None = None


class CognitoApi:
    """Calls the API of one region. Knows the wire, not what the operations mean.

    Args:
        poster: sends a POST; bounds its time and the answer's size.
        url: the API's address (`CognitoEndpoints.api`).
        region: for the signature.
        credentials: of AWS, for operations that must be signed.
        now: gives POSIX seconds.
    """

    def __init__(
        self,
        poster: Poster,
        url: str,
        *,
        region: str,
        credentials: Credentials | None = None,
        now: Callable[[], float],
    ) -> None:
        self._poster = poster
        self._url = url
        self._region = region
        self._credentials = credentials
        self._now = now

    @property
    def can_sign(self) -> bool:
        """Whether there are credentials for `call_signed`."""
        return self._credentials is not None

    def call(self, operation: str, request: Mapping[str, Any]) -> Deferred[Answer]:
        """Call an operation without a signature; fires with its answer, fails with `CallFailed` only.

        A connection that could not be made is tried once more (nothing was sent); nothing else is repeated,
        for a password that is sent twice counts twice.
        """
        body, headers = self._request(operation, request)
        return Deferred.fromCoroutine(self._post(body, headers))

    def call_signed(self, operation: str, request: Mapping[str, Any]) -> Deferred[Answer]:
        """As `call`, with the signature of the credentials, which must be there (`can_sign`)."""
        if self._credentials is None:
            raise ValueError("call_signed needs credentials")
        body, headers = self._request(operation, request)
        signed = sign(
            "POST",
            self._url,
            headers,
            body,
            region=self._region,
            service=SIGNING_NAME,
            access_key=self._credentials.access_key,
            secret_key=self._credentials.secret_key,
            session_token=self._credentials.session_token,
            now=self._now(),
        )
        return Deferred.fromCoroutine(self._post(body, signed))

    def _request(self, operation: str, request: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
        headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": f"{TARGET_PREFIX}.{operation}"}
        return msgspec.json.encode(request), headers

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            try:
                response = await self._poster.post(self._url, body, headers)
            except FetchError as error:
                if error.word != "refused":
                    raise
                response = await self._poster.post(self._url, body, headers)
        except FetchError as error:
            raise CallFailed(Fault(error.word)) from error
        if response.status != 200:
            raise CallFailed(read_fault(response.status, response.headers, response.body))
        try:
            return msgspec.json.decode(response.body or b"{}", type=Answer)
        except UNREADABLE as error:
            fault = Fault(MALFORMED, response.status, request_id_of(response.headers))
            raise CallFailed(fault) from error
