"""Putting the parts together: the one place where settings become objects."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint

from wsservice.app import App
from wsservice.auth.authenticator import Authenticator
from wsservice.auth.endpoints import cognito_endpoints
from wsservice.auth.fetch import BoundedFetcher
from wsservice.auth.jwks import RemoteKeySet
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.providers.base import IdentityProvider
from wsservice.auth.providers.cognito import AppClient, CognitoProvider
from wsservice.auth.providers.cognito_api import CognitoApi
from wsservice.auth.providers.dev import DEV_RULES, DevProvider
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.auth.revocations import Revocations
from wsservice.auth.sigv4 import Credentials
from wsservice.auth.tokens import Rules
from wsservice.config import Config
from wsservice.connection import Connection, Hub
from wsservice.counters import Counters
from wsservice.demo.app import make_app
from wsservice.errors import ConfigurationError
from wsservice.expiry import Expirations
from wsservice.loader import load_app
from wsservice.registry import Registry
from wsservice.sessions import Sessions
from wsservice.transports.listen import make_endpoints
from wsservice.transports.port import PortFactory
from wsservice.transports.tls import Certificate
from wsservice.transports.upgrade import UpgradeResource
from wsservice.transports.websocket import RawFactory, Settings


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
    web: Any
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
        CognitoApi(fetcher, endpoints.api, region=config.aws_region, credentials=credentials, now=now),
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
