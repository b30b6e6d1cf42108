"""Whose tokens the settings accept: of a Cognito user pool, or of any OpenID issuer. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wsservice.auth.endpoints import cognito_endpoints
from wsservice.config import Config


@dataclass(frozen=True, slots=True)
class Trusted:
    """What a token must come from.

    Attributes:
        issuers: values of `iss`.
        clients: of `client_id` or `aud`.
        jwks_url: where the issuer's keys are.
        api: where a user pool is called; empty for any other issuer.
        custom: that address was set by hand.
    """

    issuers: tuple[str, ...]
    clients: tuple[str, ...]
    jwks_url: str
    api: str = ""
    custom: bool = False


def trusted(config: Config) -> Trusted:
    """Whom settings without `--dev` trust.

    Raises:
        ConfigurationError: they name a pool that cannot be.
    """
    if config.provider != "cognito":
        return Trusted(config.auth_issuer, config.auth_audience or config.cognito_client_id, config.auth_jwks_url)
    endpoints = cognito_endpoints(
        config.aws_region,
        config.cognito_user_pool_id,
        endpoint_override=config.cognito_endpoint or None,
        issuers=config.auth_issuer,
        jwks_url=config.auth_jwks_url or None,
    )
    return Trusted(endpoints.issuers, config.cognito_client_id, endpoints.jwks_url, endpoints.api, endpoints.custom)
