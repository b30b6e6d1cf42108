"""The transports of Engine.IO, as clients have them: a WebSocket, and long-polling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from wsservice.engineio.packet import Packet, PacketType, decode_frame, decode_payload, encode_frame, encode_packet
from wsservice.testing.client import Refused
from wsservice.testing.http import Exchange, Response, request_bytes
from wsservice.testing.line import Line
from wsservice.testing.sockets import MemorySocket

if TYPE_CHECKING:
    from wsservice.testing.service import ServiceInMemory

Headers = tuple[tuple[str, str], ...]
#: what stock clients call the end of a transport
CLOSED = "transport close"


class Session(Protocol):
    """Who has the transport."""

    def began(self) -> None:
        """The session is open."""

    def message(self, data: str | bytes) -> None:
        """A message came."""

    def ended(self, code: int | None, reason: str) -> None:
        """The session is over."""

    def refused(self, refusal: Refused) -> None:
        """The service answered by HTTP that there will be none."""


class Transport(ABC):
    """Carries the packets of one Engine.IO session."""

    def __init__(self, service: ServiceInMemory, target: str, headers: Headers, address: str, client: Session) -> None:
        self._service = service
        self._target = target
        self._headers = headers
        self._address = address
        self._client = client

    @abstractmethod
    def send(self, packets: list[Packet]) -> None:
        """Send packets, in order and with nothing in between."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """End the session."""

    @abstractmethod
    def cut(self) -> None:
        """The connections break."""

    @abstractmethod
    def read(self, reads: bool) -> None:
        """Whether what comes is read."""

    def _handle(self, packet: Packet) -> None:
        if packet.type is PacketType.OPEN:
            self._opened(msgspec.json.decode(packet.data))
            self._client.began()
        elif packet.type is PacketType.PING:
            self.send([Packet(PacketType.PONG, packet.data)])
        elif packet.type is PacketType.MESSAGE:
            self._client.message(packet.data)
        elif packet.type is PacketType.CLOSE:
            self._closed()

    def _opened(self, settings: dict[str, Any]) -> None:
        """The session has begun."""

    def _closed(self) -> None:
        """The service says that the session is over."""


class WebSocketTransport(Transport):
    """All on one WebSocket."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._socket = MemorySocket(
            self._service,
            self._target,
            self._headers,
            address=self._address,
            received=lambda message: self._handle(decode_frame(message)),
            ended=self._client.ended,
            refused=self._client.refused,
        )

    def send(self, packets: list[Packet]) -> None:
        """One message for each."""
        for packet in packets:
            self._socket.send(encode_frame(packet))

    def close(self, code: int, reason: str) -> None:
        """By a close frame."""
        self._socket.close(code, reason)

    def cut(self) -> None:
        """The connection breaks."""
        self._socket.line.cut()

    def read(self, reads: bool) -> None:
        """Whether what comes is read."""
        self._socket.line.is_read = reads


class PollingTransport(Transport):
    """A GET waits for what comes; POSTs bring what is sent, one at a time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._waiting: deque[Packet] = deque()
        self._lines: dict[str, Line] = {}
        self._is_over = False
        self._reads = True
        self._poll()

    def send(self, packets: list[Packet]) -> None:
        """By a POST, now or when the last one is answered."""
        self._waiting.extend(packets)
        if "POST" not in self._lines and not self._is_over:
            self._post()

    def close(self, code: int, reason: str) -> None:
        """By the packet for it, behind what waits; the poll that is open is answered by the service."""
        self.send([Packet(PacketType.CLOSE)])

    def cut(self) -> None:
        """Nothing more is asked or read."""
        self._is_over = True
        for line in self._lines.values():
            line.cut()

    def read(self, reads: bool) -> None:
        """Whether there are polls, and an answer is read."""
        self._reads = reads
        if "GET" in self._lines:
            self._lines["GET"].is_read = reads
        elif reads:
            self._poll()

    def _opened(self, settings: dict[str, Any]) -> None:
        self._target = f"{self._target}&sid={settings['sid']}"

    def _closed(self) -> None:
        self._is_over = True
        self._client.ended(None, CLOSED)

    def _poll(self) -> None:
        if not self._is_over and self._reads:
            self._request("GET", b"", self._polled)

    def _polled(self, response: Response) -> None:
        for packet in decode_payload(response.body):
            self._handle(packet)
        self._poll()

    def _post(self) -> None:
        body = b"\x1e".join(encode_packet(packet) for packet in self._waiting)
        self._waiting.clear()
        self._request("POST", body, self._posted)

    def _posted(self, response: Response) -> None:
        if self._waiting:
            self._post()

    def _request(self, method: str, body: bytes, answered: Callable[[Response], None]) -> None:
        def done(response: Response | None) -> None:
            del self._lines[method]
            if response is not None and response.status == 200:
                answered(response)
            elif not self._is_over:
                self._failed(response)

        line = self._service.open_line(Exchange(done), self._address)
        self._lines[method] = line
        content = (("Content-Type", "text/plain;charset=UTF-8"),) if body else ()
        line.write(request_bytes(method, self._target, (*self._headers, *content), body))

    def _failed(self, response: Response | None) -> None:
        self._is_over = True
        if response is not None and "&sid=" not in self._target:
            self._client.refused(Refused(response.body.decode(), code=response.status))
        else:
            self._client.ended(None, CLOSED)


#: by the names of Engine.IO
TRANSPORTS: dict[str, type[Transport]] = {"websocket": WebSocketTransport, "polling": PollingTransport}
