"""One namespace of one Socket.IO client, as its connection sees the transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wsservice.close_codes import is_farewell
from wsservice.errors import ClientError
from wsservice.recovery import Trail
from wsservice.wire import Link

if TYPE_CHECKING:
    from wsservice.clients.client import Client
    from wsservice.connection import Connection


class NamespaceLink(Link):
    """Sends for one namespace; the client's other namespaces share the transport.

    Attributes:
        trail: how far the client has come, to be recovered after a break; None where that is off.
    """

    __slots__ = ("_client", "connection", "namespace", "trail")

    connection: Connection

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        self.trail: Trail | None = None

    @property
    def transport_name(self) -> str:
        """The client's present transport."""
        return self._client.transport_name

    @property
    def client_id(self) -> str:
        """The client's public name."""
        return self._client.public_id

    def entering(self) -> None:
        """What was sent before is to be replayed."""
        if self.trail is not None:
            self.trail.enter()

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
        if is_farewell(code):
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
