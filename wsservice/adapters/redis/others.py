"""Events of other programs (Node's nodes, emitters), which know no stream: recorded by one of our nodes, once.

Every node hears them in the same order and puts them into a queue. The recorder, who holds a lease in Redis, adds
each to the stream and tells so; whoever hears that takes it out of its queue, and delivers it. Whoever gets the lease
first waits until it has heard all that was recorded before: what is still in its queue then, nobody has recorded.

A recorder that was cut off for a moment may not have heard what others have. So a lease is taken away from whoever
lets others wait.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.script import Script
from wsservice.counters import Counters
from wsservice.errors import RedisRefused
from wsservice.history import MAX_EVENTS
from wsservice.messages import Broadcast

#: seconds of a lease, how often it is asked for, and after which it is taken from one who does not record
_LEASE, _ASK, _STUCK = 3.0, 1.0, 2.0
#: events that wait, their bytes, and the seconds they do; past it they are delivered unrecorded
_MOST, _MOST_BYTES, _LONGEST = 10_000, 16 * 1024 * 1024, 10.0

#: KEYS: the recorder. ARGV: who asks, milliseconds, whether by force. Gives 0 if it is not the recorder, 1 if it is
#: now, 2 if it was before.
_HOLD = Script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and ARGV[3] == '0' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder == ARGV[1] and 2 or 1
"""
)
#: KEYS: the recorder. ARGV: who gives it back.
_RELEASE = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")
#: KEYS: the stream, the recorder. ARGV: who records, the most entries, the channel, the message. Gives its id, if
#: that still is the recorder.
_RECORD = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return false end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'm', ARGV[4])
redis.call('PUBLISH', ARGV[3], id .. ' ' .. ARGV[4])
return id
"""
)


class _Heard(msgspec.Struct, gc=False, eq=False):
    payload: bytes
    broadcast: Broadcast
    since: float
    is_sent: bool = False


class Others:
    """See the module's docstring.

    Args:
        deliver: delivers an event that nobody records; gives the position that it has here.
        barrier: fires once everything is here that was recorded before.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        clock: IReactorTime,
        node: str,
        *,
        deliver: Callable[[Broadcast], int],
        barrier: Callable[[], Deferred[None]],
        counters: Counters,
    ) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._node = node
        self._deliver = deliver
        self._barrier = barrier
        self._counters = counters
        self._queue: deque[_Heard] = deque()
        self._bytes = 0
        #: another one after each break: what an older connection sent is then refused
        self._term = 0
        self._is_recorder = False
        self._is_asking = False
        #: delivered unrecorded: their positions here
        self._given_up: deque[tuple[bytes, int]] = deque(maxlen=_MOST)
        #: entries of the stream that have been looked for in the queue; where they were delivered before
        self._seen: OrderedDict[int, int] = OrderedDict()
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
            self._link.script(_RELEASE, [self._keys.recorder], [self._name]).addErrback(lambda _: None)

    def caught_up(self) -> None:
        """Everything that was recorded is here."""
        self.lost()
        self._ask()

    def lost(self) -> None:
        """Redis is away."""
        self._term += 1
        self._is_recorder = self._is_asking = False
        for heard in self._queue:
            heard.is_sent = False

    def received(self, payload: bytes, broadcast: Broadcast) -> None:
        """Another program's event."""
        heard = _Heard(payload, broadcast, self._clock.seconds())
        self._queue.append(heard)
        self._bytes += len(payload)
        if self._is_recorder:
            self._record(heard)
        while len(self._queue) > _MOST or (self._bytes > _MOST_BYTES and len(self._queue) > 1):
            self._give_up()

    def recorded(self, payload: bytes, position: int) -> int:
        """Somebody has recorded an event; gives the position at which it was delivered here unrecorded, 0 if not."""
        early = self._seen.get(position)
        if early is not None:
            return early
        for heard in self._queue:
            if heard.payload == payload:
                self._queue.remove(heard)
                self._bytes -= len(payload)
                self._see(position, 0)
                return 0
        for given in self._given_up:
            if given[0] == payload:
                self._given_up.remove(given)
                self._see(position, given[1])
                return given[1]
        return 0

    @property
    def _name(self) -> str:
        return f"{self._node}.{self._term}"

    def _see(self, position: int, early: int) -> None:
        self._seen[position] = early
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)

    def _give_up(self) -> None:
        heard = self._queue.popleft()
        self._bytes -= len(heard.payload)
        self._counters.add("cluster_faults", "unrecorded")
        self._given_up.append((heard.payload, self._deliver(heard.broadcast)))

    def _look(self) -> None:
        while self._queue and self._queue[0].since < self._clock.seconds() - _LONGEST:
            self._give_up()
        self._ask()

    def _ask(self) -> None:
        if not self._link.is_up or self._is_asking:
            return
        self._is_asking = True
        is_stuck = bool(self._queue) and self._queue[0].since < self._clock.seconds() - _STUCK
        asking = self._link.script(
            _HOLD, [self._keys.recorder], [self._name, int(_LEASE * 1000), int(is_stuck and not self._is_recorder)]
        )
        asking.addCallback(self._held, self._term).addErrback(self._not_held, self._term)

    def _held(self, answer: int, term: int) -> Deferred[None] | None:
        if term != self._term:
            return None
        if answer == 2 and self._is_recorder:
            self._record_all(None, term)
            return None
        self._is_recorder = False
        if answer == 0:
            self._is_asking = False
            return None
        return self._barrier().addCallback(self._record_all, term)

    def _record_all(self, _: None, term: int) -> None:
        if term != self._term:
            return
        self._is_asking = False
        self._is_recorder = True
        for heard in list(self._queue):
            if not heard.is_sent:
                self._record(heard)

    def _not_held(self, failure: Failure, term: int) -> None:
        if term == self._term:
            self._is_recorder = self._is_asking = False
            if isinstance(failure.value, RedisRefused):  # nobody can record them
                while self._queue:
                    self._give_up()

    def _record(self, heard: _Heard) -> None:
        heard.is_sent = True
        keys = self._keys
        recording = self._link.send_script(
            _RECORD, [keys.events, keys.recorder], [self._name, MAX_EVENTS, keys.recorded, heard.payload]
        )
        recording.addCallback(self._answered, heard, self._term).addErrback(self._not_held, self._term)

    def _answered(self, offset: bytes | None, heard: _Heard, term: int) -> None:
        if offset is None and term == self._term:  # the lease was over
            heard.is_sent = self._is_recorder = False
