"""What one user, and one connection, may have. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wsservice.traffic import TrafficLimits


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of a user and of a connection; 0 is no limit.

    Attributes:
        per_user: connections of one user.
        when_full: whether the newest connection is refused then, or the oldest replaced.
        rooms: that one connection may be in.
        calls: that may wait for one client's acknowledgement.
        traffic: what one user may send, over all connections.
    """

    per_user: int = 0
    when_full: Literal["refuse", "replace"] = "refuse"
    rooms: int = 0
    calls: int = 0
    traffic: TrafficLimits = field(default_factory=TrafficLimits)
