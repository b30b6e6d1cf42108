"""The service's settings, where they are on this machine: what they expect of a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsservice.config import Config, find_config
from wsservice.errors import ConfigurationError
from wsservice.settings import DEFAULT
from wsservice.trust import trusted


@dataclass(frozen=True, slots=True)
class Expected:
    """What a service with certain settings expects of a token; the names are of the settings.

    Attributes:
        issuers, issuer_setting: values of `iss`.
        clients, client_setting: of `client_id` or `aud`.
        cognito: a user pool, whose tokens have a `token_use`.
        token_uses: of a pool.
        jwks_url: where the keys are.
        leeway: seconds at `exp` and `nbf`.
        groups, scopes: of which the user needs one; empty asks for nothing.
        cookie_name: of the token.
        where: what the settings were read from, for people.
    """

    issuers: tuple[str, ...]
    issuer_setting: str
    clients: tuple[str, ...]
    client_setting: str
    cognito: bool
    token_uses: tuple[str, ...]
    jwks_url: str
    leeway: float
    groups: tuple[str, ...]
    scopes: tuple[str, ...]
    cookie_name: str
    where: str = "the settings here"


def read_expected(environ: Mapping[str, str], env_file: str | None) -> Expected | None:
    """What the environment and `.env` expect; None where they name no pool and no issuer.

    Raises:
        ConfigurationError: a file was named, or a pool is, and the settings are wrong.
    """
    found = find_config({}, environ, Path(env_file) if env_file else None)
    given = {name for name, source in found.sources.items() if source != DEFAULT}
    if found.config.dev or not given & {"cognito_user_pool_id", "auth_issuer"}:
        if env_file and found.problems:
            raise ConfigurationError(*found.problems)
        return None
    if found.problems:
        raise ConfigurationError(*found.problems)
    return _expected(found.config)


def _expected(config: Config) -> Expected:
    pool = config.provider == "cognito"
    trust = trusted(config)
    return Expected(
        issuers=trust.issuers,
        issuer_setting="AUTH_ISSUER" if config.auth_issuer else "AWS_COGNITO_USER_POOL_ID (and AWS_REGION)",
        clients=trust.clients,
        client_setting="AUTH_AUDIENCE" if not pool and config.auth_audience else "AWS_COGNITO_CLIENT_ID",
        cognito=pool,
        token_uses=config.auth_token_use,
        jwks_url=trust.jwks_url,
        leeway=config.auth_leeway,
        groups=config.required_groups,
        scopes=config.required_scopes,
        cookie_name=config.auth_cookie_name,
    )
