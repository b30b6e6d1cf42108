"""What the settings must be together; each check gives a line for each problem, with its fix.

What was given but did not parse counts as given: it has its line already and is not called missing as well.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from wsservice.auth.endpoints import cognito_endpoints
from wsservice.errors import ConfigurationError
from wsservice.parsers import is_loopback
from wsservice.settings import DEFAULT, show

if TYPE_CHECKING:
    from wsservice.config import Config

T = TypeVar("T")

#: what says which pool or issuer is meant, by attribute; and what only counts together with that
NAMING_A_POOL = {
    "cognito_user_pool_id": "AWS_COGNITO_USER_POOL_ID",
    "auth_issuer": "AUTH_ISSUER",
    "auth_jwks_url": "AUTH_JWKS_URL",
}
OF_POOLS = frozenset(
    {*NAMING_A_POOL, "cognito_client_id", "cognito_client_secret", "cognito_endpoint", "auth_audience", "auth_flow"}
)

#: what twisted.internet.endpoints knows; others come from packages, and where they listen nobody here can tell
_ENDPOINTS = frozenset({"haproxy", "ssl", "systemd", "tcp", "tcp6", "unix"})
_EXAMPLES = "give for example tcp:3020:interface=127.0.0.1 or unix:/run/wsservice.sock"
#: what a pool's id begins with, where an emulator has not chosen it
_REGION = re.compile(r"([a-z]{2,8}(?:-[a-z]+)+-[0-9]+)_")

_NO_PROVIDER = (
    "No user pool: set AWS_REGION, AWS_COGNITO_USER_POOL_ID and AWS_COGNITO_CLIENT_ID "
    "(or AUTH_ISSUER, AUTH_JWKS_URL and AUTH_AUDIENCE of another issuer), or try --dev"
)


class Problems:
    """Collects what several steps refuse, so that all of it is told at once.

    Attributes:
        found: a line each.
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    def during(self, step: Callable[[], T]) -> T:
        """What a step gives. After a problem it is None, which nobody gets to see if `check` comes before its use."""
        try:
            return step()
        except ConfigurationError as error:
            self.found += error.problems
            return cast("T", None)

    def check(self) -> None:
        """Raise `ConfigurationError` if there were any."""
        if self.found:
            raise ConfigurationError(*self.found)


def provider_problems(config: Config, sources: Mapping[str, int]) -> list[str]:
    """Exactly one identity provider, named wholly: `--dev`, a Cognito user pool, or another issuer.

    Args:
        sources: by attribute, where its value came from; see `settings.Reader`.
    """
    given = {name for name, source in sources.items() if source != DEFAULT}
    rivals = [name for name in NAMING_A_POOL if name in given]
    if config.dev:
        # Stated more strongly than the pool, it is meant. As strongly, nobody can tell, and a `WSSERVICE_DEV` that
        # was left behind must not replace a pool.
        if all(sources["dev"] < sources[name] for name in rivals):
            return []
        return [f"--dev and {NAMING_A_POOL[rivals[0]]} are both set, and only one can be meant: unset the other"]
    if "cognito_user_pool_id" in given:
        return _pool_problems(config, given)
    return _issuer_problems(given) if rivals else [_NO_PROVIDER]


def listening_problems(config: Config) -> list[str]:
    """Whole TLS settings; and `--dev`, whose passwords stand in the log, for this machine only."""
    problems = []
    if config.tls_key and not config.tls_cert:
        problems.append("--tls-key without --tls-cert: name the certificate's file, too")
    paths = (config.ws_path, config.socketio_path)
    if any(f"{one}/".startswith(f"{other}/") for one, other in (paths, paths[::-1])):
        problems.append(f"--ws-path {paths[0]} and --socketio-path {paths[1]}: neither may be the other or below it")
    if config.reuse_port and config.listen:
        problems.append("--reuse-port is for --host and --port: leave --listen away, or --reuse-port")
    if any(_kind(one) == "stdio" for one in config.listen):
        problems.append(f"--listen stdio: is one stream and no place where clients come; {_EXAMPLES}")
    if config.dev:
        unknown = [one for one in config.listen if _kind(one) not in _ENDPOINTS]
        problems += [
            f"--listen {one}: unknown endpoint type {_kind(one)!r}; {_EXAMPLES}"
            for one in unknown
            if _kind(one) != "stdio"
        ]
        endpoints = [f"--listen {one}" for one in config.listen if one not in unknown and not is_local(one)]
        reachable = endpoints if config.listen or is_loopback(config.host) else [f"--host {config.host}"]
        if reachable:
            problems.append(
                f"--dev is for this machine only, and {', '.join(reachable)} may be reached from others: "
                "use 127.0.0.1, or a user pool"
            )
    return problems


def cookie_problems(config: Config) -> list[str]:
    """Nothing that makes browsers drop the cookies (RFC 6265bis sections 4.1.2.7 and 4.1.3)."""
    problems = []
    names = (config.auth_cookie_name, config.refresh_cookie_name)
    if names[0] == names[1]:
        problems.append(f"--auth-cookie-name and --refresh-cookie-name are both {names[0]}: choose two names")
    if names[1].lower().startswith("__host-"):
        problems.append("--refresh-cookie-name cannot begin with __Host-, since the cookie's path is /auth")
    if config.cookie_secure == "never":
        if config.cookie_same_site == "None":
            problems.append("--cookie-same-site None needs --cookie-secure auto or always: browsers drop it otherwise")
        problems += [
            f"the cookie {name} needs --cookie-secure auto or always: browsers drop it otherwise"
            for name in names
            if name.lower().startswith(("__host-", "__secure-"))
        ]
    return problems


def extra_problems(config: Config) -> list[str]:
    """What speaks to Redis, and to Sentry, is installed, if there is one."""
    problems = []
    if config.adapter is not None and importlib.util.find_spec("txredisapi") is None:
        problems.append(f"--adapter {config.adapter} needs more than is installed: pip install wsservice[redis]")
    if config.sentry_dsn and importlib.util.find_spec("sentry_sdk") is None:
        problems.append("SENTRY_DSN needs more than is installed: pip install wsservice[sentry], or unset it")
    return problems


def admin_problems(config: Config, sources: Mapping[str, int]) -> list[str]:
    """Who may log in to the admin view, named wholly; or nothing of it."""
    given = {name for name, source in sources.items() if source != DEFAULT and name.startswith("admin_")}
    if "admin_user" in given and "admin_password_hash" not in given:
        return ["--admin-user needs ADMIN_PASSWORD_HASH: wsservice admin-hash makes it of a password"]
    if given and "admin_user" not in given:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in sorted(given))
        return [f"{names} without --admin-user: name who may log in to the admin view, or leave it away"]
    return []


def region_of(pool_id: str) -> str:
    """The region that a user pool's id names; empty if it names none."""
    match = _REGION.match(pool_id)
    return match[1] if match else ""


def is_local(description: str) -> bool:
    """Whether only this machine reaches a Twisted endpoint; of an inherited socket nobody knows."""
    kind, *arguments = re.split(r"(?<!\\):", description.removeprefix("haproxy:"))  # which wraps another one
    if kind == "unix":
        return True
    interfaces = [part.removeprefix("interface=") for part in arguments if part.startswith("interface=")]
    return kind in ("tcp", "tcp6", "ssl") and bool(interfaces) and is_loopback(interfaces[-1].replace("\\", ""))


def _pool_problems(config: Config, given: set[str]) -> list[str]:
    needed = {"aws_region": "AWS_REGION", "cognito_client_id": "AWS_COGNITO_CLIENT_ID"}
    missing = [name for attribute, name in needed.items() if attribute not in given]
    problems = [f"The user pool is named by half: set {' and '.join(missing)}, too"] if missing else []
    if "aws_region" in given:
        problems += _endpoint_problems(config)
    if "auth_audience" in given:
        problems.append(
            "AUTH_AUDIENCE is for issuers that are no Cognito pool: put the clients in AWS_COGNITO_CLIENT_ID"
        )
    if config.auth_flow == "admin" and not (config.aws_access_key_id and config.aws_secret_access_key):
        problems.append("--auth-flow admin needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if config.auth_login_token not in config.auth_token_use:
        problems.append(
            f"AUTH_LOGIN_TOKEN {config.auth_login_token} is not among AUTH_TOKEN_USE {show(config.auth_token_use)}: "
            "nobody could log in"
        )
    return problems


def _endpoint_problems(config: Config) -> list[str]:
    try:
        cognito_endpoints(
            config.aws_region,
            config.cognito_user_pool_id,
            endpoint_override=config.cognito_endpoint or None,
            issuers=config.auth_issuer,
            jwks_url=config.auth_jwks_url or None,
        )
    except ConfigurationError as error:
        return list(error.problems)
    return []


def _issuer_problems(given: set[str]) -> list[str]:
    needed = {"auth_issuer": "AUTH_ISSUER", "auth_jwks_url": "AUTH_JWKS_URL"}
    missing = [name for attribute, name in needed.items() if attribute not in given]
    if not given & {"auth_audience", "cognito_client_id"}:
        missing.append("AUTH_AUDIENCE")
    if not missing:
        return []
    return [
        f"The issuer is named by half: set {' and '.join(missing)}, too (or AWS_COGNITO_USER_POOL_ID, or try --dev)"
    ]


def _kind(description: str) -> str:
    return description.partition(":")[0]
