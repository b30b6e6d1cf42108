"""Where the service listens: host and port, or Twisted's endpoint strings, with TLS or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString, wrapServerTLS
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint

from wsservice.errors import ConfigurationError
from wsservice.transports.tls import Certificate


def make_endpoint(reactor: Any, host: str, port: int, backlog: int) -> IStreamServerEndpoint:
    """A TCP endpoint for an address; an IPv6 one is known by its colon."""
    kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, port, backlog=backlog, interface=host)
    return endpoint


def parse_endpoint(reactor: Any, description: str, backlog: int) -> IStreamServerEndpoint:
    """An endpoint of Twisted's description, such as `tcp:3020`, `unix:/run/ws.sock`, `systemd:domain=INET:name=http`.

    Raises:
        ConfigurationError: it is none.
    """
    kind = description.partition(":")[0]
    if kind in ("tcp", "tcp6", "unix") and ":backlog=" not in description:
        description += f":backlog={backlog}"
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    except (ValueError, TypeError, KeyError, IndexError, OSError) as error:
        raise ConfigurationError(
            f"--listen {description}: {error or 'not an endpoint'}; "
            "give for example tcp:3020, unix:/run/wsservice.sock or systemd:domain=INET:index=0"
        ) from None
    return endpoint


def make_endpoints(
    reactor: Any, *, host: str, port: int, listen: Sequence[str], backlog: int, certificate: Certificate | None
) -> list[tuple[str, IStreamServerEndpoint]]:
    """Every endpoint with its description; `listen`, if given, stands instead of host and port.

    `backlog` is how many may wait to be accepted, where a description does not say it: with Twisted's 50, two
    thousand clients that come at once wait up to 28 s, and hundreds never connect.

    With a certificate all of them speak TLS but `unix:`, where the peer is a proxy on this machine.
    """
    if listen:
        endpoints = [(description, parse_endpoint(reactor, description, backlog)) for description in listen]
    else:
        endpoints = [(f"tcp:{port}:interface={host}", make_endpoint(reactor, host, port, backlog))]
    if certificate is None:
        return endpoints
    return [
        (name, endpoint if name.startswith("unix:") else wrapServerTLS(certificate, endpoint, reactor))
        for name, endpoint in endpoints
    ]


async def listen_on(
    endpoints: Sequence[tuple[str, IStreamServerEndpoint]], factory: IProtocolFactory
) -> list[IListeningPort]:
    """Listen on all of them, in order.

    Raises:
        ConfigurationError: one cannot be had; the message names it and what to do. Those before it listen no more.
    """
    ports: list[IListeningPort] = []
    for name, endpoint in endpoints:
        try:
            ports.append(await endpoint.listen(factory))
        except (CannotListenError, OSError) as error:
            for port in ports:
                await maybeDeferred(port.stopListening)
            cause = getattr(error, "socketError", error)
            raise ConfigurationError(
                f"cannot listen on {name}: {getattr(cause, 'strerror', None) or cause}; "
                "choose another --port, --host or --listen, or stop what uses it"
            ) from None
    return ports
