"""Where a service is: the URL of a command line, taken apart and checked. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_SECURE = frozenset({"wss", "https"})
RAW_PATH, SOCKETIO_PATH = "/ws", "/socket.io/"


@dataclass(frozen=True, slots=True)
class Address:
    """A service's address.

    Attributes:
        secure: by TLS.
        host: a name or an address, without brackets.
        port: of TCP.
        path: of the WebSocket; empty where the URL names none.
        query: without the `?`.
    """

    secure: bool
    host: str
    port: int
    path: str = ""
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Take a URL apart: ws, wss, http and https; of `localhost:3020`, without a scheme, it is ws.

        Raises:
            ValueError: it is none; the text is for a person.
        """
        whole = text if "://" in text else f"ws://{text}"
        if not whole.isascii() or not whole.isprintable() or " " in whole:
            raise ValueError("the URL has characters that no URL has: percent-encode them (a host name: punycode)")
        try:
            parts = urlsplit(whole)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"the URL is none: {error}") from None
        scheme = parts.scheme.lower()
        if scheme not in _PORTS:
            raise ValueError(f"{scheme}: is no address of a service: give ws://, wss://, http:// or https://")
        if not parts.hostname or port == 0:
            raise ValueError("the URL names no host: give for example ws://localhost:3020/ws")
        try:
            parts.hostname.encode("idna")  # as the resolver will
        except UnicodeError:
            raise ValueError("the URL's host is none: a part between dots is empty, or longer than 63") from None
        if parts.username is not None:
            raise ValueError("the URL has a user: log in by --login, or give --cookie")
        return cls(scheme in _SECURE, parts.hostname, port or _PORTS[scheme], parts.path, parts.query)

    @property
    def netloc(self) -> str:
        """Host and port as the header Host has them: the port only where it is not the scheme's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin of the service's own pages."""
        return f"{'https' if self.secure else 'http'}://{self.netloc}"

    @property
    def target(self) -> str:
        """What the request line of a WebSocket's handshake names."""
        return f"{self.path or '/'}{f'?{self.query}' if self.query else ''}"

    @property
    def url(self) -> str:
        """The address of the WebSocket, without the query, which may hold secrets."""
        return f"{'wss' if self.secure else 'ws'}://{self.netloc}{self.path}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    def at(self, path: str, **query: str) -> Address:
        """The same service at a path, with more in the query; the values must be fit for one."""
        added = "&".join(f"{name}={value}" for name, value in query.items())
        return replace(self, path=path, query="&".join(filter(None, [self.query, added])))
