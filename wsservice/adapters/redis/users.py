"""How many connections a user has, in every process: counted by one script when one more is to open."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.marks import Marks
from wsservice.adapters.redis.nodes import DEAD_AFTER
from wsservice.adapters.redis.script import Script
from wsservice.connection import Connection
from wsservice.hub import Hub

#: takes away what dead nodes have marked, then counts. It finds out itself who lives: a new node is not known here yet.
#: KEYS: the user's hash, those of `Nodes`. ARGV: the field, the time, the limit, whether the oldest makes room,
#: milliseconds after which a silent node is dead, this node's tag. Gives whether it may open, and the field of the one
#: replaced.
_ADMIT = Script(
    """
local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[5]
local known = {[ARGV[6]] = true}
local function is_live(tag)
    if known[tag] == nil then
        local id, epoch = string.match(tag, '^([^.]*)%.(%d+)$')
        local seen = id and redis.call('ZSCORE', KEYS[2], id)
        local about = seen and tonumber(seen) > since and redis.call('HGET', KEYS[3], id)
        known[tag] = about and string.match(about, '"epoch":(%d+)') == epoch or false
    end
    return known[tag]
end
local all, count, oldest, oldest_time = redis.call('HGETALL', KEYS[1]), 0, nil, nil
for i = 1, #all, 2 do
    if is_live(string.match(all[i], '^[^:]*')) then
        count = count + 1
        local opened = tonumber(all[i + 1]) or 0
        if not oldest_time or opened < oldest_time then oldest, oldest_time = all[i], opened end
    else
        redis.call('HDEL', KEYS[1], all[i])
    end
end
local replaced = ''
if count >= tonumber(ARGV[3]) then
    if ARGV[4] == '0' or not oldest then return {0, ''} end
    redis.call('HDEL', KEYS[1], oldest)
    replaced = oldest
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return {1, replaced}
"""
)


class Users:
    """Counts where `--max-connections-per-user` is set.

    Args:
        replace: closes a connection of another node, by its id, since its user opened one too many.
    """

    def __init__(self, link: RedisLink, keys: Keys, marks: Marks, hub: Hub, replace: Callable[[str], None]) -> None:
        self._link = link
        self._keys = keys
        self._marks = marks
        self._hub = hub
        self._replace = replace

    def admit(self, connection: Connection) -> Deferred[bool] | None:
        """See `Adapter.admit`; without Redis this process's own count has to do."""
        limits = self._hub.limits
        if not limits.per_user:
            return None
        now = str(int(time.time() * 1000)).encode()
        if not self._link.is_up:
            self._marks.put(self._keys.user(connection.user.id), connection.id, now)  # to be counted later
            return None
        asking: Deferred[list[bytes]] = self._link.script(
            _ADMIT,
            [self._keys.user(connection.user.id), self._keys.nodes, self._keys.about_nodes],
            [
                self._marks.field(connection.id),
                now,
                limits.per_user,
                int(limits.when_full == "replace"),
                int(DEAD_AFTER * 1000),
                self._marks.tag,
            ],
        )
        answer: Deferred[bool] = asking.addCallbacks(
            self._counted, self._uncounted, callbackArgs=(connection, now), errbackArgs=(connection, now)
        )
        return answer

    def removed(self, connection: Connection) -> None:
        """A connection has ended."""
        if self._hub.limits.per_user:
            self._marks.drop(self._keys.user(connection.user.id), connection.id)

    def _counted(self, answer: list[bytes], connection: Connection, now: bytes) -> bool:
        may_open, replaced = bool(answer[0]), answer[1]
        if not may_open or replaced:
            self._hub.alarm("connections_per_user", "--max-connections-per-user")
        if replaced:
            self._replace(replaced.partition(b":")[2].decode())
        if may_open:
            self._mark(connection, now, is_there=True)
        return may_open

    def _uncounted(self, failure: Failure, connection: Connection, now: bytes) -> bool:
        self._hub.counters.add("cluster_faults", "count")
        self._mark(connection, now)
        return True

    def _mark(self, connection: Connection, now: bytes, *, is_there: bool = False) -> None:
        key = self._keys.user(connection.user.id)
        self._marks.put(key, connection.id, now, is_there=is_there)
        if not connection.is_open:  # it left meanwhile, and the registry will not tell
            self._marks.drop(key, connection.id)
