"""A raw client that can come back, in a few lines; it has what `SocketIoClient` has for the same tests."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.socketio_client import PATIENCE


class RawClient:
    """One client of `/ws`, for an app that answers the event `ask`.

    Attributes:
        sid, pid: the connection's id, and the session.
        offset: of the last event.
        events: the data of each event `said`.
        welcome: what came first.
    """

    def __init__(self, port: int, cookie: str, query: str = "recover=1") -> None:
        self.events: list[Any] = []
        self._acks: dict[int, Any] = {}
        self._next = 0
        self._socket: ClientConnection = connect(
            f"ws://127.0.0.1:{port}/ws?{query}",
            additional_headers={"Cookie": cookie},
            origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
            open_timeout=PATIENCE,
        )
        first = json.loads(self._socket.recv(PATIENCE))
        assert first["event"] == "welcome", first
        self.welcome: dict[str, Any] = first["data"]
        self.sid, self.pid, self.offset = (self.welcome[name] for name in ("id", "session", "offset"))

    def come_back(self, port: int, cookie: str) -> RawClient:
        """The same client, on whatever node."""
        return RawClient(port, cookie, f"recover={self.pid}&offset={self.offset}")

    def ask(self, event: str, *args: Any) -> Any:
        """Let the app do something, and wait for its answer."""
        number, self._next = self._next, self._next + 1
        self._socket.send(json.dumps({"event": "ask", "data": [event, *args], "id": number}))
        while number not in self._acks:
            self.read()
        return self._acks.pop(number)

    def say(self, text: str) -> None:
        """Send a plain text, which is the event `message`."""
        self._socket.send(text)

    def read(self) -> None:
        """Take one message."""
        message = json.loads(self._socket.recv(PATIENCE))
        if "ack" in message:
            self._acks[message["ack"]] = message.get("data", message.get("error"))
        else:
            self.offset = message.get("offset", self.offset)
            self.events.append(message["data"])

    def read_until(self, count: int) -> list[Any]:
        """Wait for so many events; gives them all."""
        while len(self.events) < count:
            self.read()
        return self.events

    def read_close(self) -> tuple[int, str]:
        """Read to the end; gives how the service closed."""
        try:
            while True:
                self.read()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code, closed.rcvd.reason

    def read_to_the_end(self) -> list[Any]:
        """The service is gone: what had come before; gives all events."""
        with suppress(ConnectionClosed):
            while True:
                self.read()
        return self.events

    def cut(self) -> None:
        """Go without a word: the socket is reset."""
        with suppress(OSError):
            self._socket.socket.shutdown(2)
        with suppress(ConnectionClosed, OSError):
            self._socket.close()
