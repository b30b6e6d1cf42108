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
        early: where it was delivered before it had this position: a node of the cluster, and the position there.
    """

    number: int
    broadcast: Broadcast
    offset: str
    encoded: Encoded
    size: int
    until: float
    early: tuple[str, int] | None = None
