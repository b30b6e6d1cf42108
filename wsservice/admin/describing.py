"""Connections and events in the admin UI's form, bounded in size. Pure but for what it reads of a connection."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from wsservice.connection import Connection

#: bytes of JSON of an event's arguments, or of the application's notes on a connection, that are shown whole
MAX_SHOWN = 4096
#: as JavaScript writes a date
_JS_DATE = "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"
_encode = msgspec.json.Encoder(enc_hook=lambda value: f"<{type(value).__name__}>").encode


def describe_socket(connection: Connection) -> dict[str, Any]:
    """A connection, without its cookies, credentials and tokens."""
    handshake, user = connection.handshake, connection.user
    query = handshake.query_string
    notes = _bounded(connection.saved_data)
    return {
        "id": connection.id,
        "clientId": connection.client_id,
        "transport": connection.transport,
        "nsp": connection.namespace,
        "data": {
            **(notes if isinstance(notes, dict) else {"data": notes}),
            "user": {"id": user.id, "username": user.username, "roles": sorted(user.roles)},
        },
        "handshake": {
            "address": handshake.peer,
            "headers": dict(handshake.headers),
            "query": dict(handshake.query),
            "issued": int(handshake.issued * 1000),
            "secure": handshake.secure,
            "time": time.strftime(_JS_DATE, time.gmtime(handshake.issued)),
            "url": f"{handshake.path}?{query}" if query else handshake.path,
            "xdomain": bool(handshake.header("origin")),
        },
        "rooms": [connection.id, *sorted(connection.rooms)],
    }


def bounded_list(sockets: Iterable[dict[str, Any]], max_bytes: int) -> list[dict[str, Any]]:
    """As many of them, from the first on, as make no more than so many bytes."""
    chosen, left = [], max_bytes
    for one in sockets:
        left -= len(_encode(one))
        if left < 0:
            break
        chosen.append(one)
    return chosen


def describe_event(name: str, args: tuple[Any, ...]) -> list[Any]:
    """An event: its name and its arguments; bytes, and arguments that are too long, by their size only."""
    shown = _bounded([_described(one) for one in args])
    return [name, *(shown if isinstance(shown, list) else [shown])]


def iso_time(seconds: float) -> str:
    """As JSON has a JavaScript date."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _described(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return value


def _bounded(value: Any) -> Any:
    """What JSON can hold of a value, if that is not too long; else a word for it."""
    try:
        encoded = _encode(value)
    except (TypeError, ValueError, RecursionError):
        return "<not JSON>"
    if len(encoded) > MAX_SHOWN:
        return f"<{len(encoded)} bytes of JSON>"
    return msgspec.json.decode(encoded)
