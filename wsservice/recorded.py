"""An event that can be replayed: what the history keeps of it, and every wire format writes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wsservice.messages import Broadcast
from wsservice.socketio.packet import Encoded


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, ready for both protocols.

    Attributes:
        number: its position; a later event has a higher one.
        offset: the position as clients carry it; the last argument of `encoded`.
        origin: the node of the cluster that sent it, and its number there.
        early: the position at which this node had delivered it before; 0 if it had not.
    """

    number: int
    broadcast: Broadcast
    offset: str
    encoded: Encoded
    size: int
    until: float
    origin: tuple[str, int] | None = None
    early: int = 0
