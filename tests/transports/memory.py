"""A WebSocket client in memory: the `websockets` library's sans-I/O client against one of our protocols."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri


class MemoryTransport(StringTransportWithDisconnection):
    """A string transport that remembers pauses, producers and how it ended."""

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.7", 40000))
        self.paused = False
        self.ended: str | None = None
        #: bytes that wait for a client that does not read
        self.unsent = 0

    def fileno(self) -> int:
        return 7

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseConnection(self) -> None:
        if self.ended is None:
            self.ended = "lost"

    def abortConnection(self) -> None:
        if self.ended is None:
            self.ended = "aborted"

    def finish(self) -> None:
        """Let the protocol know that the connection is gone, as the reactor would."""
        from twisted.internet.error import ConnectionAborted, ConnectionDone
        from twisted.python.failure import Failure

        reason = ConnectionAborted() if self.ended == "aborted" else ConnectionDone()
        self.protocol.connectionLost(Failure(reason))


class MemoryClient:
    """Connects to a factory; `deliver` moves bytes both ways until nothing is left."""

    def __init__(self, factory: Any, path: str = "/ws", headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.client = ClientProtocol(parse_uri(f"ws://localhost{path}"), max_size=None)
        request = self.client.connect()
        for name, value in headers:
            request.headers[name] = value
        self.client.send_request(request)
        self.transport = MemoryTransport()
        self.protocol = factory.buildProtocol(self.transport.getPeer())
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)
        self.frames: list[Frame] = []

    @property
    def current(self) -> Any:
        """Whatever protocol has the transport now."""
        return self.transport.protocol

    def flush(self) -> bytes:
        """The bytes that the client wants to send, taken out."""
        return b"".join(self.client.data_to_send())

    def deliver(self) -> None:
        """Client to server, then server to client."""
        data = self.flush()
        if data:
            self.current.dataReceived(data)
        self.read()

    def read(self) -> None:
        """Server to client only."""
        data = self.transport.value()
        self.transport.clear()
        if data:
            self.client.receive_data(data)
        self.frames += [event for event in self.client.events_received() if isinstance(event, Frame)]

    def send(self, payload: str | bytes) -> None:
        """Send one message and take what comes back."""
        if isinstance(payload, str):
            self.client.send_text(payload.encode())
        else:
            self.client.send_binary(payload)
        self.deliver()

    @property
    def messages(self) -> list[str | bytes]:
        """The messages received so far."""
        return [
            frame.data.decode() if frame.opcode is Opcode.TEXT else bytes(frame.data)
            for frame in self.frames
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY)
        ]

    @property
    def close(self) -> tuple[int, str] | None:
        """The close code and reason that the server sent."""
        received = self.client.close_rcvd
        return None if received is None else (received.code, received.reason)
