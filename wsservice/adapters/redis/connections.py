"""The two kinds of connections to Redis: txredisapi's protocol, with another parser and another queue of replies.

What is txredisapi's: `AUTH` and `SELECT` at the beginning, its commands (`ping`), and when all that is done. What is
not, and why (1.6.0):

- its parser (see `resp`) and, with it, its conversion of `b"1"` to a number and of bytes to text;
- its queue: three Deferreds for each command, and a list from whose head each reply is taken;
- `replyTimeout`: a timer for each command, on the global reactor;
- its subscriber: the confirmation of a second channel is given to whoever waits, such as a PING;
- its reconnection: it ends for good when a password is refused, and knows no limit for connecting and greeting.

Importing this installs the reactor, since txredisapi does so: import it when the service is put together, not before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import BaseRedisProtocol

from wsservice.adapters.redis.outbox import Command, Replies
from wsservice.adapters.redis.resp import Reader, Reply, encode
from wsservice.adapters.redis.script import Script
from wsservice.adapters.redis.subscriptions import Subscriptions
from wsservice.adapters.redis.url import RedisUrl
from wsservice.counters import Counters
from wsservice.errors import ClusterError, RedisUnavailable

log = Logger()

#: bytes of a message; a larger one is never kept. Precedent: above every broadcast that clients would take
MAX_MESSAGE = 8 * 1024 * 1024
#: bytes of one string in the answer to a command
MAX_ANSWER = 64 * 1024 * 1024
#: the kinds of connections
COMMANDS, SUBSCRIPTIONS = "commands", "subscriptions"
REPLICA = "it is a replica, which takes no writes"
#: what only a replica answers; before 7.0 that of a script is told behind `ERR Error running script (call to f_...)`
_READONLY = re.compile(r"(?:ERR Error running script .*-)?READONLY ", re.DOTALL)
#: the first words of lists that are answers
_ANSWERS = (b"pong", b"server")


class RedisConnection(BaseRedisProtocol):  # type: ignore[misc]
    """One connection, from the greeting to its end.

    Args:
        doubts: the kinds of connections that ask, when they are made, whether Redis is a replica by now.

    Attributes:
        reason: why it ended or will end; the first that was found.
        on_heard: is called when something has arrived and was handled.
        on_lost: is called when it is gone.
    """

    replyQueue: Replies
    kind = ""

    def __init__(
        self, url: RedisUrl, counters: Counters, *, max_bulk: int, database: int | None, doubts: set[str]
    ) -> None:
        password, username = (url.password or None), (url.username or None)
        super().__init__(charset=None, convertNumbers=False, password=password, username=username, dbid=database)
        self.factory = Greeting(self)
        self.replyQueue = Replies(counters, self._message_refused)
        self.reason = ""
        self.on_heard: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None
        self._reader = Reader(max_bulk)
        self._told = False
        self._doubts = doubts
        self._is_replica = False

    def prepare(self) -> Deferred[Any]:
        """Do what must come before all else; fires when it can be used, or fails with a `ClusterError`."""
        return self.ping().addCallback(self._check_role)  # type: ignore[no-any-return]

    def ask_role(self) -> None:
        """Ask whether this is a replica, where that is in doubt; `prepare` fails then."""
        if self.kind in self._doubts:  # who may not ask finds out by what is refused
            self.execute_command("HELLO").addCallbacks(self._role_told, lambda _: None)

    def _role_told(self, answer: Reply) -> None:
        told = answer if isinstance(answer, list) else []
        self._is_replica = dict(zip(told[::2], told[1::2], strict=False)).get(b"role") in (b"replica", b"slave")
        if not self._is_replica:
            self._doubts.discard(self.kind)

    def _check_role(self, pong: Any) -> Any:
        if self._is_replica:
            raise RedisUnavailable(REPLICA)
        return pong

    def fail(self, reason: str) -> None:
        """Close it at once, for this reason."""
        self.reason = self.reason or reason
        self.transport.abortConnection()

    def connectionMade(self) -> Any:
        """Send the first commands; called by Twisted."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)  # what goes out in one turn is one write already
        return super().connectionMade()

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Take what arrived; called by Twisted."""
        try:
            for reply in self._reader.feed(data):
                self.replyReceived(reply)
        except RedisUnavailable as error:
            self.fail(str(error))
        else:
            self.on_heard()

    def replyReceived(self, reply: Reply) -> None:
        """One reply is whole."""
        self.replyQueue.put(reply)

    def connectionLost(self, why: Failure = connectionDone) -> None:
        """It is gone; called by Twisted."""
        self.reason = self.reason or explain(why)
        self.replyQueue.lost(self.reason)
        super().connectionLost(why)
        self.on_lost()

    def _message_refused(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            log.error(
                "Redis refuses what is published or written (more of that on this connection is only counted): {e}",
                e=error,
            )


class Greeting(Factory):
    """What txredisapi asks of a connection's factory, and what an endpoint does."""

    noisy = False
    isLazy = False

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: object) -> RedisConnection:
        """The one connection; called by Twisted."""
        return self._connection

    def stopTrying(self) -> None:
        """Nothing: who made the connection decides."""

    def connectionError(self, why: str) -> None:
        """The greeting failed."""
        self._connection.fail(why.removeprefix("Redis error: "))


class CommandConnection(RedisConnection):
    """Carries commands.

    Args:
        scripts: are loaded before all else.
    """

    kind = COMMANDS

    def __init__(self, url: RedisUrl, counters: Counters, scripts: dict[bytes, Script], doubts: set[str]) -> None:
        super().__init__(url, counters, max_bulk=MAX_ANSWER, database=url.database or None, doubts=doubts)
        self._scripts = scripts

    def prepare(self) -> Deferred[Any]:
        """Load the scripts, and see that Redis answers (while it reads its files, it says LOADING)."""
        self.ask_role()
        for script in self._scripts.values():
            loaded = self.execute_command("SCRIPT", "LOAD", script.source)
            loaded.addErrback(lambda _: None)  # who may not load it, or has lost Redis, will see so
        return super().prepare()

    def replyReceived(self, reply: Reply) -> None:
        """The answer to a command; one that only a replica gives ends the connection: there is another master."""
        if isinstance(reply, Exception) and _READONLY.match(str(reply)):
            self._doubts.update((COMMANDS, SUBSCRIPTIONS))
            raise RedisUnavailable(REPLICA)
        super().replyReceived(reply)

    def send(self, commands: list[Command]) -> None:
        """Write some commands at once."""
        data = b"".join([command[0] for command in commands])
        self.replyQueue.sent(commands, len(data))
        self.transport.write(data)


class SubscriberConnection(RedisConnection):
    """Carries all subscriptions, so that the order of messages is Redis's.

    Args:
        name: tells others whose it is, in `CLIENT LIST`; empty for none.
    """

    kind = SUBSCRIPTIONS

    def __init__(
        self, url: RedisUrl, counters: Counters, subscriptions: Subscriptions, name: str, doubts: set[str]
    ) -> None:
        super().__init__(url, counters, max_bulk=MAX_MESSAGE, database=None, doubts=doubts)
        self._name = name
        self._subscriptions = subscriptions
        self._asked: set[tuple[str, bytes]] = set()
        self._prepared = False

    def prepare(self) -> Deferred[Any]:
        """Subscribe to everything: answers are in order, so that with PING's all are in force."""
        # before the first subscription: after it no other command is taken
        if not self._asked:
            self.ask_role()
        if self._name:
            named, self._name = self.execute_command("CLIENT", "SETNAME", self._name), ""
            named.addErrback(lambda _: None)  # who may not set it does without
        wanted = {("SUBSCRIBE", channel) for channel in self._subscriptions.channels}
        wanted |= {("PSUBSCRIBE", pattern) for pattern in self._subscriptions.patterns}
        new = sorted(wanted - self._asked)
        for command in ("SUBSCRIBE", "PSUBSCRIBE"):
            names = [name for one, name in new if one == command]
            if names:
                self.transport.write(encode(command, *names))
        self._asked.update(new)
        return super().prepare().addCallback(self._confirmed)

    def ask(self, command: str, name: bytes) -> None:
        """A subscription came or went."""
        if command.endswith("UNSUBSCRIBE"):
            opposite = (command.replace("UNSUB", "SUB"), name)
            if opposite not in self._asked:
                return
            self._asked.discard(opposite)
        elif not self._prepared:
            return
        else:
            self._asked.add((command, name))
        self.transport.write(encode(command, name))

    def replyReceived(self, reply: Reply) -> None:
        """A message, a confirmation, or the answer to AUTH or PING."""
        if not isinstance(reply, list):
            if isinstance(reply, Exception) and not self.replyQueue.waiting:
                raise RedisUnavailable(str(reply))  # of a SUBSCRIBE, such as NOPERM
            self.replyQueue.put(reply)
        elif reply and not self._subscriptions.deliver(reply) and reply[0] in _ANSWERS:
            self.replyQueue.put(reply)

    def _confirmed(self, _: Any) -> Any:
        channels, patterns = self._subscriptions.channels, self._subscriptions.patterns
        if len(self._asked) < len(channels) + len(patterns):  # more came meanwhile
            return self.prepare()
        self._prepared = True
        return None


def explain(why: Failure) -> str:
    """Why there is no connection, for people: one line without secrets."""
    error = why.value
    if isinstance(error, ConnectionDone):
        return "Redis closed the connection"
    if isinstance(error, SSL.Error):
        reasons = ", ".join(str(entry[-1]) for entry in error.args[0]) if error.args else ""
        return f"TLS failed: {reasons or 'closed'}"
    if isinstance(error, (VerificationError, CertificateError)):
        return "TLS failed: the certificate is not for this host"
    if isinstance(error, ClusterError):
        return str(error)
    return (str(error) or type(error).__name__)[:200]
