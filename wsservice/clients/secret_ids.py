"""Ids that are bearer secrets: of sessions, and of connections that can be recovered."""

from __future__ import annotations

import secrets


def make_secret() -> str:
    """A secret id: 120 random bits, 20 characters that may stand in a URL."""
    return secrets.token_urlsafe(15)
