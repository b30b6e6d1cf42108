"""Putting the parts together: the one place where settings become objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint

from wsservice import __version__
from wsservice.adapters.base import Adapter
from wsservice.adapters.local import Local
from wsservice.adapters.redis.shared_history import SharedHistory
from wsservice.admin.view import AdminView
from wsservice.admin.watched import WatchedRegistry
from wsservice.administering import make_admin, reserve_admin
from wsservice.admission import Admission
from wsservice.alarms import Alarms
from wsservice.app import App
from wsservice.auth.api_keys import ApiKeys
from wsservice.auth.authenticator import Authenticator
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.providers.base import IdentityProvider, Readiness
from wsservice.auth.providers.dev import DevProvider
from wsservice.auth.revocations import Revocations
from wsservice.checks import Problems
from wsservice.clients.table import Clients
from wsservice.config import Config
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.deadlines import RunningClock
from wsservice.demo.app import make_app
from wsservice.errors import ConfigurationError
from wsservice.expiry import Expirations
from wsservice.handshake import is_trusted
from wsservice.history import History
from wsservice.hub import Hub
from wsservice.identity import (
    make_greeting,
    make_origins,
    make_provider,
    make_session_cookies,
    make_socketio_origins,
)
from wsservice.loader import load_app
from wsservice.metering import Metering, make_metering, parse_address
from wsservice.metrics.state import State
from wsservice.open_files import SPARE_CONNECTIONS, most_connections
from wsservice.parsers import is_loopback
from wsservice.part_settings import (
    auth_settings,
    client_settings,
    connection_limits,
    polling_settings,
    raw_settings,
    site_limits,
    sticky_cookie,
)
from wsservice.peering import Peering, make_incoming, make_outgoing
from wsservice.peers.nodes import Nodes
from wsservice.registry import Registry
from wsservice.sessions import Sessions
from wsservice.surroundings import Surroundings
from wsservice.transports.accepting import Accepting
from wsservice.transports.listen import handed_over, make_endpoints
from wsservice.transports.port import PortFactory
from wsservice.transports.socketio import SocketIoFactory
from wsservice.transports.tls import Certificate
from wsservice.transports.upgrade import UpgradeResource
from wsservice.transports.websocket import RawFactory
from wsservice.web.api import Api
from wsservice.web.health import HEALTH, READY, Checks
from wsservice.web.polling import PollingResource
from wsservice.web.rates import Rate
from wsservice.web.request import WsSite
from wsservice.web.root import make_site
from wsservice.web.services import AuthServices, AuthSettings
from wsservice.web.session_cookies import SessionCookies

#: the page at `/`
PAGES = Path(__file__).parent / "demo" / "static"
#: descriptors that are kept free below the limit, for what is no connection
_SPARE_FILES = 50 - SPARE_CONNECTIONS


@dataclass(slots=True)
class Parts:
    """Everything that runs, as `Server` needs it."""

    app: App
    hub: Hub
    provider: IdentityProvider
    raw: RawFactory
    socketio: SocketIoFactory
    clients: Clients
    web: WsSite
    port: PortFactory
    accepting: Accepting
    open_files: int
    endpoints: list[tuple[str, IStreamServerEndpoint]]
    certificate: Certificate | None
    greeting: list[str]
    peering: Peering | None
    metering: Metering | None
    admin: AdminView | None
    origins: OriginPolicy
    auth: AuthSettings


@dataclass(frozen=True, slots=True)
class _Given:
    """What the settings name, and what may fail to be made."""

    app: App
    provider: IdentityProvider
    origins: OriginPolicy
    socketio_origins: OriginPolicy
    session_cookies: SessionCookies
    certificate: Certificate | None
    endpoints: list[tuple[str, IStreamServerEndpoint]]
    counters: Counters
    adapter: Adapter | None
    metrics_endpoint: IStreamServerEndpoint | None


def assemble(
    config: Config,
    reactor: Any,
    draining: Callable[[], bool],
    nodes: Nodes | None = None,
    around: Surroundings | None = None,
) -> Parts:
    """Build every part and connect them; nothing runs or listens yet.

    Args:
        draining: whether the service is coming to its end.
        nodes: the cluster, where it is not the adapter's.
        around: by default, the process's own.

    Raises:
        ConfigurationError: things that the settings name cannot be used; it tells all of them.
    """
    around = around or Surroundings()
    now = around.now
    given = _make_given(config, reactor, around)
    alarms = Alarms(given.counters, around.monotonic)
    alarms.watch()
    clock = RunningClock(around.monotonic)
    hub = _make_hub(config, reactor, given, clock=clock, now=now, alarms=alarms)
    revocations = Revocations(now, forgot=partial(given.counters.add, "tables_full", "revocations"))
    hub.is_revoked = revocations.refuses
    sessions = Sessions(hub.registry, revocations, now, hub.history, given.adapter)
    board = reserve_admin(config, given.app)
    if given.adapter is not None:  # behind that: the names that there are get their channels now
        given.adapter.serve(Local(hub, given.app, sessions))
        nodes = nodes or given.adapter.nodes
    make_authenticator = partial(
        Authenticator,
        given.provider,
        cookie_name=config.auth_cookie_name,
        revocations=revocations,
        counters=given.counters,
    )
    authenticator = make_authenticator(origins=given.origins)
    socketio_authenticator = make_authenticator(origins=given.socketio_origins)
    clients = Clients(
        hub,
        client_settings(config),
        find=given.app.find,
        authenticate=authenticator.authenticate,
        has_token=authenticator.has_token,
        is_revoked=revocations.refuses,
        clock=clock,
        wall_clock=now,
    )
    raw = RawFactory(hub, authenticator, raw_settings(config), reactor)
    socketio = SocketIoFactory(
        clients,
        socketio_authenticator,
        clock=reactor,
        trusted_proxies=config.trusted_proxy,
        compression=config.compression,
        max_fragments=config.max_fragments,
        cookie=sticky_cookie(config),
        unread_timeout=config.unread_timeout,
    )
    admin = None
    if board is not None:
        admin = make_admin(
            config, reactor, hub, given.app, board, clients=clients, raw=raw, own_origins=given.origins, around=around
        )
    services = AuthServices(
        provider=given.provider,
        authenticate=authenticator.authenticate,
        sessions=sessions,
        find_token=authenticator.find_token,
        has_ended=revocations.has_ended,
        origins=given.origins,
        counters=given.counters,
        clock=reactor,
        now=now,
        shorten=given.provider.shorten if isinstance(given.provider, DevProvider) else None,
    )
    open_files = around.open_files()
    outgoing = None if nodes is None else make_outgoing(config, reactor, nodes, clients, open_files=open_files)
    polling_how, limits = polling_settings(config), site_limits(config)
    polling = PollingResource(
        clients,
        socketio_authenticator,
        given.socketio_origins,
        polling_how,
        passing=None if outgoing is None else outgoing.passing,
    )
    admission = _make_admission(config, alarms, open_files, spare=SPARE_CONNECTIONS)
    clients.admission = _make_admission(config, alarms, open_files)
    accepting = Accepting(reactor, alarms, highest=max(1, open_files - _SPARE_FILES))
    peering = None
    if nodes is not None and outgoing is not None:
        incoming = make_incoming(
            config,
            reactor,
            nodes,
            clients,
            authenticator=socketio_authenticator,
            origins=given.socketio_origins,
            polling=polling_how,
            limits=limits,
            accepting=accepting,
            admission=admission,
        )
        peering = Peering(outgoing, incoming)
    splices = None if outgoing is None else outgoing.splices
    path, socketio_path = config.ws_path.encode("ascii"), config.socketio_path.encode("ascii")
    api = _make_api(config, hub, reactor)
    checks: Checks = {
        "keys": given.provider.readiness,
        "service": lambda: _service_readiness(draining()),
        "limits": lambda: _limits_readiness(admission, alarms),
        **({} if given.adapter is None else {"adapter": given.adapter.readiness}),
    }
    metering = make_metering(
        config,
        reactor,
        given.metrics_endpoint,
        given.counters,
        State(
            version=__version__,
            hub=hub,
            clients=clients,
            raw=raw.pings,
            raw_queues=raw.live,
            websocket_queues=socketio.live,
            admission=admission,
            adapter=given.adapter,
            checks=checks,
        ),
        limits=limits,
        accepting=accepting,
    )
    if metering is not None:
        hub.measure()
    auth = auth_settings(config, given.session_cookies)
    web = make_site(
        services,
        settings=auth,
        checks=checks,
        pages=PAGES if config.page else None,
        page_values={
            "ws_path": config.ws_path,
            "socketio_path": config.socketio_path,
            "dev": "true" if config.dev else "",
        },
        mount={
            path: UpgradeResource(raw),
            socketio_path: UpgradeResource(socketio, polling, splices),
            **api.resources,
            **({} if metering is None else metering.resources),
        },
        uploads={**{f"{config.socketio_path}{end}": polling.open_upload for end in ("", "/")}, **api.uploads},
        polls={f"{config.socketio_path}{end}": polling for end in ("", "/")},
        logs_quiet=config.log_level == "debug",
        limits=limits,
        trusted=config.trusted_proxy,
    )
    return Parts(
        app=given.app,
        hub=hub,
        provider=given.provider,
        raw=raw,
        socketio=socketio,
        clients=clients,
        web=web,
        port=PortFactory(
            {path: raw, socketio_path: socketio, socketio_path + b"/": socketio},
            web,
            clock=reactor,
            counters=given.counters,
            head_timeout=config.handshake_timeout,
            max_head=config.max_head_size,
            max_headers=config.max_headers,
            probes=frozenset({HEALTH, READY}),
            admission=admission,
            accepting=accepting,
            splices=splices,
        ),
        accepting=accepting,
        open_files=open_files,
        endpoints=given.endpoints,
        certificate=given.certificate,
        greeting=make_greeting(given.provider),
        peering=peering,
        metering=metering,
        admin=admin,
        origins=given.origins,
        auth=auth,
    )


def _make_given(config: Config, reactor: Any, around: Surroundings) -> _Given:
    counters, problems = Counters(), Problems()
    certificate = problems.during(lambda: _certificate(config))
    origins = problems.during(lambda: make_origins(config))
    given = _Given(
        app=problems.during(lambda: around.app or (load_app(config.app) if config.app else make_app(reactor))),
        provider=problems.during(lambda: around.provider or make_provider(config, reactor, counters, around.now)),
        origins=origins,
        socketio_origins=problems.during(lambda: make_socketio_origins(config, origins)),
        session_cookies=problems.during(lambda: make_session_cookies(config)),
        certificate=certificate,
        endpoints=problems.during(
            lambda: make_endpoints(
                reactor,
                host=config.host,
                port=config.port,
                listen=_listen(config, reactor),
                backlog=config.backlog,
                certificate=certificate,
                reuse_port=config.reuse_port,
            )
        ),
        counters=counters,
        adapter=problems.during(lambda: _make_adapter(config, reactor, counters)),
        metrics_endpoint=problems.during(lambda: parse_address(config, reactor)),
    )
    problems.check()
    return given


def _make_adapter(config: Config, reactor: Any, counters: Counters) -> Adapter | None:
    if config.adapter is None:
        return None
    # Here, since txredisapi is an extra, and installs the reactor when it is imported.
    from wsservice.adapters.redis.adapter import RedisAdapter
    from wsservice.adapters.redis.link import RedisLink

    link = RedisLink(
        reactor, config.adapter, counters, queue_bytes=config.adapter_queue_bytes, timeout=config.adapter_timeout
    )
    return RedisAdapter(
        link,
        config.adapter_key,
        python_channel=config.python_socketio_channel,
        queue_bytes=config.adapter_queue_bytes,
    )


def _listen(config: Config, reactor: Any) -> tuple[str, ...]:
    """Where to listen instead of host and port: what is named, or else what was handed over.

    Raises:
        ConfigurationError: `--dev`, and others would reach it.
    """
    found = [] if config.listen else handed_over(reactor)
    reachable = [name for name, host in found if host and not is_loopback(host)]
    if config.dev and reachable:
        raise ConfigurationError(
            f"--dev is for this machine only, and {', '.join(reachable)} (LISTEN_FDS) may be reached from others: "
            "let the .socket unit listen on 127.0.0.1, or use a user pool"
        )
    return config.listen or tuple(name for name, _ in found)


def _certificate(config: Config) -> Certificate | None:
    if not config.tls_cert:
        return None
    return Certificate(Path(config.tls_cert), Path(config.tls_key or config.tls_cert))


def _make_hub(
    config: Config, reactor: Any, given: _Given, *, clock: RunningClock, now: Callable[[], float], alarms: Alarms
) -> Hub:
    is_watched = config.admin_user and config.admin_mode == "development"
    registry: Registry[Connection] = (WatchedRegistry if is_watched else Registry)(given.counters)
    history = None
    if config.recovery:
        kind = History if given.adapter is None else SharedHistory
        history = kind(clock.seconds, given.counters, window=config.recovery, max_bytes=config.recovery_bytes)
    hub = Hub(
        given.app,
        registry,
        Expirations(reactor, now),
        reactor,
        given.counters,
        inbox_limit=config.inbox_messages,
        inbox_bytes=config.inbox_bytes,
        pause_timeout=config.pause_timeout,
        held_limit=config.send_queue_bytes,
        call_timeout=config.call_timeout,
        history=history,
        adapter=given.adapter,
        limits=connection_limits(config),
        alarms=alarms,
        logs_debug=config.log_level == "debug",
    )
    given.app.serve(hub)
    return hub


def _make_api(config: Config, hub: Hub, reactor: Any) -> Api:
    return Api(
        ApiKeys(config.api_key),
        hub,
        # as for what clients send
        max_body=config.max_http_buffer_size,
        body_timeout=config.body_timeout,
        rate=Rate(2 * config.api_rate, 1 / config.api_rate) if config.api_rate else None,
        seconds=reactor.seconds,
    )


def _make_admission(config: Config, alarms: Alarms, open_files: int, *, spare: int = 0) -> Admission:
    return Admission(
        most=most_allowed(config, open_files),
        per_address=config.max_connections_per_address,
        spare=spare,
        is_exempt=lru_cache(10_000)(partial(_stands_for_many, config)),
        alarms=alarms,
    )


def most_allowed(config: Config, open_files: int) -> int:
    """How many connections there may be."""
    return min(config.max_connections or open_files, most_connections(open_files))


def _stands_for_many(config: Config, peer: str) -> bool:
    """Whether behind an address are many clients: a proxy that is trusted, or one on this machine."""
    return not peer or is_loopback(peer) or is_trusted(peer, config.trusted_proxy)


def _service_readiness(draining: bool) -> Readiness:
    return Readiness(not draining, "stopping" if draining else "serving")


def _limits_readiness(admission: Admission, alarms: Alarms) -> Readiness:
    """Not ready while no connection is let in; and which limits bit within the last minute."""
    recent = ", ".join(alarms.recent())
    detail = f"reached within the last minute: {recent}" if recent else "none reached within the last minute"
    return Readiness(not admission.is_full, detail)
