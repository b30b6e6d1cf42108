"""The stream of events as a node reads it when it (again) has Redis: what it missed, or that this is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from wsservice.adapters.redis.held import Held
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.positions import after, before, parse_position, write_position
from wsservice.adapters.redis.script import Script
from wsservice.adapters.redis.shared_history import SharedHistory

log = Logger()

#: entries of the stream that are read at a time: at first, and at most; and bytes that they should not much exceed
_FIRST_PAGE, _PAGE, _PAGE_BYTES = 50, 500, 1024 * 1024

#: KEYS: the stream. ARGV: the last entry that the node has (or none), the id behind it, and its milliseconds. Gives
#: the time, the first entry's id, and whether that last entry is there. A stream is never empty after that, and its
#: ids go on behind those that the node knows, should Redis have lost them, and its clock be behind.
_BEGIN = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local has = 1
if ARGV[1] ~= '' and #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then has = 0 end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or has == 0 then
    if now <= tonumber(ARGV[3]) then
        redis.pcall('XADD', KEYS[1], ARGV[2], 'begins', '')
    elseif not first then
        redis.call('XADD', KEYS[1], '*', 'begins', '')
    end
    first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
end
return {time[1], time[2], first[1], has}
"""
)


class Stream:
    """Reads the stream into a history.

    Args:
        held: what is heard meanwhile.
        apply: gets the position and the message of each entry that is read.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        history: SharedHistory,
        held: Held,
        apply: Callable[[int, bytes], None],
    ) -> None:
        self._link = link
        self._keys = keys
        self._history = history
        self._held = held
        self._apply = apply
        self._has_begun = False
        #: of which the history has every entry behind it; not of an entry that there is
        self._start = 0

    async def read(self, is_current: Callable[[], bool]) -> bool:
        """Read what was recorded while this node could not hear; returns whether `is_current` was true all the time.

        Raises:
            RedisUnavailable, RedisRefused: it cannot be read now.
        """
        history, link = self._history, self._link
        recorded = history.recorded
        last = write_position(recorded) if recorded != self._start else ""
        marker = [last, write_position(after(recorded)), last.partition("-")[0] or 0]
        seconds, micros, first_id, has = await link.script(_BEGIN, [self._keys.events], marker)
        if not is_current():
            return False
        first, now = _number(first_id), int(seconds) * 1000 + int(micros) // 1000
        if not self._has_begun:
            beginning = await self._find_beginning(max(0, now - int(history.window * 1000)))
            if not is_current():
                return False
            history.begin(before(first) if beginning is None else beginning)
            self._has_begun = True
            self._start = history.recorded if beginning is None else -1
        elif not has or (not last and first > recorded):
            self._lost(first, _number(b"%d-0" % now))
        count = _FIRST_PAGE
        while True:
            self._held.has_let_go = False
            start = f"({write_position(history.recorded)}".encode()
            page: list[Any] = await link.command(b"XRANGE", self._keys.events, start, b"+", b"COUNT", count)
            if not is_current():
                return False
            for offset, fields in page:
                self._read_entry(_number(offset), fields)
            if len(page) < count and not self._held.has_let_go:
                return True
            count = _next_page(count, sum(len(field) for _, fields in page for field in fields))

    async def _find_beginning(self, since: int) -> int | None:
        """The position of the last entry before the window, if there is one.

        A client that has seen no later one has missed nothing that is read now, whenever this node was started.
        """
        command = b"XREVRANGE", self._keys.events, b"%d-0" % since, b"-", b"COUNT", 1
        found: list[Any] = await self._link.command(*command)
        return _number(found[0][0]) if found else None

    def _lost(self, first: int, now: int) -> None:
        self._give_up(first)
        history = self._history
        if first > history.recorded:
            history.lose(before(first), before(first))
        else:
            history.lose(history.recorded, now)
        self._start = history.recorded

    def _give_up(self, first: int) -> None:
        """What was heard of the stream that there was."""
        for step in self._held.take_before(first):
            step()
        self._history.count_gap()
        log.warn("Redis no longer has what was recorded meanwhile: clients that were away then cannot recover")

    def _read_entry(self, position: int, fields: list[bytes]) -> None:
        for step in self._held.take_before(position):
            step()
        names = dict(zip(fields[::2], fields[1::2], strict=False))
        message = names.get(b"m")
        if message is not None:
            self._apply(position, message)
        if self._history.recorded < position:  # it is no event, or none that can be read
            self._history.pass_by(position)


def _next_page(count: int, size: int) -> int:
    """How many entries to read after a page of so many, with so many bytes: twice as many, if these are small."""
    return max(1, min(2 * count, _PAGE, count * _PAGE_BYTES // max(1, size)))


def _number(offset: bytes) -> int:
    position = parse_position(offset.decode("ascii"))
    assert position is not None
    return position
