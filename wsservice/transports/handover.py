"""Giving a live transport, and the bytes already read from it, to another protocol."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocol, ITransport
from twisted.protocols.policies import ProtocolWrapper


def hand_over(transport: ITransport, protocol: IProtocol, data: bytes) -> None:
    """Connect `protocol` to a transport that is open already and feed it what was read before."""
    if isinstance(transport, ProtocolWrapper):  # TLS wraps
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol  # type: ignore[attr-defined]
    protocol.makeConnection(transport)
    if data:
        protocol.dataReceived(data)
