"""A node's link to Redis: messages and commands out, messages of the subscribed channels in.

It has two connections, since one that is subscribed takes no commands. Both are kept up (see `line`). Commands of
one turn of the event loop go out in one write, in the order of the calls, and no one waits for the one before it.

Out:

- `publish`, `queue` and `queue_script` are for messages: while Redis is away they are queued, and past `queue_bytes`
  the oldest are dropped and counted, `("cluster_dropped", "queue_full")`; no other command takes their room. Those
  whose answer had not come when the connection broke, less than `outbox.WINDOW` bytes, are not sent again, since they
  may have arrived: `("cluster_dropped", "uncertain")`. So no message is sent twice, and those counted are all that can
  be lost here.
- `command` and `script` are for questions: while Redis is away they fail at once. `tell` is a command whose answer
  nobody wants, and which is left out meanwhile: for what is written anew when it is back.

In: each channel and pattern has one receiver. What is published while the subscriptions are not in force is lost to
this node; who must know looks at `on_down` and `on_up`. Redis itself ends a subscription that is 32 MB behind
(`client-output-buffer-limit pubsub`).

Figures, for messages of 200 bytes over a Unix socket, 100 a turn, as processor time of this process (txredisapi's own
beside it): a publish with its answer 1.1 us (14.7), a message received 2.1 us (30.9), a queued script with its answer
6 to 8 us. So on one core here a process can send some 600,000 in a second, or receive 300,000.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.adapters.base import Load
from wsservice.adapters.redis.connections import (
    COMMANDS,
    MAX_MESSAGE,
    REPLICA,
    SUBSCRIPTIONS,
    CommandConnection,
    SubscriberConnection,
)
from wsservice.adapters.redis.endpoint import make_endpoint
from wsservice.adapters.redis.line import LINGER, Line
from wsservice.adapters.redis.outbox import WINDOW, Outbox
from wsservice.adapters.redis.resp import Argument, encode, encode_publish
from wsservice.adapters.redis.script import Script
from wsservice.adapters.redis.subscriptions import Received, Subscriptions
from wsservice.adapters.redis.url import RedisUrl
from wsservice.auth.providers.base import Readiness
from wsservice.counters import Counters
from wsservice.errors import RedisRefused, RedisUnavailable

log = Logger()


class RedisLink:
    """See the module. Subscribe before `start` to have everything in force when `on_up` is called.

    Args:
        reactor: connects and keeps the time.
        counters: count what is dropped.
        queue_bytes: of messages that wait for Redis, with 100 for each.
        timeout: seconds for connecting, for the answer to a command, and until a silent Redis counts as away.
        now: monotonic seconds.
        chance: a number from 0 to 1, so that nodes do not come back all at once.
        endpoint: instead of the URL's.

    Attributes:
        on_up: are called each time when commands work and all subscriptions are in force.
        on_down: are called each time when that is over; not by `stop`.
        on_deaf: are called, before that, each time when the subscriptions are no longer in force.
        before_messages: is called when Redis is back after an outage; what waited goes out when its Deferred fires.
        name: of the connection that is subscribed, in Redis's `CLIENT LIST`; no spaces.

    Raises:
        ConfigurationError: the URL's file of authorities cannot be used.
    """

    def __init__(
        self,
        reactor: Any,
        url: RedisUrl,
        counters: Counters,
        *,
        queue_bytes: int = 16 * 1024 * 1024,
        timeout: float = 5.0,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        endpoint: IStreamClientEndpoint | None = None,
    ) -> None:
        self.before_messages: Callable[[], Deferred[None]] = lambda: succeed(None)
        self.name = ""
        self.on_up: list[Callable[[], None]] = []
        self.on_down: list[Callable[[], None]] = []
        self.on_deaf: list[Callable[[], None]] = []
        self._reactor = reactor
        self._counters = counters
        self._timeout = timeout
        self._now = now
        self._was_up = False
        self._closing = False
        self._closed: Deferred[None] = succeed(None)
        self._drained: Deferred[None] | None = None
        self._flushing: IDelayedCall | None = None
        self._outbox = Outbox(counters, queue_bytes)
        self._scripts: dict[bytes, Script] = {}
        #: the kinds of connections whose Redis may be a replica
        self._doubts: set[str] = set()
        self._subscriptions = Subscriptions(counters)
        endpoint = endpoint or make_endpoint(reactor, url, timeout)
        keep = partial(Line, reactor=reactor, endpoint=endpoint, timeout=timeout, now=now, chance=chance)
        self._commands: Line[CommandConnection] = keep(
            COMMANDS, make=lambda: CommandConnection(url, counters, self._scripts, self._doubts)
        )
        self._subscriber: Line[SubscriberConnection] = keep(
            SUBSCRIPTIONS,
            make=lambda: SubscriberConnection(url, counters, self._subscriptions, self.name, self._doubts),
        )
        self._commands.on_up, self._commands.on_down = self._commands_up, self._commands_down
        self._commands.on_heard = self._answered
        self._subscriber.on_up = self._changed
        self._subscriber.on_down = self._subscriber_down

    @property
    def is_up(self) -> bool:
        """Whether commands work and all subscriptions that there were at the connection's start are in force."""
        return self._commands.is_up and self._subscriber.is_up

    def readiness(self) -> Readiness:
        """Whether it is up, or since when not and why."""
        now = self._now()
        down = [line for line in (self._commands, self._subscriber) if not line.is_up]
        if not down:
            return Readiness(True, f"connected for {now - max(self._commands.since, self._subscriber.since):.0f} s")
        return Readiness(False, "; ".join(f"no {one.name} for {now - one.since:.0f} s: {one.reason}" for one in down))

    def load(self) -> Load:
        """How much waits for Redis, and how long Redis takes."""
        lags = {line.name: line.lag for line in (self._commands, self._subscriber) if line.is_up}
        return Load(len(self._outbox), self._outbox.size, lags)

    def start(self) -> None:
        """Begin to connect."""
        self._commands.start()
        self._subscriber.start()

    def stop(self) -> Deferred[None]:
        """Send what can be sent and answered within a second, and close; fires when nothing is left."""
        if not self._closing:
            self._closing = True
            self._closed = Deferred.fromCoroutine(self._stop())
        return self._closed

    def publish(self, channel: bytes, message: bytes) -> None:
        """Send a message to all who are subscribed to a channel, here and elsewhere, after those before it."""
        if len(message) > MAX_MESSAGE or self._closing:
            self._counters.add("cluster_dropped", "stopped" if self._closing else "too_large")
            return
        self._add(encode_publish(channel, message))

    def queue(self, *args: Argument) -> None:
        """A command that is a message: in order with those of `publish`, and queued as they are."""
        self._add(encode(*args))

    def tell(self, *args: Argument) -> None:
        """A command whose answer nobody wants; nothing while Redis is away."""
        if self._commands.is_up and not self._closing:
            self._add(encode(*args), is_message=False)

    def send(self, *args: Argument) -> Deferred[Any]:
        """A command whose sender waits for its answer as long as the connection holds: it is not bounded in time.

        Fails with `RedisUnavailable` or `RedisRefused`.
        """
        return self._when_up(self._ask, encode(*args))

    def take_unwritten(self) -> bool:
        """Whether something of `tell` was not written since the last call: no room for it, or Redis took no writes."""
        found, self._outbox.has_shed = self._outbox.has_shed, False
        connection = self._commands.connection
        if connection is not None:
            found, connection.replyQueue.has_refused = found or connection.replyQueue.has_refused, False
        return found

    def say(self, channel: bytes, message: bytes) -> None:
        """Send a message that nobody wants later, such as an answer: it passes those that are held.

        Nothing while Redis is away.
        """
        if len(message) > MAX_MESSAGE:
            self._counters.add("cluster_dropped", "too_large")
        else:
            self.tell(b"PUBLISH", channel, message)

    def command(self, *args: Argument) -> Deferred[Any]:
        """One command; fires with the answer: None, text of a status, a number, bytes, or a list of these.

        Not for commands that block, or that change what the connection is.

        Fails with `RedisUnavailable` (at once while Redis is away, or when no answer came in time: it may have been
        carried out) or `RedisRefused`.
        """
        return self._bounded(self._when_up(self._ask, encode(*args)))

    def script(self, script: Script, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> Deferred[Any]:
        """Run a script; as `command`."""
        return self._bounded(self._when_up(self._run, script, keys, args, False))

    def send_script(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument]) -> Deferred[Any]:
        """Run a script whose sender keeps it until it is known to have run: it is neither queued nor bounded in time.

        Fails with `RedisUnavailable` where it was not sent, or that is not known.
        """
        return self._when_up(self._run, script, keys, args, False)

    def queue_script(
        self, script: Script, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()
    ) -> Deferred[Any]:
        """Run a script that is a message: in order with those of `publish`, and queued as they are.

        Fires with the answer; fails with `RedisUnavailable` if it was dropped or is uncertain, or with `RedisRefused`.
        (Out of order, later, only if somebody else has Redis forget its scripts meanwhile.)
        """
        if self._closing:
            self._counters.add("cluster_dropped", "stopped")
            return fail(RedisUnavailable("it was not sent: stopped"))
        return self._run(script, keys, args, True)

    def subscribe(self, channel: bytes, received: Received) -> None:
        """Have a channel's messages given to `received(channel, payload)`, now and after each reconnection."""
        self._subscribe("SUBSCRIBE", self._subscriptions.channels, channel, received)

    def psubscribe(self, pattern: bytes, received: Received) -> None:
        """The same for all channels that fit a pattern; a channel's own receiver gets its messages, too."""
        self._subscribe("PSUBSCRIBE", self._subscriptions.patterns, pattern, received)

    def unsubscribe(self, channel: bytes) -> None:
        """End it: the receiver is not called again. Nothing if there is none."""
        self._unsubscribe("UNSUBSCRIBE", self._subscriptions.channels, channel)

    def punsubscribe(self, pattern: bytes) -> None:
        """End it: the receiver is not called again. Nothing if there is none."""
        self._unsubscribe("PUNSUBSCRIBE", self._subscriptions.patterns, pattern)

    def in_force(self) -> Deferred[Any]:
        """Fires when all that was subscribed to until now is in force: answers come in the order of the commands."""
        connection = self._subscriber.connection
        if connection is None or not self._subscriber.is_up:
            return fail(RedisUnavailable(f"Redis is away: {self._subscriber.reason or 'stopping'}"))
        pinged: Deferred[Any] = connection.ping()
        return self._bounded(pinged)

    def _subscribe(self, command: str, table: dict[bytes, Received], name: bytes, received: Received) -> None:
        if name in table:
            raise ValueError(f"{name!r} has a receiver already")
        table[name] = received
        if self._subscriber.connection is not None:
            self._subscriber.connection.ask(command, name)

    def _unsubscribe(self, command: str, table: dict[bytes, Received], name: bytes) -> None:
        if table.pop(name, None) is not None and self._subscriber.connection is not None:
            self._subscriber.connection.ask(command, name)

    def _when_up(self, ask: Callable[..., Deferred[Any]], *args: object) -> Deferred[Any]:
        if not self._commands.is_up or self._closing:
            return fail(RedisUnavailable(f"Redis is away: {self._commands.reason or 'stopping'}"))
        return ask(*args)

    def _bounded(self, answer: Deferred[Any]) -> Deferred[Any]:
        return answer.addTimeout(self._timeout, self._reactor, _too_late)

    def _ask(self, data: bytes, is_message: bool = False) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self._add(data, answer, is_message=is_message)
        return answer

    def _add(self, data: bytes, answer: Deferred[Any] | None = None, *, is_message: bool = True) -> None:
        self._outbox.add(data, answer, is_message)
        if self._flushing is None:
            self._flush_soon()

    def _run(
        self, script: Script, keys: Sequence[Argument], args: Sequence[Argument], is_message: bool
    ) -> Deferred[Any]:
        if script.sha not in self._scripts:
            self._scripts[script.sha] = script
            if self._commands.is_up:  # else it is loaded when it comes up
                self._ask(encode("SCRIPT", "LOAD", script.source)).addErrback(lambda _: None)

        def load(why: Failure) -> Failure | Deferred[Any]:
            if not isinstance(why.value, RedisRefused) or why.value.code != "NOSCRIPT":
                return why
            return self._ask(encode("EVAL", script.source, len(keys), *keys, *args), is_message)

        answer = self._ask(encode("EVALSHA", script.sha, len(keys), *keys, *args), is_message)
        return answer.addErrback(load)

    def _flush_soon(self) -> None:
        if self._commands.is_up:
            self._flushing = self._reactor.callLater(0, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        connection = self._commands.connection
        if connection is None or not self._commands.is_up:
            return
        room = WINDOW - connection.replyQueue.unanswered
        if room > 0 and self._outbox.is_ready:
            connection.send(self._outbox.take(room))

    def _answered(self) -> None:
        """Answers came: there may be room for more."""
        if self._flushing is None and self._outbox.is_ready:
            self._flush()
        connection = self._commands.connection
        if self._drained is not None and connection is not None and not connection.replyQueue.waiting:
            self._end_draining()

    def _commands_up(self) -> None:
        if self._outbox.holding:
            connection = self._commands.connection
            self.before_messages().addCallback(lambda _: self._release(connection))
        self._flush()
        self._changed()

    def _release(self, connection: CommandConnection | None) -> None:
        if connection is self._commands.connection:  # else it is away again
            self._outbox.release()
            self._flush()

    def _commands_down(self) -> None:
        self._counters.add("cluster_connections_lost", "commands")
        self._outbox.hold(f"the connection was lost: {self._commands.reason}")
        if SUBSCRIPTIONS in self._doubts and self._subscriber.connection is not None:
            self._subscriber.connection.fail(REPLICA)
        self._end_draining()
        self._changed()

    def _subscriber_down(self) -> None:
        self._counters.add("cluster_connections_lost", "subscriptions")
        self._tell(self.on_deaf)
        self._changed()

    def _changed(self) -> None:
        if self.is_up == self._was_up or self._closing:
            return
        self._was_up = self.is_up
        self._tell(self.on_up if self._was_up else self.on_down)

    def _tell(self, concerned: list[Callable[[], None]]) -> None:
        for told in list(concerned):
            try:
                told()
            except Exception:  # the others are told all the same
                log.failure("a change of the link to Redis could not be handled")

    async def _stop(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        self._outbox.release()
        self._flush()
        connection = self._commands.connection
        if self._commands.is_up and connection is not None and connection.replyQueue.waiting:
            self._drained = Deferred()
            bound = self._reactor.callLater(LINGER, self._end_draining)
            await self._drained
            if bound.active():
                bound.cancel()
        self._outbox.drop_all("stopped")
        await gatherResults([self._commands.stop(), self._subscriber.stop()])

    def _end_draining(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)


def _too_late(_result: object, timeout: float) -> Any:
    raise RedisUnavailable(f"no answer in {timeout:g} s")
