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
        spare: places beyond `most`, for who only asks how the service is.
        is_exempt: whether an address is that of a trusted proxy, or of a Unix socket: it stands for many clients.
    """

    def __init__(
        self,
        *,
        most: int,
        per_address: int,
        alarms: Alarms,
        spare: int = 0,
        is_exempt: Callable[[str], bool] = lambda peer: False,
    ) -> None:
        self._spare = spare
        self.set(most=most, per_address=per_address)
        self._is_exempt = is_exempt
        self._alarms = alarms
        self._count = 0
        self._in_spare = 0
        self._by_address: dict[str, int] = {}

    def set(self, *, most: int, per_address: int) -> None:
        """Limits from now on; whoever was let in stays."""
        self.most = most
        self._with_spare = most + self._spare
        self._per_address = per_address

    def __len__(self) -> int:
        return self._count + self._in_spare

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

    def admit_spare(self, peer: str) -> TooManyConnections | None:
        """Let one in that found no place, until it has said what it wants: then `release_spare` or `keep_spare` it."""
        if len(self) >= self._with_spare:
            return TooManyConnections("no more connections, and no spare places")
        refusal = self.admit_forwarded(peer)
        if refusal is None:
            self._in_spare += 1
        return refusal

    def release_spare(self, peer: str) -> None:
        """One in a spare place has gone, or is refused."""
        self._in_spare -= 1
        self.release_forwarded(peer)

    def keep_spare(self) -> None:
        """One in a spare place is served; `release` it when it has gone, as all others."""
        self._in_spare -= 1
        self._count += 1

    def admit_forwarded(self, peer: str) -> TooManyFromAddress | None:
        """Count a connection that was let in as the proxy's for the client's own address, too: `release_forwarded`."""
        if not self._is_exempt(peer):  # counted without a limit, too, since there may be one before they go
            key = address_key(peer)
            count = self._by_address.get(key, 0)
            if 0 < self._per_address <= count:
                self._alarms.hit("connections_per_address", "--max-connections-per-address", key)
                return TooManyFromAddress("no more connections from this address")
            self._by_address[key] = count + 1
        return None

    def release_forwarded(self, peer: str) -> None:
        """That connection has gone."""
        if not self._is_exempt(peer):
            key = address_key(peer)
            count = self._by_address.get(key, 0) - 1
            if count > 0:
                self._by_address[key] = count
            else:
                self._by_address.pop(key, None)
