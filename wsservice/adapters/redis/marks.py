"""Marks in Redis that say "this connection is here": fields of hashes, which a dead node's connections do not outlive.

A field is `<the node's tag>:<connection id>`. Whoever reads a hash leaves out what no living node has marked, and
takes it away. A hash ends by itself unless a living node prolongs it. When a node begins anew (see `nodes`) it marks
everything again, by its new tag.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.nodes import Nodes
from wsservice.adapters.redis.pacing import Pacing

#: seconds that a hash lives unless it is prolonged, and how often it is
_LIFE, _PROLONG = 600, 200
#: fields of a hash that are written by one command
_CHUNK = 100


class Marks:
    """This node's marks, all of them; and who else's count."""

    def __init__(self, link: RedisLink, nodes: Nodes, clock: IReactorTime) -> None:
        self._link = link
        self._nodes = nodes
        self._rewriting, self._prolonging = Pacing(link), Pacing(link)
        #: what is marked: hash -> connection id -> value
        self._marks: dict[bytes, dict[str, bytes]] = {}
        self._loop = LoopingCall(self._prolong)
        self._loop.clock = clock
        nodes.on_anew.append(self._again)

    def start(self) -> None:
        """Begin to prolong."""
        self._loop.start(_PROLONG, now=False)

    def stop(self) -> None:
        """Take every mark back, so that nobody has to find out."""
        if self._loop.running:
            self._loop.stop()
        self._rewriting.stop()
        self._prolonging.stop()
        if self._link.is_up:
            for key, members in self._marks.items():
                self._link.tell(b"HDEL", key, *map(self.field, members))
        self._marks.clear()

    @property
    def tag(self) -> str:
        """What this node's marks begin with."""
        return self._nodes.own.tag

    def field(self, connection_id: str) -> bytes:
        """How a connection of this node is marked."""
        return f"{self.tag}:{connection_id}".encode()

    def is_live(self, field: bytes) -> bool:
        """Whether a field is a living node's."""
        return self._nodes.is_live(field.partition(b":")[0].decode("ascii", "replace"))

    def put(self, key: bytes, connection_id: str, value: bytes, *, is_there: bool = False) -> None:
        """Mark a connection in a hash; `is_there` where that was done by other means."""
        members = self._marks.get(key)
        is_first = members is None
        if members is None:
            members = self._marks[key] = {}
        members[connection_id] = value
        if self._link.is_up:
            if not is_there:
                self._link.tell(b"HSET", key, self.field(connection_id), value)
            if is_first:
                self._link.tell(b"EXPIRE", key, _LIFE)

    def drop(self, key: bytes, connection_id: str) -> None:
        """Take a mark back; if there is none, nothing happens."""
        members = self._marks.get(key)
        if members is None or members.pop(connection_id, None) is None:
            return
        if not members:
            del self._marks[key]
        if self._link.is_up:
            self._link.tell(b"HDEL", key, self.field(connection_id))

    def clean(self, key: bytes, dead: list[bytes]) -> None:
        """Take away what dead nodes have marked."""
        if dead and self._link.is_up:
            self._link.tell(b"HDEL", key, *dead)

    def _again(self) -> None:
        self._rewriting.begin(self._rewrite())

    def _prolong(self) -> None:
        self._prolonging.begin(self._expire(list(self._marks)))

    def _rewrite(self) -> Iterator[int]:
        """Mark everything by the new tag; there may be hundreds of thousands, and as many in one hash."""
        for key in list(self._marks):
            members = self._marks.get(key, {})
            ids, is_first = list(members), True
            for start in range(0, len(ids), _CHUNK):
                chunk = [one for one in ids[start : start + _CHUNK] if one in members]  # some have left meanwhile
                if not chunk:
                    continue
                self._link.tell(b"HDEL", key, *(f"{self._nodes.last_tag}:{one}" for one in chunk))
                self._link.tell(b"HSET", key, *(word for one in chunk for word in (self.field(one), members[one])))
                if is_first:
                    is_first = False
                    self._link.tell(b"EXPIRE", key, _LIFE)
                yield len(chunk)

    def _expire(self, keys: list[bytes]) -> Iterator[int]:
        for key in keys:
            if key in self._marks:
                self._link.tell(b"EXPIRE", key, _LIFE)
                yield 1
