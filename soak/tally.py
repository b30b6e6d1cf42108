"""What the crowd counts: what it did, what happened to it, and whatever nobody expected."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from soak.ledger import Ledger


@dataclass(slots=True)
class Tally:
    """Counts of all clients of a load process together.

    Attributes:
        done: by name: what clients did, and what ended them as it should.
        unexpected: by name: what must not happen.
        heard: by kind of client: good messages.
        round_trips: seconds from a request to its acknowledgement.
    """

    done: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    twice: int = 0
    round_trips: list[float] = field(default_factory=list)

    def close(self, kind: str, ledger: Ledger) -> None:
        """A client's visit is over."""
        self.heard[kind] += ledger.heard
        self.lost += ledger.lost
        self.twice += ledger.twice
        if ledger.stray:
            self.unexpected[f"{kind}: messages of a scope that it is not in"] += ledger.stray

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "done": dict(sorted(self.done.items())),
            "unexpected": dict(sorted(self.unexpected.items())),
            "heard": dict(self.heard),
            "lost": self.lost,
            "twice": self.twice,
            "round_trips": _spread(sorted(self.round_trips)),
        }


def _spread(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    picks = {"median": 0.5, "p99": 0.99, "p999": 0.999}
    found = {name: times[int(share * (len(times) - 1))] for name, share in picks.items()}
    return {**{name: round(value, 4) for name, value in found.items()}, "max": round(times[-1], 4)}
