"""Who else serves: what a process must know of the nodes of its cluster to pass on what reached the wrong one. Pure."""

from __future__ import annotations

import re
from typing import Protocol

#: the id of a node, which stands in sids and in names of files
NODE_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Nodes(Protocol):
    """The cluster, as far as passing on goes.

    Attributes:
        id: this node's; `NODE_ID` matches it.
        secret: what all nodes know and nobody else; None until it is known, and nothing is passed on until then.
    """

    @property
    def id(self) -> str:
        """See the class."""

    @property
    def secret(self) -> bytes | None:
        """See the class."""

    def address_of(self, node: str) -> str | None:
        """Where a node takes what is passed on, as a Twisted client endpoint; None if it is unknown, or dead.

        It answers from memory: it is asked in the midst of a request.
        """

    def listening(self, address: str) -> None:
        """This node takes what is passed on, at this address: tell the others. Called once, at the start."""


class MemoryNodes:
    """Nodes that know each other by a dict that they share: for tests, and processes that were told everything.

    Args:
        addresses: of the nodes that live, by id.
    """

    def __init__(self, id: str, secret: bytes | None, addresses: dict[str, str]) -> None:
        self.id = id
        self.secret = secret
        self.addresses = addresses

    def address_of(self, node: str) -> str | None:
        """See `Nodes`."""
        return self.addresses.get(node)

    def listening(self, address: str) -> None:
        """See `Nodes`."""
        self.addresses[self.id] = address
