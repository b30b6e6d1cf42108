"""The other side of an Engine.IO session, for tests: calls that belong together, and a clock set by hand."""

from __future__ import annotations

from wsservice.engineio.packet import Packet, PacketType, encode_packet
from wsservice.engineio.session import Session
from wsservice.engineio.settings import Settings
from wsservice.engineio.states import State


def text(data: str) -> bytes:
    """The polling piece of a text message."""
    return encode_packet(Packet(PacketType.MESSAGE, data))


class Peer:
    """A client with a session of its own.

    Attributes:
        now: the time; set it at will.
        session: begun at 0; its open packet is fetched unless `handshake` is False.
    """

    def __init__(self, settings: Settings | None = None, *, websocket: bool = False, handshake: bool = True) -> None:
        self.now = 0.0
        self.session = Session("S", settings or Settings(), websocket=websocket, now=0.0)
        if handshake and websocket:
            self.session.frames_to_send()
        elif handshake:
            self.get()

    @property
    def state(self) -> State:
        return self.session.state

    def get(self) -> bytes | None:
        """A GET and its answer, if there is one at once."""
        self.session.receive_poll(self.now)
        return self.session.payload_to_send()

    def post(self, body: bytes) -> list[str | bytes]:
        """A whole POST; what the application gets of it."""
        self.session.post_begins(self.now)
        self.session.receive_payload(body, self.now)
        return self.session.messages_received()

    def frame(self, payload: str | bytes) -> list[str | bytes]:
        """A message on the session's WebSocket; what the application gets of it."""
        self.session.receive_frame(payload, self.now)
        return self.session.messages_received()

    def probe(self, *payloads: str | bytes) -> list[str]:
        """Open a WebSocket for the session and send these messages on it; what is answered there."""
        assert self.session.begin_probe(self.now)
        for payload in payloads:
            self.session.receive_probe(payload, self.now)
        return self.session.probe_to_send()

    def upgrade(self) -> list[str | bytes]:
        """Move to a WebSocket; what comes there first."""
        self.probe("2probe", "5")
        return self.session.frames_to_send()

    def close(self, *, discard: bool = False) -> None:
        """The server ends the session."""
        self.session.close(self.now, "server shutdown", discard=discard)

    def at(self, now: float) -> Peer:
        """Let the time be `now`, and the timer run if it is due."""
        self.now = now
        self.session.handle_timer(now)
        return self


def peer_in(state: State, settings: Settings | None = None) -> Peer:
    """A peer whose session is in this state; nothing is queued or open, but the `1` in CLOSING."""
    peer = Peer(settings, websocket=state is State.WEBSOCKET)
    if state is State.PROBING:
        peer.probe()
    elif state is State.CLOSING:
        peer.close()
    elif state is State.CLOSED:
        peer.post(b"1")
    assert peer.state is state
    return peer
