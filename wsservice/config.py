"""The service's settings: the one list of them.

The fields of `Config` are the list. The options of `twistd wsservice`, the names in the environment and in `.env`,
and docs/configuration.md are made of it. How a value is found stands in `settings`, what the values must be together
in `checks`. (This file is long because the list is.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wsservice import checks, parsers
from wsservice.adapters.redis.url import RedisUrl
from wsservice.errors import ConfigurationError
from wsservice.handshake import Network
from wsservice.parsers import integer, number, one_of, text
from wsservice.settings import DEFAULT, Reader, Setting, declared, read_dotenv, setting, show

LISTENING = "Listening"
IDENTITY = "Identity"
COOKIES = "Cookies"
BROWSERS = "Browsers"
APPLICATION = "Application"
SOCKET_IO = "Socket.IO"
RECOVERY = "Recovery"
BACKENDS = "Backends"
ADMIN = "Admin view"
LIMITS = "Limits"
CLUSTER = "Cluster"
LOGS = "Logs"
MONITORING = "Monitoring"

_ANY_HOST = "0.0.0.0"  # noqa: S104 - browsers come from elsewhere
_DEV_HOST = "127.0.0.1"
_DAY = 86400


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting, checked. Make it by `load_config`; a text that is not set is empty."""

    port: int = setting(3020, LISTENING, parsers.PORT, env="PORT", help="TCP port; 0 lets the system choose")
    host: str = setting(
        _ANY_HOST, LISTENING, parsers.HOST, env="HOST", note="`127.0.0.1` with `--dev`", help="address to listen on"
    )
    listen: tuple[str, ...] = setting(
        (),
        LISTENING,
        text("ENDPOINT"),
        separator=" ",
        help="Twisted endpoint instead of host and port, such as `unix:/run/wsservice.sock`; may be repeated",
    )
    reuse_port: bool = setting(
        False,
        LISTENING,
        help="let other processes listen on the same host and port, too (`SO_REUSEPORT`); see scaling.md",
    )
    tls_cert: Path | None = setting(
        None,
        LISTENING,
        parsers.FILE,
        env="TLS_CERT",
        help="certificate chain (PEM): serve https and wss; SIGHUP reads it anew",
    )
    tls_key: Path | None = setting(
        None,
        LISTENING,
        parsers.FILE,
        env="TLS_KEY",
        note="the certificate's file",
        help="its private key (PEM, without passphrase)",
    )
    trusted_proxy: tuple[Network, ...] = setting(
        (),
        LISTENING,
        parsers.NETWORK,
        env="TRUSTED_PROXIES",
        separator=",",
        help="network whose `X-Forwarded-For`, `-Proto` and `-Host` count, and with any those that come by a Unix "
        "socket; may be repeated",
    )
    # With Twisted's 50, two thousand clients that come at once wait up to 28 s.
    backlog: int = setting(
        4096,
        LISTENING,
        integer(1, 65535, "connections"),
        help="connections that wait to be accepted; the system's `somaxconn` bounds it",
    )

    aws_region: str = setting("", IDENTITY, text("REGION"), env="AWS_REGION", help="region of the user pool")
    cognito_user_pool_id: str = setting(
        "",
        IDENTITY,
        text("ID"),
        env="AWS_COGNITO_USER_POOL_ID",
        help="the Cognito user pool, such as `us-east-1_AbCdEf123`",
    )
    cognito_client_id: tuple[str, ...] = setting(
        (),
        IDENTITY,
        text("ID"),
        env="AWS_COGNITO_CLIENT_ID",
        separator=",",
        help="app clients whose tokens are accepted; people log in with the first",
    )
    cognito_client_secret: str = setting(
        "",
        IDENTITY,
        parsers.SECRET,
        env="AWS_COGNITO_CLIENT_SECRET",
        help="secret of the first app client, if it has one",
    )
    aws_access_key_id: str = setting(
        "", IDENTITY, parsers.SECRET, env="AWS_ACCESS_KEY_ID", help="AWS key, for the admin flow only"
    )
    aws_secret_access_key: str = setting(
        "", IDENTITY, parsers.SECRET, env="AWS_SECRET_ACCESS_KEY", help="its secret part"
    )
    aws_session_token: str = setting(
        "",
        IDENTITY,
        parsers.SECRET,
        env="AWS_SESSION_TOKEN",
        help="its session token, where the key is a temporary one",
    )
    auth_flow: Literal["user", "admin"] = setting(
        "user",
        IDENTITY,
        one_of("user", "admin"),
        env="AUTH_FLOW",
        help="how a login asks Cognito: `USER_PASSWORD_AUTH`, or `ADMIN_USER_PASSWORD_AUTH` signed with the AWS key",
    )
    cognito_endpoint: str = setting(
        "",
        IDENTITY,
        parsers.URL,
        env=("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", "AWS_ENDPOINT_URL"),
        help="Cognito's address, where it is not AWS's own: an emulator, a proxy",
    )
    ignore_configured_endpoints: bool = setting(
        False,
        IDENTITY,
        env="AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        help="ignore Cognito's address in the environment, as AWS's own tools do",
    )
    auth_issuer: tuple[str, ...] = setting(
        (),
        IDENTITY,
        parsers.ISSUER,
        env="AUTH_ISSUER",
        separator=",",
        note="the pool's",
        help="what a token's `iss` may be, exactly; several for a pool's replicas",
    )
    auth_jwks_url: str = setting(
        "", IDENTITY, parsers.URL, env="AUTH_JWKS_URL", note="the pool's", help="where the issuer's public keys are"
    )
    auth_audience: tuple[str, ...] = setting(
        (),
        IDENTITY,
        text("AUDIENCE"),
        env="AUTH_AUDIENCE",
        separator=",",
        help="what a token's `aud` must name, for an issuer that is no Cognito pool",
    )
    auth_token_use: tuple[str, ...] = setting(
        ("access", "id"),
        IDENTITY,
        one_of("access", "id"),
        env="AUTH_TOKEN_USE",
        separator=",",
        help="which of a pool's tokens are accepted",
    )
    auth_login_token: Literal["access", "id"] = setting(
        "access",
        IDENTITY,
        one_of("access", "id"),
        env="AUTH_LOGIN_TOKEN",
        help="which token a login puts into the cookie",
    )
    # 0 is aws-jwt-verify's.
    auth_leeway: float = setting(
        0.0,
        IDENTITY,
        number(0, 60, "seconds"),
        env="AUTH_LEEWAY",
        help="how far the issuer's clock may differ at `exp` and `nbf`",
    )
    required_groups: tuple[str, ...] = setting(
        (),
        IDENTITY,
        text("GROUP"),
        flag="required-group",
        env="AUTH_REQUIRED_GROUPS",
        separator=",",
        help="the user must be in one of these groups",
    )
    required_scopes: tuple[str, ...] = setting(
        (),
        IDENTITY,
        text("SCOPE"),
        flag="required-scope",
        env="AUTH_REQUIRED_SCOPES",
        separator=",",
        help="the token must have one of these scopes",
    )
    # The upper bound catches milliseconds.
    jwks_cache_ttl: int = setting(
        _DAY,
        IDENTITY,
        integer(60, 30 * _DAY, "seconds"),
        env="JWKS_CACHE_TTL",
        help="how long public keys count as fresh; they are fetched anew before that",
    )
    dev: bool = setting(
        False,
        IDENTITY,
        help="an identity provider inside the process, with made-up users, instead of a pool; loopback only",
    )
    dev_token_lifetime: int = setting(
        3600, IDENTITY, integer(1, _DAY, "seconds"), help="how long the tokens of `--dev` live"
    )

    auth_cookie_name: str = setting(
        "authToken",
        COOKIES,
        parsers.COOKIE_NAME,
        env="AUTH_COOKIE_NAME",
        help="cookie of the token; `__Host-authToken` cannot be planted by a sibling subdomain",
    )
    refresh_cookie_name: str = setting(
        "refreshToken",
        COOKIES,
        parsers.COOKIE_NAME,
        env="REFRESH_COOKIE_NAME",
        help="cookie of the refresh token, sent to `/auth` only",
    )
    cookie_same_site: Literal["Lax", "Strict", "None"] = setting(
        "Lax",
        COOKIES,
        one_of("Lax", "Strict", "None"),
        env="COOKIE_SAME_SITE",
        help="`None` is for a front end on a foreign site",
    )
    cookie_secure: Literal["auto", "always", "never"] = setting(
        "auto",
        COOKIES,
        one_of("auto", "always", "never"),
        env="COOKIE_SECURE",
        help="`auto` is always, but on plain http to localhost",
    )
    cookie_chunking: bool = setting(
        True,
        COOKIES,
        env="COOKIE_CHUNKING",
        help="split a token that is too large for one cookie",
    )
    # Cognito's default.
    refresh_lifetime: int = setting(
        30 * _DAY,
        COOKIES,
        integer(60, 3650 * _DAY, "seconds"),
        env="REFRESH_LIFETIME",
        help="how long browsers keep the refresh token; as long as the app client's live",
    )

    cors_origin: tuple[str, ...] = setting(
        (),
        BROWSERS,
        parsers.ORIGIN,
        flag="allowed-origin",
        env="CORS_ORIGIN",
        separator=",",
        added=True,
        note="the service's own",
        help="pages that may connect, such as `https://app.example.com` or `https://*.example.com`; the flag may be "
        "repeated and adds to the environment",
    )
    require_origin: bool = setting(
        False, BROWSERS, env="REQUIRE_ORIGIN", help="refuse clients without an `Origin`, which are no browsers"
    )
    reject: Literal["close", "http"] = setting(
        "close",
        BROWSERS,
        one_of("close", "http"),
        help="how a WebSocket without a good token is refused: opened, and closed with the reason, which browsers can "
        "read; or by an HTTP status",
    )

    app: str = setting(
        "",
        APPLICATION,
        text("MODULE:NAME"),
        note="the demo",
        help="your `App`, such as `chat:app` for `app = App()` in chat.py of the working directory",
    )
    ws_path: str = setting("/ws", APPLICATION, parsers.URL_PATH, help="where the raw WebSocket is")
    page: bool = setting(True, APPLICATION, help="serve the page at `/` to log in and chat")

    # The names are those of socket.io, too.
    socketio_path: str = setting("/socket.io", SOCKET_IO, parsers.URL_PATH, help="where Socket.IO clients connect")
    transports: tuple[str, ...] = setting(
        ("polling", "websocket"),
        SOCKET_IO,
        one_of("polling", "websocket"),
        separator=",",
        help="what they may connect by",
    )
    allow_upgrades: bool = setting(
        True, SOCKET_IO, help="let a client on long-polling move to a WebSocket without a break"
    )
    ping_interval: int = setting(
        25000,
        SOCKET_IO,
        integer(10, 86_400_000, "milliseconds"),
        help="time between the server's pings, on `/ws`, too; keep it below the idle limit of every proxy on the way",
        precedent="socket.io 4.8",
    )
    ping_timeout: int = setting(
        20000,
        SOCKET_IO,
        integer(10, 86_400_000, "milliseconds"),
        help="how long a client may take for its pong; past it, it is gone",
        precedent="socket.io 4.8",
    )
    upgrade_timeout: int = setting(
        10000,
        SOCKET_IO,
        integer(10, 3_600_000, "milliseconds"),
        help="how long moving to a WebSocket may take; past it, the client stays on long-polling",
        precedent="socket.io 4.8",
    )
    connect_timeout: int = setting(
        45000,
        SOCKET_IO,
        integer(10, 3_600_000, "milliseconds"),
        help="how long a client may take to join a namespace; past it, it is closed",
        precedent="socket.io 4.8",
    )
    max_http_buffer_size: int = setting(
        1_000_000,
        SOCKET_IO,
        integer(100, 2**30, "bytes"),
        help="the largest message, and the largest body of a POST; `--max-message-size` is for `/ws`",
        precedent="socket.io 4.8",
    )
    max_poll_packets: int = setting(
        0,
        SOCKET_IO,
        integer(0, 1_000_000, "packets"),
        note="no limit",
        help="packets in one answer of long-polling; Python's client, as it comes, breaks off at more than 16",
        precedent="socket.io 4.8, which has no limit; python-engineio takes 16 of a client",
    )
    max_attachments: int = setting(
        10,
        SOCKET_IO,
        integer(1, 10_000, "parts"),
        help="binary parts of one message from a client",
        precedent="socket.io-parser 4.2.6 (CVE-2026-33151)",
    )
    max_attachment_bytes: int = setting(
        5_000_000,
        SOCKET_IO,
        integer(1024, 2**30, "bytes"),
        help="one message from a client with all its binary parts; by a WebSocket each part is a message of its own",
        precedent="none, socket.io has no limit; half of what ten parts of `--max-http-buffer-size` would have",
    )
    max_namespaces: int = setting(
        100,
        SOCKET_IO,
        integer(1, 10_000, "namespaces"),
        help="namespaces that one client may join",
        precedent="none, socket.io has no limit; a page joins a few, and each costs as much as a connection",
    )
    max_open_namespaces: int = setting(
        10_000,
        SOCKET_IO,
        integer(0, 1_000_000, "namespaces"),
        help="namespaces that may be open in this process if clients can name them (the application gave a pattern); 0 "
        "is no limit",
        precedent="none, socket.io has no limit; with `--adapter` each is three subscriptions in Redis, or four",
    )
    http_compression: bool = setting(
        True,
        SOCKET_IO,
        help="compress answers of long-polling from 1,024 bytes on; not where an answer holds a secret beside what "
        "others choose (BREACH)",
    )
    sticky_cookie: str = setting(
        "",
        SOCKET_IO,
        parsers.OPTIONAL_COOKIE_NAME,
        note="none",
        help="a cookie with the session's id, such as `io`, for a load balancer that must keep a client on one process",
    )
    recovery: float = setting(
        0.0,
        RECOVERY,
        number(0, 86400, "seconds"),
        note="off",
        help="how long a client that lost its connection can come back to its rooms and to what it missed; every event "
        "of Socket.IO then has one more argument, its offset; raw clients must ask for it (docs/protocol.md)",
        precedent="socket.io's is off, too; `maxDisconnectionDuration` is 120 where it is on",
    )
    recovery_bytes: int = setting(
        16 * 1024 * 1024,
        RECOVERY,
        integer(1024, 2**36, "bytes"),
        help="how much is kept for that, of all clients together",
        precedent="none, socket.io keeps all that was sent in that time; little beside what a thousand clients cost",
    )

    adapter: RedisUrl | None = setting(
        None,
        CLUSTER,
        parsers.ADAPTER,
        env=("", "REDIS_URL"),
        note="`memory`: one process",
        help="the Redis where several processes, and Node's socket.io, meet: `redis://[user:password@]host[:6379][/0]`"
        ", `rediss://` for TLS (with `?ca=FILE` for an authority of your own), or `unix:///run/redis.sock`; "
        "`memory` is none",
    )
    # @socket.io/redis-adapter's.
    adapter_key: str = setting(
        "socket.io",
        CLUSTER,
        parsers.ADAPTER_KEY,
        note="or the URL's `?key=`",
        help="prefix of all channels and keys in Redis; the same on all nodes",
    )
    # python-socketio's (`channel`).
    python_socketio_channel: str = setting(
        "socketio",
        CLUSTER,
        text("NAME"),
        help="channel on which programs with python-socketio's `RedisManager` are heard",
    )
    adapter_queue_bytes: int = setting(
        16 * 1024 * 1024,
        CLUSTER,
        integer(1024, 2**36, "bytes"),
        help="what is held for Redis while it is away; past it, the oldest messages are dropped and counted",
        precedent="none, Node's client of Redis keeps all; a second of 80,000 messages of 200 bytes",
    )
    adapter_timeout: float = setting(
        5.0,
        CLUSTER,
        number(0.1, 300, "seconds"),
        help="how long Redis and other nodes may take to answer; a Redis that is silent for longer counts as away",
        precedent="@socket.io/redis-adapter's `requestsTimeout`",
    )

    api_key: tuple[str, ...] = setting(
        (),
        BACKENDS,
        parsers.API_KEY,
        separator=" ",
        note="none: `/api/` is not there",
        help="the key of `POST /api/emit` and `/api/disconnect`, at least 32 characters; several, on a line each, "
        "while one takes over from another",
    )
    api_rate: int = setting(
        1000,
        BACKENDS,
        integer(0, 1_000_000, "messages/s"),
        help="what may be sent with one key for long, with a burst of two seconds; past it 429; 0 is no limit",
        precedent="none, Centrifugo's API has no limit; what `--message-rate` is for one user",
    )

    admin_user: str = setting(
        "",
        ADMIN,
        text("NAME"),
        note="the admin view is off",
        help="who may log in to the admin view, where the UI of @socket.io/admin-ui connects; see admin.md",
    )
    admin_password_hash: str = setting(
        "",
        ADMIN,
        parsers.PASSWORD_HASH,
        env="ADMIN_PASSWORD_HASH",
        help="the hash of the password, as `wsservice admin-hash` prints it",
    )
    admin_origin: tuple[str, ...] = setting(
        (),
        ADMIN,
        parsers.ORIGIN,
        separator=",",
        help="where the UI is served, such as `https://admin.example.com`; its page can use the admin view and nothing "
        "else of the service",
    )
    admin_mode: Literal["development", "production"] = setting(
        "development",
        ADMIN,
        one_of("development", "production"),
        help="`development` shows sockets, rooms and events, at some cost for each message; `production` figures only",
    )
    admin_read_only: bool = setting(
        False, ADMIN, help="show, and let nobody emit, join, leave or disconnect in the admin view"
    )
    admin_namespace: str = setting(
        "/admin", ADMIN, parsers.NAMESPACE, help="the namespace of the admin view, if the application needs that one"
    )
    admin_session_lifetime: int = setting(
        86400,
        ADMIN,
        integer(60, 30 * _DAY, "seconds"),
        help="how long a login to the admin view is good for",
        precedent="@socket.io/admin-ui's `sessionDuration`",
    )
    admin_event_rate: int = setting(
        200,
        ADMIN,
        integer(1, 100_000, "events/s"),
        help="what one process tells the admin view of; past it they are dropped and counted, and the list of sockets "
        "is sent anew afterwards",
        precedent="none, @socket.io/admin-ui has no limit; more than a person reads, and little for a browser",
    )

    max_connections: int = setting(
        0,
        LIMITS,
        integer(0, 1_048_576, "connections"),
        note="as many as there can be open files, less 100",
        help="TCP connections in all, and sessions of long-polling; past it 503, but for /health and /ready",
        precedent="nginx's `worker_connections`, which the system's limit of open files bounds, too",
    )
    max_connections_per_address: int = setting(
        1000,
        LIMITS,
        integer(0, 1_048_576, "connections"),
        help="the same of one IPv4 address or IPv6 /64, but for proxies and this machine; past it 429; 0 is no limit",
        precedent="none, nginx's `limit_conn` has no default; enough for an office behind one address",
    )
    max_connections_per_user: int = setting(
        1000,
        LIMITS,
        integer(0, 1_048_576, "connections"),
        help="connections of one user, each namespace of a Socket.IO client for itself; 0 is no limit",
        precedent="none, Centrifugo has no limit by default; far above the tabs and devices of a person",
    )
    when_user_is_full: Literal["refuse", "replace"] = setting(
        "refuse",
        LIMITS,
        one_of("refuse", "replace"),
        help="what happens then: the newest connection is refused (4429), or the oldest closed (4409)",
    )
    max_rooms: int = setting(
        1000,
        LIMITS,
        integer(0, 1_000_000, "rooms"),
        help="rooms that one connection may be in; past it `join` raises `ClientError`; 0 is no limit",
        precedent="none, socket.io has no limit; a room is a few hundred bytes, and only handlers let clients in",
    )
    max_calls: int = setting(
        1000,
        LIMITS,
        integer(0, 1_000_000, "calls"),
        help="calls that may wait for one client's answer; past it they fail at once; 0 is no limit",
        precedent="none, socket.io has no limit; far above what one client is asked at a time",
    )
    max_message_size: int = setting(
        65536,
        LIMITS,
        integer(1, 2**30, "bytes"),
        help="the largest message from a client; a larger one closes it with 1009",
        precedent="Centrifugo's, and OWASP's advice",
    )
    max_fragments: int = setting(
        131_072,
        LIMITS,
        integer(1, 2**31, "frames"),
        help="frames that one message from a client may come in, empty ones too; more close it with 1008",
        precedent="ws 8.21 (`maxFragments`, CVE-2026-48779)",
    )
    handshake_timeout: float = setting(
        5.0,
        LIMITS,
        number(0.1, 300, "seconds"),
        help="how long a client may take for the head of its first request",
        precedent="Autobahn's (`openHandshakeTimeout`)",
    )
    max_head_size: int = setting(
        16384,
        LIMITS,
        integer(1024, 2**20, "bytes"),
        help="the largest head of a request, cookies and all; past it 431",
        precedent="twisted.web's; nginx has 4 times 8 KiB, Node 16 KiB",
    )
    max_headers: int = setting(
        100,
        LIMITS,
        integer(10, 10_000, "lines"),
        help="header lines of a request; past it 431",
        precedent="Apache's (`LimitRequestFields`)",
    )
    body_timeout: float = setting(
        30.0,
        LIMITS,
        number(0.1, 3600, "seconds"),
        help="how long a client may take for the body of a POST of Socket.IO; one to `/auth`, which has 8 KiB at most, "
        "has 5 s at most",
        precedent="nginx's `client_body_timeout`, which is 60 s between two reads",
    )
    auth_timeout: float = setting(
        3.0,
        LIMITS,
        number(0.1, 60, "seconds"),
        help="how long a handshake waits for the issuer's keys",
        precedent="none; below `--handshake-timeout`, so that a client is told why in time",
    )
    send_queue_bytes: int = setting(
        1048576,
        LIMITS,
        integer(1024, 2**30, "bytes"),
        help="what is held for a client that does not read; past it, it is closed with 4408",
        precedent="Centrifugo's",
    )
    send_queue_messages: int = setting(
        10_000,
        LIMITS,
        integer(1, 10_000_000, "messages"),
        help="the same in messages, since small ones cost more than their bytes",
        precedent="none, Centrifugo counts bytes only; 100 bytes a message at the bound of bytes",
    )
    unread_timeout: float = setting(
        10.0,
        LIMITS,
        number(0.1, 3600, "seconds"),
        help="how long a client may take nothing of an answer, or of what was sent before its close; past it, it is "
        "cut off",
        precedent="nginx's `send_timeout`, which is 60 s between two writes; less, since here it is memory that waits",
    )
    message_rate: int = setting(
        1000,
        LIMITS,
        integer(0, 1_000_000_000, "messages/s"),
        help="what a user may send for long, over all connections, with a burst of two seconds; past it, a connection "
        "is not read from for a while, and closed with 4429 if it goes on for `--pause-timeout`; 0 is no limit",
        precedent="none, Discord's gateway allows two a second; above what people and their pages send",
    )
    byte_rate: int = setting(
        4_194_304,
        LIMITS,
        integer(0, 2**40, "bytes/s"),
        help="the same in bytes; 0 is no limit",
        precedent="none; a message of 4 KiB at each of `--message-rate`",
    )
    inbox_messages: int = setting(
        100,
        LIMITS,
        integer(1, 1_000_000, "messages"),
        help="what may wait for a client's handlers before the service stops reading from it",
        precedent="none; what a user may send in a tenth of a second",
    )
    inbox_bytes: int = setting(
        1_048_576,
        LIMITS,
        integer(1024, 2**30, "bytes"),
        help="the same in bytes, whichever is reached first",
        precedent="`--send-queue-bytes`, for the other direction",
    )
    pause_timeout: float = setting(
        30.0,
        LIMITS,
        number(0.1, 3600, "seconds"),
        help="how long a client may be left unread because its handlers are behind; past it, it is closed with 1013",
        precedent="Node's http server gives a whole request 300 s, nginx a body 60 s between two reads",
    )
    call_timeout: float = setting(
        5.0,
        LIMITS,
        number(0.01, 3600, "seconds"),
        help="how long `connection.call` waits for an answer, unless the handler says otherwise",
        precedent="none, Phoenix waits 10 s and python-socketio 60; a person who waits gives up before",
    )
    login_burst: int = setting(
        5,
        LIMITS,
        integer(1, 100_000, "logins"),
        help="logins that one address, and that one user name, may try at once; past it 429",
        precedent="Synapse's (`rc_login`)",
    )
    login_interval: float = setting(
        30.0,
        LIMITS,
        number(0.01, 86400, "seconds"),
        help="how long until one more login may be tried",
        precedent="none, Synapse's `rc_login` is far slower; a thousand guesses in a night",
    )
    refresh_burst: int = setting(
        60,
        LIMITS,
        integer(1, 100_000, "refreshes"),
        help="refreshes that one address may ask for at once; past it 429",
        precedent="none; an office behind one address that comes back at once",
    )
    refresh_interval: float = setting(
        1.0,
        LIMITS,
        number(0.01, 86400, "seconds"),
        help="how long until one more refresh may be asked for",
        precedent="none; far below what a provider takes of all",
    )
    session_burst: int = setting(
        1000,
        LIMITS,
        integer(1, 1_000_000, "requests"),
        help="questions who is logged in, and logouts, of one address at once; past it 429",
        precedent="`--max-connections-per-address`",
    )
    session_interval: float = setting(
        0.02,
        LIMITS,
        number(0.0001, 86400, "seconds"),
        help="how long until one more may be asked",
        precedent="none; each costs a verification at most, of which a core does thousands a second",
    )
    drain_timeout: float = setting(
        30.0,
        LIMITS,
        number(0, 3600, "seconds"),
        help="how long a stop waits for clients and handlers to end; who comes meanwhile is answered 503",
        precedent="Phoenix's, and Centrifugo's",
    )
    # 112 KiB a connection against 12 without.
    compression: bool = setting(
        False,
        LIMITS,
        help="offer permessage-deflate on WebSockets, which costs memory and time for each connection",
    )

    peer_listen: str = setting(
        "",
        CLUSTER,
        text("ENDPOINT"),
        note="a Unix socket in a private directory",
        help="where other nodes pass on what is for this one, such as `tcp:4020:interface=10.0.0.5` if they run on "
        "other machines; it must be reached by them alone",
    )
    peer_address: str = setting(
        "",
        CLUSTER,
        text("ENDPOINT"),
        note="that of `--peer-listen`",
        help="how they reach it, where that is not the address itself, such as `tcp:node5.internal:4020`",
    )

    log_level: Literal["debug", "info", "warn", "error", "critical", "silent"] = setting(
        "info",
        LOGS,
        parsers.LOG_LEVEL,
        env="LOG_LEVEL",
        help="`debug`, `info`, `warn`, `error`, `critical` or `silent`; pino's `trace` and `fatal` are understood",
    )
    log_format: Literal["text", "json"] = setting(
        "text", LOGS, one_of("text", "json"), env="LOG_FORMAT", help="lines for people, or JSON lines for machines"
    )

    metrics_listen: str = setting(
        "",
        MONITORING,
        text("ENDPOINT"),
        note="none",
        help="serve `/metrics` for Prometheus at an address of its own, such as `tcp:9100:interface=127.0.0.1`, and "
        "not at the service's; it must be reached by Prometheus alone",
    )
    metrics_token: tuple[str, ...] = setting(
        (),
        MONITORING,
        parsers.API_KEY,
        separator=" ",
        note="none: `/metrics` is not there, or is open at `--metrics-listen`",
        help="who asks for `/metrics` must have it (`Authorization: Bearer`), at least 32 characters; without "
        "`--metrics-listen` that is at the service's own address; several, on a line each, while one takes over",
    )
    sentry_dsn: str = setting(
        "",
        MONITORING,
        parsers.SENTRY_DSN,
        env="SENTRY_DSN",
        note="none",
        help="where errors are reported to: the DSN (client key) of a Sentry project; needs `wsservice[sentry]`",
    )
    sentry_environment: str = setting(
        "production",
        MONITORING,
        text("NAME"),
        env="SENTRY_ENVIRONMENT",
        help="what Sentry calls this installation",
    )
    sentry_release: str = setting(
        "",
        MONITORING,
        text("NAME"),
        env="SENTRY_RELEASE",
        note="`wsservice@` and its version",
        help="what Sentry calls the code that runs, such as your application's version",
    )
    sentry_text: bool = setting(
        False,
        MONITORING,
        help="report what exceptions say, too, not only their type and place: it may repeat what a client sent",
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
        values = (getattr(self, one.name) for one in declared(Config) if one.secret and not one.separator)
        password = self.adapter.password if self.adapter else ""
        return tuple(value for value in (*values, *self.api_key, *self.metrics_token, password) if value)

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
        if self.dev:
            found.append("--dev: DEVELOPMENT ONLY: users are made up, and who sees the terminal can log in as them")
        sockets = [one for one in self.listen if one.startswith(("unix:", "systemd:domain=UNIX"))]
        if sockets and not self.trusted_proxy and not self.dev:
            found.append(
                f"--listen {sockets[0]}: no proxy is believed, so that every client there is one address over plain "
                "http: name --trusted-proxy 127.0.0.1"
            )
        if self.metrics_listen and not self.metrics_token and not checks.is_local(self.metrics_listen):
            found.append(
                f"--metrics-listen {self.metrics_listen}: who reaches it learns how busy the service is: give it an "
                "interface, as in tcp:9100:interface=127.0.0.1, or set --metrics-token-file"
            )
        region = checks.region_of(self.cognito_user_pool_id)
        if self.provider == "cognito" and region not in ("", self.aws_region):
            found.append(f"AWS_REGION is {self.aws_region}, and the pool's id names {region}: one of them is wrong")
        if self.cognito_endpoint:
            found.append(f"Cognito's address is {self.cognito_endpoint}, not AWS's own")
        if self.aws_secret_access_key and self.provider == "cognito" and self.auth_flow == "user":
            found.append("AWS_SECRET_ACCESS_KEY is set, and only --auth-flow admin uses it: take it away")
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
    found = find_config(flags, environ, env_file, directory=directory)
    if found.problems:
        raise ConfigurationError(*found.problems)
    return found.config


@dataclass(frozen=True, slots=True)
class FoundConfig:
    """Settings, right or wrong, and where each comes from.

    Attributes:
        config: what is wrong has its default.
        problems: a line each; see `ConfigurationError`.
        sources, places: see `settings.Reader`.
    """

    config: Config
    problems: list[str]
    sources: dict[str, int]
    places: dict[str, tuple[str, ...]]


def find_config(
    flags: Mapping[str, Any], environ: Mapping[str, str], env_file: Path | None = None, *, directory: Path | None = None
) -> FoundConfig:
    """Find every setting, and tell where it stood and what is wrong; for who shows them. See `load_config`."""
    problems: list[str] = []
    dotenv_path = env_file or (directory or Path.cwd()) / ".env"
    dotenv = read_dotenv(dotenv_path, problems, required=env_file is not None)
    reader = Reader(flags, environ, dotenv, dotenv_path.name)
    read = Config(**reader.read(_wanted(reader)))
    problems += reader.problems
    problems += checks.provider_problems(read, reader.sources)
    config = _resolve(read, reader.sources)
    problems += [*checks.listening_problems(config), *checks.cookie_problems(config), *checks.extra_problems(config)]
    problems += checks.admin_problems(read, reader.sources)
    return FoundConfig(config, problems, reader.sources, reader.places)


def _wanted(reader: Reader) -> list[Setting]:
    """The settings, without the names in the environment that another setting there switches off."""
    wanted = {one.name: one for one in declared(Config)}
    if reader.read([wanted["ignore_configured_endpoints"]])["ignore_configured_endpoints"]:
        wanted["cognito_endpoint"] = replace(wanted["cognito_endpoint"], env=())
    return list(wanted.values())


def _resolve(config: Config, sources: Mapping[str, int]) -> Config:
    """Fill in what one setting says about another."""
    changes: dict[str, Any] = {}
    if config.tls_cert and not config.tls_key:
        changes["tls_key"] = config.tls_cert
    if config.adapter and config.adapter.key and sources["adapter_key"] == DEFAULT:
        changes["adapter_key"] = config.adapter.key
    if config.dev:
        changes |= {one.name: one.default for one in declared(Config) if one.name in checks.OF_POOLS}
        if sources["host"] == DEFAULT:
            changes["host"] = _DEV_HOST
    return replace(config, **changes)
