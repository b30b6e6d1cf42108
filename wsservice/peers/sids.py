"""Sids that name their owner: `<node>.<random>.<mac>`. Pure.

A session on long-polling lives on one node, and its requests come to any. So its sid says where it lives, and the mac,
which needs the cluster's secret, that a node has said so: a forged name makes nobody connect anywhere. The random part
alone is what cannot be guessed, as in every sid.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from typing import NamedTuple

from wsservice.peers.nodes import NODE_ID, Nodes

#: bytes of the random part, as in a sid that names nobody; and of the mac: what HMAC-SHA-256-128 keeps (RFC 4868)
_RANDOM, _MAC = 15, 16
_SID = re.compile(rf"({NODE_ID.pattern})\.([A-Za-z0-9_-]{{20}})\.([A-Za-z0-9_-]{{22}})")
#: the sid of a request line: of a repeated parameter the last counts
_IN_QUERY = re.compile(rb"[?&]sid=([A-Za-z0-9._-]*)(?=[& ])")


class Owner(NamedTuple):
    """Whose a session is, and where that node takes what is passed on."""

    node: str
    address: str


class Sids:
    """Makes and reads the sids of one node."""

    def __init__(self, nodes: Nodes) -> None:
        if not NODE_ID.fullmatch(nodes.id):
            raise ValueError(f"{nodes.id!r} cannot be the id of a node: 1 to 32 letters, digits, _ and -")
        self._nodes = nodes

    def make(self) -> str:
        """A fresh sid; one that names nobody while the cluster's secret is not known."""
        random, secret = secrets.token_urlsafe(_RANDOM), self._nodes.secret
        if secret is None:
            return random
        node = self._nodes.id
        return f"{node}.{random}.{_mac(secret, node, random)}"

    def owner(self, sid: str) -> Owner | None:
        """The other node that a sid names, if a node of the cluster has made it and that one lives."""
        secret = self._nodes.secret
        match = _SID.fullmatch(sid) if secret is not None else None
        if match is None or match[1] == self._nodes.id:
            return None
        assert secret is not None
        if not hmac.compare_digest(_mac(secret, match[1], match[2]), match[3]):
            return None
        address = self._nodes.address_of(match[1])
        return None if address is None else Owner(match[1], address)

    def owner_of_head(self, head: bytes) -> Owner | None:
        """The same for the sid in the first line of a request head."""
        found = _IN_QUERY.findall(head, 0, head.find(b"\r\n"))
        return self.owner(found[-1].decode("ascii")) if found else None


def _mac(secret: bytes, node: str, random: str) -> str:
    digest = hmac.digest(secret, f"wsservice sid\0{node}\0{random}".encode("ascii"), "sha256")
    return urlsafe_b64encode(digest[:_MAC]).decode("ascii").rstrip("=")
