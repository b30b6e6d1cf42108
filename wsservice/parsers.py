"""The kinds of values that settings have: how each is called in `--help`, and how it is made of a user's text.

A parser raises `ValueError` with a reason that reads on after the setting's name and text:
`PORT 'eighty'` + `is not a port, which is a whole number from 0 to 65535`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wsservice.adapters.redis.url import RedisUrl, check_key
from wsservice.admin.passwords import PasswordHash
from wsservice.auth.origin import OriginPolicy
from wsservice.handshake import Network
from wsservice.messages import ROOT, check_namespace

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
#: RFC 1123 section 2.1; an underscore does no harm
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
#: RFC 9110 section 5.6.2: what a cookie's name is made of (RFC 6265 section 4.1.1)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: RFC 6750 section 2.1: what can follow the word Bearer
_KEY = re.compile(r"[A-Za-z0-9._~+/-]{32,512}=*")
#: RFC 3986 section 3.3 without percent-encoding: a path is compared as it stands in the request
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
#: of Sentry: a path, perhaps, and the project's number
_PROJECT = re.compile(r"(/[A-Za-z0-9._~-]+)*/[0-9]+")
#: what the service answers itself
_RESERVED_PATHS = ("/auth", "/health", "/ready", "/metrics", "/static", "/api/emit", "/api/disconnect")

#: the names of the levels in pino, which many Node services log by, and Python's
_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "fatal": "critical",
    "critical": "critical",
    "silent": "silent",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is.

    Attributes:
        metavar: stands for it in `--help`.
        parse: makes it of a text without white space around it; raises `ValueError`.
        is_shown: whether a message may repeat a wrong text; not where a password may be in it.
        is_secret: never shown, and on the command line only by the name of a file.
    """

    metavar: str
    parse: Callable[[str], Any]
    is_shown: bool = True
    is_secret: bool = False


def text(metavar: str) -> Kind:
    """Any text."""
    return Kind(metavar, str)


def boolean(value: str) -> bool:
    """`true` or `false`, and what else people write for them."""
    lower = value.lower()
    if lower not in _YES | _NO:
        raise ValueError("is neither true nor false")
    return lower in _YES


def port(value: str) -> int:
    """A TCP port; 0 lets the system choose one."""
    if not re.fullmatch("[0-9]{1,5}", value) or int(value) > 65535:
        raise ValueError("is not a port, which is a whole number from 0 to 65535")
    return int(value)


def integer(low: int, high: int, unit: str) -> Kind:
    """A whole number from `low` to `high`; the unit in the plural."""

    def parse(value: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", value) or not low <= int(value) <= high:
            raise ValueError(f"is not a whole number of {unit} from {low} to {high}")
        return int(value)

    return Kind(unit.upper(), parse)


def number(low: float, high: float, unit: str) -> Kind:
    """A decimal number from `low` to `high`; the unit in the plural."""

    def parse(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value) or not low <= float(value) <= high:
            raise ValueError(f"is not a number of {unit} from {low:g} to {high:g}")
        return float(value)

    return Kind(unit.upper(), parse)


def one_of(*choices: str) -> Kind:
    """One of a few words, in upper or lower case."""
    by_lower = {choice.lower(): choice for choice in choices}

    def parse(value: str) -> str:
        try:
            return by_lower[value.lower()]
        except KeyError:
            raise ValueError(f"is not one of {', '.join(choices)}") from None

    return Kind("|".join(choices), parse)


def host(value: str) -> str:
    """An address or a name to listen on; an IPv6 address may stand in brackets."""
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if bare != value or not _HOST_NAME.fullmatch(bare) or re.fullmatch("[0-9.]+", bare):
            raise ValueError("is not an address such as 0.0.0.0, 127.0.0.1 or ::") from None
    return bare


def is_loopback(name: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def network(value: str) -> Network:
    """A network in CIDR form, or a single address."""
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"is not a network such as 10.0.0.0/8 ({error})") from None


def path(value: str) -> Path:
    """A file; made absolute, since a daemon changes its working directory."""
    return Path(value).expanduser().absolute()


def url(value: str) -> str:
    """An address that is fetched: https, or http on this machine."""
    try:
        parts = urlsplit(value)
        # Reading the port checks it.
        whole = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        whole = False
    if not whole or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("is not a URL such as https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError("is not an https URL (plain http is for this machine only)")
    return value


def issuer(value: str) -> str:
    """The `iss` of tokens, compared as an exact string: a slash at the end counts."""
    if not re.fullmatch(r"https?://[^\s?#]+", value, re.ASCII) or not value.isascii() or not value.isprintable():
        raise ValueError("is not an issuer such as https://host/path, exactly as the tokens have it")
    return value


def adapter(value: str) -> RedisUrl | None:
    """Where the nodes meet; None if there is one node."""
    return None if value.lower() == "memory" else RedisUrl.parse(value)


def api_key(value: str) -> str:
    """A key that a backend sends in `Authorization: Bearer` (RFC 6750 section 2.1), too long to be guessed."""
    if not _KEY.fullmatch(value):
        raise ValueError(
            "is not a key: at least 32 letters and digits, such as `openssl rand -hex 32` prints; "
            "a second key stands on a line of its own"
        )
    return value


def sentry_dsn(value: str) -> str:
    """A Sentry project's DSN: `https://<public key>@<host>/<project>`; http on this machine only."""
    try:
        parts = urlsplit(value)
        whole = bool(parts.hostname and parts.username) and parts.port != 0
    except ValueError:
        whole = False
    is_plain = parts.scheme == "http" and is_loopback(parts.hostname or "") if whole else False
    if not whole or not value.isascii() or not _PROJECT.fullmatch(parts.path) or parts.query or parts.fragment:
        raise ValueError("is not a DSN such as https://key@sentry.example.com/42, as Sentry's settings show it")
    if parts.scheme != "https" and not is_plain:
        raise ValueError("is not an https DSN (plain http is for this machine only)")
    return value


def password_hash(value: str) -> str:
    """The hash of the admin view's password."""
    PasswordHash.parse(value)
    return value


def namespace(value: str) -> str:
    """A Socket.IO namespace that is not the main one."""
    try:
        check_namespace(value)
    except ValueError:
        raise ValueError("is not a namespace, which begins with a slash and holds no comma") from None
    if value == ROOT:
        raise ValueError("is the main namespace, which is the application's")
    return value


def origin(value: str) -> str:
    """A page's origin that may connect; `https://*.example.com` is each direct subdomain."""
    try:
        OriginPolicy([value])
    except ValueError as error:
        raise ValueError(f"is refused: {error}") from None
    return value


def cookie_name(value: str) -> str:
    """The name of a cookie."""
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not the name of a cookie: letters, digits and !#$%&'*+-.^_`|~ can be in it")
    return value


def url_path(value: str) -> str:
    """The path of an endpoint, which must not be one that the service answers otherwise."""
    if not _PATH.fullmatch(value):
        raise ValueError("is not a path such as /ws")
    if any(value == taken or value.startswith(f"{taken}/") for taken in _RESERVED_PATHS):
        raise ValueError(f"is taken: {', '.join(_RESERVED_PATHS)} are the service's own")
    return value


def log_level(value: str) -> str:
    """A level by its name in twisted.logger, in Python's logging or in pino."""
    try:
        return _LEVELS[value.lower()]
    except KeyError:
        raise ValueError("is not one of debug, info, warn, error, critical, silent") from None


ADAPTER = Kind("URL", adapter, is_shown=False)
ADAPTER_KEY = Kind("KEY", check_key)
BOOLEAN = Kind("yes|no", boolean)
NAMESPACE = Kind("NAME", namespace)
PASSWORD_HASH = Kind("FILE", password_hash, is_secret=True)
COOKIE_NAME = Kind("NAME", cookie_name)
OPTIONAL_COOKIE_NAME = Kind("NAME", lambda value: cookie_name(value) if value else "")
FILE = Kind("FILE", path)
HOST = Kind("HOST", host)
ISSUER = Kind("ISSUER", issuer)
LOG_LEVEL = Kind("LEVEL", log_level)
NETWORK = Kind("NETWORK", network)
ORIGIN = Kind("ORIGIN", origin)
PORT = Kind("PORT", port)
SENTRY_DSN = Kind("FILE", sentry_dsn, is_secret=True)
SECRET = Kind("FILE", str, is_secret=True)
API_KEY = Kind("FILE", api_key, is_secret=True)
URL = Kind("URL", url)
URL_PATH = Kind("PATH", url_path)
