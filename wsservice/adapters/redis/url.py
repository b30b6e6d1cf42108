"""Where a Redis is: what `--adapter redis://...` says. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

#: IANA's "redis" (TLS has no port of its own)
PORT = 6379
#: what stands before the channels' and keys' names; in `PSUBSCRIBE` these characters would be a pattern
_KEY = re.compile(r"[^\s*?\[\]\\\x00-\x1f\x7f]{1,100}")
_EXAMPLES = "such as redis://localhost:6379/0, rediss://user:password@host or unix:///run/redis.sock"
_OPTIONS = ("ca", "db", "key")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A Redis server, or rather one database of it; its texts leave the password out.

    Attributes:
        host: a name or an address, without brackets; empty where it is a socket.
        port: of the host.
        path: of a Unix socket; else empty.
        tls: whether the connection is encrypted and the server's certificate verified for `host`.
        ca: a PEM file with the authorities that are trusted instead of the system's; else empty.
        username: of Redis's ACL; empty for the default user.
        password: empty for none.
        database: the number for keys; channels have no database.
        key: the prefix of channels and keys that the URL names; else empty.
    """

    host: str = ""
    port: int = PORT
    path: str = ""
    tls: bool = False
    ca: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    database: int = 0
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> RedisUrl:
        """Make one of a URL.

        Raises:
            ValueError: it is none; the reason reads on after the setting's name, and never repeats what may be secret.
        """
        if not text.isprintable() or " " in text:
            raise ValueError(f"is not the address of a Redis, {_EXAMPLES} (percent-encode what is unusual)")
        try:
            parts = urlsplit(text)
            port = PORT if parts.port is None else parts.port
        except ValueError:
            raise ValueError("names no such port or host: percent-encode a password's / ? # @ and :") from None
        options = _options(parts)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        if username and not password:
            raise ValueError(
                "names a user without a password: write user:password@, or :password@ for the default user"
            )
        key = options.get("key", "")
        if parts.scheme in ("unix", "redis+unix"):
            path, database = _socket(parts, options), _database(options.get("db", ""))
            return cls(path=path, username=username, password=password, database=database, key=key)
        if parts.scheme not in ("redis", "rediss"):
            raise ValueError(f"is not the address of a Redis, {_EXAMPLES}")
        if not parts.hostname or port == 0:
            raise ValueError(f"names no host and port: write {_EXAMPLES}")
        if "ca" in options and parts.scheme == "redis":
            raise ValueError("names a ca, and redis:// is not encrypted: write rediss://")
        return cls(
            host=parts.hostname,
            port=port,
            tls=parts.scheme == "rediss",
            ca=options.get("ca", ""),
            username=username,
            password=password,
            database=_database(parts.path.removeprefix("/") or options.get("db", "")),
            key=key,
        )

    def __str__(self) -> str:
        who = f"{quote(self.username)}:****@" if self.password else ""
        if self.path:
            return f"unix://{who}{quote(self.path)}" + (f"?db={self.database}" if self.database else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' if self.tls else ''}://{who}{host}:{self.port}/{self.database}"


def check_key(key: str) -> str:
    """A prefix of channels and keys as it is given.

    Raises:
        ValueError: it cannot be one; the reason reads on after the setting's name and text.
    """
    if not _KEY.fullmatch(key):
        raise ValueError("is not a prefix for channels such as socket.io: none of * ? [ ] \\ and no space can be in it")
    return key


def _options(parts: SplitResult) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), max_num_fields=10)
    except ValueError:
        raise ValueError("has options that are not name=value: write ?key=socket.io") from None
    unknown = sorted({name for name, _ in pairs} - set(_OPTIONS))
    if unknown or parts.fragment:
        raise ValueError(f"has options that nobody knows: {', '.join(_OPTIONS)} are known (percent-encode a # and a ?)")
    if len(dict(pairs)) < len(pairs):
        raise ValueError("has an option twice: leave one out")
    options = dict(pairs)
    if "key" in options:
        try:
            check_key(options["key"])
        except ValueError as error:
            raise ValueError(f"has a key that {error}") from None
    return options


def _socket(parts: SplitResult, options: dict[str, str]) -> str:
    path = unquote(parts.path)
    if parts.hostname or parts.port or not PurePosixPath(path).is_absolute() or "\0" in path:
        raise ValueError("names no socket by its whole path: write unix:///run/redis.sock, with three slashes")
    if "ca" in options:
        raise ValueError("names a ca, and a Unix socket is not encrypted: leave it out")
    return path


def _database(text: str) -> int:
    if not re.fullmatch("[0-9]{0,5}", text):
        raise ValueError("names no database by its number: write redis://host:6379/0, or ?db=0 for a socket")
    return int(text or 0)
