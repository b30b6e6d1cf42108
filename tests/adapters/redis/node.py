"""A node without a Redis: a link that remembers what it is given, and what an adapter needs of a process around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from tests.fakes import Client, Core
from wsservice.adapters.local import Local
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.refusals import Refusals
from wsservice.auth.revocations import Revocations
from wsservice.errors import RedisUnavailable
from wsservice.sessions import Sessions

KEYS = Keys("socket.io")

Received = Callable[[bytes, bytes], None]


class FakeLink(RedisLink):
    """A link whose far end is the test.

    Attributes:
        published: (channel, message) of each.
        told: the words of each `tell`.
        queued: the words of each `queue`.
        asked: commands and scripts without an answer, oldest first: (words or script's arguments, Deferred).
        channels, patterns: who receives what.
        unwritten: what `take_unwritten` gives next.
        is_strict: whether a channel has one receiver, as it has in truth; several parts of a test may share a link.
    """

    def __init__(self) -> None:
        self.name = ""
        self.up = True
        self.on_up: list[Callable[[], None]] = []
        self.on_down: list[Callable[[], None]] = []
        self.published: list[tuple[bytes, bytes]] = []
        self.told: list[tuple[Any, ...]] = []
        self.queued: list[tuple[Any, ...]] = []
        self.asked: list[tuple[tuple[Any, ...], Deferred[Any]]] = []
        self.channels: dict[bytes, Received] = {}
        self.patterns: dict[bytes, Received] = {}
        self.forced: list[Deferred[None]] = []
        self.unwritten = self.is_strict = False

    @property
    def is_up(self) -> bool:
        return self.up

    def come_up(self) -> None:
        """Redis can be had (again)."""
        self.up = True
        for told in self.on_up:
            told()

    def publish(self, channel: bytes, message: bytes) -> None:
        self.published.append((channel, message))

    def say(self, channel: bytes, message: bytes) -> None:
        if self.up:
            self.published.append((channel, message))

    def queue(self, *args: Any) -> None:
        self.queued.append(args)

    def tell(self, *args: Any) -> None:
        if self.up:
            self.told.append(args)

    def command(self, *args: Any) -> Deferred[Any]:
        return self._asked(args)

    def script(self, script: Any, keys: Any = (), args: Any = ()) -> Deferred[Any]:
        return self._asked((*keys, *args))

    def send(self, *args: Any) -> Deferred[Any]:
        return self._asked(args)

    def take_unwritten(self) -> bool:
        unwritten, self.unwritten = self.unwritten, False
        return unwritten

    def in_force(self) -> Deferred[Any]:
        self.forced.append(Deferred())
        return self.forced[-1]

    def subscribe(self, channel: bytes, received: Received) -> None:
        if self.is_strict and channel in self.channels:
            raise ValueError(f"{channel!r} has a receiver already")
        self.channels[channel] = received

    def psubscribe(self, pattern: bytes, received: Received) -> None:
        self.patterns[pattern] = received

    def unsubscribe(self, channel: bytes) -> None:
        self.channels.pop(channel, None)

    def punsubscribe(self, pattern: bytes) -> None:
        self.patterns.pop(pattern, None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    # The far end

    def answer(self, value: Any) -> tuple[Any, ...]:
        """Answer the oldest question, by an error if it is one; gives its words."""
        words, waiting = self.asked.pop(0)
        if isinstance(value, Exception):
            waiting.errback(value)
        else:
            waiting.callback(value)
        return words

    def receive(self, channel: bytes, payload: bytes) -> None:
        """A message comes on a channel that is subscribed to."""
        self.channels[channel](channel, payload)

    def _asked(self, words: tuple[Any, ...]) -> Deferred[Any]:
        if not self.up:
            return fail(RedisUnavailable("Redis is away"))
        self.asked.append((words, Deferred()))
        return self.asked[-1][1]


class Process:
    """One process of a cluster: a core, its clients, a link, and what others do to it.

    Args:
        arguments: of `Core`.
    """

    def __init__(self, **arguments: Any) -> None:
        self.core = Core(**arguments)
        self.link = FakeLink()
        self.refusals = Refusals(self.core.counters)
        self.revocations = Revocations(self.core.clock.seconds)
        self.sessions = Sessions(self.core.registry, self.revocations, self.core.clock.seconds)
        self.local = Local(self.core.hub, self.core.app, self.sessions)

    def connect(self, user: str = "alice", **arguments: Any) -> Client:
        return self.core.connect(user, **arguments)

    def refused(self) -> dict[str, int]:
        """How many messages were refused, for what."""
        return {word: number for name, word, number in self.core.counters.items() if name == "cluster_refused"}
