"""HTTP/1.1 for the crowd: one connection that is kept, one request at a time."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from typing import NamedTuple

#: seconds after which an idle connection is not used again: the service might be closing it
_STALE = 5.0
_TIMEOUT = 60.0


class Answer(NamedTuple):
    """`cookies` are name and value of every Set-Cookie that sets one."""

    status: int
    body: bytes
    cookies: dict[str, str]


class Http:
    """A connection to the service.

    Args:
        address: which client it is for, behind the proxy that the soak claims to be.
    """

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def request(self, method: str, path: str, *, cookie: str = "", body: bytes = b"", kind: str = "") -> Answer:
        """Ask and wait for the answer.

        Raises:
            OSError, EOFError: the connection broke.
            TimeoutError: no answer came.
        """
        now = asyncio.get_running_loop().time()
        if self._streams is not None and now - self._used > _STALE:
            self.close()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost:{self._port}\r\nOrigin: http://localhost:{self._port}\r\n"
            f"X-Forwarded-For: {self._address}\r\nAccept-Encoding: gzip\r\n"
            + (f"Cookie: {cookie}\r\n" if cookie else "")
            + (f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if method == "POST" else "")
        )
        async with asyncio.timeout(_TIMEOUT):
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**21)
            reader, writer = self._streams
            writer.write(f"{head}\r\n".encode() + body)
            answer, keeps = await _read(reader)
        self._used = asyncio.get_running_loop().time()
        if not keeps:
            self.close()
        return answer

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def reset(self) -> None:
        """Break it."""
        if self._streams is not None:
            linger_not(self._streams[1].get_extra_info("socket"))
            self._streams[1].transport.abort()
            self._streams = None


def linger_not(sock: socket.socket) -> None:
    """Closing it shall be a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _read(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.split("\r\n")
    length, keeps, is_zipped, cookies = 0, True, False, {}
    for name, _, value in (line.partition(": ") for line in lines if line):
        name = name.lower()
        if name == "content-length":
            length = int(value)
        elif name == "connection":
            keeps = value.lower() != "close"
        elif name == "content-encoding":
            is_zipped = True
        elif name == "set-cookie":
            cookie, _, content = value.partition(";")[0].partition("=")
            if content:
                cookies[cookie] = content
    body = await reader.readexactly(length)
    return Answer(int(status_line.split(" ")[1]), gzip.decompress(body) if is_zipped else body, cookies), keeps
