"""A Redis in memory and the links of several nodes to it, step by step: what is sent, executed, answered and heard.

A command is `sent` by a node until Redis does it; its answer, and what it published, are on their way until the node
gets them. Either connection of a node can be cut at each of these steps; what a cut connection had sent may still be
done, later ("late"). Of Redis there is what recovery needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from wsservice.adapters.redis import catching_up, nodes, others, recording, saved
from wsservice.adapters.redis.script import Script
from wsservice.auth.providers.base import Readiness
from wsservice.errors import RedisRefused, RedisUnavailable

Id = tuple[int, int]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _id(text: bytes, least: bool = True) -> Id:
    ms, _, seq = text.decode().partition("-")
    return int(ms), int(seq) if seq else (0 if least else 1 << 64)


def _text(id: Id) -> bytes:
    return b"%d-%d" % id


class FakeRedis:
    """The server.

    Attributes:
        links: of all nodes.
        late: what connections had sent that are gone.
        skew: seconds by which its clock is ahead.
        refuses: the error that every script that writes gets, if any.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.skew = 0.0
        self.refuses = ""
        self.links: list[FakeLink] = []
        self.late: deque[Callable[[], Any]] = deque()
        self.forget()

    def forget(self) -> None:
        """It starts anew, with nothing."""
        self.values: dict[bytes, tuple[bytes, float | None]] = {}
        self.stream: list[tuple[Id, list[bytes]]] = []
        self.last: Id = (0, 0)
        self.max_entries = 1 << 30

    def restart(self) -> None:
        """Killed and started: whatever was on its way is gone."""
        for link in self.links:
            link.cut_commands()
            link.cut_subscriptions()
        self.late.clear()
        self.forget()

    @property
    def now(self) -> int:
        """Milliseconds."""
        return int((1_700_000_000 + self.clock.seconds() + self.skew) * 1000)

    def be_late(self) -> None:
        """What connections had sent that are gone is done now."""
        while self.late:
            with suppress(RedisRefused):
                self.late.popleft()()

    def publish(self, channel: bytes, message: bytes) -> None:
        """Give a message to all who are subscribed."""
        for link in self.links:
            link.publish_to(channel, message)

    def add(self, fields: list[bytes], id: bytes = b"*") -> bytes:
        """XADD."""
        if id == b"*":
            number = (self.now, 0)
            if number <= self.last:
                number = (self.last[0], self.last[1] + 1)
        else:
            number = _id(id)
            if number <= self.last:
                raise RedisRefused("ERR The ID specified in XADD is equal or smaller")
        self.last = number
        self.stream.append((number, fields))
        del self.stream[: -self.max_entries]
        return _text(number)

    def get(self, key: bytes) -> bytes | None:
        """GET."""
        value, until = self.values.get(key, (None, None))
        return None if until is not None and until <= self.clock.seconds() else value

    def put(self, key: bytes, value: bytes, ms: bytes) -> None:
        """SET PX."""
        self.values[key] = value, self.clock.seconds() + int(ms) / 1000

    def run(self, words: Sequence[bytes]) -> Any:
        """One command."""
        match list(words):
            case [b"PUBLISH", channel, message]:
                self.publish(channel, message)
                return 1
            case [b"XRANGE", _, first, last, *count]:
                return self.range(first, last, int(count[1]) if count else 1 << 30)
            case [b"XREVRANGE", _, last, first, _, count]:
                return self.range(first, last, 1 << 30)[::-1][: int(count)]
            case [b"PING"]:
                return "PONG"
            case [b"GETRANGE", key, first, last]:
                return (self.get(key) or b"")[int(first) : int(last) + 1]
            case [b"PEXPIRE", key, ms]:
                value = self.get(key)
                if value is not None:
                    self.put(key, value, ms)
                return 1
            case [b"ZRANGEBYSCORE", *_]:
                return []
            case [b"HSET" | b"HDEL" | b"EXPIRE" | b"ZREMRANGEBYSCORE" | b"ZADD" | b"ZREM", *_]:
                return 1
        raise RedisRefused(f"ERR unknown command {words!r}")

    def range(self, first: bytes, last: bytes, count: int) -> list[list[Any]]:
        """XRANGE."""
        least = (0, 0) if first == b"-" else _id(first.lstrip(b"("))
        most = (1 << 64, 1 << 64) if last == b"+" else _id(last, least=False)
        found = [
            [_text(id), fields]
            for id, fields in self.stream
            if least <= id <= most and not (first.startswith(b"(") and id == least)
        ]
        return found[:count]

    def run_script(self, script: Script, keys: list[bytes], args: list[bytes]) -> Any:
        """One script: what its Lua does."""
        done = _SCRIPTS.get(id(script))
        if done is None:
            raise RedisRefused("ERR unknown script")
        if self.refuses:
            if script is recording._RECORD:
                self.publish(args[1], args[2])
                return [self.refuses.encode()]
            raise RedisRefused(self.refuses)
        return done(self, keys, args)


def _record(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    id = redis.add([b"m", args[2]])
    redis.publish(args[1], b"\x94" + args[2][1:] + bytes((217, len(id))) + id)
    return id


def _trim(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    before = [id for id, _ in redis.stream if id[0] <= redis.now - int(args[0])]
    if before:
        redis.stream = [entry for entry in redis.stream if entry[0] >= before[-1]]
    return 1 if redis.stream else 0


def _begin(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    has = 1 if not args[0] or redis.range(args[0], args[0], 1) else 0
    if not redis.stream or not has:
        if redis.now <= int(args[2]):
            if _id(args[1]) > redis.last:
                redis.add([b"begins", b""], args[1])
        elif not redis.stream:
            redis.add([b"begins", b""])
    now = redis.now
    return [b"%d" % (now // 1000), b"%d" % (now % 1000 * 1000), _text(redis.stream[0][0]), has]


def _hold(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    holder = redis.get(keys[0])
    if holder and holder != args[0] and args[2] == b"0":
        return 0
    redis.put(keys[0], args[0], args[1])
    return 2 if holder == args[0] else 1


def _record_other(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    if redis.get(keys[1]) != args[0]:
        return None
    id = redis.add([b"m", args[3]])
    redis.publish(args[2], id + b" " + args[3])
    return id


def _remove(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    entry = redis.get(keys[0])
    if entry is None or not entry.startswith(args[0]):
        return 0
    del redis.values[keys[0]]
    return 1


def _write(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    entry = redis.get(keys[0])
    if entry is not None and entry[:12] != args[0]:
        return 0
    redis.put(keys[0], args[0] + args[2], args[1])
    return 1


def _take(redis: FakeRedis, keys: list[bytes], args: list[bytes]) -> Any:
    entry = redis.get(keys[0])
    if entry is None or not entry[12:].startswith(args[2]):
        return None
    redis.put(keys[0], args[0] + entry[12:], args[1])
    return entry


_SCRIPTS: dict[int, Callable[[FakeRedis, list[bytes], list[bytes]], Any]] = {
    id(recording._RECORD): _record,
    id(recording._TRIM): _trim,
    id(catching_up._BEGIN): _begin,
    id(others._HOLD): _hold,
    id(others._RECORD): _record_other,
    id(others._RELEASE): _remove,
    id(saved._WRITE): _write,
    id(saved._TAKE): _take,
    id(saved._REMOVE): _remove,
    id(nodes._BEAT): lambda redis, keys, args: [b"secret", b"1", args[1]],
}


class FakeLink:
    """One node's link, with what `RedisLink` offers; both connections are made by the test."""

    def __init__(self, redis: FakeRedis) -> None:
        self.redis = redis
        self.on_up: list[Callable[[], None]] = []
        self.on_down: list[Callable[[], None]] = []
        self.on_deaf: list[Callable[[], None]] = []
        self.before_messages: Callable[[], Deferred[None]] = lambda: succeed(None)
        self.name = ""
        self.has_commands = self.hears = self._was_up = False
        #: messages that wait for Redis; commands that are sent; answers and messages that are on their way
        self.queued: list[Callable[[], Any]] = []
        self.sent: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()
        self.answers: deque[tuple[Deferred[Any], Any]] = deque()
        self.messages: deque[tuple[Callable[[bytes, bytes], None], bytes, bytes]] = deque()
        self._channels: dict[bytes, Callable[[bytes, bytes], None]] = {}
        self._patterns: dict[bytes, Callable[[bytes, bytes], None]] = {}
        redis.links.append(self)

    # What the node asks for

    @property
    def is_up(self) -> bool:
        return self.has_commands and self.hears

    def readiness(self) -> Readiness:
        return Readiness(self.is_up, "")

    def start(self) -> None:
        pass

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def publish(self, channel: bytes, message: bytes) -> None:
        self.queue(b"PUBLISH", channel, message)

    def say(self, channel: bytes, message: bytes) -> None:
        self.tell(b"PUBLISH", channel, message)

    def queue(self, *args: Any) -> None:
        words = [_bytes(one) for one in args]
        if self.has_commands:
            self._send(lambda: self.redis.run(words)).addErrback(lambda _: None)
        else:
            self.queued.append(lambda: self.redis.run(words))

    def tell(self, *args: Any) -> None:
        if self.has_commands:
            self.queue(*args)

    def command(self, *args: Any) -> Deferred[Any]:
        words = [_bytes(one) for one in args]
        return self._send(lambda: self.redis.run(words))

    def script(self, script: Script, keys: Sequence[Any] = (), args: Sequence[Any] = ()) -> Deferred[Any]:
        key_bytes, arg_bytes = [_bytes(one) for one in keys], [_bytes(one) for one in args]
        return self._send(lambda: self.redis.run_script(script, key_bytes, arg_bytes))

    send_script = queue_script = script

    send = command

    def take_unwritten(self) -> bool:
        return False

    def subscribe(self, channel: bytes, received: Callable[[bytes, bytes], None]) -> None:
        assert channel not in self._channels
        self._channels[channel] = received

    def psubscribe(self, pattern: bytes, received: Callable[[bytes, bytes], None]) -> None:
        assert pattern not in self._patterns
        self._patterns[pattern] = received

    def unsubscribe(self, channel: bytes) -> None:
        self._channels.pop(channel, None)

    def punsubscribe(self, pattern: bytes) -> None:
        self._patterns.pop(pattern, None)

    def _send(self, do: Callable[[], Any]) -> Deferred[Any]:
        if not self.has_commands:
            return fail(RedisUnavailable("Redis is away"))
        answer: Deferred[Any] = Deferred()
        self.sent.append((do, answer))
        return answer

    # What the test does

    def connect(self, *, commands: bool = True, subscriptions: bool = True) -> None:
        """Either connection, or both, are made."""
        if commands and not self.has_commands:
            self.has_commands = True
            queued, self.queued = self.queued, []
            for do in queued:
                self._send(do).addErrback(lambda _: None)
        self.hears = self.hears or subscriptions
        self._changed()

    def execute(self, count: int = 1 << 30) -> None:
        """Redis does what was sent."""
        while self.sent and count:
            do, answer = self.sent.popleft()
            count -= 1
            try:
                self.answers.append((answer, do()))
            except RedisRefused as error:
                self.answers.append((answer, error))

    def answer(self, count: int = 1 << 30) -> None:
        """Answers arrive."""
        while self.answers and count:
            answer, value = self.answers.popleft()
            count -= 1
            if isinstance(value, Exception):
                answer.errback(value)
            else:
                answer.callback(value)

    def hear(self, count: int = 1 << 30) -> None:
        """Messages arrive."""
        while self.messages and count:
            received, channel, message = self.messages.popleft()
            count -= 1
            received(channel, message)

    def cut_commands(self, *, late: bool = False) -> None:
        """That connection is lost, with the answers; what was sent is lost, or done later."""
        if not self.has_commands:
            return
        if late:
            self.redis.late.extend(do for do, _ in self.sent)
        lost = [answer for answer, _ in self.answers] + [answer for _, answer in self.sent]
        self.sent.clear()
        self.answers.clear()
        for one in lost:
            one.errback(RedisUnavailable("the connection was lost"))
        self.has_commands = False
        self._changed()

    def cut_subscriptions(self) -> None:
        """That connection is lost, with what was on its way."""
        if not self.hears:
            return
        self.hears = False
        self.messages.clear()
        for told in self.on_deaf:
            told()
        self._changed()

    def die(self) -> None:
        """The process is gone; Redis may still do what it has sent."""
        self.redis.links.remove(self)
        self.sent.clear()
        self.answers.clear()
        self.messages.clear()
        self.before_messages: Callable[[], Deferred[None]] = lambda: succeed(None)
        self.name = ""
        self.has_commands = self.hears = False

    def publish_to(self, channel: bytes, message: bytes) -> None:
        """Redis publishes."""
        if not self.hears:
            return
        if channel in self._channels:
            self.messages.append((self._channels[channel], channel, message))
        for pattern, received in self._patterns.items():
            if fnmatchcase(channel.decode(), pattern.decode()):
                self.messages.append((received, channel, message))

    def _changed(self) -> None:
        if self.is_up != self._was_up:
            self._was_up = self.is_up
            for told in list(self.on_up if self.is_up else self.on_down):
                told()
