"""Many messages to one client, as fast as it takes them: to see what a page makes of it, or that it does not read."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from wsservice.connection import Connection
from wsservice.errors import ClientError

#: events of one flood, and characters that fill one up
MOST_EVENTS = 2000
MOST_FILLING = 8192
#: characters that are sent in one turn of the event loop, a sixteenth of what `--send-queue-bytes` lets wait
PIECE = 64 * 1024


async def flood(connection: Connection, asked: Any, clock: IReactorTime) -> dict[str, int]:
    """Send events `flood`, each `{"number", "of", "filling"}`, to this client only; it may leave meanwhile.

    A client that reads gets them all. One that does not is closed with 4408 when the system's buffers and the
    service's queue for it are full, for which a large `size` is needed.

    Args:
        asked: `{"count": 1 to 2000, "size": 0 to 8192}`, both optional.

    Raises:
        ClientError: it is anything else.
    """
    count, size = _read(asked)
    left = PIECE
    for number in range(1, count + 1):
        if not connection.is_open:
            break
        connection.emit("flood", {"number": number, "of": count, "filling": "x" * size})
        left -= size + 50
        if left <= 0:
            await _next_turn(clock)
            left = PIECE
    return {"sent": count}


def _read(asked: Any) -> tuple[int, int]:
    wanted = {} if asked is None else asked
    if isinstance(wanted, dict):
        count, size = wanted.get("count", MOST_EVENTS), wanted.get("size", 0)
        if type(count) is type(size) is int and 1 <= count <= MOST_EVENTS and 0 <= size <= MOST_FILLING:
            return count, size
    raise ClientError("bad_flood", f'Ask for {{"count": 1 to {MOST_EVENTS}, "size": 0 to {MOST_FILLING}}}.')


def _next_turn(clock: IReactorTime) -> Deferred[None]:
    return deferLater(clock, 0)
