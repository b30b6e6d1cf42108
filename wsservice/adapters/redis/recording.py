"""Broadcasts where clients can recover: recorded in a Redis stream, and delivered by every node in the stream's order.

One script adds an event to the stream and publishes it with the id that it got there. So what the subscription brings
has the stream's own order, and every node, the sender too, delivers it when it comes: offsets ascend wherever a
client is.

up        own events wait until they come back
behind    Redis is away, or what was missed is being read: own events are delivered at once ("early"), and wait
          to be recorded; then they are sent, and not delivered again here

Events that wait are bounded; past it the oldest are dropped and counted: they are lost to the other nodes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.adapters.local import Local
from wsservice.adapters.redis.channels import Channels
from wsservice.adapters.redis.classic import Classic
from wsservice.adapters.redis.classic_broadcast import Received, decode_broadcast, encode_broadcast
from wsservice.adapters.redis.foreign import ForeignMessage
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.others import Others
from wsservice.adapters.redis.refusals import Refusals
from wsservice.adapters.redis.script import Script
from wsservice.adapters.redis.shared_history import SharedHistory, parse_position, write_position
from wsservice.errors import RedisRefused, RedisUnavailable
from wsservice.history import MAX_EVENTS
from wsservice.messages import Broadcast

log = Logger()

#: seconds that an event waits for its return before it is delivered early: Redis is slow, or hangs
PATIENCE = 1.0
#: entries of the stream that are read at a time
_PAGE = 500
#: what an event that waits costs beside its bytes
_OVERHEAD = 500

#: KEYS: the stream. ARGV: the most entries, the channel, the message (an array of 3). It is published as an array of 4.
_RECORD = Script(
    """
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'm', ARGV[3])
redis.call('PUBLISH', ARGV[2], '\\148' .. string.sub(ARGV[3], 2) .. string.char(217, #id) .. id)
return id
"""
)


@dataclass(slots=True)
class _Waiting:
    """An own event that has not come back; `early` is the position at which it was delivered here."""

    broadcast: Broadcast
    since: float
    size: int
    early: int | None = None


class Recording:
    """See the module's docstring.

    Args:
        node: this node's id.
        max_bytes: of events that wait.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        clock: IReactorTime,
        node: str,
        local: Local,
        classic: Classic,
        refusals: Refusals,
        history: SharedHistory,
        *,
        max_bytes: int,
    ) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._node = node
        self._local = local
        self._classic = classic
        self._refusals = refusals
        self._history = history
        self._max_bytes = max_bytes
        self._is_behind = True
        self._has_begun = False
        self._serial = 0
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._waiting_bytes = 0
        #: what was recorded while the stream was being read
        self._held: deque[Callable[[], None]] = deque()
        self._has_skipped = False
        self._has_entry = False
        self._reading = 0
        self._barriers: OrderedDict[bytes, Deferred[None]] = OrderedDict()
        self._barrier_channel = keys.barrier(node)
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._others = Others(link, keys, clock, node, self._deliver_unrecorded, local.hub.counters)
        link.subscribe(self._barrier_channel, self._in_turn)
        link.subscribe(keys.recorded, self._in_turn)
        link.on_up.append(self._up)
        link.on_down.append(self._down)

    def start(self) -> None:
        """Begin to look after events that wait."""
        self._loop.start(PATIENCE / 4, now=False)
        self._others.start()

    def stop(self) -> None:
        """End; what waits still is lost to the others, and counted."""
        if self._loop.running:
            self._loop.stop()
        self._others.stop()
        if self._waiting:
            self._local.hub.counters.add("cluster_dropped", "stopped", len(self._waiting))

    def broadcast(self, broadcast: Broadcast) -> None:
        """Send to everybody; see `Adapter.broadcast`."""
        if broadcast.volatile:  # nobody recovers it
            room, payload = encode_broadcast(self._node, broadcast)
            self._local.deliver(broadcast)
            self._link.publish(self._channel(broadcast, room), payload)
            return
        self._serial += 1
        serial = self._serial
        room, payload = encode_broadcast(self._node, broadcast, serial=serial)
        waiting = _Waiting(broadcast, self._clock.seconds(), len(payload) + _OVERHEAD)
        if self._is_behind:
            self._deliver_early(waiting)
        self._waiting[serial] = waiting
        self._waiting_bytes += waiting.size
        if not self._is_behind:
            self._record(serial, self._channel(broadcast, room), payload)
        while self._waiting_bytes > self._max_bytes and len(self._waiting) > 1:
            self._drop(next(iter(self._waiting)), "queue_full")

    def received(self, channels: Channels, channel: bytes, payload: bytes) -> None:
        """A broadcast of a namespace."""
        try:
            received = decode_broadcast(payload)
        except ForeignMessage as error:
            self._refusals.refuse(channel, error.word)
            return
        if received.offset is not None:
            self._apply_in_turn(received, received.offset)
        elif received.uid == self._node:
            pass
        elif received.broadcast.volatile:
            self._deliver_unrecorded(received.broadcast)
        else:
            self._others.received(payload, received.broadcast)

    def foreign(self, channel: bytes, broadcast: Broadcast) -> None:
        """A broadcast that came in another form: each node that reads it makes the same message of it."""
        room, payload = encode_broadcast("python", broadcast)
        self.received(self._classic.channels(broadcast.target.namespace), self._channel(broadcast, room), payload)

    def barrier(self) -> Deferred[None]:
        """Fires once every event that was recorded before this call is here."""
        if not self._link.is_up:
            return fail(RedisUnavailable("Redis is away"))
        self._serial += 1
        token = str(self._serial).encode()
        passed = self._barriers[token] = Deferred()
        self._link.say(self._barrier_channel, token)
        return passed

    # Own events

    def _channel(self, broadcast: Broadcast, room: str | None) -> bytes:
        return self._classic.channels(broadcast.target.namespace).room(room)

    def _record(self, serial: int, channel: bytes, payload: bytes) -> None:
        recording = self._link.send_script(_RECORD, [self._keys.events], [MAX_EVENTS, channel, payload])
        recording.addErrback(self._unrecorded, serial)

    def _unrecorded(self, failure: Failure, serial: int) -> None:
        error = failure.value
        if isinstance(error, RedisRefused):  # it will not be, however often we ask
            waiting = self._waiting.get(serial)
            if waiting is not None:
                if waiting.early is None:
                    self._deliver_early(waiting)
                self._drop(serial, "refused")
                self._refusals.refuse(self._keys.events, f"redis_{error.code.lower()}")
        # else Redis is away: what was recorded all the same is found in the stream later

    def _drop(self, serial: int, reason: str) -> None:
        waiting = self._waiting.pop(serial)
        self._waiting_bytes -= waiting.size
        if waiting.early is None:
            self._deliver_early(waiting)
        self._local.hub.counters.add("cluster_dropped", reason)

    def _deliver_early(self, waiting: _Waiting) -> None:
        self._local.deliver(waiting.broadcast)
        waiting.early = self._history.position

    def _look(self) -> None:
        """Events that have waited for too long are delivered, in their order."""
        if self._waiting and next(iter(self._waiting.values())).since < self._clock.seconds() - PATIENCE:
            self._deliver_waiting()

    def _deliver_waiting(self) -> None:
        for waiting in self._waiting.values():
            if waiting.early is None:
                self._deliver_early(waiting)

    # Everybody's events

    def _in_turn(self, channel: bytes, payload: bytes) -> None:
        """What comes on a channel of ours, behind what is held."""
        if channel == self._barrier_channel:
            self._hold_or(lambda: self._passed(payload))
        else:
            self._recorded_of_others(channel, payload)

    def _recorded_of_others(self, channel: bytes, message: bytes) -> None:
        """An event of another program, which one of our nodes has recorded."""
        offset, _, payload = message.partition(b" ")
        try:
            received = decode_broadcast(payload)
        except ForeignMessage as error:
            self._refusals.refuse(channel, error.word)
            return
        self._others.recorded(payload)
        self._apply_in_turn(received, offset.decode("ascii", "replace"))

    def _apply_in_turn(self, received: Received, offset: str) -> None:
        if not self._is_behind:
            self._apply(received, offset)
        elif len(self._held) < MAX_EVENTS:
            self._held.append(lambda: self._apply(received, offset))
        else:  # it is in the stream, and found there
            self._has_skipped = True

    def _hold_or(self, step: Callable[[], None]) -> None:
        if self._is_behind:
            self._held.append(step)
        else:
            step()

    def _apply(self, received: Received, offset: str) -> None:
        position = parse_position(offset)
        if position is None or position <= self._history.recorded:
            return
        waiting = None
        if received.uid == self._node:
            waiting = self._waiting.pop(received.serial, None)
            if waiting is not None:
                self._waiting_bytes -= waiting.size
        early = None
        if waiting is not None and waiting.early is not None:
            early = (self._node, waiting.early)
        elif received.early:
            number = parse_position(received.early)
            early = None if number is None else (received.uid, number)
        self._has_entry = True
        try:
            entry = self._history.record(received.broadcast, position, early)
            if early is None or early[0] != self._node:
                self._local.hub.registry.deliver(received.broadcast, entry)
        except (TypeError, ValueError):
            self._refusals.refuse(self._keys.events, "unsendable")

    def _deliver_unrecorded(self, broadcast: Broadcast) -> None:
        try:
            self._local.deliver(broadcast)
        except (TypeError, ValueError):
            self._refusals.refuse(self._keys.events, "unsendable")

    # Away and back

    def _down(self) -> None:
        self._is_behind = True
        self._reading += 1
        self._others.lost()
        self._deliver_waiting()
        barriers, self._barriers = self._barriers, OrderedDict()
        for passed in barriers.values():
            passed.errback(RedisUnavailable("the connection to Redis was lost"))

    def _up(self) -> None:
        self._is_behind = True
        self._reading += 1
        reading = Deferred.fromCoroutine(self._catch_up(self._reading))
        reading.addErrback(partial(self._not_caught_up, self._reading))

    def _not_caught_up(self, reading: int, failure: Failure) -> None:
        if reading != self._reading:  # the link went down meanwhile
            return
        log.warn("recorded events could not be read: {reason}", reason=failure.getErrorMessage())
        self._local.hub.counters.add("cluster_faults", "catch_up")
        self._history.begin(self._history.position)
        self._go_on()

    async def _catch_up(self, reading: int) -> None:
        """Read what was recorded while this node could not hear, then what came meanwhile, and send what waits."""
        link, history = self._link, self._history
        if not self._has_begun:
            position = await self._find_beginning()
            if reading != self._reading:
                return
            history.begin(position)
            self._has_begun = True
        elif self._has_entry and not await self._is_whole():
            self._local.hub.counters.add("cluster_gaps")
            log.warn("Redis no longer has what was recorded meanwhile: clients that were away then cannot recover")
            history.begin(history.position)
            self._has_entry = False
        while True:
            self._has_skipped = False
            start = f"({write_position(history.recorded)}".encode()
            page: list[Any] = await link.command(b"XRANGE", self._keys.events, start, b"+", b"COUNT", _PAGE)
            if reading != self._reading:
                return
            for offset, fields in page:
                self._apply_entry(offset, fields)
            if len(page) < _PAGE and not self._has_skipped:
                break
        self._go_on()

    async def _find_beginning(self) -> int:
        """The position of the last entry before the window; all nodes must agree on it, whenever they were started.

        A client that has seen no later one has missed nothing that is not read now.
        """
        link, events = self._link, self._keys.events
        time: list[bytes] = await link.command(b"TIME")
        since = f"{max(0, int(time[0]) * 1000 - int(self._history.window * 1000))}-0".encode()
        before: list[Any] = await link.command(b"XREVRANGE", events, since, b"-", b"COUNT", 1)
        if before:
            since = before[0][0]
        elif await link.command(b"XLEN", events) < MAX_EVENTS:  # nothing was cut off
            return 0
        position = parse_position(since.decode("ascii", "replace"))
        return 0 if position is None else position

    async def _is_whole(self) -> bool:
        """Whether the last entry that is here is still in the stream, and so are all behind it."""
        last = write_position(self._history.recorded)
        found: list[Any] = await self._link.command(b"XRANGE", self._keys.events, last, last)
        return bool(found)

    def _apply_entry(self, offset: bytes, fields: list[bytes]) -> None:
        try:
            payload = dict(zip(fields[::2], fields[1::2], strict=True))[b"m"]
            received = decode_broadcast(payload)
        except (ForeignMessage, KeyError, ValueError):
            self._refusals.refuse(self._keys.events, "malformed")
            return
        self._others.recorded(payload)
        self._apply(received, offset.decode("ascii", "replace"))

    def _go_on(self) -> None:
        held, self._held = self._held, deque()
        self._is_behind = False
        for step in held:
            step()
        for serial, waiting in list(self._waiting.items()):
            if waiting.early is None:
                self._deliver_early(waiting)
            assert waiting.early is not None
            early = write_position(waiting.early)
            room, payload = encode_broadcast(self._node, waiting.broadcast, serial=serial, early=early)
            self._record(serial, self._channel(waiting.broadcast, room), payload)
        self._others.caught_up()

    def _passed(self, token: bytes) -> None:
        passed = self._barriers.pop(token, None)
        if passed is not None:
            passed.callback(None)
