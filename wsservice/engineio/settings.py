"""What can be set of an Engine.IO session, and how the client is told."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wsservice.engineio.packet import Packet, PacketType


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and switches of sessions; the defaults are those of engine.io 6.6. Times are in seconds.

    Attributes:
        ping_interval: from a pong to the next ping; keep it below the idle limits of proxies.
        ping_timeout: for the pong.
        upgrade_timeout: from a WebSocket for a polling session to its `5`.
        close_grace: how long a closed polling session waits for the GET that fetches its `1`.
        max_payload: bytes of one POST, of one WebSocket message, and of one answer to a GET unless a single
            piece is larger.
        max_packets: in one answer to a GET, unless a single piece has more; 0 is no limit. python-engineio's client
            takes 16 at most.
        websocket: whether there is a WebSocket transport.
        polling: whether there is long-polling.
        allow_upgrades: whether a polling session may move to a WebSocket.
    """

    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    upgrade_timeout: float = 10.0
    close_grace: float = 30.0
    max_payload: int = 1_000_000
    max_packets: int = 0
    websocket: bool = True
    polling: bool = True
    allow_upgrades: bool = True

    @property
    def can_upgrade(self) -> bool:
        """Whether a polling session may move to a WebSocket."""
        return self.websocket and self.allow_upgrades


def open_packet(sid: str, settings: Settings, *, websocket: bool) -> Packet:
    """The first packet of a session, with the keys that clients check for; its times are whole milliseconds.

    Args:
        websocket: the session begins on a WebSocket, so that there is nothing to move to.
    """
    handshake = {
        "sid": sid,
        "upgrades": ["websocket"] if settings.can_upgrade and not websocket else [],
        "pingInterval": _milliseconds(settings.ping_interval),
        "pingTimeout": _milliseconds(settings.ping_timeout),
        "maxPayload": settings.max_payload,
    }
    return Packet(PacketType.OPEN, msgspec.json.encode(handshake).decode())


def _milliseconds(seconds: float) -> int:
    """Never 0, which a client takes for a server that pings without a pause."""
    return max(1, round(seconds * 1000))
