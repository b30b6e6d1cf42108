"""One namespace of one Socket.IO client, as its connection sees the transport."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wsservice.close_codes import CloseCode
from wsservice.errors import ClientError
from wsservice.history import Saved
from wsservice.recorded import Entry
from wsservice.wire import Link

if TYPE_CHECKING:
    from wsservice.clients.client import Client
    from wsservice.connection import Connection

#: an application's own close codes (RFC 6455 section 7.4.2) begin here
_OWN_CODES = 3000


class NamespaceLink(Link):
    """Sends for one namespace; the client's other namespaces share the transport.

    Attributes:
        missed: what a recovered connection is sent before it is told that it is connected.
        pid: the private id by which the connection can be recovered; None where that is off.
        position: of the history, up to which the client has everything.
        pinged_at: the position behind which the last ping was sent, until it is answered.
        saved: what the connection continues; it is given back if the connection breaks before it is accepted.
    """

    __slots__ = ("_client", "connection", "missed", "namespace", "pid", "pinged_at", "position", "saved")

    connection: Connection

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        self.missed: Sequence[Entry] = ()
        self.pid: str | None = None
        self.position = 0
        self.pinged_at: int | None = None
        self.saved: Saved | None = None

    def accept(self) -> None:
        """Write CONNECT, before anything else of this namespace."""
        self._client.namespaces.accepted(self)

    def refuse(self, error: ClientError) -> None:
        """Write CONNECT_ERROR; the client may ask again on the same session."""
        self._client.namespaces.refused(self, error)

    def write(self, data: bytes) -> None:
        """Send finished bytes of this connection's wire."""
        self._client.write(data)

    def direct(self) -> Callable[[bytes], int] | None:
        """The WebSocket's own `send`, while nothing waits before it."""
        return self._client.direct()

    def is_behind(self) -> bool:
        """Whether the client has not taken what was written before."""
        return self._client.is_behind

    def close(self, code: int, reason: str) -> None:
        """Leave the namespace, where that is the application's will: a `41` tells the client to stay away.

        In every other case the transport is closed without one, so that the client comes back by itself.
        """
        if code == CloseCode.NORMAL or (code >= _OWN_CODES and code != CloseCode.SLOW_CONSUMER):
            self._client.namespaces.leave(self, reason)
        else:
            self._client.end(reason, code=code)

    def close_all(self, code: int, reason: str) -> None:
        """Leave all namespaces, each by a `41`, and close the transport."""
        self._client.namespaces.leave_all(reason)
        self._client.end(reason, code=code)

    def pause_reading(self) -> None:
        """Let the client wait; its other namespaces wait, too."""
        self._client.pause(self)

    def resume_reading(self) -> None:
        """Read on, unless another namespace is behind."""
        self._client.resume(self)
