"""Who is in the cluster: every node says once a second that it lives, and hears who else does.

One script writes the node's own entry, by Redis's clock, and reads all. An entry that has not been written for
`DEAD_AFTER` seconds is a dead node's, or one that has been stopped: nobody waits for it any more.

What a node writes elsewhere (presence, connections of users) bears its `tag`: its id, and how often it has been connected to Redis.
So nothing that it could not take back while Redis was away counts after that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.script import Script

log = Logger()

#: seconds between two signs of life, and after which a silent node is taken for dead
INTERVAL, DEAD_AFTER = 1.0, 3.0
#: seconds for which a dead node's entry is kept, for those who look at what it left
_KEPT = 600

_BEAT = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids, about = KEYS[1], KEYS[2]
redis.call('ZADD', ids, now, ARGV[1])
redis.call('HSET', about, ARGV[1], ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ids, '-inf', now - ARGV[4])) do
    redis.call('ZREM', ids, id)
    redis.call('HDEL', about, id)
end
redis.call('SET', KEYS[3], ARGV[5], 'NX')
local found = {redis.call('GET', KEYS[3])}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ids, now - ARGV[3], '+inf')) do
    found[#found + 1] = redis.call('HGET', about, id)
end
return found
"""
)


class Node(msgspec.Struct, frozen=True, gc=False):
    """What a node says of itself.

    Attributes:
        id: random, for the life of a process.
        epoch: how often it has been connected to Redis.
        address: where other nodes reach it; a Twisted client endpoint, or empty.
    """

    id: str
    epoch: int
    address: str = ""

    @property
    def tag(self) -> str:
        """The node at this time of its life; see the module's docstring."""
        return f"{self.id}.{self.epoch}"


class Nodes:
    """This node, and those that live.

    Args:
        address: where others reach it.
        changed: called with the ids of those that are known to be dead since the last look.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        clock: IReactorTime,
        *,
        address: str = "",
        died: Callable[[frozenset[str]], None] = lambda ids: None,
    ) -> None:
        self.id = secrets.token_hex(6)
        self.secret: bytes | None = None
        self._link = link
        self._keys = keys
        self._clock = clock
        self._address = address
        self._died = died
        self._epoch = 0
        self._live: dict[str, Node] = {}
        self._loop = LoopingCall(self._beat)
        self._loop.clock = clock
        self._decode = msgspec.json.Decoder(Node).decode
        link.on_up.append(self._up)

    @property
    def own(self) -> Node:
        """This node."""
        return Node(self.id, self._epoch, self._address)

    @property
    def live(self) -> Mapping[str, Node]:
        """All that live, by their ids, as far as is known; this one is always among them."""
        return {**self._live, self.id: self.own}

    def is_live(self, tag: str) -> bool:
        """Whether what bears this tag counts."""
        node = self._live.get(tag.partition(".")[0])
        return tag == self.own.tag or (node is not None and node.tag == tag)

    def address_of(self, node_id: str) -> str | None:
        """Where a node that lives is reached; None for one that does not, or tells no address."""
        node = self._live.get(node_id)
        return node.address or None if node is not None else None

    def start(self) -> None:
        """Begin to say that this node lives, once Redis can be had."""
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """Say that it lives no more, so that nobody waits for it."""
        if self._loop.running:
            self._loop.stop()
        if self._link.is_up:
            self._link.command(b"ZREM", self._keys.nodes, self.id).addErrback(_ignore)
            self._link.command(b"HDEL", self._keys.about_nodes, self.id).addErrback(_ignore)

    def _up(self) -> None:
        self._epoch += 1
        self._beat()

    def _beat(self) -> None:
        if not self._link.is_up:
            return
        keys = self._keys
        beating: Deferred[list[bytes]] = self._link.script(
            _BEAT,
            [keys.nodes, keys.about_nodes, keys.secret],
            [
                self.id,
                msgspec.json.encode(self.own),
                int(DEAD_AFTER * 1000),
                _KEPT * 1000,
                secrets.token_hex(32),
            ],
        )
        beating.addCallback(self._heard).addErrback(self._unheard)

    def _heard(self, found: list[bytes]) -> None:
        self.secret = found[0]
        live: dict[str, Node] = {}
        for text in found[1:]:
            try:
                node = self._decode(text)
            except msgspec.DecodeError:  # somebody else's
                continue
            live[node.id] = node
        dead = frozenset(self._live.keys() - live.keys() - {self.id})
        self._live = live
        if dead:
            log.warn("nodes that are not heard of any more: {nodes}", nodes=", ".join(sorted(dead)))
            self._died(dead)

    def _unheard(self, failure: Failure) -> None:
        log.debug("no sign of life could be given: {reason}", reason=failure.getErrorMessage())


def _ignore(_: Failure) -> None:
    return None
