"""The proof that a request was passed on by a node of the cluster. Pure.

It stands in a header, as `<seconds>.<mac>`. The mac needs the cluster's secret, and binds what the service would
believe only a peer: whom the request comes from, and for which node, when and with which request line. Who records one
can repeat that request within `WINDOW`, and has seen its sid by then anyway.
"""

from __future__ import annotations

import hmac
from typing import ClassVar

from wsservice.engineio.query import RequestError
from wsservice.handshake import Handshake

HEADER = "X-Wsservice-Peer"
#: what a node says of the client; nobody else's word counts
FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
#: seconds that the clocks of two nodes may differ
WINDOW = 60.0


class NotAPeer(RequestError):
    """A request at the private address without a good proof."""

    code: ClassVar[int] = 4
    message: ClassVar[str] = "Forbidden"
    http_status: ClassVar[int] = 403
    word: ClassVar[str] = "not_a_peer"


def prove(secret: bytes, *, node: str, now: float, line: tuple[str, str], forwarded: tuple[str, str, str]) -> str:
    """The value of the header.

    Args:
        node: for which the request is.
        now: POSIX seconds.
        line: the request's method and target.
        forwarded: the values of the headers `FORWARDED`, empty where there is none.
    """
    seconds = str(int(now))
    text = "\0".join(("wsservice peer", node, seconds, *line, *forwarded))
    return f"{seconds}.{hmac.digest(secret, text.encode('ascii'), 'sha256').hex()}"


def check(secret: bytes | None, handshake: Handshake, *, node: str, now: float) -> None:
    """Raise `NotAPeer` for a request that no peer has sent to this node just now."""
    values = handshake.header_values(HEADER.lower())
    seconds, _, _ = values[0].partition(".") if len(values) == 1 else ("", "", "")
    if secret is None or not seconds.isdecimal() or len(seconds) > 12 or abs(int(seconds) - now) > WINDOW:
        raise NotAPeer
    target = f"{handshake.path}?{handshake.query_string}" if handshake.query_string else handshake.path
    forwarded = [",".join(handshake.header_values(name)) for name in FORWARDED]
    wanted = prove(
        secret,
        node=node,
        now=int(seconds),
        line=(handshake.method, target),
        forwarded=(forwarded[0], forwarded[1], forwarded[2]),
    )
    if not hmac.compare_digest(wanted, values[0]):
        raise NotAPeer
