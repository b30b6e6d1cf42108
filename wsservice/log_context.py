"""Which connection is served right now: its ids stand in every line that is logged meanwhile, whoever logs it.

A handler logs by a `Logger` of its own and knows nothing of ids:

    with serving(connection.id, connection.handshake.request_id):
        ...  # call the handler

It is a context variable. A coroutine that is begun within (`Deferred.fromCoroutine`, `inlineCallbacks`) keeps it for
all of its later turns, whoever brings them about; a plain callback on a Deferred runs in the context of who fires it.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

Ids = tuple[str, str]

_ids: ContextVar[Ids | None] = ContextVar("wsservice.log_context", default=None)


def current() -> Ids | None:
    """The connection id and the request id, in this order; None outside of any connection."""
    return _ids.get()


#: the same for the hottest path, by hand: `token = enter((connection_id, request_id))`, and in any case `leave(token)`
enter, leave = _ids.set, _ids.reset


class serving:  # noqa: N801 - it reads as a function, and is faster than a generator
    """A `with` block for what is done for one connection. It costs a third of a microsecond and keeps nothing alive."""

    __slots__ = ("_ids", "_token")

    def __init__(self, connection_id: str, request_id: str) -> None:
        self._ids = (connection_id, request_id)

    def __enter__(self) -> None:
        self._token: Token[Ids | None] = _ids.set(self._ids)

    def __exit__(self, *_: object) -> None:
        _ids.reset(self._token)
