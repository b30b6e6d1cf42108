"""The server's side of the opening handshake, RFC 6455 section 4.2: what an upgrade must say, and the 101. Pure.

The head has been parsed already (`handshake.parse_head`), more strictly than Autobahn's own handshake would, which
parses it once more and formats forty coloured lines for a debug log that nobody reads: half of a handshake's time.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1

from wsservice.errors import BadHandshake
from wsservice.handshake import Handshake

#: section 1.3
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: 16 bytes in base64 (section 4.1, item 7)
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
VERSION = "13"


class UnsupportedVersion(BadHandshake):
    """Another version of the protocol than 13 (RFC 6455 section 4.4)."""

    message = "Only version 13 of the WebSocket protocol is spoken here."
    http_status = 426
    word = "unsupported_version"
    headers = [("Sec-WebSocket-Version", VERSION)]


def read_key(handshake: Handshake) -> str:
    """The `Sec-WebSocket-Key` of an upgrade that is as it should be.

    Raises:
        BadHandshake, UnsupportedVersion: what of section 4.2.1 does not hold, for the log.
    """
    if handshake.method != "GET":
        raise BadHandshake("an upgrade by another method than GET")
    for name, token in (("upgrade", "websocket"), ("connection", "upgrade")):
        if token not in [one.strip(" \t").lower() for one in ",".join(handshake.header_values(name)).split(",")]:
            raise BadHandshake(f"an upgrade whose {name} header does not say {token}")
    if handshake.header_values("sec-websocket-version") != [VERSION]:
        raise UnsupportedVersion("an upgrade to another version than 13")
    keys = handshake.header_values("sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise BadHandshake("an upgrade without one good Sec-WebSocket-Key")
    return keys[0]


def accept_of(key: str) -> str:
    """The value of `Sec-WebSocket-Accept` (section 4.2.2, item 5.4)."""
    return b64encode(sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")


def switching(key: str, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The whole answer that opens the WebSocket, with more headers if there are any."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_of(key)}\r\n{more}\r\n"
    ).encode("ascii")
