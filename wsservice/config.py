"""The service's settings: the one list of them, and what they must be together.

The fields of `Config` are the list. The options of `twistd wsservice`, the names in the environment and in `.env`,
and docs/configuration.md are made of it; see `settings` for how a value is found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wsservice import parsers
from wsservice.auth.endpoints import cognito_endpoints
from wsservice.errors import ConfigurationError
from wsservice.handshake import Network
from wsservice.settings import FLAG, Reader, declared, read_dotenv, setting, show

LISTENING = "Listening"
IDENTITY = "Identity"
COOKIES = "Cookies"
BROWSERS = "Browsers"
APPLICATION = "Application"
LIMITS = "Limits"
LOGS = "Logs"

_DEV_HOST = "127.0.0.1"
_DAY = 86400
_NO_PROVIDER = (
    "No user pool: set AWS_REGION, AWS_COGNITO_USER_POOL_ID and AWS_COGNITO_CLIENT_ID "
    "(or AUTH_ISSUER, AUTH_JWKS_URL and AUTH_AUDIENCE of another issuer), or try --dev"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting, checked. Make it by `load_config`; a text that is not set is empty."""

    port: int = setting(
        3020,
        group=LISTENING,
        flag="port",
        env="PORT",
        metavar="PORT",
        parse=parsers.port,
        help="TCP port; 0 lets the system choose",
    )
    host: str = setting(
        "0.0.0.0",  # noqa: S104 - a server for browsers listens to all, unless told otherwise
        group=LISTENING,
        flag="host",
        env="HOST",
        metavar="HOST",
        parse=parsers.host,
        default_note=f"`{_DEV_HOST}` with `--dev`",
        help="address to listen on",
    )
    listen: tuple[str, ...] = setting(
        (),
        group=LISTENING,
        flag="listen",
        env="WSSERVICE_LISTEN",
        metavar="ENDPOINT",
        separator=" ",
        help="Twisted endpoint instead of host and port, such as `unix:/run/wsservice.sock` or "
        "`systemd:domain=INET:index=0`; may be repeated",
    )
    tls_cert: Path | None = setting(
        None,
        group=LISTENING,
        flag="tls-cert",
        env="TLS_CERT",
        metavar="FILE",
        parse=parsers.path,
        help="certificate chain (PEM): serve https and wss",
    )
    tls_key: Path | None = setting(
        None,
        group=LISTENING,
        flag="tls-key",
        env="TLS_KEY",
        metavar="FILE",
        parse=parsers.path,
        default_note="the file of the certificate",
        help="its private key (PEM, without passphrase)",
    )
    trusted_proxy: tuple[Network, ...] = setting(
        (),
        group=LISTENING,
        flag="trusted-proxy",
        env="TRUSTED_PROXIES",
        metavar="NETWORK",
        separator=",",
        parse=parsers.network,
        help="network whose `X-Forwarded-For` and `X-Forwarded-Proto` count; may be repeated",
    )
    # With Twisted's 50, two thousand clients that come at once wait up to 28 s.
    backlog: int = setting(
        4096,
        group=LISTENING,
        flag="backlog",
        env="WSSERVICE_BACKLOG",
        metavar="COUNT",
        parse=parsers.integer(1, 65535),
        help="connections that the system holds until they are accepted; bounded by its `somaxconn`",
    )

    aws_region: str = setting(
        "", group=IDENTITY, flag="aws-region", env="AWS_REGION", metavar="REGION", help="region of the user pool"
    )
    cognito_user_pool_id: str = setting(
        "",
        group=IDENTITY,
        flag="cognito-user-pool-id",
        env="AWS_COGNITO_USER_POOL_ID",
        metavar="ID",
        help="the Cognito user pool, such as `us-east-1_AbCdEf123`",
    )
    cognito_client_id: tuple[str, ...] = setting(
        (),
        group=IDENTITY,
        flag="cognito-client-id",
        env="AWS_COGNITO_CLIENT_ID",
        metavar="ID",
        separator=",",
        help="app clients whose tokens are accepted; people log in with the first",
    )
    cognito_client_secret: str = setting(
        "",
        group=IDENTITY,
        flag="cognito-client-secret",
        env="AWS_COGNITO_CLIENT_SECRET",
        secret=True,
        help="secret of the first app client, if it has one",
    )
    aws_access_key_id: str = setting(
        "",
        group=IDENTITY,
        flag="aws-access-key-id",
        env="AWS_ACCESS_KEY_ID",
        secret=True,
        help="AWS key, for the admin flow only",
    )
    aws_secret_access_key: str = setting(
        "",
        group=IDENTITY,
        flag="aws-secret-access-key",
        env="AWS_SECRET_ACCESS_KEY",
        secret=True,
        help="its secret part",
    )
    aws_session_token: str = setting(
        "",
        group=IDENTITY,
        flag="aws-session-token",
        env="AWS_SESSION_TOKEN",
        secret=True,
        help="its session token, where the key is a temporary one",
    )
    auth_flow: Literal["user", "admin"] = setting(
        "user",
        group=IDENTITY,
        flag="auth-flow",
        env="AUTH_FLOW",
        metavar="user|admin",
        parse=parsers.one_of("user", "admin"),
        help="how a login asks Cognito: USER_PASSWORD_AUTH, or ADMIN_USER_PASSWORD_AUTH, signed with the AWS key",
    )
    cognito_endpoint: str = setting(
        "",
        group=IDENTITY,
        flag="cognito-endpoint",
        env=("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", "AWS_ENDPOINT_URL"),
        metavar="URL",
        parse=parsers.url,
        help="Cognito's address, if it is not AWS's own: an emulator, a proxy",
    )
    ignore_configured_endpoints: bool = setting(
        False,
        group=IDENTITY,
        env="AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        help="leave the environment's endpoint addresses alone, as AWS's own tools do",
    )
    auth_issuer: tuple[str, ...] = setting(
        (),
        group=IDENTITY,
        flag="auth-issuer",
        env="AUTH_ISSUER",
        metavar="ISSUER",
        separator=",",
        parse=parsers.issuer,
        default_note="the pool's",
        help="what a token's `iss` may be, exactly; several for the replicas of a pool",
    )
    auth_jwks_url: str = setting(
        "",
        group=IDENTITY,
        flag="auth-jwks-url",
        env="AUTH_JWKS_URL",
        metavar="URL",
        parse=parsers.url,
        default_note="the pool's",
        help="where the issuer's public keys are",
    )
    auth_audience: tuple[str, ...] = setting(
        (),
        group=IDENTITY,
        flag="auth-audience",
        env="AUTH_AUDIENCE",
        metavar="AUDIENCE",
        separator=",",
        help="what a token's `aud` must name, for an issuer that is no Cognito pool",
    )
    auth_token_use: tuple[str, ...] = setting(
        ("access", "id"),
        group=IDENTITY,
        flag="auth-token-use",
        env="AUTH_TOKEN_USE",
        metavar="access,id",
        separator=",",
        parse=parsers.one_of("access", "id"),
        help="which of a pool's tokens are accepted",
    )
    auth_login_token: Literal["access", "id"] = setting(
        "access",
        group=IDENTITY,
        flag="auth-login-token",
        env="AUTH_LOGIN_TOKEN",
        metavar="access|id",
        parse=parsers.one_of("access", "id"),
        help="which token a login puts into the cookie",
    )
    # 0 is aws-jwt-verify's; more is for an issuer whose clock differs.
    auth_leeway: float = setting(
        0.0,
        group=IDENTITY,
        flag="auth-leeway",
        env="AUTH_LEEWAY",
        metavar="SECONDS",
        parse=parsers.number(0, 60, "seconds"),
        help="how far the issuer's clock may differ at `exp` and `nbf` (0 to 60 s)",
    )
    required_groups: tuple[str, ...] = setting(
        (),
        group=IDENTITY,
        flag="required-group",
        env="AUTH_REQUIRED_GROUPS",
        metavar="GROUP",
        separator=",",
        help="the user must be in one of these groups",
    )
    required_scopes: tuple[str, ...] = setting(
        (),
        group=IDENTITY,
        flag="required-scope",
        env="AUTH_REQUIRED_SCOPES",
        metavar="SCOPE",
        separator=",",
        help="the token must have one of these scopes",
    )
    # The upper bound catches milliseconds.
    jwks_cache_ttl: int = setting(
        _DAY,
        group=IDENTITY,
        flag="jwks-cache-ttl",
        env="JWKS_CACHE_TTL",
        metavar="SECONDS",
        parse=parsers.integer(60, 30 * _DAY, "seconds"),
        help="how long the public keys count as fresh; they are fetched anew before that",
    )
    dev: bool = setting(
        False,
        group=IDENTITY,
        flag="dev",
        env="WSSERVICE_DEV",
        help="an identity provider inside the process, with made-up users, instead of a pool; loopback only",
    )
    dev_token_lifetime: int = setting(
        3600,
        group=IDENTITY,
        flag="dev-token-lifetime",
        env="WSSERVICE_DEV_TOKEN_LIFETIME",
        metavar="SECONDS",
        parse=parsers.integer(1, _DAY, "seconds"),
        help="how long the tokens of `--dev` live",
    )

    auth_cookie_name: str = setting(
        "authToken",
        group=COOKIES,
        flag="auth-cookie-name",
        env="AUTH_COOKIE_NAME",
        metavar="NAME",
        parse=parsers.cookie_name,
        help="the cookie that holds the token; `__Host-authToken` cannot be planted by a sibling subdomain",
    )
    refresh_cookie_name: str = setting(
        "refreshToken",
        group=COOKIES,
        flag="refresh-cookie-name",
        env="REFRESH_COOKIE_NAME",
        metavar="NAME",
        parse=parsers.cookie_name,
        help="the cookie that holds the refresh token, sent to `/auth` only",
    )
    cookie_same_site: Literal["Lax", "Strict", "None"] = setting(
        "Lax",
        group=COOKIES,
        flag="cookie-same-site",
        env="COOKIE_SAME_SITE",
        metavar="Lax|Strict|None",
        parse=parsers.one_of("Lax", "Strict", "None"),
        help="`None` is for a front end on a foreign site",
    )
    cookie_secure: Literal["auto", "always", "never"] = setting(
        "auto",
        group=COOKIES,
        flag="cookie-secure",
        env="COOKIE_SECURE",
        metavar="auto|always|never",
        parse=parsers.one_of("auto", "always", "never"),
        help="`auto` is always, but on plain http to localhost",
    )
    cookie_chunking: bool = setting(
        True,
        group=COOKIES,
        flag="cookie-chunking",
        env="COOKIE_CHUNKING",
        help="split a token that is too large for one cookie; else its login fails with `token_too_large`",
    )
    # Cognito's own default.
    refresh_lifetime: int = setting(
        30 * _DAY,
        group=COOKIES,
        flag="refresh-lifetime",
        env="REFRESH_LIFETIME",
        metavar="SECONDS",
        parse=parsers.integer(60, 3650 * _DAY, "seconds"),
        help="how long browsers keep the refresh token's cookie; as long as the app client's refresh tokens",
    )

    cors_origin: tuple[str, ...] = setting(
        (),
        group=BROWSERS,
        flag="allowed-origin",
        env="CORS_ORIGIN",
        metavar="ORIGIN",
        separator=",",
        added=True,
        parse=parsers.origin,
        default_note="the service's own",
        help="pages that may connect, such as `https://app.example.com` or `https://*.example.com`; may be repeated, "
        "and adds to the environment's",
    )
    require_origin: bool = setting(
        False,
        group=BROWSERS,
        flag="require-origin",
        env="REQUIRE_ORIGIN",
        help="refuse clients without an `Origin`, which are no browsers",
    )
    reject: Literal["close", "http"] = setting(
        "close",
        group=BROWSERS,
        flag="reject",
        env="WSSERVICE_REJECT",
        metavar="close|http",
        parse=parsers.one_of("close", "http"),
        help="how a WebSocket without a good token is refused: opened and closed with the reason, which browsers can "
        "read, or by an HTTP status",
    )

    app: str = setting(
        "",
        group=APPLICATION,
        flag="app",
        env="WSSERVICE_APP",
        metavar="MODULE:NAME",
        default_note="the demo",
        help="your `App`, such as `chat:app` for `app = App()` in chat.py of the working directory",
    )
    ws_path: str = setting(
        "/ws",
        group=APPLICATION,
        flag="ws-path",
        env="WSSERVICE_WS_PATH",
        metavar="PATH",
        parse=parsers.url_path,
        help="where the raw WebSocket is",
    )
    page: bool = setting(
        True, group=APPLICATION, flag="page", env="WSSERVICE_PAGE", help="serve the page at `/` to log in and chat"
    )

    # Centrifugo's default, and OWASP's advice.
    max_message_size: int = setting(
        65536,
        group=LIMITS,
        flag="max-message-size",
        env="WSSERVICE_MAX_MESSAGE_SIZE",
        metavar="BYTES",
        parse=parsers.integer(1, 2**30, "bytes"),
        help="the largest message from a client; a larger one is closed with 1009",
    )
    # Autobahn's default.
    handshake_timeout: float = setting(
        5.0,
        group=LIMITS,
        flag="handshake-timeout",
        env="WSSERVICE_HANDSHAKE_TIMEOUT",
        metavar="SECONDS",
        parse=parsers.number(0.1, 300, "seconds"),
        help="how long a client may take for the head of its first request",
    )
    auth_timeout: float = setting(
        3.0,
        group=LIMITS,
        flag="auth-timeout",
        env="WSSERVICE_AUTH_TIMEOUT",
        metavar="SECONDS",
        parse=parsers.number(0.1, 60, "seconds"),
        help="how long a handshake waits for the issuer's keys",
    )
    # Centrifugo's default.
    send_queue_bytes: int = setting(
        1048576,
        group=LIMITS,
        flag="send-queue-bytes",
        env="WSSERVICE_SEND_QUEUE_BYTES",
        metavar="BYTES",
        parse=parsers.integer(1024, 2**30, "bytes"),
        help="what is held for a client that does not read; past it, the client is closed with 4408",
    )
    inbox_messages: int = setting(
        100,
        group=LIMITS,
        flag="inbox-messages",
        env="WSSERVICE_INBOX_MESSAGES",
        metavar="COUNT",
        parse=parsers.integer(1, 1_000_000),
        help="messages that wait for a client's handlers before the service stops reading from it",
    )
    call_timeout: float = setting(
        5.0,
        group=LIMITS,
        flag="call-timeout",
        env="WSSERVICE_CALL_TIMEOUT",
        metavar="SECONDS",
        parse=parsers.number(0.01, 3600, "seconds"),
        help="how long `connection.call` waits for an answer, unless the handler says otherwise",
    )
    # Phoenix's and Centrifugo's default.
    drain_timeout: float = setting(
        30.0,
        group=LIMITS,
        flag="drain-timeout",
        env="WSSERVICE_DRAIN_TIMEOUT",
        metavar="SECONDS",
        parse=parsers.number(0, 3600, "seconds"),
        help="how long a stop waits for clients and handlers to end",
    )
    # 112 KiB a connection against 12 without.
    compression: bool = setting(
        False,
        group=LIMITS,
        flag="compression",
        env="WSSERVICE_COMPRESSION",
        help="offer permessage-deflate, which costs memory and time for each connection",
    )

    log_level: Literal["debug", "info", "warn", "error", "critical", "silent"] = setting(
        "info",
        group=LOGS,
        flag="log-level",
        env="LOG_LEVEL",
        metavar="LEVEL",
        parse=parsers.log_level,
        help="`debug`, `info`, `warn`, `error`, `critical` or `silent`; pino's `trace` and `fatal` are understood",
    )
    log_format: Literal["text", "json"] = setting(
        "text",
        group=LOGS,
        flag="log-format",
        env="LOG_FORMAT",
        metavar="text|json",
        parse=parsers.one_of("text", "json"),
        help="lines for people, or JSON lines for machines",
    )

    @property
    def provider(self) -> Literal["dev", "cognito", "oidc"]:
        """Who vouches for users: ourselves, a Cognito user pool, or another issuer, which cannot log in here."""
        if self.dev:
            return "dev"
        return "cognito" if self.cognito_user_pool_id else "oidc"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be seen, for the log to look out for."""
        values = (getattr(self, one.name) for one in declared(Config) if one.secret)
        return tuple(value for value in values if value)

    def describe(self) -> str:
        """The settings that are not at their default, for one line of the log; secrets as `****`."""
        parts = []
        for one in declared(Config):
            value = getattr(self, one.name)
            if value != one.default:
                parts.append(f"{one.name}={'****' if one.secret else show(value)}")
        return " ".join(parts)

    def warnings(self) -> list[str]:
        """What is allowed and rarely meant; a line each, for the log."""
        found = []
        if self.cognito_endpoint:
            found.append(f"Cognito's address is {self.cognito_endpoint}, not AWS's own")
        if self.aws_secret_access_key and self.auth_flow == "user":
            found.append("AWS_SECRET_ACCESS_KEY is not needed without --auth-flow admin: take it away")
        if self.cookie_secure == "never":
            found.append("--cookie-secure never: the session's cookies travel over plain http, too")
        wide = [origin for origin in self.cors_origin if "*" in origin]
        if wide:
            found.append(f"every subdomain is trusted with the users' sessions: {', '.join(wide)}")
        return found


def load_config(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    env_file: Path | None = None,
    *,
    directory: Path | None = None,
) -> Config:
    """Find every setting (flag, else environment, else `.env`, else default) and check them together.

    Args:
        flags: by attribute name of `Config`; see `settings.Reader`.
        environ: the process's environment.
        env_file: instead of the `.env` of the directory; it must be there.
        directory: the working directory by default; folders above it are not searched.

    Raises:
        ConfigurationError: with every problem at once.
    """
    problems: list[str] = []
    dotenv_path = env_file or (directory or Path.cwd()) / ".env"
    dotenv = read_dotenv(dotenv_path, problems, required=env_file is not None)
    reader = Reader(flags, environ, dotenv, str(env_file or ".env"))
    config = Config(**reader.read(declared(Config)))
    problems += reader.problems
    config = _resolve(config, reader.sources, problems)
    problems += [*_identity_problems(config, problems), *_listening_problems(config), *_cookie_problems(config)]
    if problems:
        raise ConfigurationError(*dict.fromkeys(problems))
    return config


def _resolve(config: Config, sources: Mapping[str, int], problems: list[str]) -> Config:
    """Fill in what one setting says about another."""
    changes: dict[str, Any] = {}
    if config.ignore_configured_endpoints and sources["cognito_endpoint"] != FLAG:
        changes["cognito_endpoint"] = ""
    if config.tls_cert and not config.tls_key:
        changes["tls_key"] = config.tls_cert
    if config.dev:
        if not config.host or config.host == Config.host:
            changes["host"] = _DEV_HOST
        changes |= _without_pool(config, sources, problems)
    return replace(config, **changes)
