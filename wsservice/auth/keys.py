"""Public keys out of a JWKS document (RFC 7517)."""

from __future__ import annotations

VerifyKey = object
