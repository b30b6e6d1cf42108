"""Who is in the cluster: every node says once a second that it lives, and hears who else does.

One script writes the node's own entry, by Redis's clock, and reads all. An entry that has not been written for
`DEAD_AFTER` seconds is a dead node's, or one that has been stopped: nobody waits for it any more.

What a node writes elsewhere (presence, connections of users) bears its `tag`: its id, and how often it has begun anew:
when it was connected to Redis, and when it had been silent for so long that others took it for dead. So nothing that
it could not take back while Redis was away counts after that, and it writes everything once more. It says that it
lives before it writes anything: what bears a tag that Redis does not know is a dead node's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.script import Script
from wsservice.auth.providers.base import Readiness
from wsservice.errors import RedisRefused

log = Logger()

#: seconds between two signs of life, and after which a silent node is taken for dead
INTERVAL, DEAD_AFTER = 1.0, 3.0
#: seconds of silence after which others end a node's subscriptions: Node's nodes wait for the answers of all who are
#: subscribed, and a machine that lost its power would be for minutes
CUT_AFTER = 10.0
_CUT = CUT_AFTER - DEAD_AFTER
#: seconds for which a dead node's entry is kept, for those who look at what it left
_KEPT = 600
#: seconds between two times that everything is written anew since something was not written
_COMPLETE = 10.0

_BEAT = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids, about = KEYS[1], KEYS[2]
local before = redis.call('ZSCORE', ids, ARGV[1])
redis.call('ZADD', ids, now, ARGV[1])
redis.call('HSET', about, ARGV[1], ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ids, '-inf', now - ARGV[4])) do
    redis.call('ZREM', ids, id)
    redis.call('HDEL', about, id)
end
redis.call('SET', KEYS[3], ARGV[5], 'NX')
local is_known = before and tonumber(before) > now - ARGV[3]
local found = {redis.call('GET', KEYS[3]), is_known and '1' or '0'}
local all = redis.call('ZRANGE', ids, 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
    local is_live = tonumber(all[i + 1]) > now - ARGV[3]
    found[#found + 1] = is_live and '1' or '0'
    found[#found + 1] = redis.call('HGET', about, all[i]) or ''
end
return found
"""
)


class Node(msgspec.Struct, frozen=True, gc=False):
    """What a node says of itself.

    Attributes:
        id: random, for the life of a process.
        epoch: how often it has begun anew.
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
    """This node, and those that live."""

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        clock: IReactorTime,
    ) -> None:
        self.id = secrets.token_hex(6)
        self.secret: bytes | None = None
        self._link = link
        self._keys = keys
        self._clock = clock
        self._address = ""
        #: are called with the ids of nodes that are not heard of any more
        self.on_died: list[Callable[[frozenset[str]], None]] = []
        #: are called when this node has another tag: what it wrote must be written again
        self.on_anew: list[Callable[[], None]] = []
        self._epoch = 0
        self._live: dict[str, Node] = {}
        #: those that are silent, and may still be subscribed to channels
        self._silent: frozenset[str] = frozenset()
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock
        #: since when a node is silent, as far as this one has seen; None once it was cut off
        self._silent_since: dict[str, float | None] = {}
        #: why Redis takes no signs of life; empty where it does
        self._refused = ""
        #: whether something was not written that must be, and when it was found out last
        self._is_incomplete = False
        self._completed_at = -_COMPLETE
        self._decode = msgspec.json.Decoder(Node).decode
        link.name = _name_of(self.id)
        link.on_up.append(self._up)

    @property
    def own(self) -> Node:
        """This node."""
        return Node(self.id, self._epoch, self._address)

    @property
    def last_tag(self) -> str:
        """The one before it began anew."""
        return Node(self.id, self._epoch - 1).tag

    @property
    def live(self) -> Mapping[str, Node]:
        """All that live, by their ids, as far as is known; this one is always among them."""
        return {**self._live, self.id: self.own}

    @property
    def others(self) -> frozenset[str]:
        """The ids of all others that are known, the silent ones among them."""
        return (self._silent | self._live.keys()) - {self.id}

    def is_live(self, tag: str) -> bool:
        """Whether what bears this tag counts."""
        node = self._live.get(tag.partition(".")[0])
        return tag == self.own.tag or (node is not None and node.tag == tag)

    def address_of(self, node_id: str) -> str | None:
        """Where a node that lives is reached; None for one that does not, or tells no address."""
        node = self._live.get(node_id)
        return node.address or None if node is not None else None

    def listening(self, address: str) -> None:
        """Others reach this node there, from now on."""
        self._address = address
        self._beat()

    def readiness(self) -> Readiness:
        """Whether Redis takes this node's signs of life: to others it is dead if not."""
        if not self._refused:
            return Readiness(True, "")
        return Readiness(False, f"Redis takes no signs of life of this node: {self._refused}")

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

    def look(self) -> Deferred[None]:
        """Say that this node lives, and hear who else does, now; fires when that is done or has failed."""
        return self._beat() or succeed(None)

    def _up(self) -> None:
        self._link.take_unwritten()
        self._is_incomplete = False
        self._epoch += 1
        self._beat(is_first=True)
        for told in self.on_anew:
            told()

    def _tick(self) -> None:
        self._beat()  # the next one does not wait for its answer

    def _beat(self, *, is_first: bool = False) -> Deferred[None] | None:
        if not self._link.is_up:
            return None
        epoch = self._epoch
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
        return beating.addCallback(self._heard, None if is_first else epoch).addErrback(self._unheard)

    def _heard(self, found: list[bytes], epoch: int | None) -> None:
        if self._refused:
            self._refused = ""
            log.info("Redis takes signs of life of this node again")
        self.secret = found[0]
        if found[1] == b"0" and epoch == self._epoch:
            log.warn("this node was silent for too long, and others took it for dead")
            self._up()
        else:
            self._complete()
        live: dict[str, Node] = {}
        silent = set()
        for is_live, text in zip(found[2::2], found[3::2], strict=True):
            try:
                node = self._decode(text)
            except msgspec.DecodeError:  # somebody else's
                continue
            if is_live == b"1":
                live[node.id] = node
            else:
                silent.add(node.id)
        dead = frozenset(self._live.keys() - live.keys() - {self.id})
        self._live, self._silent = live, frozenset(silent)
        if dead:
            log.warn("nodes that are not heard of any more: {nodes}", nodes=", ".join(sorted(dead)))
            for told in self.on_died:
                told(dead)
        self._cut_off(silent)

    def _complete(self) -> None:
        """Begin anew where something could not be written, or taken back, while Redis was full or slow."""
        self._is_incomplete |= self._link.take_unwritten()
        now = self._clock.seconds()
        if self._is_incomplete and now - self._completed_at >= _COMPLETE:
            self._completed_at = now
            log.warn("Redis did not take all that was written: who is here is written anew")
            self._up()

    def _cut_off(self, silent: set[str]) -> None:
        """End the subscriptions of those who have been silent for long; whoever of them lives on connects again."""
        now = self._clock.seconds()
        known = self._silent_since
        self._silent_since = {node: known.get(node, now) for node in silent}
        due = {node for node, since in self._silent_since.items() if since is not None and now - since >= _CUT}
        if due:
            self._silent_since |= dict.fromkeys(due)
            listing: Deferred[bytes] = self._link.command(b"CLIENT", b"LIST", b"TYPE", b"pubsub")
            listing.addCallback(self._kill, due).addErrback(_ignore)  # who may not list them does without

    def _kill(self, clients: bytes, due: set[str]) -> None:
        names = {b"name=" + _name_of(node).encode(): node for node in due}
        for line in clients.splitlines():
            words = line.split(b" ")
            found = [names[word] for word in words if word in names]
            if found and words[0].startswith(b"id="):
                log.warn("the subscriptions of node {node}, which is silent, are ended", node=found[0])
                self._link.tell(b"CLIENT", b"KILL", b"ID", words[0][3:])

    def _unheard(self, failure: Failure) -> None:
        reason = failure.getErrorMessage()
        if isinstance(failure.value, RedisRefused):
            if not self._refused:
                log.error(
                    "Redis takes no signs of life of this node ({reason}): to others it is dead until it does; see to "
                    "Redis's memory and disk, and to what its user may do",
                    reason=reason,
                )
            self._refused = reason
        else:
            log.debug("no sign of life could be given: {reason}", reason=reason)


def _name_of(node: str) -> str:
    """Of its subscribed connection, for Redis."""
    return f"wsservice-{node}"


def _ignore(_: Failure) -> None:
    return None
