"""How long, how many, and how lively: the numbers of a soak."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a soak; times in seconds, shares of all connections.

    Attributes:
        connections: how many there are at any time, all kinds together.
        seconds: how long they are busy, with the time that they take to connect.
        seed: of all choices.
        polling, socketio: of the healthy ones; the rest are raw WebSockets.
        never_read, never_answer: of all; these are no healthy clients, and the service must cut them off.
        visit: how long a client stays, on average.
        action: between two things that a client does, on average.
        per_session: connections of one login.
        lifetime: of a token.
        lapsing: of the sessions: refreshed only when they have expired.
        sign_out: between two sessions that are signed out.
        ping_interval, ping_timeout: of the service.
        to_all, to_user: messages a second, of all clients together, to everybody and to one user's connections.
        pump_bytes, pump_interval: of the messages to who reads slowly.
    """

    connections: int = 2000
    seconds: float = 600.0
    seed: int = 4
    polling: float = 0.1
    socketio: float = 0.35
    never_read: float = 0.01
    never_answer: float = 0.01
    visit: float = 60.0
    action: float = 4.0
    per_session: int = 10
    lifetime: int = 120
    lapsing: float = 0.1
    sign_out: float = 2.0
    ping_interval: float = 10.0
    ping_timeout: float = 10.0
    to_all: float = 1.0
    to_user: float = 0.5
    pump_bytes: int = 50_000
    pump_interval: float = 0.05

    @property
    def rooms(self) -> int:
        """How many rooms there are; a client is in two."""
        return max(2, self.connections // 20)

    @property
    def sessions(self) -> int:
        """How many logins are in use."""
        return max(3, self.connections // self.per_session)

    @property
    def patience(self) -> float:
        """Until a client that gives no sign of life must be gone, on a busy machine."""
        return self.ping_interval + self.ping_timeout + 15.0

    def share_of_actions(self, a_second: float) -> float:
        """The share of a client's actions that makes so many of all clients in a second."""
        return min(0.2, a_second * self.action / self.connections)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def make_plan(connections: int, minutes: float, seed: int) -> Plan:
    """The usual plan; a run that is too short for its times has shorter ones."""
    seconds = minutes * 60
    if seconds >= 120:
        return Plan(connections=connections, seconds=seconds, seed=seed)
    return Plan(
        connections=connections,
        seconds=seconds,
        seed=seed,
        never_read=0.04,
        never_answer=0.04,
        visit=seconds / 3,
        action=0.5,
        per_session=5,
        lifetime=4,
        sign_out=1.0,
        ping_interval=1.0,
        ping_timeout=2.0,
    )
