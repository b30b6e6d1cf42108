"""A Socket.IO client in a few lines, which can be cut off at any time, and shows what it got as it came."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

#: a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0


class SocketIoClient:
    """One client on a WebSocket, in the main namespace.

    Attributes:
        sid, pid: as the server told them.
        offset: of the last event.
        events: arguments of each event `said`, without the offset.
    """

    def __init__(self, port: int, cookie: str, **auth: Any) -> None:
        self.events: list[Any] = []
        self.offset: str | None = None
        self._acks: dict[int, Any] = {}
        self._next = 0
        self._socket: ClientConnection = connect(
            f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket",
            additional_headers={"Cookie": cookie},
            origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
            open_timeout=PATIENCE,
        )
        assert self._read_text().startswith("0")
        self._socket.send("40" + json.dumps(auth))
        #: `None` until the namespace is joined, or refused
        self.answer: dict[str, Any] | None = None
        end = time.monotonic() + PATIENCE
        while self.answer is None:
            self.read(end - time.monotonic())
        self.sid, self.pid = self.answer.get("sid"), self.answer.get("pid")

    def come_back(self, port: int, cookie: str) -> SocketIoClient:
        """The same client, on whatever node."""
        auth = {"pid": self.pid} | ({} if self.offset is None else {"offset": self.offset})
        again = SocketIoClient(port, cookie, **auth)
        if again.offset is None:
            again.offset = self.offset
        return again

    def ask(self, event: str, *args: Any) -> Any:
        """Send an event and wait for its acknowledgement."""
        number, self._next = self._next, self._next + 1
        self._socket.send(f"42{number}" + json.dumps([event, *args]))
        end = time.monotonic() + PATIENCE
        while number not in self._acks:
            self.read(end - time.monotonic())
        return self._acks.pop(number)

    def tell(self, event: str, *args: Any) -> None:
        """Send an event."""
        self._socket.send("42" + json.dumps([event, *args]))

    def read(self, timeout: float = PATIENCE) -> None:
        """Take one message.

        Raises:
            TimeoutError: none comes in time.
        """
        text = self._read_text(max(0.0, timeout))
        if text == "2":
            self._socket.send("3")
        elif text.startswith("42"):
            _, *args = json.loads(text[2:])
            self.offset = args.pop()
            self.events.append(args[0] if len(args) == 1 else args)
        elif text.startswith("43"):
            number = text[2 : text.index("[")]
            self._acks[int(number)] = (json.loads(text[2 + len(number) :]) or [None])[0]
        elif text.startswith(("40", "44")):
            self.answer = json.loads(text[2:])

    def read_until(self, count: int) -> list[Any]:
        """Wait for so many events; gives them all."""
        deadline = time.monotonic() + PATIENCE
        while len(self.events) < count:
            assert time.monotonic() < deadline, f"{len(self.events)} of {count} events came: {self.events}"
            self.read(deadline - time.monotonic())
        return self.events

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

    def _read_text(self, timeout: float = PATIENCE) -> str:
        text = self._socket.recv(timeout)
        assert isinstance(text, str)
        return text
