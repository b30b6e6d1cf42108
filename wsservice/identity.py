"""Putting together what says who somebody is: the provider, the cookies, the origins."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from wsservice.auth.cookies import CookiePolicy
from wsservice.auth.fetch import BoundedFetcher
from wsservice.auth.jwks import RemoteKeySet
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.providers.base import IdentityProvider
from wsservice.auth.providers.cognito import AppClient, CognitoProvider
from wsservice.auth.providers.cognito_api import CognitoApi
from wsservice.auth.providers.dev import DEV_RULES, DevProvider
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.auth.sigv4 import Credentials
from wsservice.auth.timed import TimedFetcher
from wsservice.auth.tokens import Rules
from wsservice.config import Config
from wsservice.counters import Counters
from wsservice.errors import ConfigurationError
from wsservice.trust import trusted
from wsservice.web.session_cookies import SessionCookies

T = TypeVar("T")

#: seconds for a call of the pool's API: its triggers (Lambda) may take a while, and nobody waits in line for it
LOGIN_TIMEOUT = 15.0


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
            TimedFetcher(fetcher, counters, reactor.seconds).get,
            url,
            clock=reactor,
            counters=counters,
            ttl=config.jwks_cache_ttl,
            wait=config.auth_timeout,
        )

    trust = trusted(config)
    base = Rules(issuers=frozenset(trust.issuers), clients=frozenset(trust.clients))
    if config.provider == "oidc":
        return OidcProvider(key_set(trust.jwks_url), _rules(config, replace(base, style="oidc")), now=now)
    _check(fetcher, trust.api)
    base = replace(base, token_uses=frozenset(config.auth_token_use))
    credentials = None
    if config.aws_access_key_id and config.aws_secret_access_key:
        credentials = Credentials(
            config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token or None
        )
    return CognitoProvider(
        key_set(trust.jwks_url),
        _rules(config, base),
        CognitoApi(
            TimedFetcher(BoundedFetcher(reactor, timeout=LOGIN_TIMEOUT), counters, reactor.seconds),
            trust.api,
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
        custom_endpoint=trust.custom,
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


def make_origins(config: Config) -> OriginPolicy:
    """The pages that may connect."""
    return _refuse_value_errors("CORS_ORIGIN", lambda: OriginPolicy(config.cors_origin, config.require_origin))


def make_socketio_origins(config: Config, origins: OriginPolicy) -> OriginPolicy:
    """The pages that may connect by Socket.IO, also those that may only use the admin view (`AdminDoor`)."""
    if not config.admin_origin:
        return origins
    wider = (*config.cors_origin, *config.admin_origin)
    return _refuse_value_errors("--admin-origin", lambda: OriginPolicy(wider, config.require_origin))


def make_session_cookies(config: Config) -> SessionCookies:
    """The cookies of a session."""

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


def make_greeting(provider: IdentityProvider) -> list[str]:
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


def _refuse_value_errors(option: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from None
