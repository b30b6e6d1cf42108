"""Where the service listens: host and port, or Twisted's endpoint strings, with TLS or without."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString, wrapServerTLS
from twisted.internet.interfaces import IFileDescriptor, IListeningPort, IProtocolFactory, IStreamServerEndpoint

from wsservice.errors import ConfigurationError
from wsservice.transports.tls import Certificate

#: endpoints of Unix sockets, where the peer is a proxy on this machine; a socket that systemd hands over may be one
_UNIX = re.compile(r"(?:haproxy:)?(?:unix:|systemd:(?:.*:)?domain=UNIX(?::|$))")
#: endpoints that speak TLS by themselves, with a certificate of their own
_TLS = re.compile(r"(?:haproxy:)?ssl:")
#: hosts for which a browser on this machine takes `localhost`
_ANY_HOST = ("", "0.0.0.0", "::", "127.0.0.1")  # noqa: S104


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
    whole = description
    if kind in ("tcp", "tcp6", "unix") and ":backlog=" not in description:
        whole += f":backlog={backlog}"
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, whole)
    except Exception as error:  # the parser of each type reads the files and calls the functions that the text names
        raise ConfigurationError(f"--listen {description}: {_fault(kind, error)}") from None
    return endpoint


def _fault(kind: str, error: Exception) -> str:
    """What is wrong with an endpoint, and the fix."""
    if kind == "systemd" and isinstance(error, IndexError | KeyError):
        return "no such socket was handed over; start the service by a .socket unit, or listen on tcp:3020"
    examples = "give for example tcp:3020, unix:/run/wsservice.sock or systemd:domain=INET:index=0"
    if isinstance(error, SSL.Error | crypto.Error):
        return "its privateKey or certKey is no PEM file with a key and its certificate; name such files"
    if isinstance(error, TypeError):  # of a call by what stands in the description
        return f"{re.sub(r'^[^ ]*[(][)] ', '', str(error))}; {examples}"
    return f"{error or 'not an endpoint'}; {examples}"


def scheme_of(description: str, *, tls: bool) -> str:
    """What clients speak at an endpoint, `http` or `https`.

    Args:
        tls: whether the service has a certificate.
    """
    return "https" if _TLS.match(description) or (tls and not _UNIX.match(description)) else "http"


def describe(address: Any) -> str:
    """A listening address for people: `127.0.0.1:3020`, `[::1]:3020`, `unix:/run/ws.sock`."""
    if hasattr(address, "port"):
        return f"{_bracketed(address.host)}:{address.port}"
    name = getattr(address, "name", None)
    return f"unix:{os.fsdecode(name)}" if name else "a Unix socket without a name"


def page_at(address: Any, scheme: str) -> str | None:
    """The URL of a listening address for a browser on this machine; None where there is none, as for a Unix socket."""
    if not hasattr(address, "port"):
        return None
    host = "localhost" if address.host in _ANY_HOST else _bracketed(address.host)
    return f"{scheme}://{host}:{address.port}/"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def make_endpoints(
    reactor: Any, *, host: str, port: int, listen: Sequence[str], backlog: int, certificate: Certificate | None
) -> list[tuple[str, IStreamServerEndpoint]]:
    """Every endpoint with its description; `listen`, if given, stands instead of host and port.

    `backlog` is how many may wait to be accepted, where a description does not say it: with Twisted's 50, two
    thousand clients that come at once wait up to 28 s, and hundreds never connect.

    With a certificate all of them speak TLS but Unix sockets, where the peer is a proxy on this machine. (`ssl:` speaks
    it anyway, with the certificate that stands there.)
    """
    if listen:
        endpoints = [(description, parse_endpoint(reactor, description, backlog)) for description in listen]
    else:
        endpoints = [(f"tcp:{port}:interface={host}", make_endpoint(reactor, host, port, backlog))]
    if certificate is None:
        return endpoints
    return [
        (name, endpoint if _UNIX.match(name) or _TLS.match(name) else wrapServerTLS(certificate, endpoint, reactor))
        for name, endpoint in endpoints
    ]


def someone_waits(ports: Sequence[IListeningPort]) -> bool:
    """Whether a connection waits to be accepted."""
    poll = select.poll()
    for port in ports:
        if IFileDescriptor.providedBy(port):
            poll.register(port.fileno(), select.POLLIN)
    return bool(poll.poll(0))


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
        except Exception as error:  # a port or a path can be wrong in many ways, and each has an exception of its own
            for port in ports:  # not waited for: the caller must learn of it in this turn
                port.stopListening()
            cause = getattr(error, "socketError", error)
            raise ConfigurationError(
                f"cannot listen on {name}: {getattr(cause, 'strerror', None) or cause}; "
                "choose another --port, --host or --listen, or stop what uses it"
            ) from None
    return ports
