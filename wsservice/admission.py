"""How many TCP connections there may be: in all, and from one address."""

from __future__ import annotations

from collections.abc import Callable

from wsservice.addresses import address_key
from wsservice.alarms import Alarms
from wsservice.errors import TooManyConnections, TooManyFromAddress


class Admission:
    """Counts the open connections.

    Args:
        most: connections in all.
        per_address: connections of one IPv4 address or IPv6 /64; 0 is no limit.
        is_exempt: whether an address is that of a trusted proxy, or of a Unix socket: it stands for many clients.
    """

    def __init__(
        self, *, most: int, per_address: int, alarms: Alarms, is_exempt: Callable[[str], bool] = lambda peer: False
    ) -> None:
        self.most = most
        self._per_address = per_address
        self._is_exempt = is_exempt
        self._alarms = alarms
        self._count = 0
        self._by_address: dict[str, int] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether no more are let in."""
        return self._count >= self.most

    def admit(self, peer: str) -> TooManyConnections | None:
        """Let a connection in; `release` it when it has gone. If there is no place for it, why."""
        if self.is_full:
            self._alarms.hit("connections", "--max-connections")
            return TooManyConnections("no more connections")
        refusal = self.admit_forwarded(peer)
        if refusal is None:
            self._count += 1
        return refusal

    def release(self, peer: str) -> None:
        """A connection that was let in has gone."""
        self._count -= 1
        self.release_forwarded(peer)

    def admit_forwarded(self, peer: str) -> TooManyFromAddress | None:
        """Count a connection that was let in as the proxy's for the client's own address, too: `release_forwarded`."""
        if self._per_address and not self._is_exempt(peer):
            key = address_key(peer)
            count = self._by_address.get(key, 0)
            if count >= self._per_address:
                self._alarms.hit("connections_per_address", "--max-connections-per-address", key)
                return TooManyFromAddress("no more connections from this address")
            self._by_address[key] = count + 1
        return None

    def release_forwarded(self, peer: str) -> None:
        """That connection has gone."""
        if self._per_address and not self._is_exempt(peer):
            key = address_key(peer)
            count = self._by_address[key] - 1
            if count:
                self._by_address[key] = count
            else:
                del self._by_address[key]
