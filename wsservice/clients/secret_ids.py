"""Ids that are bearer secrets: of sessions, and of connections that can be recovered."""

from __future__ import annotations

import re
import secrets

#: what may be one, of this version or another
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)


def make_secret() -> str:
    """A secret id: 120 random bits, 20 characters that may stand in a URL."""
    return secrets.token_urlsafe(15)


def is_secret(text: str) -> bool:
    """Whether a text that a client brings can be such an id."""
    return _SECRET.fullmatch(text) is not None
