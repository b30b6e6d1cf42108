"""Socket.IO by long-polling: a GET that waits, and POSTs, each on a connection of its own."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import NoReturn

from soak.http import Answer, Http
from soak.lines import Closed, Where
from soak.wires import Heard, Message, SocketIoWire, Wire

_PATH = "/socket.io/?EIO=4&transport=polling"
_SEPARATOR = "\x1e"


class PollingLine:
    """A client of Socket.IO that has no WebSocket."""

    def __init__(self, where: Where) -> None:
        self.wire: Wire = SocketIoWire()
        self._where = where
        self._getting = Http(where.port, where.address)
        self._posting = Http(where.port, where.address)
        self._one_post = asyncio.Lock()
        #: packets for the next POST
        self._waiting: list[str] = []
        self._path = _PATH

    async def open(self) -> None:
        """See `Line`."""
        opened = await self._get()
        self._path = f"{_PATH}&sid={json.loads(opened[1:])['sid']}"
        await self.send("0")

    async def send(self, *messages: Message) -> None:
        """See `Line`."""
        await self._post(*map(_packet, messages))

    async def hear(self) -> list[Heard]:
        """See `Line`."""
        found = []
        for packet in (await self._get()).split(_SEPARATOR):
            if packet[0] in "4b":
                heard = self.wire.decode(packet[1:] if packet[0] == "4" else base64.b64decode(packet[1:]))
                if heard is not None:
                    found.append(heard)
            elif packet == "2":
                await self._post("3")
            elif packet == "1" and not found:
                raise Closed(None, "close packet")
        return found

    async def leave(self) -> None:
        """See `Line`."""
        await self._post("41", "1")
        self._close()

    def reset(self) -> None:
        """See `Line`."""
        self._getting.reset()
        self._posting.reset()

    def vanish(self) -> None:
        """See `Line`; who does not poll is not there."""
        self._close()

    async def listen_again(self) -> None:
        """See `Line`."""
        while True:
            await self.hear()

    async def _get(self) -> str:
        return self._check(await self._ask(self._getting, "GET")).decode()

    async def _post(self, *packets: str) -> None:
        """Send packets; those that come while a POST is under way go together, by the next one, as a stock client's."""
        self._waiting += packets
        async with self._one_post:
            if self._waiting:
                body, self._waiting = _SEPARATOR.join(self._waiting).encode(), []
                self._check(await self._ask(self._posting, "POST", body))

    async def _ask(self, by: Http, method: str, body: bytes = b"") -> Answer:
        try:
            return await by.request(
                method, self._path, cookie=self._where.cookie, body=body, kind="text/plain;charset=UTF-8"
            )
        except TimeoutError:
            _close(f"no answer to a {method}")
        except (OSError, EOFError) as error:
            _close(f"{method}: {type(error).__name__}")

    def _check(self, answer: Answer) -> bytes:
        if answer.status != 200:
            self._close()
            raise Closed(answer.status, answer.body.decode(errors="replace")[:100])
        return answer.body

    def _close(self) -> None:
        self._getting.close()
        self._posting.close()


def _packet(message: Message) -> str:
    return f"4{message}" if isinstance(message, str) else f"b{base64.b64encode(message).decode()}"


def _close(reason: str) -> NoReturn:
    raise Closed(None, reason)
