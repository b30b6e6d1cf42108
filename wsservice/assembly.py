"""Putting the parts together: the one place where settings become objects."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.interfaces import IStreamServerEndpoint

from wsservice.app import App
from wsservice.auth.authenticator import Authenticator
from wsservice.auth.cookies import CookiePolicy
from wsservice.auth.endpoints import cognito_endpoints
from wsservice.auth.fetch import BoundedFetcher
from wsservice.auth.jwks import RemoteKeySet
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.providers.base import IdentityProvider, Readiness
from wsservice.auth.providers.cognito import AppClient, CognitoProvider
from wsservice.auth.providers.cognito_api import CognitoApi
from wsservice.auth.providers.dev import DEV_RULES, DevProvider
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.auth.revocations import Revocations
from wsservice.auth.sigv4 import Credentials
from wsservice.auth.tokens import Rules
from wsservice.checks import Problems
from wsservice.clients.settings import Settings as ClientSettings
from wsservice.clients.table import Clients
from wsservice.config import Config
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.deadlines import RunningClock
from wsservice.demo.app import make_app
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.errors import ConfigurationError
from wsservice.expiry import Expirations
from wsservice.history import History
from wsservice.hub import Hub
from wsservice.loader import load_app
from wsservice.registry import Registry
from wsservice.sessions import Sessions
from wsservice.transports.listen import make_endpoints
from wsservice.transports.port import PortFactory
from wsservice.transports.socketio import SocketIoFactory
from wsservice.transports.tls import Certificate
from wsservice.transports.upgrade import UpgradeResource
from wsservice.transports.websocket import RawFactory, Settings
from wsservice.web.limits import Limits
from wsservice.web.polling import PollingResource, PollingSettings
from wsservice.web.rates import Rate
from wsservice.web.request import WsSite
from wsservice.web.root import make_site
from wsservice.web.services import AuthServices, AuthSettings
from wsservice.web.session_cookies import SessionCookies

T = TypeVar("T")

#: seconds for a call of the pool's API: its triggers (Lambda) may take a while, and nobody waits in line for it
LOGIN_TIMEOUT = 15.0
#: the page at `/`
PAGES = Path(__file__).parent / "demo" / "static"


@dataclass(slots=True)
class Parts:
    """Everything that runs, as `Server` needs it."""

    app: App
    hub: Hub
    registry: Registry[Connection]
    expirations: Expirations
    counters: Counters
    provider: IdentityProvider
    raw: RawFactory
    socketio: SocketIoFactory
    clients: Clients
    web: WsSite
    port: PortFactory
    endpoints: list[tuple[str, IStreamServerEndpoint]]
    certificate: Certificate | None
    greeting: list[str]


def make_provider(
    config: Config, reactor: Any, counters: Counters, now: Callable[[], float] = time.time
) -> IdentityProvider:
    """The identity provider that the settings name: `--dev`, a Cognito user pool, or any OpenID issuer.

    Raises:
        ConfigurationError: they name none, or one that cannot be.
    """
    if config.dev:
        return DevProvider(now=now, lifetime=config.dev_token_lifetime, rules=_rules(config, DEV_RULES))
    fetcher = BoundedFetcher(reactor)

    def key_set(url: str) -> RemoteKeySet:
        _check(fetcher, url)
        return RemoteKeySet(
            fetcher.get,
            url,
            clock=reactor,
            counters=counters,
            ttl=config.jwks_cache_ttl,
            wait=config.auth_timeout,
        )

    if not config.cognito_user_pool_id:
        base = Rules(
            issuers=frozenset(config.auth_issuer),
            clients=frozenset(config.auth_audience or config.cognito_client_id),
            style="oidc",
        )
        return OidcProvider(key_set(config.auth_jwks_url), _rules(config, base), now=now)
    endpoints = cognito_endpoints(
        config.aws_region,
        config.cognito_user_pool_id,
        endpoint_override=config.cognito_endpoint or None,
        issuers=config.auth_issuer,
        jwks_url=config.auth_jwks_url or None,
    )
    _check(fetcher, endpoints.api)
    base = Rules(
        issuers=frozenset(endpoints.issuers),
        clients=frozenset(config.cognito_client_id),
        token_uses=frozenset(config.auth_token_use),
    )
    credentials = None
    if config.aws_access_key_id and config.aws_secret_access_key:
        credentials = Credentials(
            config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token or None
        )
    return CognitoProvider(
        key_set(endpoints.jwks_url),
        _rules(config, base),
        CognitoApi(
            BoundedFetcher(reactor, timeout=LOGIN_TIMEOUT),
            endpoints.api,
            region=config.aws_region,
            credentials=credentials,
            now=now,
        ),
        client=AppClient(
            pool_id=config.cognito_user_pool_id,
            client_id=config.cognito_client_id[0],
            client_secret=config.cognito_client_secret or None,
            auth_flow=config.auth_flow,
            token_use=config.auth_login_token,
        ),
        custom_endpoint=endpoints.custom,
        now=now,
    )


def _rules(config: Config, base: Rules) -> Rules:
    return replace(
        base,
        leeway=config.auth_leeway,
        required_groups=frozenset(config.required_groups),
        required_scopes=frozenset(config.required_scopes),
    )


def _check(fetcher: BoundedFetcher, url: str) -> None:
    try:
        fetcher.check(url)
    except ValueError as error:
        raise ConfigurationError(f"the identity provider's address cannot be used: {error}") from None


def assemble(config: Config, reactor: Any, draining: Callable[[], bool]) -> Parts:
    """Build every part and connect them; nothing runs or listens yet.

    Args:
        draining: whether the service is coming to its end.

    Raises:
        ConfigurationError: things that the settings name cannot be used; it tells all of them.
    """
    counters = Counters()
    problems = Problems()
    certificate = problems.during(lambda: _certificate(config))
    app = problems.during(lambda: load_app(config.app) if config.app else make_app())
    provider = problems.during(lambda: make_provider(config, reactor, counters))
    origins = problems.during(lambda: _origins(config))
    session_cookies = problems.during(lambda: _session_cookies(config))
    endpoints = problems.during(lambda: _endpoints(config, reactor, certificate))
    problems.check()
    revocations = Revocations(time.time)
    registry: Registry[Connection] = Registry(counters)
    expirations = Expirations(reactor, time.time)
    hub = Hub(
        app,
        registry,
        expirations,
        reactor,
        counters,
        inbox_limit=config.inbox_messages,
        pause_timeout=config.pause_timeout,
        held_limit=config.send_queue_bytes,
        call_timeout=config.call_timeout,
        history=_history(config, counters),
    )
    app.serve(hub)
    authenticator = Authenticator(
        provider,
        cookie_name=config.auth_cookie_name,
        origins=origins,
        revocations=revocations,
        counters=counters,
    )
    raw = RawFactory(
        hub,
        authenticator,
        Settings(
            max_message_size=config.max_message_size,
            send_queue_bytes=config.send_queue_bytes,
            compression=config.compression,
            reject_by_http=config.reject == "http",
            trusted_proxies=config.trusted_proxy,
        ),
        reactor,
    )
    clients = _clients(config, hub, app, authenticator, revocations)
    cookie = _sticky_cookie(config)
    socketio = SocketIoFactory(
        clients,
        authenticator,
        clock=reactor,
        trusted_proxies=config.trusted_proxy,
        compression=config.compression,
        cookie=cookie,
    )
    polling = PollingResource(clients, authenticator, origins, PollingSettings(config.http_compression, cookie))
    path, socketio_path = config.ws_path.encode("ascii"), config.socketio_path.encode("ascii")
    web = make_site(
        AuthServices(
            provider=provider,
            authenticate=authenticator.authenticate,
            sessions=Sessions(registry, revocations, time.time, hub.history),
            is_revoked=revocations.is_revoked,
            origins=origins,
            counters=counters,
            clock=reactor,
            now=time.time,
        ),
        settings=AuthSettings(cookies=session_cookies, login_rate=Rate(config.login_burst, config.login_interval)),
        checks={"keys": provider.readiness, "service": lambda: _service_readiness(draining())},
        pages=PAGES if config.page else None,
        page_values={"ws_path": config.ws_path},
        mount={path: UpgradeResource(raw), socketio_path: UpgradeResource(socketio, polling)},
        uploads={f"{config.socketio_path}{end}": polling.open_upload for end in ("", "/")},
        limits=Limits(head_timeout=config.handshake_timeout),
        trusted=config.trusted_proxy,
    )
    return Parts(
        app=app,
        hub=hub,
        registry=registry,
        expirations=expirations,
        counters=counters,
        provider=provider,
        raw=raw,
        socketio=socketio,
        clients=clients,
        web=web,
        port=PortFactory(
            {path: raw, socketio_path: socketio, socketio_path + b"/": socketio},
            web,
            clock=reactor,
            counters=counters,
            head_timeout=config.handshake_timeout,
        ),
        endpoints=endpoints,
        certificate=certificate,
        greeting=_greeting(provider),
    )


def _clients(config: Config, hub: Hub, app: App, authenticator: Authenticator, revocations: Revocations) -> Clients:
    return Clients(
        hub,
        ClientSettings(
            engine=EngineSettings(
                ping_interval=config.ping_interval / 1000,
                ping_timeout=config.ping_timeout / 1000,
                upgrade_timeout=config.upgrade_timeout / 1000,
                max_payload=config.max_http_buffer_size,
                websocket="websocket" in config.transports,
                polling="polling" in config.transports,
                allow_upgrades=config.allow_upgrades,
            ),
            connect_timeout=config.connect_timeout / 1000,
            max_queue=config.send_queue_bytes,
            max_attachments=config.max_attachments,
            max_namespaces=config.max_namespaces,
        ),
        find=app.find,
        authenticate=authenticator.authenticate,
        is_revoked=revocations.is_revoked,
        clock=RunningClock(time.monotonic),
        wall_clock=time.time,
    )


def _history(config: Config, counters: Counters) -> History | None:
    if not config.recovery:
        return None
    return History(time.monotonic, counters, window=config.recovery, max_bytes=config.recovery_bytes)


def _sticky_cookie(config: Config) -> Callable[[str], str] | None:
    """The line of the cookie by which a load balancer keeps a client on one process; nobody here reads it."""
    if not config.sticky_cookie:
        return None
    attributes = "Path=/; HttpOnly; SameSite=Lax"
    if config.cookie_same_site == "None":
        attributes = "Path=/; HttpOnly; SameSite=None; Secure"
    return lambda sid: f"{config.sticky_cookie}={sid}; {attributes}"


def _endpoints(
    config: Config, reactor: Any, certificate: Certificate | None
) -> list[tuple[str, IStreamServerEndpoint]]:
    return make_endpoints(
        reactor,
        host=config.host,
        port=config.port,
        listen=config.listen,
        backlog=config.backlog,
        certificate=certificate,
    )


def _origins(config: Config) -> OriginPolicy:
    return _refuse_value_errors("CORS_ORIGIN", lambda: OriginPolicy(config.cors_origin, config.require_origin))


def _certificate(config: Config) -> Certificate | None:
    if not config.tls_cert:
        return None
    return Certificate(Path(config.tls_cert), Path(config.tls_key or config.tls_cert))


def _session_cookies(config: Config) -> SessionCookies:
    def make() -> SessionCookies:
        return SessionCookies(
            token_name=config.auth_cookie_name,
            refresh_name=config.refresh_cookie_name,
            refresh_lifetime=config.refresh_lifetime,
            policy=CookiePolicy(
                same_site=config.cookie_same_site, secure=config.cookie_secure, chunking=config.cookie_chunking
            ),
        )

    return _refuse_value_errors("cookies", make)


def _refuse_value_errors(option: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from None


def _service_readiness(draining: bool) -> Readiness:
    return Readiness(not draining, "stopping" if draining else "serving")


def _greeting(provider: IdentityProvider) -> list[str]:
    """What `--dev` says on the terminal, and never in the log: its users' passwords."""
    if not isinstance(provider, DevProvider):
        return []
    users = [f"  {username:<10} password {password}" for username, password in provider.credentials]
    return [
        "",
        "DEVELOPMENT ONLY: --dev makes users up; they and their sessions end with this process.",
        *users,
        "",
    ]
