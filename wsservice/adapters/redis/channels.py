"""The channels of a namespace in the classic cluster: their names, and what one tells. Pure; SOCKETIO.md section 2.1.

    <key>#<namespace>#                    broadcasts; with them, by one pattern:
    <key>#<namespace>#<room>#             broadcasts for exactly one room, read by those who have it
    <key>-request#<namespace>#            requests to all nodes
    <key>-response#<namespace>#           answers
    <key>-response#<namespace>#<uid>#     answers to one node, from nodes with `publishOnSpecificResponseChannel`

A namespace's name may hold a `#`: then the pattern of `/a` gets the messages of `/a#b`, too, as if they were for
a room. The namespace within the message decides. Clients may name such a namespace: no channel of it is another one's,
since the uids of our nodes have a comma.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: the room of what no other program's connections may get; its name is nobody's id
NOBODY = "\x00wsservice"

_GLOB = re.compile(rb"([*?\[\]\\])")


class Channels:
    """The channels of one namespace.

    Args:
        key: the prefix, which all nodes share (`--adapter-key`).

    Attributes:
        broadcast: for everybody, or for rooms that are not exactly one.
        pattern: for PSUBSCRIBE: `broadcast` and the channels of all rooms.
    """

    __slots__ = ("broadcast", "namespace", "pattern", "request", "response")

    def __init__(self, key: str, namespace: str) -> None:
        self.namespace = namespace
        self.broadcast = _utf8(f"{key}#{namespace}#")
        self.pattern = _GLOB.sub(rb"\\\1", self.broadcast) + b"*"
        self.request = _utf8(f"{key}-request#{namespace}#")
        self.response = _utf8(f"{key}-response#{namespace}#")

    def room(self, room: str | None) -> bytes:
        """The channel of a broadcast for one room; with None that of the others."""
        return self.broadcast if room is None else self.broadcast + _utf8(room) + b"#"

    def response_to(self, uid: str) -> bytes:
        """The channel of the answers to one node."""
        return self.response + _utf8(uid) + b"#"

    def is_wanted(self, channel: bytes, has_room: Callable[[str], bool]) -> bool:
        """Whether a message of this channel is worth decoding: asked before all else."""
        if channel == self.broadcast:
            return True
        if not channel.startswith(self.broadcast):
            return False
        room = channel[len(self.broadcast) : -1].decode("utf-8", "replace")
        return not room or room == NOBODY or has_room(room)


def uid_of(node: str) -> str:
    """What one of our nodes is called in requests; no namespace holds a comma, so it is never the end of one's name."""
    return f"{node},"


def any_namespace(key: str) -> bytes:
    """For PSUBSCRIBE: the channels of broadcasts of all namespaces."""
    return _GLOB.sub(rb"\\\1", _utf8(key) + b"#/") + b"*"


def _utf8(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes U+FFFD, as in Node."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
