"""The two cookies of a session: the token, for every request, and the refresh token, for `/auth` alone. Pure.

Some providers want the user's name along with the refresh token, when the token that tells it is long gone. So
the refresh cookie holds both: `<base64url of the name>~<refresh token>`. A value without `~` is the bare token of
the system that this service replaces; its cookie stood at the path `/`, and is cleared there whenever ours is written.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from wsservice.auth.cookies import CookiePolicy, read_cookie
from wsservice.auth.providers.base import Tokens
from wsservice.handshake import Handshake
from wsservice.headers import Headers

#: where the refresh cookie is sent to
REFRESH_PATH = "/auth"
#: seconds; Cognito's own default of 30 days
REFRESH_LIFETIME = 30 * 86400.0
_SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """What the refresh cookie holds; `username` is None where only the bare token is there."""

    token: str = field(repr=False)
    username: str | None = None


@dataclass(frozen=True, slots=True)
class SessionCookies:
    """Names, lifetimes and attributes of the cookies.

    Attributes:
        token_name: `AUTH_COOKIE_NAME`.
        refresh_name: of the refresh cookie.
        refresh_lifetime: seconds that a browser keeps it; the provider decides how long it works.
        policy: their attributes.

    Raises:
        ValueError: the two have one name, or the refresh cookie one that demands the path `/`.
    """

    token_name: str = "authToken"  # noqa: S105 - no secret
    refresh_name: str = "refreshToken"
    refresh_lifetime: float = REFRESH_LIFETIME
    policy: CookiePolicy = field(default_factory=CookiePolicy)

    def __post_init__(self) -> None:
        if self.token_name == self.refresh_name:
            raise ValueError("the token's cookie and the refresh token's need different names")
        if self.refresh_name.lower().startswith("__host-"):
            raise ValueError(f"the refresh cookie is for {REFRESH_PATH} alone, which browsers forbid to __Host- names")

    def read_refresh(self, handshake: Handshake) -> RefreshGrant | None:
        """What the refresh cookie holds, or None if there is none.

        Raises:
            InvalidToken: two different ones.
        """
        value = read_cookie(handshake.header_values("cookie"), self.refresh_name)
        if value is None:
            return None
        encoded, separator, token = value.partition(_SEPARATOR)
        username = _decode(encoded)
        return RefreshGrant(token, username) if separator and token and username else RefreshGrant(value)

    def set(self, handshake: Handshake, tokens: Tokens, *, username: str, max_age: float) -> Headers:
        """The headers that give a browser a session; whatever it had before is replaced.

        Args:
            username: the provider's own name of the user.
            max_age: seconds that the token still lives.

        Raises:
            TokenTooLarge: one of the two does not fit into a cookie; nothing may be set then.
            ValueError: the provider's token cannot stand in a cookie.
        """
        values = self.policy.token_cookies(self.token_name, tokens.token, handshake=handshake, max_age=max_age)
        values.append(self._clear_old_refresh(handshake))
        if tokens.refresh is None:  # one of an earlier login must not bring its user back
            values.append(self.policy.clear(self.refresh_name, handshake=handshake, path=REFRESH_PATH))
        else:
            value = f"{_encode(username)}{_SEPARATOR}{tokens.refresh}"
            values.append(
                self.policy.set(
                    self.refresh_name, value, handshake=handshake, max_age=self.refresh_lifetime, path=REFRESH_PATH
                )
            )
        return _headers(values)

    def clear(self, handshake: Handshake) -> Headers:
        """The headers that take the session from a browser, chunks too."""
        values = self.policy.clear_token_cookies(self.token_name, handshake=handshake)
        values.append(self._clear_old_refresh(handshake))
        values.append(self.policy.clear(self.refresh_name, handshake=handshake, path=REFRESH_PATH))
        return _headers(values)

    def _clear_old_refresh(self, handshake: Handshake) -> str:
        return self.policy.clear(self.refresh_name, handshake=handshake)


def _headers(values: list[str]) -> Headers:
    return tuple((b"Set-Cookie", value.encode("ascii")) for value in values)


def _encode(username: str) -> str:
    return base64.urlsafe_b64encode(username.encode()).decode().rstrip("=")


def _decode(encoded: str) -> str | None:
    """The name, or None for what `_encode` cannot have made."""
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
