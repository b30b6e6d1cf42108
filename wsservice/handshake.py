"""The request that opens a connection: its head, parsed once and strictly.

Autobahn splits header lines at 0x85, 0x0b, 0x0c and 0x1c to 0x1e, too, and joins repeated headers by a
comma; either would let a client forge a cookie or a forwarded address. So nothing of ours reads
Autobahn's headers: a head is parsed here, and one with a control or high byte in a value is refused.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from wsservice.errors import BadHandshake, HeadTooLarge

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = tuple[tuple[str, str], ...]

#: header lines of a request; precedent: Apache's `LimitRequestFields`
MAX_HEADERS = 100
#: RFC 9110 section 5.6.2
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: printable ASCII and tab: what a header value may hold here (RFC 9110 section 5.5 without obs-text)
_VALUE = re.compile(rb"[\t\x20-\x7e]*")
#: the same of all header lines of a head at once, from the end of its request line. The outer group is not possessive:
#: Python up to 3.11.4 (Debian 12 has 3.11.2) gets that wrong; it needs no backtracking, since every line begins anew
_GOOD_LINES = re.compile(rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e]*+)*\r\n\r\n")
#: with a target in origin-form (RFC 9112 section 3.2.1): others are for proxies, and a fragment is never sent
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!\"$-~]*) HTTP/1\.([01])")
#: a hop of `X-Forwarded-For` in the forms that may bear a port (RFC 7239 section 6)
_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")
#: a request id that a proxy may set; others are replaced, so that nobody writes into the log
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
#: what identifies or authenticates a user, and is not kept once the connection is open
_SECRET_HEADERS = frozenset({"cookie", "authorization", "proxy-authorization"})
#: characters of a value or path that is shared
_LONGEST_SHARED = 256
#: headers whose values most clients of a service have in common, and that hold no secret, as browsers spell them
_COMMON = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Connection",
    "DNT",
    "Host",
    "Origin",
    "Pragma",
    "Priority",
    "Sec-CH-UA",
    "Sec-CH-UA-Mobile",
    "Sec-CH-UA-Platform",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Sec-GPC",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Version",
    "TE",
    "Upgrade",
    "User-Agent",
    "Via",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
]
#: others whose names, at least, are the same
_OTHERS = ["Authorization", "Cookie", "Referer", "Sec-WebSocket-Key", "X-Forwarded-For", "X-Real-IP", "X-Request-Id"]


def _spellings(names: list[str]) -> dict[bytes, str]:
    """The names as they come, also by way of HTTP/2 and twisted.web -> in lower case."""
    return {spelling.encode("ascii"): name.lower() for name in names for spelling in (name, name.lower(), name.title())}


_COMMON_NAMES = _spellings(_COMMON)
_NAMES = _spellings(_COMMON + _OTHERS)
#: how stock clients of Socket.IO begin on a WebSocket
_FIRST_QUERY = "EIO=4&transport=websocket"


def make_request_id() -> str:
    """A fresh request id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def choose_request_id(offered: str | None) -> str:
    """`X-Request-Id` if it is harmless (8 to 64 of `A-Za-z0-9._-`), else a fresh one."""
    return offered if offered and _REQUEST_ID.fullmatch(offered) else make_request_id()


def check_header(name: bytes, value: bytes) -> None:
    """Raise `BadHandshake` for a header that Autobahn, twisted.web and we might read differently."""
    if not _TOKEN.fullmatch(name):
        raise BadHandshake("a header name is not a token")
    if not _VALUE.fullmatch(value):
        raise BadHandshake(f"a control or non-ASCII byte in header {name.decode('ascii')}")


def read_header(name: bytes, value: bytes) -> tuple[str, str]:
    """A header that `check_header` would pass, with its name in lower case and without space around its value.

    What many clients send is the same object for all of them, since each connection keeps its headers: 2 KiB of a
    browser's otherwise. (Not by `sys.intern`, which in Python 3.12 never forgets what a client has made up.)
    """
    if name in _COMMON_NAMES and len(value) <= _LONGEST_SHARED:
        return _shared_header(name, value)
    return _NAMES.get(name) or name.decode("ascii").lower(), value.decode("ascii").strip(" \t")


@lru_cache(maxsize=2048)
def _shared_header(name: bytes, value: bytes) -> tuple[str, str]:
    return _COMMON_NAMES[name], value.decode("ascii").strip(" \t")


@lru_cache(maxsize=64)
def _shared_path(path: str) -> str:
    return path


@dataclass(frozen=True, slots=True)
class Handshake:
    """A request as authentication, handlers and logs see it.

    Attributes:
        method, path: of the request line; the path is not percent-decoded.
        query_string: what follows `?`, undecoded; never logged.
        headers: (lower-case name, value) in order, repeated ones apart.
        peer: the client's address: the forwarded one, if the TCP peer is a trusted proxy.
        secure: whether the client speaks TLS, to us or to a trusted proxy.
        request_id: of `X-Request-Id`, or made here.
        host: of `Host`, or the forwarded one, if the TCP peer is a trusted proxy; empty if there is none.
        given_auth: see `auth`.
        issued: when it came, in POSIX seconds.
    """

    method: str
    path: str
    query_string: str = field(repr=False)
    headers: Headers = field(repr=False)
    peer: str
    secure: bool
    request_id: str
    host: str
    given_auth: Mapping[str, Any] | None = field(default=None, repr=False)
    issued: float = field(default_factory=time.time, repr=False, compare=False)
    _query: dict[str, str] | None = field(default=None, init=False, repr=False, compare=False)
    _by_name: dict[str, list[str]] | None = field(default=None, init=False, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        """The first value of a header (lower-case name), or None."""
        values = self._values.get(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        """Every value of a header (lower-case name), in order."""
        return list(self._values.get(name, ()))

    @property
    def _values(self) -> dict[str, list[str]]:
        """The headers by name, put in order when somebody asks for one."""
        values = self._by_name
        if values is None:
            values = {}
            for name, value in self.headers:
                values.setdefault(name, []).append(value)
            object.__setattr__(self, "_by_name", values)
        return values

    @property
    def query(self) -> dict[str, str]:
        """The query parameters, decoded; of a repeated one the last counts."""
        query = self._query
        if query is None:
            text = self.query_string
            if "%" in text or "+" in text:
                query = dict(parse_qsl(text, keep_blank_values=True))
            else:  # the same without its ten calls a parameter, where there is nothing to decode: a poll asks for four
                query = {name: value for name, _, value in (one.partition("=") for one in text.split("&") if one)}
            object.__setattr__(self, "_query", query)
        return query

    @property
    def auth(self) -> dict[str, Any]:
        """What a Socket.IO client gave as `auth` when it connected to its namespace; nothing that was verified."""
        return dict(self.given_auth or ())

    def again(self, target: str) -> Handshake:
        """The next request on the connection, by the same method and with the same headers.

        They share what `header` has put in order.
        """
        path, _, query = target.partition("?")
        request_id = choose_request_id(self.header("x-request-id"))
        other = Handshake(
            self.method, path, query, self.headers, self.peer, self.secure, request_id, self.host, self.given_auth
        )
        object.__setattr__(other, "_by_name", self._by_name)
        return other

    def without_secrets(self) -> Handshake:
        """The same without cookies and credentials: what a connection keeps."""
        kept = tuple([item for item in self.headers if item[0] not in _SECRET_HEADERS])
        return Handshake(
            self.method,
            self.path,
            self.query_string,
            kept,
            self.peer,
            self.secure,
            self.request_id,
            self.host,
            self.given_auth,
            self.issued,
        )


def parse_head(
    head: bytes, peer: str, secure: bool, trusted: tuple[Network, ...] = (), *, max_headers: int = MAX_HEADERS
) -> Handshake:
    """Parse a request head (all bytes up to and with the empty line) of an HTTP/1.1 request.

    Args:
        peer: the address of the TCP peer, without its port.
        secure: whether the TCP connection speaks TLS.
        trusted: the proxies whose `X-Forwarded-For`, `-Proto` and `-Host` count.
        max_headers: header lines.

    Raises:
        BadHandshake, HeadTooLarge: with the reason for the log.
    """
    request_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(request_line)
    if match is None:
        raise BadHandshake("malformed request line")
    if len(lines) > max_headers:
        raise HeadTooLarge("too many headers")
    if not _GOOD_LINES.fullmatch(head, match.end()):
        raise BadHandshake(_fault_of(lines))
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append(read_header(name, value))
    if match[3] == b"1" and not any(name == "host" for name, _ in headers):
        raise BadHandshake("no Host header")  # RFC 9112 section 3.2
    return make_handshake(
        "GET" if match[1] == b"GET" else match[1].decode("ascii"),
        match[2].decode("ascii"),
        tuple(headers),
        peer=peer,
        secure=secure,
        trusted=trusted,
    )


def _fault_of(lines: list[bytes]) -> str:
    """What is wrong with the first header that is."""
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            return "a header line without a colon"
        try:
            check_header(name, value.strip(b" \t"))
        except BadHandshake as error:
            return str(error)
    return "a malformed head"


def make_handshake(
    method: str, target: str, headers: Headers, *, peer: str, secure: bool, trusted: tuple[Network, ...] = ()
) -> Handshake:
    """Make a handshake of a request that was already split; see `parse_head` for the arguments."""
    hosts = [value for name, value in headers if name == "host"]
    if len(hosts) > 1:
        raise BadHandshake("more than one Host header")
    host = hosts[0] if hosts else ""
    if trusted and is_trusted(peer, trusted):
        peer = _forwarded_peer(headers, peer, trusted)
        secure = {"http": False, "https": True}.get(_last(headers, "x-forwarded-proto").lower(), secure)
        host = _last(headers, "x-forwarded-host") or host
    path, _, query = target.partition("?")
    if len(path) <= _LONGEST_SHARED:
        path = _shared_path(path)
    if query == _FIRST_QUERY:
        query = _FIRST_QUERY
    request_id = choose_request_id(next((value for name, value in headers if name == "x-request-id"), None))
    return Handshake(method, path, query, headers, peer, secure, request_id, host)


def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Whether a TCP peer is one of the trusted proxies."""
    if not address:  # a Unix socket, which only local processes reach: trusted as soon as any proxy is
        return True
    try:
        parsed = _parse_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; one of IPv4 that a dual-stack socket wrote as IPv6 becomes itself again."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _forwarded_peer(headers: Headers, peer: str, trusted: tuple[Network, ...]) -> str:
    """Walk `X-Forwarded-For` from the right over trusted proxies to the first address that is not ours."""
    hops = ",".join(value for name, value in headers if name == "x-forwarded-for")
    for hop in reversed([hop.strip() for hop in hops.split(",") if hop.strip()]):
        match = _WITH_PORT.fullmatch(hop)
        bare = (match[1] or match[2]) if match else hop
        if "%" in bare:  # a zone is any text at all, and of this machine only
            break
        try:
            peer = str(_parse_address(bare))
        except ValueError:
            break
        if not is_trusted(peer, trusted):
            break
    return peer


def _last(headers: Headers, name: str) -> str:
    """The last element of a list header: what the nearest proxy wrote; what stands before may be the client's."""
    return ",".join(value for key, value in headers if key == name).rpartition(",")[2].strip()
