"""Secrets that found their way into a text: taken out before it is written.

This is the last net, not the first: nothing of ours logs a token, a cookie or a password. But a traceback may hold
what a handler's exception repeats, and a library may log what it was given.

What is looked through may be a client's, so the work must grow with its length and not with the square of it: in no
pattern can two parts that repeat share out the same characters between them. And a text is bounded first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MARK = "[redacted]"
#: a known secret that is shorter would be found everywhere
_SHORTEST_SECRET = 6
#: characters of a text that are looked through; a line of the log has half of that
MAX_TEXT = 16384

# Base64url of `{"`: a JWT, whole or cut off, or the encrypted kind that Cognito's refresh tokens are.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)*")
_AWS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_BEARER = re.compile(r"\b(bearer)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# As a header line, `Cookie: ...`; or as printed in a dict or a list of pairs, `'cookie': '...'`, `(b"cookie", b"...")`.
_HEADER = re.compile(
    r"""\b((?:set-)?cookie|(?:proxy-)?authorization)(\\*["']?\s*(?::|,\s*b?(?=\\*["'])))[^\n]*""", re.IGNORECASE
)
# Of a URL: the session by which a raw client takes its connection over (docs/protocol.md), `1` is none.
_RECOVER = re.compile(r"([?&]recover=)[^&#\s\"'\\]{2,}", re.IGNORECASE)
_NAME = (
    r"passw(?:or)?d|secret_?hash|client_?secret|secret_?access_?key"
    r"|(?:access|id|refresh|auth|session|security)[_-]?token(?:\.[0-9])?|signature"
)
# Whole, as JSON, Python, or JSON within JSON (its quotes have the same backslashes) write it; else to the line's end.
_VALUE = (
    r"""(?:\[redacted\]|b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|(?P<deep>\\+)"[^"\\\n]*(?P=deep)"|\\*["'][^\n]*"""
    r"""|[^\s,;&)}\]]+)"""
)
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
        self._values = values
        self._secrets = re.compile("|".join(map(re.escape, values))) if values else None
        names = "|".join(map(re.escape, cookies))
        self._cookies = re.compile(rf"({names})((?:\.[0-9])?=)[^;,\s\"']+") if names else None

    def __call__(self, text: str, limit: int = MAX_TEXT) -> str:
        """The text, or so many characters of it (see `shorten`), without what looks like a secret."""
        text = self.shorten(text, limit)
        if self._secrets is not None:
            text = self._secrets.sub(MARK, text)
        text = _JWT.sub(MARK, text)
        if self._cookies is not None:
            text = self._cookies.sub(rf"\1\2{MARK}", text)
        text = _HEADER.sub(rf"\1\2 {MARK}", text)
        text = _NAMED.sub(rf"\1\2{MARK}", text)
        text = _RECOVER.sub(rf"\1{MARK}", text)
        text = _BEARER.sub(rf"\1 {MARK}", text)
        return _AWS_KEY_ID.sub(MARK, text)

    def shorten(self, text: str, limit: int) -> str:
        """At most so many characters of a text: cut at white space if there is some near, and never in a known secret.

        Half a secret would not be known for one. (Half a token is, and so is half of a value with a name.)
        """
        if len(text) <= limit:
            return text
        end = limit - 1
        near = end - limit // 8
        word = max(text.rfind(" ", near, end), text.rfind("\n", near, end))
        if word > 0:
            end = word
        for secret in self._values:
            start = text.find(secret, max(0, end - len(secret) + 1), end + len(secret) - 1)
            if start >= 0:
                end = start
        return f"{text[:end]}…"

    def is_secret_name(self, name: str) -> bool:
        """Whether the value of a field of that name must not be seen, whatever it is."""
        return _SECRET_NAME.fullmatch(name) is not None
