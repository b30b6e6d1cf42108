"""Those whom the service must cut off: they never read, or never answer a ping. Plain sockets."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Awaitable, Callable

from soak.crowd import Crowd
from soak.lines import Where
from soak.wires import RawWire

#: bytes, so that the service has to hold what is not read
_RECEIVE_BUFFER = 4096
_PATHS = ("/ws", "/socket.io/?EIO=4&transport=websocket")


async def never_read(crowd: Crowd) -> None:
    """Ask for many large messages, and read none: closed for its slowness, or since no ping is answered."""

    async def be_slow(sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, _masked(str(RawWire().emit("join", "firehose")).encode()))
        await crowd.rest(crowd.plan.patience)

    await _again_and_again(crowd, "never read", be_slow, "/ws")


async def never_answer(crowd: Crowd, number: int) -> None:
    """Read all, say nothing: closed since no ping is answered."""

    async def be_silent(sock: socket.socket) -> None:
        path = _PATHS[number % len(_PATHS)]
        if path != "/ws":
            await asyncio.get_running_loop().sock_sendall(sock, _masked(b"40"))

    await _again_and_again(crowd, "never answer", be_silent, _PATHS[number % len(_PATHS)])


async def _again_and_again(
    crowd: Crowd, name: str, behave: Callable[[socket.socket], Awaitable[None]], path: str
) -> None:
    while not crowd.going_home.is_set():
        session = crowd.sessions.pick()
        if session is None:
            await crowd.rest(0.5)
            continue
        try:
            sock = await _open(Where(crowd.port, session.cookie, session.address), path)
        except OSError as error:
            crowd.tally.unexpected[f"{name}: {error!r:.80}"] += 1
            await crowd.rest(1)
            continue
        crowd.tally.done[f"{name}: connected"] += 1
        try:
            await behave(sock)
            ended = asyncio.create_task(_read_to_the_end(sock))
            await asyncio.wait((ended, crowd.going), timeout=crowd.plan.patience, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                crowd.tally.done[f"{name}: cut off"] += 1
            else:
                ended.cancel()
                await asyncio.wait((ended,))  # before its socket is closed: another one may get the number
                if not crowd.going_home.is_set():
                    crowd.tally.unexpected[f"{name}: was not cut off"] += 1
        except OSError:  # reset while it sent
            crowd.tally.done[f"{name}: cut off"] += 1
        finally:
            sock.close()


async def _open(where: Where, path: str) -> socket.socket:
    """A WebSocket, as far as its 101.

    Raises:
        OSError: it was refused.
    """
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    try:
        async with asyncio.timeout(60):
            await loop.sock_connect(sock, ("127.0.0.1", where.port))
            head = (
                f"GET {path} HTTP/1.1\r\nHost: localhost:{where.port}\r\nOrigin: http://localhost:{where.port}\r\n"
                f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
                f"X-Forwarded-For: {where.address}\r\nCookie: {where.cookie}\r\n\r\n"
            )
            await loop.sock_sendall(sock, head.encode())
            answer = await loop.sock_recv(sock, 12)
        if answer != b"HTTP/1.1 101":
            raise OSError(f"not upgraded: {answer!r}")
    except BaseException:
        sock.close()
        raise
    return sock


async def _read_to_the_end(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(sock, 65536):
            pass
    except OSError:
        pass  # reset


def _masked(payload: bytes) -> bytes:
    """A short text frame of a client, masked by zeros (RFC 6455 section 5.3)."""
    return bytes((0x81, 0x80 | len(payload))) + b"\0\0\0\0" + payload
