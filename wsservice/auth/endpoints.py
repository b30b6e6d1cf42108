"""Where a Cognito user pool answers: region and pool id to API address, issuers and key set. Pure.

Nothing here comes out of a token: the issuers are an allow-list made of settings alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wsservice.errors import ConfigurationError

#: region prefix -> DNS suffix, of AWS's partitions; any other region is in `aws`
PARTITIONS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-gov-": "amazonaws.com",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}
DEFAULT_SUFFIX = "amazonaws.com"

#: the service model's bound for a pool id
MAX_POOL_ID = 55

_REGION = re.compile(r"[a-z]{2,8}(-[a-z]+)+-[0-9]+")
_POOL_ID = re.compile(r"[\w-]+_[0-9a-zA-Z]+", re.ASCII)
# What emulators use: anything that can stand in a host name and in a path as it is.
_LOOSE_REGION = re.compile(r"[a-z0-9-]+")
_LOOSE_POOL_ID = re.compile(r"[\w-]+", re.ASCII)

_SCHEMES = ("https", "http")
_OVERRIDE = "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER (or AWS_ENDPOINT_URL)"


@dataclass(frozen=True, slots=True)
class CognitoEndpoints:
    """The addresses of one user pool.

    Attributes:
        api: every call is a POST to it; ends with a slash.
        issuers: what a token's `iss` may be, compared as exact strings.
        jwks_url: the pool's public keys.
        custom: the API address was set by hand: an emulator, a proxy or a private endpoint.
    """

    api: str
    issuers: tuple[str, ...]
    jwks_url: str
    custom: bool = False


def dns_suffix(region: str) -> str:
    """The DNS suffix of the partition that a region belongs to."""
    return next((suffix for prefix, suffix in PARTITIONS.items() if region.startswith(prefix)), DEFAULT_SUFFIX)


def cognito_endpoints(
    region: str,
    pool_id: str,
    *,
    endpoint_override: str | None = None,
    issuers: Sequence[str] = (),
    jwks_url: str | None = None,
) -> CognitoEndpoints:
    """Compute a pool's addresses, and check what they are made of.

    The caller must still ask its fetcher whether it would go to `api` and `jwks_url` (http or https).

    Args:
        region: `AWS_REGION`.
        pool_id: `AWS_COGNITO_USER_POOL_ID`; with an override it need not name the region.
        endpoint_override: the API's address instead of AWS's own; the keys are then looked for below it,
            while the issuer keeps AWS's form (emulators differ: set `issuers`).
        issuers: `AUTH_ISSUER`; instead of the computed one.
        jwks_url: `AUTH_JWKS_URL`; instead of the computed one.

    Raises:
        ConfigurationError: with every problem at once, each naming its option.
    """
    custom = bool(endpoint_override)
    problems = [*_region_problems(region, custom), *_pool_problems(region, pool_id, custom)]
    if endpoint_override:
        problems += _url_problems(endpoint_override, _OVERRIDE)
    if jwks_url:
        problems += _url_problems(jwks_url, "AUTH_JWKS_URL", may_have_query=True)
    for issuer in issuers:
        problems += _url_problems(issuer, "AUTH_ISSUER")
    if problems:
        raise ConfigurationError(*problems)
    home = f"https://cognito-idp.{region}.{dns_suffix(region)}"
    api = _normal(endpoint_override) if endpoint_override else home
    return CognitoEndpoints(
        api=f"{api}/",
        issuers=tuple(issuers) or (f"{home}/{pool_id}",),
        jwks_url=jwks_url or f"{api}/{pool_id}/.well-known/jwks.json",
        custom=custom,
    )


def _region_problems(region: str, loose: bool) -> list[str]:
    if not region:
        return ["No region: set AWS_REGION, for example us-east-1, or try --dev"]
    if (_LOOSE_REGION if loose else _REGION).fullmatch(region):
        return []
    return [f"AWS_REGION {region!r} is not a region such as us-east-1"]


def _pool_problems(region: str, pool_id: str, loose: bool) -> list[str]:
    name = "AWS_COGNITO_USER_POOL_ID"
    if not pool_id:
        return [f"No user pool: set {name}, for example us-east-1_AbCdEf123, or try --dev"]
    if len(pool_id) > MAX_POOL_ID or not (_LOOSE_POOL_ID if loose else _POOL_ID).fullmatch(pool_id):
        return [f"{name} {pool_id!r} is not a pool id such as us-east-1_AbCdEf123"]
    if not loose and not pool_id.startswith(f"{region}_"):
        return [
            f"{name} {pool_id!r} is not in AWS_REGION {region!r}: "
            "set the region that the id begins with (or, for an emulator, the address with AWS_ENDPOINT_URL)"
        ]
    return []


def _url_problems(url: str, name: str, *, may_have_query: bool = False) -> list[str]:
    forbidden = " #" if may_have_query else " #?"
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        whole = bool(parts.hostname) and parts.port != 0 and parts.username is None and parts.scheme in _SCHEMES
    except ValueError:
        whole = False
    if whole and url.isascii() and url.isprintable() and not set(forbidden) & set(url):
        return []
    return [f"{name} {url!r} is not a URL such as https://host/path"]


def _normal(url: str) -> str:
    """The URL with scheme and host in lower case, as a request's Host header will carry them; no slash at the end."""
    parts = urlsplit(url)
    return parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl().rstrip("/")
