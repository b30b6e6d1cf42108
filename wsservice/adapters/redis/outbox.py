"""What goes to Redis: a queue with a bound, and what was sent and is not answered yet.

A command waits in the `Outbox` until it may be written, and that is when fewer than `WINDOW` bytes are unanswered:
so what is uncertain when a connection breaks is little, and all else is known not to have been sent. It is then one
of the connection's `Replies` until its answer comes; answers come in the order of the commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from wsservice.adapters.redis.resp import Reply
from wsservice.counters import Counters
from wsservice.errors import RedisUnavailable

#: bytes that may be unanswered before more is held back: enough for 250 MB/s where an answer takes 1 ms
WINDOW = 256 * 1024
#: bytes by which a command is counted beside its own: what Python needs to keep it
OVERHEAD = 100
#: bytes of commands that are no messages: 250,000 marks
MAX_OTHERS = 64 * 1024 * 1024
#: Redis takes no writes for now: no memory, no disk, too few replicas
_NO_WRITES = frozenset({"OOM", "MISCONF", "NOREPLICAS"})

#: a command's bytes, who waits for its answer, and whether it is a message, whose loss is counted
Command = tuple[bytes, "Deferred[Any] | None", bool]


class Outbox:
    """Commands in order that are not written yet; past the bound the oldest messages are dropped.

    While it is `holding`, messages wait, and other commands pass them. Those have a bound of their own, so that they
    never cost a message. It is reached where very much is done in one turn (all enter a room) while Redis is slow.

    Args:
        counters: count each message that was dropped, ("cluster_dropped", why), and others, ("cluster_faults", "shed").
        max_bytes: of messages, with `OVERHEAD` for each; one alone may be larger.
        max_others: the same of the other commands.

    Attributes:
        has_shed: whether others were dropped for want of room: reset it when they are written anew.
    """

    def __init__(self, counters: Counters, max_bytes: int, max_others: int = MAX_OTHERS) -> None:
        self.has_shed = False
        self.holding = False
        self._counters = counters
        self._max_bytes = max_bytes
        self._max_others = max_others
        self._bytes = self._other_bytes = 0
        self._messages: deque[Command] = deque()
        #: each with the number of messages that go before it, of all that there ever were
        self._others: deque[tuple[int, Command]] = deque()
        #: how many messages have left
        self._gone = 0

    def __len__(self) -> int:
        return len(self._messages) + len(self._others)

    @property
    def size(self) -> int:
        """Bytes of all of them, with `OVERHEAD` for each."""
        return self._bytes + self._other_bytes

    @property
    def is_ready(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._others or (self._messages and not self.holding))

    def add(self, data: bytes, answer: Deferred[Any] | None = None, is_message: bool = True) -> None:
        """Append a command."""
        messages, others = self._messages, self._others
        if is_message:
            messages.append((data, answer, True))
            self._bytes += len(data) + OVERHEAD
            while self._bytes > self._max_bytes and len(messages) > 1:
                self._drop_message("queue_full")
        else:
            before = self._gone if self.holding else self._gone + len(messages)
            others.append((before, (data, answer, False)))
            self._other_bytes += len(data) + OVERHEAD
            while self._other_bytes > self._max_others and len(others) > 1:
                self.has_shed = True
                self._counters.add("cluster_faults", "shed")
                _fail(self._pop_other()[1], _unsent("queue_full"))

    def take(self, size: int) -> list[Command]:
        """Take the oldest from it, until they have so many bytes."""
        messages, others = self._messages, self._others
        if not others and not self.holding and self._bytes <= size:
            taken = list(messages)
            messages.clear()
            self._gone += len(taken)
            self._bytes = 0
            return taken
        taken = []
        while size > 0:
            if others and (self.holding or others[0][0] <= self._gone):
                command = self._pop_other()
            elif messages and not self.holding:
                command = self._pop_message()
            else:
                break
            taken.append(command)
            size -= len(command[0])
        return taken

    def hold(self, reason: str) -> None:
        """Hold messages from now on. Drop what is none: who asked is told, and would not want it later."""
        self.holding = True
        others, self._others = self._others, deque()
        self._other_bytes = 0
        for _, command in others:
            _fail(command[1], reason)

    def release(self) -> None:
        """Let the messages go out, behind all else that is here."""
        self.holding = False

    def drop_all(self, reason: str) -> None:
        """Drop what is left, and count it."""
        while self._messages:
            self._drop_message(reason)
        while self._others:
            _fail(self._pop_other()[1], _unsent(reason))

    def _pop_message(self) -> Command:
        command = self._messages.popleft()
        self._gone += 1
        self._bytes -= len(command[0]) + OVERHEAD
        return command

    def _pop_other(self) -> Command:
        _, command = self._others.popleft()
        self._other_bytes -= len(command[0]) + OVERHEAD
        return command

    def _drop_message(self, reason: str) -> None:
        self._counters.add("cluster_dropped", reason)
        _fail(self._pop_message()[1], _unsent(reason))


class Replies:
    """The commands that one connection has sent and that are not answered; txredisapi's `replyQueue`, too.

    Args:
        counters: count ("cluster_dropped", "uncertain") and ("cluster_dropped", "refused").
        refused: is called with the error that a command got for which nobody waits.

    Attributes:
        has_refused: whether Redis took no write for which nobody waits: reset it when all is written anew.
    """

    def __init__(self, counters: Counters, refused: Callable[[Exception], None]) -> None:
        self._counters = counters
        self._refused = refused
        self.has_refused = False
        #: bytes
        self.unanswered = 0
        self.waiting: deque[Command] = deque()

    def sent(self, commands: list[Command], size: int) -> None:
        """These were written in this order; so many bytes together."""
        self.waiting.extend(commands)
        self.unanswered += size

    def get(self) -> Deferred[Any]:
        """The answer to a command that txredisapi has written."""
        answer: Deferred[Any] = Deferred()
        self.waiting.append((b"", answer, False))
        return answer

    def put(self, reply: Reply) -> None:
        """The next answer came.

        Raises:
            RedisUnavailable: nobody asked for it.
        """
        if not self.waiting:
            raise RedisUnavailable("the answer is not Redis's: nobody asked for it")
        data, answer, is_message = self.waiting.popleft()
        self.unanswered -= len(data)
        if isinstance(reply, Exception):
            if is_message and not _is_missing_script(reply):
                self._counters.add("cluster_dropped", "refused")
            if answer is None:
                self.has_refused |= getattr(reply, "code", "") in _NO_WRITES
                self._refused(reply)
            else:
                answer.errback(reply)
        elif answer is not None:
            answer.callback(reply)

    def lost(self, reason: str) -> None:
        """The connection is gone: nobody knows what became of these."""
        waiting, self.waiting = self.waiting, deque()
        self.unanswered = 0
        for _, answer, is_message in waiting:
            if is_message:
                self._counters.add("cluster_dropped", "uncertain")
            _fail(answer, f"the connection was lost: {reason}")


def _unsent(reason: str) -> str:
    return f"it was not sent: {reason.replace('_', ' ')}"


def _fail(answer: Deferred[Any] | None, reason: str) -> None:
    if answer is not None:
        answer.errback(RedisUnavailable(reason))


def _is_missing_script(error: Exception) -> bool:
    """Whether Redis wants the script's source: the message is sent once more then."""
    return getattr(error, "code", "") == "NOSCRIPT"
