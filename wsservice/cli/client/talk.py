"""A conversation: one loop over the keyboard and the WebSocket, until either ends."""

from __future__ import annotations

import random
import select
import time
from collections import deque
from collections.abc import Callable, Iterator

from wsservice.cli.client.ends import End
from wsservice.cli.client.keyboard import Pipe, Terminal
from wsservice.cli.client.lines import HELP, Line, parse_line
from wsservice.cli.client.screen import Screen
from wsservice.cli.client.waits import Waits
from wsservice.cli.client.websocket import WebSocket
from wsservice.cli.client.wire import Answered, BadLine, Came, Note, Over, Send, Step, Wire
from wsservice.cli.command import Failed, Status, refused
from wsservice.client_frames import Message, Opcode, decode_close
from wsservice.close_codes import Advice

#: seconds for the service's answer to a close; precedent: the service's own three
CLOSE_TIMEOUT = 3.0
#: of coming back: the first wait, the longest, and how often in vain; precedent: the front end's own client
FIRST_WAIT, LONGEST_WAIT, ATTEMPTS = 1.0, 30.0, 10
_FOREVER = 3600.0


class Talk:
    """The client's side of a conversation.

    Args:
        connect: opens a WebSocket anew; may raise `Failed`.
        refresh: renews the session; whether it worked.
        stay: go on when the input has ended, until the service closes.
        timeout: seconds for an answer that the input waits for.
        pause: waits so many seconds before coming back.
    """

    def __init__(
        self,
        connect: Callable[[], WebSocket],
        wire: Wire,
        keyboard: Pipe | Terminal,
        screen: Screen,
        *,
        refresh: Callable[[], bool] = lambda: False,
        stay: bool = False,
        timeout: float = 10.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect = connect
        self._refresh = refresh
        self._wire = wire
        self._keyboard = keyboard
        self._screen = screen
        self._stay = stay
        self._timeout = timeout
        self._pause = pause
        self._lines: deque[str] = deque()
        self._called: dict[int, float] = {}
        self._pings: dict[bytes, float] = {}
        self._waits = Waits(timeout)
        self._attempts = 0

    def run(self) -> Status:
        """Talk; gives how it ended.

        Raises:
            Failed: the service cannot be reached, or a script's line is wrong or gets no answer.
            KeyboardInterrupt: Ctrl-C; the connection is closed.
        """
        try:
            socket = self._connect()
            while True:
                end = self._converse(socket)
                for name in self._wire.lost():
                    self._screen.note(f"{name}: nobody will answer any more")
                self._screen.note(end.describe())
                again = self._come_back(end) if self._wire.recover and not end.ours else None
                if again is None:
                    return Status.DONE if end.is_good else Status.FAILED
                socket = again
        finally:
            self._keyboard.close()

    def _come_back(self, end: End) -> WebSocket | None:
        """A new WebSocket after the end of one, as its advice says; None if there is to be none."""
        if end.advice is Advice.STOP:
            return None
        if end.advice is Advice.REFRESH and not self._refresh():
            return None
        while self._attempts < ATTEMPTS:
            seconds = random.uniform(0.5, 1) * min(LONGEST_WAIT, FIRST_WAIT * 2**self._attempts)  # noqa: S311 - jitter
            self._attempts += 1
            self._screen.note(f"coming back in {seconds:.1f} s")
            self._pause(seconds)
            try:
                return self._connect()
            except Failed as error:
                self._screen.note(str(error))
        return None

    def _converse(self, socket: WebSocket) -> End:
        """From the open WebSocket to its end."""
        wire = self._wire
        self._waits.end()
        last = began = time.monotonic()
        try:
            self._do(socket, wire.opened())
            while True:
                self._type(socket)
                if (
                    self._keyboard.ended
                    and not self._lines
                    and not self._waits.is_waiting
                    and wire.is_ready
                    and not self._stay
                ):
                    return self._close(socket, 1000, "")
                self._select(socket, last, began)
                socket.flush()
                for message in socket.receive():
                    last = time.monotonic()
                    end = self._take(socket, message)
                    if end is not None:
                        return end
                if socket.ended:
                    return End(None, socket.problem)
                if wire.deadline is not None and time.monotonic() - last > wire.deadline:
                    return End(None, "the service sent no ping in time")
                if not wire.is_ready and time.monotonic() - began > self._timeout:
                    socket.close(1000)
                    raise Failed(f"no {wire.greeting} within {self._timeout:g} s: is it wsservice that answers there?")
                if self._waits.is_waiting and time.monotonic() > self._waits.deadline:
                    self._miss()
        except _Closed as closed:
            return closed.end
        except KeyboardInterrupt:
            self._screen.note("interrupted: closing")
            self._close(socket, 1000, "")
            raise
        finally:
            socket.cut()

    def _miss(self) -> None:
        """What the input waited for has not come: a script ends by that, a person goes on."""
        problem = f"no answer within {self._timeout:g} s"
        if not self._keyboard.is_terminal:
            raise Failed(problem)
        self._waits.end()
        self._screen.note(problem)

    def _select(self, socket: WebSocket, last: float, began: float) -> None:
        """Wait for something to do."""
        now = time.monotonic()
        times = [_FOREVER]
        if self._waits.is_waiting:
            times.append(self._waits.deadline - now)
        if not self._wire.is_ready:
            times.append(self._timeout - (now - began))
        if self._wire.deadline is not None:
            times.append(self._wire.deadline - (now - last))
        reads: list[WebSocket | Pipe | Terminal] = [socket]
        is_reading = self._is_reading and not self._keyboard.ended
        if is_reading:
            self._keyboard.wanted()
        if is_reading or self._keyboard.is_terminal:  # a terminal tells of Ctrl-C, too
            reads.append(self._keyboard)
        if socket.has_more:
            return
        readable, _, _ = select.select(reads, [socket] if socket.wants_to_write else [], [], max(0.0, min(times)))
        if self._keyboard in readable:
            self._lines.extend(self._keyboard.read())

    @property
    def _is_reading(self) -> bool:
        """Whether the next line may be typed."""
        return self._wire.is_ready and not self._waits.is_waiting and not self._lines

    def _type(self, socket: WebSocket) -> None:
        """Do what was typed, up to a line that waits for an answer."""
        while self._lines and not self._waits.is_waiting and self._wire.is_ready and not socket.ended:
            try:
                line = parse_line(self._lines.popleft())
                if line is not None:
                    self._do_line(socket, line)
            except BadLine as error:
                if not self._keyboard.is_terminal:
                    self._close(socket, 1000, "")
                    raise refused(str(error)) from None
                self._screen.note(str(error))

    def _do_line(self, socket: WebSocket, line: Line) -> None:
        wire = self._wire
        if line.kind in ("text", "binary", "event", "call"):
            self._waits.sent()
        if line.kind == "text":
            self._do(socket, wire.text(line.text))
        elif line.kind == "binary":
            self._do(socket, wire.binary(line.data))
        elif line.kind == "event":
            self._do(socket, wire.event(line.text, line.args))
        elif line.kind == "call":
            self._do(socket, wire.call(line.text, line.args))
            number = next(reversed(wire.calls))
            self._called[number] = time.monotonic()
            if not self._keyboard.is_terminal:  # a script goes on with the answer; a person need not wait
                self._waits.begin(f"call {number}", time.monotonic())
        elif line.kind == "ping":
            payload = f"{len(self._pings)} {time.monotonic()}".encode()
            self._pings[payload] = time.monotonic()
            socket.send(Opcode.PING, payload)
            if not self._keyboard.is_terminal:
                self._waits.begin("pong", time.monotonic())
        elif line.kind == "wait":
            self._waits.begin(line.number, time.monotonic())
        elif line.kind == "close":
            raise _Closed(self._close(socket, line.number, line.text))
        else:
            self._screen.help(HELP)

    def _take(self, socket: WebSocket, message: Message) -> End | None:
        """One message; gives the end, if it is one."""
        if message.opcode is Opcode.CLOSE:
            code, reason = decode_close(message.payload)
            socket.close(code if code is not None and 1000 <= code != 1005 else None)
            return End(code if code is not None else 1005, reason)
        if message.opcode is Opcode.PING:
            socket.send(Opcode.PONG, message.payload)
        elif message.opcode is Opcode.PONG:
            self._pong(message.payload)
        else:
            return self._do(socket, self._wire.received(message))
        return None

    def _pong(self, payload: bytes) -> None:
        began = self._pings.pop(payload, None)
        if began is not None:
            self._screen.came("pong", len(payload), time.monotonic() - began)
            self._waits.end("pong")

    def _do(self, socket: WebSocket, steps: Iterator[Step]) -> End | None:
        """What the protocol wants."""
        for step in steps:
            if isinstance(step, Send):
                socket.send(step.opcode, step.payload)
                if step.shown:
                    self._screen.sent(step.shown, len(step.payload))
            elif isinstance(step, Came):
                self._screen.came(step.shown, step.size)
                self._waits.count(1)
            elif isinstance(step, Answered):
                began = self._called.pop(step.call, None)
                self._screen.came(step.shown, step.size, began and time.monotonic() - began)
                self._waits.end(f"call {step.call}")
            elif isinstance(step, Note):
                self._screen.note(step.text)
            elif isinstance(step, Over):
                self._screen.note(step.text + (f"; {step.advice}" if step.advice else ""))
                socket.close(1000)
                return End(None, step.text, told=True)
        if self._wire.is_ready:
            self._attempts = 0
        return None

    def _close(self, socket: WebSocket, code: int, reason: str) -> End:
        """Close, and show what comes until the service has answered."""
        for step in self._wire.farewell():
            assert isinstance(step, Send)
            socket.send(step.opcode, step.payload)
        socket.close(code, reason)
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while not socket.ended and time.monotonic() < deadline:
            for message in socket.wait(deadline - time.monotonic()):
                if message.opcode is Opcode.CLOSE:
                    return End(decode_close(message.payload)[0], "", ours=True)
                if message.opcode in (Opcode.TEXT, Opcode.BINARY):
                    self._show(message)
        return End(None, "", ours=True)

    def _show(self, message: Message) -> None:
        for step in self._wire.received(message):
            if isinstance(step, Came | Answered):
                self._screen.came(step.shown, step.size)


class _Closed(Exception):
    """The person closed."""

    def __init__(self, end: End) -> None:
        super().__init__()
        self.end = end
