"""The opening handshake of RFC 6455, the client's side: the request, and what the answer must be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wsservice.cli.client.address import Address
from wsservice.client_frames import accept_value

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer; header names in lower case."""

    status: int
    phrase: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """A header's values, joined by commas; empty if there is none."""
        return ", ".join(value for one, value in self.headers if one == name)


class NotHttp(ValueError):
    """What came is no HTTP answer; the text says what it looks like."""


def make_request(address: Address, key: str, headers: Headers) -> bytes:
    """The request of a handshake.

    Args:
        key: 16 random bytes in base64.
        headers: added; checked by `check_header`.
    """
    lines = [
        f"GET {address.target} HTTP/1.1",
        f"Host: {address.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def check_header(name: str, value: str) -> None:
    """Raise ValueError for what would break the request; the text never repeats the value."""
    if not name or not name.isascii() or any(not ("!" <= char <= "~") or char in '"(),/:;<=>?@[\\]{}' for char in name):
        raise ValueError("that is no name of a header")
    if any(ord(char) > 255 or (char != "\t" and (char < " " or "\x7f" <= char < "\xa0")) for char in value):
        raise ValueError(f"the value of {name} has a control character, or one that no header holds")


def parse_head(data: bytes) -> Head:
    """The head of an answer, up to the empty line.

    Raises:
        NotHttp: it is none.
    """
    lines = data.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status, _, phrase = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not re.fullmatch("[1-9][0-9]{2}", status):
        raise NotHttp("what answers there speaks no HTTP")
    headers = []
    for line in lines[1:]:
        name, separator, value = line.partition(":")
        if separator:
            headers.append((name.strip().lower(), value.strip()))
    return Head(int(status), phrase, tuple(headers))


def problem_of(head: Head, key: str) -> str:
    """What is wrong with an answer of status 101; empty if nothing is (section 4.1)."""
    if head.header("upgrade").lower() != "websocket":
        return "101 without `Upgrade: websocket`"
    if "upgrade" not in [part.strip().lower() for part in head.header("connection").split(",")]:
        return "101 without `Connection: Upgrade`"
    if head.header("sec-websocket-accept") != accept_value(key):
        return "101 with a wrong Sec-WebSocket-Accept: something on the way answers from a cache"
    if head.header("sec-websocket-extensions"):
        return "101 with an extension that was not asked for"
    return ""
