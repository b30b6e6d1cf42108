"""Where the service listens: host and port, or Twisted's endpoint strings, with TLS or without.

Several processes listen at one address in one of two ways: each has a socket of its own (`SO_REUSEPORT`, the system
shares new connections out), or all have the same one, which was handed over to them (systemd).
"""

from __future__ import annotations

import os
import re
import select
import socket
from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
    wrapServerTLS,
)
from twisted.internet.interfaces import IFileDescriptor, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.unix import Port as UnixPort
from zope.interface import implementer

from wsservice.errors import ConfigurationError
from wsservice.transports.tls import Certificate

#: endpoints of Unix sockets, where the peer is a proxy on this machine; a socket that systemd hands over may be one
_UNIX = re.compile(r"(?:haproxy:)?(?:unix:|systemd:(?:.*:)?domain=UNIX(?::|$))")
#: endpoints that speak TLS by themselves, with a certificate of their own
_TLS = re.compile(r"(?:haproxy:)?ssl:")
#: listening sockets that are looked for among those that were handed over
MOST_HANDED_OVER = 64
#: hosts for which a browser on this machine takes `localhost`
_ANY_HOST = ("", "0.0.0.0", "::", "127.0.0.1")  # noqa: S104


def make_endpoint(reactor: Any, host: str, port: int, backlog: int) -> IStreamServerEndpoint:
    """A TCP endpoint for an address; an IPv6 one is known by its colon."""
    kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, port, backlog=backlog, interface=host)
    return endpoint


@implementer(IStreamServerEndpoint)
class ReusePortEndpoint:
    """A TCP endpoint at which other processes listen, too, each with a socket of its own."""

    def __init__(self, reactor: Any, host: str, port: int, backlog: int) -> None:
        self._reactor = reactor
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._address = (host, port)
        self._backlog = backlog

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Called by whoever listens."""
        with socket.socket(self._family, socket.SOCK_STREAM) as made:
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                made.setblocking(False)
                made.bind(self._address)
                made.listen(self._backlog)
                return succeed(self._reactor.adoptStreamPort(made.fileno(), self._family, protocolFactory))
            except OSError as error:
                return fail(error)


@implementer(IStreamServerEndpoint)
class HandedOverEndpoint:
    """A listening socket that was there before this process, and stays when this process ends.

    Args:
        adopted: Twisted's own endpoint for it.
    """

    def __init__(self, reactor: Any, adopted: AdoptedStreamServerEndpoint) -> None:
        self._reactor = reactor
        self._adopted = adopted

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Called by whoever listens."""
        if self._adopted.addressFamily != socket.AF_UNIX:
            listening: Deferred[IListeningPort] = self._adopted.listen(protocolFactory)
            return listening
        try:
            return succeed(self._adopt_unix(protocolFactory))
        except OSError as error:
            return fail(error)

    def _adopt_unix(self, factory: IProtocolFactory) -> IListeningPort:
        """As `adoptStreamPort`, whose port gives the file other permissions, and takes it away in the end."""
        os.set_blocking(self._adopted.fileno, False)
        port: Any = UnixPort._fromListeningDescriptor(self._reactor, self._adopted.fileno, factory)
        os.close(self._adopted.fileno)
        port._bindPath = b"\0"  # that of no file
        port._shouldShutdown = False  # which others with the same socket would feel
        port.backlog = socket.SOMAXCONN
        port.startListening()
        adopted: IListeningPort = port
        return adopted


def handed_over(reactor: Any) -> list[tuple[str, str]]:
    """The listening sockets that systemd has handed over to this process (`LISTEN_FDS`).

    Returns:
        The description of each, and the host of its address; empty for a Unix socket.
    """
    found = []
    for index in range(MOST_HANDED_OVER):
        try:
            endpoint: Any = serverFromString(reactor, f"systemd:domain=INET:index={index}")
        except IndexError:
            break
        try:
            with socket.socket(fileno=os.dup(endpoint.fileno)) as one:
                if one.type == socket.SOCK_STREAM:
                    host = "" if one.family == socket.AF_UNIX else one.getsockname()[0]
                    domain = socket.AddressFamily(one.family).name.removeprefix("AF_")
                    found.append((f"systemd:domain={domain}:index={index}", host))
        except OSError:  # no socket at all
            continue
    return found


def is_handed_over(description: str) -> bool:
    """Whether a description is that of a socket which other processes may have, too."""
    return description.removeprefix("haproxy:").startswith("systemd:")


def parse_endpoint(reactor: Any, description: str, backlog: int, *, option: str = "--listen") -> IStreamServerEndpoint:
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
        raise ConfigurationError(f"{option} {description}: {_fault(kind, error)}") from None
    if isinstance(endpoint, AdoptedStreamServerEndpoint):
        return HandedOverEndpoint(reactor, endpoint)
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
    reactor: Any,
    *,
    host: str,
    port: int,
    listen: Sequence[str],
    backlog: int,
    certificate: Certificate | None,
    reuse_port: bool = False,
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
        make = ReusePortEndpoint if reuse_port else make_endpoint
        endpoints = [(f"tcp:{port}:interface={host}", make(reactor, host, port, backlog))]
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
    endpoints: Sequence[tuple[str, IStreamServerEndpoint]],
    factory: IProtocolFactory,
    options: str = "--port, --host or --listen",
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
                f"choose another {options}, or stop what uses it"
            ) from None
    return ports
