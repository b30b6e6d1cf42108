"""Other nodes in memory: what is sent to them is kept, and they say what a test says."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from wsservice.peers.nodes import MemoryNodes
from wsservice.peers.sids import Owner, Sids

SECRET = b"s" * 32
ADDRESS = "unix:/run/owner.sock"


def here() -> MemoryNodes:
    """This node, which knows one other, `owner`."""
    return MemoryNodes("here", SECRET, {"owner": ADDRESS})


def foreign_sid() -> str:
    """The sid of a session that is the owner's."""
    return Sids(MemoryNodes("owner", SECRET, {})).make()


class Producer:
    """The sender of an answer."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def pauseProducing(self) -> None:
        self.steps.append("pause")

    def resumeProducing(self) -> None:
        self.steps.append("resume")

    def stopProducing(self) -> None:
        self.steps.append("stop")


class Exchange:
    """One request; the test is the owner, and calls `receiver`."""

    def __init__(self, owner: Owner, request: bytes, receiver: Any) -> None:
        self.owner = owner
        self.request = request
        self.receiver = receiver
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


class MemoryLinks:
    """In the place of `Links`; `fails` is what happens at once to every exchange."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.told: list[tuple[Owner, bytes]] = []
        self.connections: list[tuple[Owner, Any, Deferred[Any]]] = []
        self.released: list[str] = []
        self.fails: str | None = None
        self.is_full = False

    def exchange(self, owner: Owner, request: bytes, receiver: Any) -> Exchange:
        exchange = Exchange(owner, request, receiver)
        self.exchanges.append(exchange)
        if self.fails:
            receiver.failed(self.fails)
        return exchange

    def tell(self, owner: Owner, data: bytes) -> None:
        self.told.append((owner, data))

    def connect(self, owner: Owner, protocol: Any) -> Deferred[Any] | None:
        if self.is_full:
            return None
        connecting: Deferred[Any] = Deferred()
        self.connections.append((owner, protocol, connecting))
        return connecting

    def release(self, address: str) -> None:
        self.released.append(address)
