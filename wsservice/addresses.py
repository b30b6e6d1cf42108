"""Clients' addresses as keys: whom a limit by address means. Pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

#: addresses whose key is remembered: parsing one takes 5 us, and each connection asks twice
_REMEMBERED = 10_000


@lru_cache(_REMEMBERED)
def address_key(peer: str) -> str:
    """The key of a client's address: IPv6 clients have a /64 to themselves (RFC 6177 section 2)."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
