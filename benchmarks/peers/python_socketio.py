"""python-socketio on uvicorn with uvloop and httptools, PyJWT; WebSocket only. Prints its port."""

from __future__ import annotations

import os
import socket
import sys
from http.cookies import SimpleCookie
from typing import Any
from urllib.request import urlopen

import jwt
import socketio  # type: ignore[import-untyped]
import uvicorn

with urlopen(os.environ["JWKS_URL"]) as answer:
    KEYS = {key.key_id: key for key in jwt.PyJWKSet.from_json(answer.read().decode()).keys}
server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])


@server.event  # type: ignore[untyped-decorator]
async def connect(sid: str, environ: dict[str, Any], auth: object) -> None:
    """Check the cookie's token."""
    token = SimpleCookie(environ["HTTP_COOKIE"])["authToken"].value
    try:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, algorithms=["RS256"], issuer=os.environ["ISSUER"])
    except (KeyError, jwt.InvalidTokenError):
        raise ConnectionRefusedError("Invalid authentication token") from None


@server.event  # type: ignore[untyped-decorator]
async def echo(sid: str, text: str) -> None:
    """Back to the sender."""
    await server.emit("echo", text, to=sid)


@server.on("all")  # type: ignore[untyped-decorator]
async def tell_all(sid: str, text: str) -> None:
    """To everybody."""
    await server.emit("all", text)


@server.event  # type: ignore[untyped-decorator]
async def join(sid: str, room: str) -> None:
    """Join a room, and tell the sender."""
    await server.enter_room(sid, room)
    await server.emit("join", room, to=sid)


@server.on("room")  # type: ignore[untyped-decorator]
async def tell_room(sid: str, room: str, text: str) -> None:
    """To one room."""
    await server.emit("room", text, room=room)


def main() -> None:
    """Listen until a signal."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    sys.stdout.write(f"listening on {listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        socketio.ASGIApp(server),
        backlog=4096,
        loop="uvloop",
        http="httptools",
        log_level="error",
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
