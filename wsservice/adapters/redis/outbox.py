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

#: a command's bytes, who waits for its answer, and whether it is a message, whose loss is counted
Command = tuple[bytes, "Deferred[Any] | None", bool]


class Outbox:
    """Commands in order that are not written yet; past the bound the oldest are dropped.

    While it is `holding`, messages wait, and other commands pass them.

    Args:
        counters: count ("cluster_dropped", why) for each message that was dropped.
        max_bytes: of all together, with `OVERHEAD` for each; one alone may be larger.
    """

    def __init__(self, counters: Counters, max_bytes: int) -> None:
        self._counters = counters
        self._max_bytes = max_bytes
        self._bytes = 0
        self._commands: deque[Command] = deque()
        #: messages that are held, older than all those in `_commands`
        self._held: deque[Command] = deque()
        self.holding = False

    def __len__(self) -> int:
        return len(self._commands) + len(self._held)

    @property
    def is_ready(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._commands)

    def add(self, data: bytes, answer: Deferred[Any] | None = None, is_message: bool = True) -> None:
        """Append a command."""
        (self._held if is_message and self.holding else self._commands).append((data, answer, is_message))
        self._bytes += len(data) + OVERHEAD
        while self._bytes > self._max_bytes and len(self) > 1:
            self._drop("queue_full")

    def take(self, size: int) -> list[Command]:
        """Take the oldest from it, until they have so many bytes."""
        commands = self._commands
        if self._bytes <= size and not self._held:
            taken = list(commands)
            commands.clear()
            self._bytes = 0
            return taken
        taken = []
        while size > 0 and commands:
            command = commands.popleft()
            taken.append(command)
            size -= len(command[0])
            self._bytes -= len(command[0]) + OVERHEAD
        return taken

    def hold(self, reason: str) -> None:
        """Hold messages from now on. Drop what is none: who asked is told, and would not want it later."""
        self.holding = True
        commands, held = (*self._held, *self._commands), self._held
        self._commands.clear()
        held.clear()
        self._bytes = 0
        for data, answer, is_message in commands:
            if is_message:
                held.append((data, answer, is_message))
                self._bytes += len(data) + OVERHEAD
            else:
                _fail(answer, reason)

    def release(self) -> None:
        """Let the messages go out."""
        self.holding = False
        self._commands.extend(self._held)
        self._held.clear()

    def drop_all(self, reason: str) -> None:
        """Drop what is left, and count it."""
        while len(self):
            self._drop(reason)

    def _drop(self, reason: str) -> None:
        data, answer, is_message = (self._held or self._commands).popleft()
        self._bytes -= len(data) + OVERHEAD
        if is_message:
            self._counters.add("cluster_dropped", reason)
        _fail(answer, f"it was not sent: {reason.replace('_', ' ')}")


class Replies:
    """The commands that one connection has sent and that are not answered; txredisapi's `replyQueue`, too.

    Args:
        counters: count ("cluster_dropped", "uncertain") and ("cluster_dropped", "refused").
        refused: is called with the error that a message got for which nobody waits.
    """

    def __init__(self, counters: Counters, refused: Callable[[Exception], None]) -> None:
        self._counters = counters
        self._refused = refused
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


def _fail(answer: Deferred[Any] | None, reason: str) -> None:
    if answer is not None:
        answer.errback(RedisUnavailable(reason))


def _is_missing_script(error: Exception) -> bool:
    """Whether Redis wants the script's source: the message is sent once more then."""
    return getattr(error, "code", "") == "NOSCRIPT"
