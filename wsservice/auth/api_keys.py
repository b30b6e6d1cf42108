"""The keys by which backends prove who they are. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


class ApiKeys:
    """Those that count now: one, or several while one takes over from another."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def __len__(self) -> int:
        return len(self._digests)

    def find(self, authorization: str) -> int | None:
        """Which key a header's value `Bearer <key>` holds, by its place; None if it holds none of them.

        It takes the same time whatever is wrong with a key.
        """
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest, found = _digest(key.strip(" ")), None
        for place, known in enumerate(self._digests):
            if hmac.compare_digest(known, digest):
                found = place
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).digest()
