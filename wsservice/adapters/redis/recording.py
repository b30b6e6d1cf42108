"""Broadcasts where clients can recover: recorded in a Redis stream, and delivered by every node in the stream's order.

One script adds an event to the stream and publishes it with the id that it got there. So what the subscription brings
has the stream's own order, and every node, the sender too, delivers it when it comes: offsets ascend wherever a
client is.

up        own events wait until they come back; after `PATIENCE` they are delivered all the same ("early")
behind    Redis is away, or what was missed is being read: own events are delivered at once, early, and wait to be
          recorded; then they are sent, and not delivered again here

Own events have numbers, by which every node knows what it has had, and counts what it has not: `cluster_lost`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.adapters.local import Local
from wsservice.adapters.redis.barriers import Barriers
from wsservice.adapters.redis.catching_up import Stream
from wsservice.adapters.redis.channels import any_namespace
from wsservice.adapters.redis.classic import Classic
from wsservice.adapters.redis.classic_broadcast import Received, decode_broadcast, encode_broadcast
from wsservice.adapters.redis.connections import MAX_MESSAGE
from wsservice.adapters.redis.foreign import ForeignMessage
from wsservice.adapters.redis.held import Held
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.others import Others
from wsservice.adapters.redis.own_events import OwnEvent, OwnEvents
from wsservice.adapters.redis.positions import parse_position
from wsservice.adapters.redis.refusals import Refusals
from wsservice.adapters.redis.script import Script
from wsservice.adapters.redis.shared_history import SharedHistory
from wsservice.auth.providers.base import Readiness
from wsservice.errors import RedisRefused
from wsservice.history import MAX_EVENTS
from wsservice.messages import Broadcast

log = Logger()

#: seconds that an event waits for its return before it is delivered early: Redis is slow, or hangs
PATIENCE = 1.0
#: seconds until the stream is read anew where that failed
_RETRY = 1.0
#: windows for which entries are kept in the stream, and the stream itself when no node lives any more
_WINDOWS, _LIVES = 2, 10
#: how an event is counted that was sent and cannot be recorded
_UNRECORDED = "unrecorded"

#: seconds after which a refusal to record is forgotten: with no event nobody finds out that it is over
_REFUSED_LATELY = 10.0

#: KEYS: the stream. ARGV: the most entries, the channel, the message (an array of 3). It is published as an array of 4.
#: Where it cannot be recorded it is published as it is, and the reason is given in a list; not so by a replica, since
#: its sender finds another master.
_RECORD = Script(
    """
local id = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'm', ARGV[3])
if type(id) == 'table' and id.err then
    if string.find(id.err, 'READONLY', 1, true) then return id end
    redis.call('PUBLISH', ARGV[2], ARGV[3])
    return {id.err}
end
redis.call('PUBLISH', ARGV[2], '\\148' .. string.sub(ARGV[3], 2) .. string.char(217, #id) .. id)
return id
"""
)

#: KEYS: the stream. ARGV: for how long entries are kept, and the stream if no node lives (ms). The last entry before
#: that time stays: who has no later one has missed nothing.
_TRIM = Script(
    """
local time = redis.call('TIME')
local since = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1])
local last = redis.call('XREVRANGE', KEYS[1], since, '-', 'COUNT', 1)[1]
if last then redis.call('XTRIM', KEYS[1], 'MINID', '~', last[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)


class Recording:
    """See the module's docstring.

    Args:
        prefix: of the channels of broadcasts.
        node: this node's id.
        max_bytes: of events that wait.
        begun: is called whenever the stream has been read.
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
        prefix: str,
        max_bytes: int,
        begun: Callable[[], None],
    ) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._node = node
        self._local = local
        self._classic = classic
        self._refusals = refusals
        self._history = history
        self._counters = local.hub.counters
        self._begun = begun
        #: own events cannot be recorded
        self._is_behind = True
        #: something may be missing between the last entry that is here and what is heard
        self._is_reading = True
        self._serial = 0
        #: why Redis did not record an event, and until when that counts
        self._refused, self._refused_until = "", 0.0
        self._reading = 0
        self._own = OwnEvents(self._record, self._dropped, max_bytes)
        self._held = Held(max_bytes)
        self._stream = Stream(link, keys, history, self._held, self._apply_entry)
        self._barriers = Barriers(link, keys.barrier(node), self._hold_or)
        self._others = Others(
            link, keys, clock, node, deliver=self._deliver_unrecorded, barrier=self.barrier, counters=self._counters
        )
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._trimming = LoopingCall(self._trim)
        self._trimming.clock = clock
        link.subscribe(keys.recorded, self._recorded_of_others)
        link.psubscribe(any_namespace(prefix), self._heard)
        link.on_up.append(self._up)
        link.on_down.append(self._down)
        link.on_deaf.append(self._deaf)

    def start(self) -> None:
        """Begin to look after events that wait."""
        self._loop.start(PATIENCE / 4, now=False)
        self._trimming.start(max(1.0, self._history.window / 3), now=False)
        self._others.start()

    def stop(self) -> None:
        """Begin to end: what waits is sent while the link closes."""
        for loop in (self._loop, self._trimming):
            if loop.running:
                loop.stop()
        self._others.stop()

    def ended(self) -> None:
        """The link is closed: what is not known to be recorded is lost to the others, and counted."""
        left = self._own.take_unrecorded()
        if left:
            self._counters.add("cluster_dropped", "stopped", len(left))

    def readiness(self) -> Readiness:
        """Whether events can be recorded, as far as is known."""
        if self._clock.seconds() >= self._refused_until:
            return Readiness(True, "")
        return Readiness(False, f"Redis does not record events: {self._refused}")

    def broadcast(self, broadcast: Broadcast) -> None:
        """Send to everybody; see `Adapter.broadcast`."""
        if broadcast.volatile:  # nobody recovers it
            room, payload = encode_broadcast(self._node, broadcast)
            self._local.deliver(broadcast)
            self._link.publish(self._channel(broadcast, room), payload)
            return
        serial = self._serial + 1
        room, payload = encode_broadcast(self._node, broadcast, serial=serial)
        event = OwnEvent(serial, self._channel(broadcast, room), payload, self._clock.seconds())
        is_too_large = len(payload) > MAX_MESSAGE
        if self._is_behind or is_too_large:
            self._deliver_early(event, broadcast)
        self._serial = serial
        if is_too_large:
            self._counters.add("cluster_dropped", "too_large")
        else:
            self._own.add(event)

    def foreign(self, channel: bytes, broadcast: Broadcast) -> None:
        """A broadcast that came in another form: each node that reads it makes the same message of it."""
        _, payload = encode_broadcast("python", broadcast, is_canonical=True)
        self._heard(channel, payload)

    def barrier(self) -> Deferred[None]:
        """Fires once every event that was recorded before this call is here; fails if that will not be known."""
        return self._barriers.set()

    # Own events

    def _channel(self, broadcast: Broadcast, room: str | None) -> bytes:
        return self._classic.channels(broadcast.target.namespace).room(room)

    def _record(self, event: OwnEvent) -> None:
        recording = self._link.send_script(_RECORD, [self._keys.events], [MAX_EVENTS, event.channel, event.payload])
        recording.addCallbacks(self._answered, self._unrecorded, callbackArgs=(event,), errbackArgs=(event,))
        recording.addErrback(lambda why: log.failure("an event could not be recorded", why))

    def _answered(self, answer: bytes | list[bytes], event: OwnEvent) -> None:
        if isinstance(answer, list):
            self._refuse(answer[0].decode("utf-8", "replace").lstrip("-"), event)
        else:
            self._own.answered(event)

    def _refuse(self, reason: str, event: OwnEvent) -> None:
        """It was not recorded, and is sent all the same."""
        now, self._refused = self._clock.seconds(), reason
        if now >= self._refused_until:
            log.error(
                "Redis does not record events ({reason}): they are sent, and nobody recovers them; see to its memory "
                "and disk, and to what its user may do",
                reason=reason,
            )
        self._refused_until = now + _REFUSED_LATELY
        self._own.refused(event, _UNRECORDED)

    def _unrecorded(self, failure: Failure, event: OwnEvent) -> None:
        error = failure.value
        if isinstance(error, RedisRefused):  # it will not be, however often we ask
            self._link.publish(event.channel, event.payload)
            self._refuse(str(error), event)
        else:  # the connection broke: it is known when the stream has been read; or the link had no room for it
            self._clock.callLater(0, self._not_sent, event)

    def _not_sent(self, event: OwnEvent) -> None:
        if not self._is_behind and self._link.is_up:
            self._own.refused(event, "queue_full")

    def _dropped(self, event: OwnEvent, reason: str) -> None:
        if not event.is_early:
            self._deliver_waiting(event.serial)  # those before it come before it
            self._deliver_early(event)
        if reason == _UNRECORDED:
            self._counters.add("cluster_faults", reason)
        else:
            self._counters.add("cluster_dropped", reason)

    def _deliver_early(self, event: OwnEvent, broadcast: Broadcast | None = None) -> None:
        if broadcast is None:  # as it was when it was sent: the application may have changed its lists meanwhile
            broadcast = decode_broadcast(event.payload).broadcast
        entry = self._history.add_early(broadcast, event.serial)
        event.is_early = True
        self._local.hub.registry.deliver(broadcast, entry)

    def _look(self) -> None:
        """Events that have waited for too long are delivered, in their order."""
        oldest = next((event for event in self._own if not event.is_early), None)
        if oldest is not None and oldest.since < self._clock.seconds() - PATIENCE:
            self._deliver_waiting()

    def _trim(self) -> None:
        """What nobody comes back to is no longer kept in Redis."""
        if self._link.is_up:
            window = int(self._history.window * 1000)
            trimming = self._link.script(_TRIM, [self._keys.events], [_WINDOWS * window, _LIVES * window])
            trimming.addErrback(lambda why: log.debug("the stream was not trimmed: {e}", e=why.getErrorMessage()))

    def _deliver_waiting(self, end: int | None = None) -> None:
        for event in self._own:
            if not event.is_early and (end is None or event.serial < end):
                try:
                    self._deliver_early(event)
                except (TypeError, ValueError, ForeignMessage):
                    event.is_early = True
                    self._refusals.refuse(self._keys.events, "unsendable")

    # Everybody's events

    def _heard(self, channel: bytes, payload: bytes) -> None:
        """What comes on the channels of broadcasts, or as if it did."""
        received = self._decode(channel, payload)
        if received is None:
            return
        if received.offset is not None:
            self._apply_in_turn(received, received.offset, payload)
        elif received.uid == self._node:
            if received.serial:
                self._hold_or(partial(self._apply_own_unrecorded, received.serial))
        elif received.serial:
            self._hold_or(partial(self._apply_unrecorded, received))
        elif not self._local.serves(received.broadcast.target.namespace):
            pass
        elif received.broadcast.volatile:
            self._deliver_unrecorded(received.broadcast)
        else:
            self._others.received(payload, received.broadcast)

    def _recorded_of_others(self, channel: bytes, message: bytes) -> None:
        """An event of another program, which one of our nodes has recorded."""
        offset, _, payload = message.partition(b" ")
        received = self._decode(channel, payload)
        if received is not None:
            self._apply_in_turn(received, offset.decode("ascii", "replace"), payload)

    def _decode(self, channel: bytes, payload: bytes) -> Received | None:
        try:
            return decode_broadcast(payload)
        except ForeignMessage as error:
            self._refusals.refuse(channel, error.word)
            return None

    def _apply_in_turn(self, received: Received, offset: str, payload: bytes) -> None:
        position = parse_position(offset)
        if position is None:
            return
        early = 0 if received.serial else self._others.recorded(payload, position)
        if self._is_reading:
            self._held.add(partial(self._apply, received, position, early), position, len(payload))
        else:
            self._apply(received, position, early)

    def _hold_or(self, step: Callable[[], None]) -> None:
        if self._is_reading:
            self._held.add(step)
        else:
            step()

    def _apply(self, received: Received, position: int, early: int = 0) -> None:
        history = self._history
        if position <= history.recorded:
            return
        origin, own = None, None
        if received.serial:
            origin = (received.uid, received.serial)
            missing = history.serials.come(*origin)
            if received.uid == self._node:
                own = self._own.come_back(received.serial)
            elif missing:
                self._counters.add("cluster_lost", amount=missing)
            if missing is None:
                history.pass_by(position)
                return
        broadcast = received.broadcast
        if not self._local.serves(broadcast.target.namespace):
            history.pass_by(position)
            return
        try:
            entry = history.record(broadcast, position, origin, early)
            if early or (own is not None and own.is_early):
                return
            skip = history.ahead(origin) if origin is not None else ()
            if skip:
                broadcast = replace(broadcast, target=replace(broadcast.target, skip=broadcast.target.skip | skip))
            self._local.hub.registry.deliver(broadcast, entry)
        except (TypeError, ValueError):
            self._refusals.refuse(self._keys.events, "unsendable")

    def _apply_unrecorded(self, received: Received) -> None:
        """An event of another node of ours that could not be recorded."""
        missing = self._history.serials.come(received.uid, received.serial)
        if missing:
            self._counters.add("cluster_lost", amount=missing)
        if missing is not None and self._local.serves(received.broadcast.target.namespace):
            self._deliver_unrecorded(received.broadcast)

    def _apply_own_unrecorded(self, serial: int) -> None:
        """One of ours that could not be recorded, in its place among those that were."""
        self._history.serials.come(self._node, serial)
        self._own.unrecorded(serial, _UNRECORDED)

    def _deliver_unrecorded(self, broadcast: Broadcast) -> int:
        """Deliver an event to the clients here only; its position."""
        try:
            self._local.deliver(broadcast)
        except (TypeError, ValueError):
            self._refusals.refuse(self._keys.events, "unsendable")
        return self._history.position

    def _apply_entry(self, position: int, payload: bytes) -> None:
        """An entry of the stream as it is read."""
        received = self._decode(self._keys.events, payload)
        if received is not None:
            self._apply(received, position, 0 if received.serial else self._others.recorded(payload, position))

    # Away and back

    def _deaf(self) -> None:
        self._is_reading = True

    def _down(self) -> None:
        self._is_behind = True
        self._reading += 1
        self._own.pause()
        self._others.lost()
        self._deliver_waiting()
        self._barriers.fail()

    def _up(self) -> None:
        self._reading += 1
        self._is_reading = True
        self._catch_up()

    def _catch_up(self) -> None:
        reading = self._reading
        caught_up = Deferred.fromCoroutine(self._stream.read(lambda: reading == self._reading))
        caught_up.addCallbacks(self._go_on, self._not_caught_up, callbackArgs=(reading,), errbackArgs=(reading,))
        caught_up.addErrback(lambda why: log.failure("recorded events could not be handled", why))

    def _not_caught_up(self, failure: Failure, reading: int) -> None:
        if reading != self._reading:  # the link went down meanwhile
            return
        log.warn(
            "recorded events could not be read: {reason}; trying again",
            reason=failure.getErrorMessage(),
            log_flood="the stream of events cannot be read (--adapter)",
        )
        self._counters.add("cluster_faults", "catch_up")
        self._clock.callLater(_RETRY, self._try_again, reading)

    def _try_again(self, reading: int) -> None:
        if reading == self._reading:
            self._catch_up()

    def _go_on(self, is_current: bool, reading: int) -> None:
        """The stream has been read: do what was heard meanwhile, and send what waits."""
        if not is_current or reading != self._reading:
            return
        while (step := self._held.take()) is not None:
            try:
                step()
            except Exception:  # the others are not to be lost for it
                log.failure("an event that was held could not be handled")
            if reading != self._reading:
                return
        self._is_reading = self._is_behind = False
        self._deliver_waiting()
        self._own.send_again()
        self._others.caught_up()
        self._begun()
