"""Cookies: reading the token out of a request, and writing it so that a browser keeps it (RFC 6265).

A browser drops a cookie silently when its name and value pass 4,096 bytes (RFC 6265bis section 5.6). A token that
is larger is written as `name.0`, `name.1` and so on; they are read only where there is no plain cookie `name`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wsservice.auth.tokens import MAX_TOKEN
from wsservice.errors import InvalidToken, TokenTooLarge
from wsservice.handshake import Handshake

#: bytes of name and value; Chromium and Firefox, RFC 6265bis section 5.6
MAX_COOKIE = 4096
#: bytes of a chunk's value: room for any name, and for older Safari, which counts the whole line
CHUNK = 3800
#: chunks that are looked at and cleared; a token of `MAX_TOKEN` characters makes three
MAX_CHUNKS = 8

#: RFC 9110 section 5.6.2
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: cookie-octet of RFC 6265 section 4.1.1
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")
#: path-value of RFC 6265 section 4.1.1
_PATH = re.compile(r"/[ -:<-~]*")
#: where browsers trust plain http
_LOCAL_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]*)?", re.IGNORECASE)


def check_cookie_name(name: str) -> None:
    """Raise ValueError, which says the fix, for what cannot be the name of a cookie; for settings, at start."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a cookie: use letters, digits and !#$%&'*+-.^_`|~")


def read_cookie(cookie_headers: Iterable[str], name: str) -> str | None:
    """The value of a cookie, as it stands in the request: neither unquoted nor percent-decoded.

    Args:
        cookie_headers: the value of each `Cookie` header line: `handshake.header_values("cookie")`.

    Returns:
        None if there is no such cookie, or only an empty one.

    Raises:
        InvalidToken: two different values under the name. Taking either would let a sibling subdomain, which
            can plant a cookie but not remove ours, log a user into another account.
    """
    return _single(_read_values(cookie_headers), name)


def read_token(cookie_headers: Iterable[str], name: str) -> str | None:
    """The token in the cookie `name`, else in its chunks; see `read_cookie`.

    Raises:
        InvalidToken: two different values under one name, or chunks with a gap.
    """
    values = _read_values(cookie_headers)
    plain = _single(values, name)
    if plain is not None:
        return plain
    chunks = [_single(values, chunk_name) for chunk_name in _chunk_names(name)]
    present = [chunk for chunk in chunks if chunk is not None]
    if None in chunks[: len(present)]:
        raise InvalidToken("the cookie's chunks have a gap")
    return "".join(present) or None


def _read_values(cookie_headers: Iterable[str]) -> dict[str, set[str]]:
    """Every cookie's different values; an empty value is as good as none."""
    values: dict[str, set[str]] = {}
    for line in cookie_headers:
        for pair in line.split(";"):
            name, _, value = pair.strip(" \t").partition("=")
            if value:
                values.setdefault(name, set()).add(value)
    return values


def _single(values: dict[str, set[str]], name: str) -> str | None:
    found = values.get(name, set())
    if len(found) > 1:
        raise InvalidToken("two different cookies of one name")
    return next(iter(found), None)


def _chunk_names(name: str) -> list[str]:
    return [f"{name}.{index}" for index in range(MAX_CHUNKS)]


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """How cookies are written: always `HttpOnly`, never with `Domain`, so that they stay with this very host.

    Attributes:
        same_site: `Lax`; `Strict`; or `None` for a front end on a foreign site, which implies `Secure`.
        secure: `auto` is always, but for plain http to localhost, 127.0.0.1 or [::1]; `never` is for tests of
            plain http under another name.
        chunking: whether a token that does not fit into one cookie is split.

    Raises:
        ValueError: `SameSite=None` without `Secure`, which browsers drop.
    """

    same_site: Literal["Lax", "Strict", "None"] = "Lax"
    secure: Literal["auto", "always", "never"] = "auto"
    chunking: bool = True

    def __post_init__(self) -> None:
        if self.same_site == "None" and self.secure == "never":
            raise ValueError("browsers drop cookies with SameSite=None and without Secure: use Lax, or secure=auto")

    def set(self, name: str, value: str, *, handshake: Handshake, max_age: float | None, path: str = "/") -> str:
        """The value of a `Set-Cookie` header that sets a cookie.

        Args:
            handshake: the request that is answered.
            max_age: seconds, rounded down; None for as long as the browser runs. Without a whole second left
                the browser deletes the cookie.

        Raises:
            ValueError: if name, value or path hold what a cookie cannot, or a prefix of the name forbids it.
            TokenTooLarge: if browsers would drop it.
        """
        if not _VALUE.fullmatch(value):
            raise ValueError("a cookie's value is ASCII without spaces, quotes, commas, semicolons and backslashes")
        if len(name) + len(value) > MAX_COOKIE:
            raise TokenTooLarge(f"a cookie of {len(name) + len(value)} bytes, more than browsers keep")
        lifetime = "" if max_age is None else f"; Max-Age={max(0, int(max_age))}"
        return f"{name}={value}{lifetime}{self._attributes(name, path, handshake)}"

    def clear(self, name: str, *, handshake: Handshake, path: str = "/") -> str:
        """The value of a `Set-Cookie` header that deletes a cookie; the path must be that of `set`.

        Raises:
            ValueError: see `set`.
        """
        expiry = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        return f"{name}=; {expiry}{self._attributes(name, path, handshake)}"

    def token_cookies(
        self, name: str, token: str, *, handshake: Handshake, max_age: float | None, path: str = "/"
    ) -> list[str]:
        """The `Set-Cookie` values that set a token, in one cookie or in chunks; add every one, in this order.

        First comes what clears the chunks that the request carries, and the plain cookie where chunks follow.

        Raises:
            ValueError: see `set`.
            TokenTooLarge: if the token does not fit, or `parse_token` would refuse its length: tell the client
                (`token_too_large`) and set no cookie at all.
        """
        if len(token) > MAX_TOKEN:
            raise TokenTooLarge(f"a token of {len(token)} characters, more than the {MAX_TOKEN} that are accepted")
        parts = {name: token}
        clear = self._stale_chunks(name, handshake)
        if self.chunking and len(name) + len(token) > MAX_COOKIE:
            pieces = [token[start : start + CHUNK] for start in range(0, len(token), CHUNK)]
            parts = dict(zip(_chunk_names(name), pieces, strict=False))
            clear.append(name)
        return [self.clear(stale, handshake=handshake, path=path) for stale in clear] + [
            self.set(part, value, handshake=handshake, max_age=max_age, path=path) for part, value in parts.items()
        ]

    def clear_token_cookies(self, name: str, *, handshake: Handshake, path: str = "/") -> list[str]:
        """The `Set-Cookie` values that delete a token: the plain cookie, and the chunks that the request carries."""
        names = [name, *self._stale_chunks(name, handshake)]
        return [self.clear(stale, handshake=handshake, path=path) for stale in names]

    def _stale_chunks(self, name: str, handshake: Handshake) -> list[str]:
        values = _read_values(handshake.header_values("cookie"))
        return [chunk_name for chunk_name in _chunk_names(name) if chunk_name in values]

    def _attributes(self, name: str, path: str, handshake: Handshake) -> str:
        check_cookie_name(name)
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} cannot be the path of a cookie")
        secure = self._is_secure(name, path, handshake)
        return f"; Path={path}; HttpOnly{'; Secure' if secure else ''}; SameSite={self.same_site}"

    def _is_secure(self, name: str, path: str, handshake: Handshake) -> bool:
        prefixed = name.lower().startswith(("__secure-", "__host-"))  # RFC 6265bis section 4.1.3
        if prefixed and self.secure == "never":
            raise ValueError(f"browsers drop {name} without Secure")
        if name.lower().startswith("__host-") and path != "/":
            raise ValueError(f"browsers drop {name} with a path other than /")
        if self.secure == "auto" and self.same_site != "None" and not prefixed:
            return handshake.secure or not _LOCAL_HOST.fullmatch(handshake.host)
        return self.secure != "never"
