"""What one client must have heard: the next number of every scope that it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ledger:
    """Counts what a client heard, and what it should have.

    Attributes:
        heard: good messages.
        lost, twice: messages that did not come, and that came again.
        stray: messages of scopes that the client is not in.
    """

    heard: int = 0
    lost: int = 0
    twice: int = 0
    stray: int = 0
    _next: dict[str, int] = field(default_factory=dict)

    @property
    def scopes(self) -> list[str]:
        """Those that the client is in."""
        return list(self._next)

    def enter(self, scope: str, head: int) -> None:
        """From now on, everything behind `head` must come."""
        self._next[scope] = head + 1

    def hear(self, scope: str, number: int) -> None:
        """A message came."""
        expected = self._next.get(scope)
        if expected is None:
            self.stray += 1
        elif number < expected:
            self.twice += 1
        else:
            self.heard += 1
            self.lost += number - expected
            self._next[scope] = number + 1

    def check(self, scope: str, head: int) -> None:
        """Everything up to `head` must have come by now."""
        missing = head + 1 - self._next[scope]
        self.lost += max(0, missing)
        self._next[scope] = max(self._next[scope], head + 1)

    def check_all(self, heads: Mapping[str, int]) -> None:
        """The same for several scopes."""
        for scope, head in heads.items():
            if scope in self._next:
                self.check(scope, head)

    def leave(self, scope: str, head: int) -> None:
        """Everything up to `head` must have come, and nothing may follow."""
        if scope in self._next:
            self.check(scope, head)
            del self._next[scope]
