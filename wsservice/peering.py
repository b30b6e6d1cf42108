"""How this node and others pass on to each other what is theirs: the parts for it, made of the settings.

A session on long-polling lives in one process; its requests come to any. Going out are `Passing` (polls) and
`SpliceFactory` (WebSockets), over `Links`. Coming in, there is an address of our own, where the same sessions are
served to peers only: each request must have a peer's proof, what it says of the client counts, and nothing is passed on
from there, so that nothing goes round in circles.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger

from wsservice.admission import Admission
from wsservice.auth.authenticator import Authenticator
from wsservice.auth.origin import OriginPolicy
from wsservice.clients.table import Clients
from wsservice.config import Config
from wsservice.errors import ConfigurationError
from wsservice.handshake import Handshake, Network
from wsservice.peers.heads import MORE_BYTES, MORE_LINES
from wsservice.peers.links import Links
from wsservice.peers.nodes import Nodes
from wsservice.peers.proofs import NotAPeer, check
from wsservice.peers.sids import Sids
from wsservice.transports.accepting import Accepting
from wsservice.transports.listen import parse_endpoint
from wsservice.transports.port import PortFactory
from wsservice.transports.socketio import SocketIoFactory
from wsservice.transports.splice import SpliceFactory
from wsservice.transports.upgrade import UpgradeResource
from wsservice.web.limits import Limits
from wsservice.web.passing import Passing
from wsservice.web.polling import PollingResource, PollingSettings
from wsservice.web.request import WsSite
from wsservice.web.resource import Branch
from wsservice.web.root import put

log = Logger()

#: what a peer says of a client counts, wherever the peer is: it has proved that it is one
EVERYWHERE: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))
#: seconds that an owner may take to answer beyond what a ping and its pong, or handlers that are behind, take
_SLACK = 10.0
#: seconds after which a socket file that nobody listens at is taken away
_STALE = 60.0
#: bytes of the path of a Unix socket, by the system
_LONGEST_PATH = 107
_ANY_HOST = ("", "0.0.0.0", "::")  # noqa: S104


@dataclass(slots=True)
class Outgoing:
    """What passes on."""

    nodes: Nodes
    sids: Sids
    links: Links
    passing: Passing
    splices: SpliceFactory


@dataclass(slots=True)
class Incoming:
    """What serves peers.

    Attributes:
        address: how peers reach the socket that listens, by its own address.
    """

    web: WsSite
    socketio: SocketIoFactory
    port: PortFactory
    name: str
    endpoint: IStreamServerEndpoint
    address: Callable[[Any], str]


@dataclass(slots=True)
class Peering:
    """Both directions."""

    outgoing: Outgoing
    incoming: Incoming


def make_outgoing(config: Config, reactor: Any, nodes: Nodes, clients: Clients, *, open_files: int) -> Outgoing:
    """What passes on; from now on sids say whose they are."""
    counters = clients.hub.counters
    sids = Sids(nodes)
    clients.make_sid = sids.make
    engine = clients.settings.engine
    links = Links(
        reactor,
        counters,
        answer_timeout=max(engine.ping_interval + engine.ping_timeout, clients.hub.pause_timeout) + _SLACK,
        most=max(16, open_files // 4),
    )
    path = config.socketio_path.encode("ascii")
    return Outgoing(
        nodes,
        sids,
        links,
        Passing(nodes, sids, links, counters=counters, now=time.time),
        SpliceFactory(
            nodes,
            sids,
            links,
            paths=frozenset({path, path + b"/"}),
            clock=reactor,
            counters=counters,
            now=time.time,
            trusted=config.trusted_proxy,
            max_headers=config.max_headers,
            unread_timeout=config.unread_timeout,
        ),
    )


def make_incoming(
    config: Config,
    reactor: Any,
    nodes: Nodes,
    clients: Clients,
    *,
    authenticator: Authenticator,
    origins: OriginPolicy,
    polling: PollingSettings,
    limits: Limits,
    accepting: Accepting,
    admission: Admission,
) -> Incoming:
    """What serves peers.

    Args:
        limits: of our clients; the head of a request that is passed on may be longer.
        admission: counts WebSockets by their clients' own addresses, with those that come here themselves.

    Raises:
        ConfigurationError: `--peer-listen` cannot be used.
    """
    counters = clients.hub.counters
    limits = for_peers(limits)

    def gate(handshake: Handshake) -> None:
        try:
            check(nodes.secret, handshake, node=nodes.id, now=time.time())
        except NotAPeer:
            log.warn(
                "refused at the private address: no good proof; is it a stranger, or does a node have another secret, "
                "or a clock that is a minute off? ({request_id}, {peer})",
                request_id=handshake.request_id,
                peer=handshake.peer,
                log_flood="refused at the private address",
            )
            raise

    socketio = SocketIoFactory(
        clients,
        authenticator,
        clock=reactor,
        trusted_proxies=EVERYWHERE,
        compression=config.compression,
        max_fragments=config.max_fragments,
        unread_timeout=config.unread_timeout,
        gate=gate,
    )
    resource = PollingResource(clients, authenticator, origins, polling, gate=gate)
    path = config.socketio_path.encode("ascii")
    root = Branch()
    put(root, path, UpgradeResource(socketio, resource))
    paths = (config.socketio_path, f"{config.socketio_path}/")
    web = WsSite(
        root,
        clock=reactor,
        counters=counters,
        limits=limits,
        trusted=EVERYWHERE,
        uploads=dict.fromkeys(paths, resource.open_upload),
        polls=dict.fromkeys(paths, resource),
        logs_quiet=config.log_level == "debug",
    )
    port = PortFactory(
        {path: socketio, path + b"/": socketio},
        web,
        clock=reactor,
        counters=counters,
        head_timeout=config.handshake_timeout,
        max_head=limits.head_bytes,
        max_headers=limits.headers,
        accepting=accepting,
    )
    socketio.admission = admission  # rather than that of the port, which counts peers
    name = config.peer_listen or _own_socket(os.environ, nodes.id)
    endpoint = parse_endpoint(reactor, name, config.backlog, option="--peer-listen")
    return Incoming(web, socketio, port, name, endpoint, partial(_address, config.peer_address))


def for_peers(limits: Limits) -> Limits:
    """What a head may cost that a peer has made of one within these limits."""
    return replace(
        limits,
        head_bytes=2 * limits.head_bytes + limits.headers + MORE_BYTES,
        headers=limits.headers + MORE_LINES,
    )


def private_folder(environ: Mapping[str, str]) -> Path:
    """A directory that only this user can enter: systemd's, the session's, or one below the temporary ones.

    Raises:
        ConfigurationError: there is one of that name which is somebody else's.
    """
    parent = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(parent) / "wsservice-peers" if parent else Path(tempfile.gettempdir()) / f"wsservice-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}; name --peer-listen") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(f"{folder}: is not a directory of this user alone; remove it, or name --peer-listen")
    return folder


def _own_socket(environ: Mapping[str, str], node: str) -> str:
    folder = private_folder(environ)
    _remove_stale(folder)
    path = folder / f"{node}.sock"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ConfigurationError(f"{path}: is too long for a Unix socket; name --peer-listen")
    return f"unix:{quoteStringArgument(str(path))}:mode=600"


def _remove_stale(folder: Path) -> None:
    """Take away the sockets of nodes that were killed."""
    for path in folder.glob("*.sock"):
        try:
            is_old = time.time() - path.lstat().st_mtime > _STALE
            if is_old and not _is_listened_at(path):
                path.unlink()
                path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        except OSError:  # somebody else was faster
            continue


def _is_listened_at(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) != errno.ECONNREFUSED


def _address(given: str, host: Any) -> str:
    """How peers reach a port that listens.

    Raises:
        ConfigurationError: nobody could know.
    """
    if given:
        return given
    if not hasattr(host, "port"):
        return f"unix:{quoteStringArgument(os.fsdecode(host.name))}"
    if host.host in _ANY_HOST:
        raise ConfigurationError(
            "--peer-listen is every address of this machine: give it an interface, as in tcp:4020:interface=10.0.0.5, "
            "or say by --peer-address how other nodes reach it"
        )
    return f"tcp:{quoteStringArgument(host.host)}:{host.port}"
