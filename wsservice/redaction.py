"""Secrets that found their way into a text: taken out before it is written.

This is the last net, not the first: nothing of ours logs a token, a cookie or a password. But a traceback may hold
what a handler's exception repeats, and a library may log what it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MARK = "[redacted]"
#: a known secret that is shorter would be found everywhere
_SHORTEST_SECRET = 6

# Base64url of `{"`: a JWT, whole or cut off, or the encrypted kind that Cognito's refresh tokens are.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)*")
_AWS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_BEARER = re.compile(r"\b(bearer)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# As a header line, `Cookie: ...`; or as printed in a dict or a list of pairs, `'cookie': '...'`, `(b"cookie", b"...")`.
_HEADER = re.compile(
    r"""\b((?:set-)?cookie|(?:proxy-)?authorization)(\\*["']?\s*(?::|,\s*b?(?=\\*["'])))[^\n]*""", re.IGNORECASE
)
_NAME = (
    r"passw(?:or)?d|secret_?hash|client_?secret|secret_?access_?key"
    r"|(?:access|id|refresh|auth|session|security)[_-]?token(?:\.[0-9])?|signature"
)
_VALUE = r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|\\+".*?\\+"|\\*["'][^\n]*|[^\s,;&)}\]]+)"""
_NAMED = re.compile(rf"""({_NAME})(\\*["']?\s*[:=]\s*){_VALUE}""", re.IGNORECASE)
_SECRET_NAME = re.compile(rf".*(?:{_NAME})", re.IGNORECASE | re.DOTALL)


class Redactor:
    """Replaces secrets in texts by `[redacted]`.

    Args:
        secrets: values to look for as they are.
        cookies: names of cookies that hold tokens.
    """

    def __init__(self, *, secrets: Iterable[str] = (), cookies: Iterable[str] = ()) -> None:
        values = sorted((one for one in secrets if len(one) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, values))) if values else None
        names = "|".join(map(re.escape, cookies))
        self._cookies = re.compile(rf"({names})((?:\.[0-9])?=)[^;,\s\"']+") if names else None

    def __call__(self, text: str) -> str:
        """The text without what looks like a secret."""
        if self._secrets is not None:
            text = self._secrets.sub(MARK, text)
        text = _JWT.sub(MARK, text)
        if self._cookies is not None:
            text = self._cookies.sub(rf"\1\2{MARK}", text)
        text = _HEADER.sub(rf"\1\2 {MARK}", text)
        text = _NAMED.sub(rf"\1\2{MARK}", text)
        text = _BEARER.sub(rf"\1 {MARK}", text)
        return _AWS_KEY_ID.sub(MARK, text)

    def is_secret_name(self, name: str) -> bool:
        """Whether the value of a field of that name must not be seen, whatever it is."""
        return _SECRET_NAME.fullmatch(name) is not None
