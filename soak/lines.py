"""How a client is connected: a raw WebSocket or Socket.IO by WebSocket here, long-polling in `polling.py`.

A line's `open` comes first, then `hear` again and again, which raises `Closed` once; meanwhile `send`. One of
`leave`, `reset` and `vanish` ends it from our side.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from soak.http import linger_not
from soak.wires import Heard, Message, RawWire, SocketIoWire, Wire

_TIMEOUT = 60.0


class Where(NamedTuple):
    """The service, as one client sees it; `address` is the client's own."""

    port: int
    cookie: str
    address: str


class Closed(Exception):
    """The service ended the connection, or it broke."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class Line(Protocol):
    """See the module's docstring."""

    wire: Wire

    async def open(self) -> None:
        """Connect."""

    async def send(self, *messages: Message) -> None:
        """Send messages, in one go where the transport can."""

    async def hear(self) -> list[Heard]:
        """What came next."""

    async def leave(self) -> None:
        """Go politely."""

    def reset(self) -> None:
        """Break the connection."""

    def vanish(self) -> None:
        """Give no sign of life from now on; `listen_again` ends that."""

    async def listen_again(self) -> None:
        """After `vanish`: read until the service is found to have ended the connection; raises `Closed`."""


class RawLine:
    """A client of `/ws`."""

    path = "/ws"

    def __init__(self, where: Where) -> None:
        self.wire: Wire = RawWire()
        self._where = where
        self._socket: ClientConnection | None = None

    async def open(self) -> None:
        """See `Line`."""
        where = self._where
        try:
            self._socket = await connect(
                f"ws://localhost:{where.port}{self.path}",
                host="127.0.0.1",
                origin=f"http://localhost:{where.port}",
                additional_headers={"Cookie": where.cookie, "X-Forwarded-For": where.address},
                proxy=None,
                compression=None,
                ping_interval=None,
                open_timeout=_TIMEOUT,
                close_timeout=_TIMEOUT,
                max_size=2**22,
            )
        except (OSError, EOFError) as error:
            raise Closed(None, f"while connecting: {type(error).__name__}") from error

    @property
    def socket(self) -> ClientConnection:
        """The WebSocket."""
        assert self._socket is not None
        return self._socket

    async def send(self, *messages: Message) -> None:
        """See `Line`."""
        for message in messages:
            try:
                await self.socket.send(self._frame(message))
            except ConnectionClosed as error:
                raise _closed(error) from None

    async def hear(self) -> list[Heard]:
        """See `Line`."""
        try:
            message = await self.socket.recv()
        except ConnectionClosed as error:
            raise _closed(error) from None
        heard = await self._unframe(message)
        return [] if heard is None else [heard]

    async def leave(self) -> None:
        """See `Line`."""
        await self.socket.close()

    def reset(self) -> None:
        """See `Line`."""
        linger_not(self.socket.transport.get_extra_info("socket"))
        self.socket.transport.abort()

    def vanish(self) -> None:
        """See `Line`."""
        self.socket.transport.pause_reading()

    async def listen_again(self) -> None:
        """See `Line`."""
        self.socket.transport.resume_reading()
        while True:
            await self.hear()

    def _frame(self, message: Message) -> Message:
        return message

    async def _unframe(self, message: Message) -> Heard | None:
        return self.wire.decode(message)


class SocketIoLine(RawLine):
    """A client of Socket.IO, on a WebSocket from the beginning."""

    path = "/socket.io/?EIO=4&transport=websocket"

    def __init__(self, where: Where) -> None:
        super().__init__(where)
        self.wire = SocketIoWire()

    async def open(self) -> None:
        """See `Line`; asks for the main namespace, too."""
        await super().open()
        await self.send("0")

    async def leave(self) -> None:
        """See `Line`."""
        await self.send("1")
        await super().leave()

    def _frame(self, message: Message) -> Message:
        return f"4{message}" if isinstance(message, str) else message

    async def _unframe(self, message: Message) -> Heard | None:
        if isinstance(message, bytes) or message[0] == "4":
            return self.wire.decode(message if isinstance(message, bytes) else message[1:])
        if message == "2":
            try:
                await self.socket.send("3")
            except ConnectionClosed as error:
                raise _closed(error) from None
        elif message == "1":
            raise Closed(None, "close packet")
        return None


def _closed(error: ConnectionClosed) -> Closed:
    if error.rcvd is not None:
        return Closed(error.rcvd.code, error.rcvd.reason)
    return Closed(None, "no close frame")


async def quietly(what: Any) -> None:
    """Await, and do not care whether the line broke meanwhile."""
    with suppress(Closed, OSError, EOFError, TimeoutError, asyncio.CancelledError):
        await what
