"""A Lua script that Redis runs as one step. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A script by its source; make each once, at module level.

    Attributes:
        source: Lua, for Redis 5 and up.
        sha: what Redis calls it by.
    """

    source: str = field(repr=False)
    sha: bytes = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest.encode())
