"""The names of what a cluster keeps in Redis, below one prefix. Pure."""

from __future__ import annotations


class Keys:
    """Keys and channels of this product's own; those of the classic adapter stand in its codec.

    Args:
        prefix: `--adapter-key`.
    """

    def __init__(self, prefix: str) -> None:
        own = f"{prefix}:ws".encode()
        self._own = own
        #: ids of nodes, by the time of their last sign of life; and what they say of themselves
        self.nodes, self.about_nodes = own + b":nodes", own + b":about"
        #: what session ids are signed with
        self.secret = own + b":secret"
        #: sessions that were signed out, by the end of their last token
        self.ended = own + b":ended"
        #: users that signed out everywhere, and when, by the end of their last token
        self.ended_users = own + b":ended_users"
        #: events that can be recovered; who records those of others
        self.events, self.recorder = own + b":events", own + b":recorder"
        #: channels: what nodes tell each other; recorded events of others
        self.control, self.recorded = own + b":control", own + b":recorded"

    def barrier(self, node: str) -> bytes:
        """The channel by which a node hears that everything before has come."""
        return self._own + b":barrier:" + node.encode()

    def saved(self, pid: str) -> bytes:
        """A connection, for the case that it breaks."""
        return self._own + b":saved:" + pid.encode()

    def user(self, user: str) -> bytes:
        """A user's connections."""
        return self._own + b":user:" + user.encode()

    def room(self, namespace: str, room: str | None) -> bytes:
        """Who is in a room, or in the namespace."""
        if room is None:
            return self._own + b":all:" + namespace.encode()
        # a namespace holds no comma
        return b"%s:in:%s,%s" % (self._own, namespace.encode(), room.encode("utf-8", "surrogatepass"))
