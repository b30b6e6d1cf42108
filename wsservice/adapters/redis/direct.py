"""Broadcasts where nothing is to be recovered: delivered here at once, and published for the others."""

from __future__ import annotations

from wsservice.adapters.local import Local
from wsservice.adapters.redis.channels import Channels
from wsservice.adapters.redis.classic import Classic
from wsservice.adapters.redis.classic_broadcast import decode_broadcast, encode_broadcast
from wsservice.adapters.redis.foreign import ForeignMessage
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.refusals import Refusals
from wsservice.auth.providers.base import Readiness
from wsservice.messages import Broadcast


class Direct:
    """See the module's docstring.

    Args:
        node: this node's id; its own broadcasts come back, and are left alone.
    """

    def __init__(self, link: RedisLink, node: str, local: Local, classic: Classic, refusals: Refusals) -> None:
        self._link = link
        self._node = node
        self._local = local
        self._classic = classic
        self._refusals = refusals

    def start(self) -> None:
        """Nothing waits here."""

    def stop(self) -> None:
        """Nothing is left here."""

    def ended(self) -> None:
        """Nothing was left here."""

    def readiness(self) -> Readiness:
        """Nothing is written for it."""
        return Readiness(True, "")

    def broadcast(self, broadcast: Broadcast) -> None:
        """Send to everybody; see `Adapter.broadcast`."""
        room, payload = encode_broadcast(self._node, broadcast)
        self._local.deliver(broadcast)
        self._link.publish(self._classic.channels(broadcast.target.namespace).room(room), payload)

    def received(self, channels: Channels, channel: bytes, payload: bytes) -> None:
        """A broadcast of a namespace; what is for a room that nobody here is in is not read."""
        if not channels.is_wanted(channel, lambda room: self._local.has_room(channels.namespace, room)):
            return
        try:
            received = decode_broadcast(payload)
            if received.uid != self._node and received.broadcast.target.namespace == channels.namespace:
                self._local.deliver(received.broadcast)
        except ForeignMessage as error:
            self._refusals.refuse(channel, error.word)
        except (TypeError, ValueError):  # what no client of ours can be sent
            self._refusals.refuse(channel, "unsendable")

    def foreign(self, channel: bytes, broadcast: Broadcast) -> None:
        """A broadcast that came in another form; it is delivered here, as each node does that reads it."""
        try:
            self._local.deliver(broadcast)
        except (TypeError, ValueError):
            self._refusals.refuse(channel, "unsendable")
