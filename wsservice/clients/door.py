"""A namespace with a login of its own, which says nothing of who the client is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from wsservice.auth.principal import Principal
from wsservice.handshake import Handshake


class Door(Protocol):
    """Who decides on that namespace. Its clients' cookies do not count there, and what is asked for here not elsewhere.

    Attributes:
        namespace: its name.
    """

    @property
    def namespace(self) -> str:
        """See the class."""

    def admit(self, auth: Mapping[str, Any], handshake: Handshake) -> Deferred[Principal]:
        """Who asks for the namespace, by what the client gave as `auth`; nothing keeps that.

        Fails with ClientError, whose message and data the client is told.
        """

    def is_confined(self, handshake: Handshake) -> bool:
        """Whether a client comes from a page that may use this namespace only."""
