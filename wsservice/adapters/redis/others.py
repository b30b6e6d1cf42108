"""Events of other programs (Node's nodes, emitters), which know no stream: recorded by one of our nodes, once.

Every node hears them in the same order and puts them into a queue. The recorder, who holds a lease in Redis, adds
each to the stream and tells so; whoever hears that takes it out of its queue, and delivers it. When a recorder dies,
the next one goes on with its own queue: what is still in there nobody has recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.script import Script
from wsservice.history import MAX_EVENTS
from wsservice.messages import Broadcast

if TYPE_CHECKING:
    from wsservice.counters import Counters

#: seconds of a lease, and how often it is asked for
_LEASE, _ASK = 3.0, 1.0
#: events that wait, and the seconds they do; past it they are delivered unrecorded
_MOST, _LONGEST = 10_000, 10.0

#: KEYS: the recorder. ARGV: a node, milliseconds. Gives whether it is the recorder.
_HOLD = Script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
#: KEYS: the stream, the recorder. ARGV: the node, the most entries, the channel, the message. Gives its id, if the
#: node still is the recorder.
_RECORD = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return false end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'm', ARGV[4])
redis.call('PUBLISH', ARGV[3], id .. ' ' .. ARGV[4])
return id
"""
)


class _Heard(msgspec.Struct, gc=False):
    payload: bytes
    broadcast: Broadcast
    since: float
    is_sent: bool = False


class Others:
    """See the module's docstring.

    Args:
        deliver: delivers an event that nobody records.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        clock: IReactorTime,
        node: str,
        deliver: Callable[[Broadcast], None],
        counters: Counters,
    ) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._node = node
        self._deliver = deliver
        self._counters = counters
        self._queue: deque[_Heard] = deque()
        self._is_recorder = False
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to ask for the lease."""
        self._loop.start(_ASK, now=False)

    def stop(self) -> None:
        """End; somebody else takes over at once."""
        if self._loop.running:
            self._loop.stop()
        if self._is_recorder:
            self._is_recorder = False
            self._link.tell(b"DEL", self._keys.recorder)

    def caught_up(self) -> None:
        """Everything that was recorded is here: what is in the queue still is not."""
        self._is_recorder = False
        for heard in self._queue:
            heard.is_sent = False
        self._look()

    def lost(self) -> None:
        """Redis is away."""
        self._is_recorder = False

    def received(self, payload: bytes, broadcast: Broadcast) -> None:
        """Another program's event."""
        heard = _Heard(payload, broadcast, self._clock.seconds())
        self._queue.append(heard)
        if self._is_recorder:
            self._record(heard)
        if len(self._queue) > _MOST:
            self._give_up()

    def recorded(self, payload: bytes) -> None:
        """Somebody has recorded an event: it is delivered by who tells so."""
        for heard in self._queue:
            if heard.payload == payload:
                self._queue.remove(heard)
                return

    def _give_up(self) -> None:
        self._counters.add("cluster_faults", "unrecorded")
        self._deliver(self._queue.popleft().broadcast)

    def _look(self) -> None:
        while self._queue and self._queue[0].since < self._clock.seconds() - _LONGEST:
            self._give_up()
        if self._link.is_up:
            holding = self._link.script(_HOLD, [self._keys.recorder], [self._node, int(_LEASE * 1000)])
            holding.addCallbacks(self._held, self._not_held)

    def _held(self, is_mine: int) -> None:
        self._is_recorder = bool(is_mine)
        if self._is_recorder:
            for heard in self._queue:
                if not heard.is_sent:
                    self._record(heard)

    def _not_held(self, _: Failure) -> None:
        self._is_recorder = False

    def _record(self, heard: _Heard) -> None:
        heard.is_sent = True
        keys = self._keys
        recording = self._link.send_script(
            _RECORD, [keys.events, keys.recorder], [self._node, MAX_EVENTS, keys.recorded, heard.payload]
        )
        recording.addCallbacks(self._answered, self._not_held, callbackArgs=(heard,))

    def _answered(self, offset: bytes | None, heard: _Heard) -> None:
        if offset is None:  # the lease was over
            heard.is_sent = self._is_recorder = False
