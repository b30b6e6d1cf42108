"""`POST /auth/dev/shorten`, with `--dev` only: a token that ends in a few seconds, to see what happens then."""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wsservice.addresses import address_key
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import Tokens
from wsservice.errors import InvalidToken
from wsservice.web.answers import Answer, bad_request, json_answer
from wsservice.web.auth_parts import AuthParts, describe
from wsservice.web.request import WsRequest
from wsservice.web.resource import read_json

#: seconds that a shortened token may live
MOST = 3600


class Shortening:
    """The handler.

    Args:
        shorten: makes a token of the same session that ends in so many seconds.
    """

    def __init__(self, parts: AuthParts, shorten: Callable[[Principal, int], str]) -> None:
        self._parts = parts
        self._shorten = shorten

    async def __call__(self, request: WsRequest) -> Answer:
        """As a refresh: 200 with the new token's cookie, and the session's connections end with it.

        Raises:
            RequestRefused: `seconds` is no whole number of 1 to 3600.
            AuthenticationError: there is no session.
            RateLimited: too often from this address.
        """
        seconds = read_seconds(read_json(request))
        handshake, services, cookies = request.handshake, self._parts.services, self._parts.settings.cookies
        self._parts.sessions_of_address.take(address_key(handshake.peer))
        old = await services.authenticate(handshake)
        token = self._shorten(old, seconds)
        principal = await self._parts.verify(token, handshake)
        try:
            grant = cookies.read_refresh(handshake)  # it stays as it is
        except InvalidToken:
            grant = None
        tokens = Tokens(token, grant.token if grant is not None else None)
        answer = json_answer(200, describe(principal), self._parts.cookies_for(handshake, tokens, principal))
        services.sessions.renew(principal)
        return answer


def read_seconds(body: Mapping[str, Any]) -> int:
    """`{"seconds"}`.

    Raises:
        RequestRefused: 400.
    """
    seconds = body.get("seconds")
    if type(seconds) is not int or not 1 <= seconds <= MOST:  # bool is a subclass of int
        raise bad_request(f"seconds must be a whole number from 1 to {MOST}.")
    return seconds
