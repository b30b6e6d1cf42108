"""Which pages may open a connection or call `/auth`: the check that cookies alone do not give.

Browsers send cookies along with a WebSocket handshake from any page of the same site, and say in `Origin`
(RFC 6454, RFC 6455 section 10.2) which page it was. Allowed are the service's own origin and the configured
ones. A client that is no browser sends none; nobody can be tricked into using it, so it passes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from wsservice.errors import OriginNotAllowed
from wsservice.handshake import Handshake

#: characters of an origin: a host name has at most 253 (RFC 1035 section 2.3.4)
MAX_ORIGIN = 300
#: decisions that are remembered, by origin and host: pages poll twice a message, and parsing both takes 15 us
_REMEMBERED = 256
#: seconds for which a browser may remember the answer to a preflight
PREFLIGHT_MAX_AGE = 600

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
#: scheme, host, and perhaps port (RFC 6454 section 6.2); nothing may follow
_ORIGIN = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
)
#: what `Sec-Fetch-Site` says of the service's own pages and of the address bar (Fetch Metadata section 2.4)
_OWN_SITES = frozenset({"same-origin", "none"})
#: letters that Python's IDNA 2003 codec maps elsewhere than browsers do (Unicode TS 46, deviation characters)
_DEVIATING = frozenset("ßς\u200c\u200d")


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, host and port, normalised: lower case, the port always given, IPv6 addresses compressed."""

    scheme: str
    host: str
    port: int | None


@lru_cache(1000)  # of few pages come many handshakes
def parse_origin(text: str) -> Origin:
    """Parse the value of an `Origin` header, or a configured origin.

    Raises:
        ValueError: if it is anything else than `scheme://host` or `scheme://host:port`.
    """
    match = _ORIGIN.fullmatch(text.lower()) if text.isascii() and len(text) <= MAX_ORIGIN else None
    if match is None:
        raise ValueError("not an origin, which is scheme://host or scheme://host:port")
    scheme, host = match["scheme"], match["host"]
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS.get(scheme)
    if port is not None and port > 65535:
        raise ValueError("the port is above 65535")
    if host.startswith("["):
        host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
    return Origin(scheme, host, port)


class OriginPolicy:
    """The allowed origins: the service's own, and those configured (`CORS_ORIGIN`, `--allowed-origin`).

    Args:
        allowed: exact origins, such as `https://app.example.com`, or with `*` for one label in front:
            `https://*.example.com` is each of its direct subdomains, and not example.com itself.
        require_origin: refuse clients that send no `Origin`.

    Raises:
        ValueError: an entry cannot be used; the text names it and the fix.
    """

    def __init__(self, allowed: Iterable[str], require_origin: bool = False) -> None:
        self.set(allowed, require_origin)

    def set(self, allowed: Iterable[str], require_origin: bool = False) -> None:
        """Allow these from now on, and no others; connections that are open stay.

        Raises:
            ValueError: as at first; then nothing has changed.
        """
        exact: set[Origin] = set()
        parents: set[Origin] = set()
        for entry in allowed:
            is_wildcard, origin = _parse_configured(entry)
            (parents if is_wildcard else exact).add(origin)
        self._exact, self._parents, self._require_origin = exact, parents, require_origin
        self._judge = lru_cache(maxsize=_REMEMBERED)(self._judge_anew)

    def check(self, handshake: Handshake) -> None:
        """Check where a handshake, a poll or an `/auth` request comes from.

        It is not for pages and their files: people come to those from anywhere.

        Raises:
            OriginNotAllowed: with the reason for the log; answer 403 before any upgrade.
        """
        values = handshake.header_values("origin")
        if not values:
            self._check_without_origin(handshake)
        elif len(values) > 1:
            raise OriginNotAllowed("more than one Origin header")
        elif not self.allows(values[0], handshake):
            raise OriginNotAllowed(f"the origin {ascii(values[0])[:200]} is not allowed")

    def allows(self, origin: str, handshake: Handshake) -> bool:
        """Whether a page of this origin may use the service, as `handshake` reached it."""
        return self._look_at(origin, handshake)[0]

    def cors_headers(self, handshake: Handshake) -> list[tuple[str, str]]:
        """The headers by which a page of another, allowed origin may read the answer; else none.

        Add them to every answer of that request, to errors too.
        """
        values = handshake.header_values("origin")
        if len(values) != 1:
            return []
        is_allowed, is_own = self._look_at(values[0], handshake)
        if not is_allowed or is_own:
            return []
        return [
            ("Access-Control-Allow-Origin", values[0]),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Date"),
            ("Vary", "Origin"),
        ]

    def preflight_headers(self, handshake: Handshake) -> list[tuple[str, str]]:
        """`cors_headers`, and what else the answer to a preflight (an OPTIONS request, 204) needs; or none."""
        headers = self.cors_headers(handshake)
        if headers:
            headers += [
                ("Access-Control-Allow-Methods", "GET, POST"),
                ("Access-Control-Allow-Headers", "Content-Type, X-Request-Id"),
                ("Access-Control-Max-Age", str(PREFLIGHT_MAX_AGE)),
            ]
        return headers

    def _check_without_origin(self, handshake: Handshake) -> None:
        if self._require_origin:
            raise OriginNotAllowed("no Origin header, and it is required")
        # a browser that leaves the origin out (a plain GET) still says this, and no page can forge it
        sites = handshake.header_values("sec-fetch-site")
        if not _OWN_SITES.issuperset(sites):
            raise OriginNotAllowed(f"no Origin header, and Sec-Fetch-Site is {ascii(sites)[:200]}")

    def _look_at(self, origin: str, handshake: Handshake) -> tuple[bool, bool]:
        """Whether an origin is allowed, and whether it is the service's own."""
        if len(origin) > MAX_ORIGIN:  # neither is remembered at any length
            return False, False
        host = handshake.host if len(handshake.host) <= MAX_ORIGIN else ""
        return self._judge(origin, host, handshake.secure)

    def _judge_anew(self, origin: str, host: str, secure: bool) -> tuple[bool, bool]:
        try:
            parsed = parse_origin(origin)
        except ValueError:  # "null", too
            return False, False
        is_own = parsed == _own_origin(host, secure)
        return is_own or parsed in self._exact or self._is_below_a_parent(parsed), is_own

    def _is_below_a_parent(self, origin: Origin) -> bool:
        _, _, parent = origin.host.partition(".")
        return replace(origin, host=parent) in self._parents


def _own_origin(host: str, secure: bool) -> Origin | None:
    """The origin of the service itself, by the request that reached it."""
    try:
        return parse_origin(f"{'https' if secure else 'http'}://{host}")
    except ValueError:
        return None


def _parse_configured(entry: str) -> tuple[bool, Origin]:
    """Whether an entry has a wildcard, and the origin without it."""
    text = entry.strip()
    if text in ("", "*", "null"):
        raise ValueError(
            f"{entry!r} cannot be an allowed origin, since cookies authenticate: name each one, as https://app.example.com"
        )
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(f"{entry!r} is not an origin: write it with its scheme, as https://{text}")
    if scheme.lower() in ("ws", "wss"):
        raise ValueError(f"{entry!r} is not a page's origin: write http{scheme[2:]}://{rest}")
    host, slash, _ = rest.partition("/")
    if slash:
        raise ValueError(f"{entry!r} is not an origin, which has no path: write {scheme}://{host}")
    is_wildcard = rest.startswith("*.")
    try:
        origin = parse_origin(f"{scheme}://{_to_ascii(rest.removeprefix('*.'))}")
    except ValueError as error:
        raise ValueError(f"{entry!r} is not an origin, as https://app.example.com:8443 is one ({error})") from None
    if is_wildcard and not re.search(r"\.[a-z]", origin.host):
        raise ValueError(f"{entry!r} would allow far too much: a domain of at least two names must follow the `*.`")
    return is_wildcard, origin


def _to_ascii(host: str) -> str:
    """An international host name as browsers send it, in punycode (RFC 3492)."""
    if host.isascii():
        return host
    if _DEVIATING.intersection(host):
        raise ValueError("write it in punycode, xn--..., as the browser's developer tools show it")
    return host.encode("idna").decode("ascii")
