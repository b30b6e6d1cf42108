"""The verified user: what remains of a token once it was checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a connection or request speaks for. The token itself is not kept.

    Attributes:
        id: the claim `sub`.
        username: `username` (access token) or `cognito:username` (ID token); else the id.
        session: `origin_jti`, else `jti`, else the id; logout and refresh work on it.
        roles: `cognito:groups`.
        scopes: the members of `scope`.
        expires_at: `exp`, plus the leeway where there is one; POSIX seconds.
        payload: the token's claims as JSON; read them by `claims`.
    """

    id: str
    username: str
    session: str
    expires_at: float
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    payload: bytes = field(default=b"{}", repr=False)

    @property
    def claims(self) -> dict[str, Any]:
        """Every claim of the token, decoded anew on each use (idle connections stay small)."""
        claims: dict[str, Any] = msgspec.json.decode(self.payload)
        return claims

    def has_any(self, roles: frozenset[str]) -> bool:
        """Whether the user is in at least one of `roles`; an empty set asks for nothing."""
        return not roles or not roles.isdisjoint(self.roles)
