"""Where lines come from: a terminal, with editing and history, or a pipe. Both are read when `select` says so."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections import deque
from contextlib import suppress

_READ = 65536
PROMPT = "> "


class Pipe:
    """Lines of the input as they come, by its descriptor: nothing is read ahead by anybody else.

    Attributes:
        ended: there will be no more.
    """

    is_terminal = False

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False

    def fileno(self) -> int:
        """For `select`."""
        return self._descriptor

    def read(self) -> list[str]:
        """The lines that are whole."""
        try:
            data = os.read(self._descriptor, _READ)
        except OSError:  # closed by who started us, as by `<&-`
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data:
            self.ended = True
            lines, self._rest = [self._rest] if self._rest else [], b""
        return [line.decode("utf-8", "replace").removesuffix("\r") for line in lines]

    def wanted(self) -> None:
        """A line may be typed."""

    def before(self) -> str:
        """What must be written before something is printed."""
        return ""

    def after(self) -> str:
        """And what behind it."""
        return ""

    def close(self) -> None:
        """It is not read any more."""


class Terminal:
    """Lines that a person types, by `readline` in a thread: it blocks, and knows no `select`.

    What is printed meanwhile goes above the line that is being typed.
    """

    is_terminal = True

    def __init__(self) -> None:
        import readline
        import termios

        self._readline, self._termios = readline, termios
        readline.set_auto_history(True)
        # readline leaves the terminal without echo when the program ends while it reads
        self._attributes = termios.tcgetattr(0)
        self._waker, self._woken = socket.socketpair()
        # The system may give Ctrl-C to the thread, and `select` would not hear of it.
        self._waker.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._wanted = threading.Semaphore(0)
        self._is_reading = False
        self._lines: deque[str | None] = deque()
        self.ended = False
        threading.Thread(target=self._run, daemon=True).start()

    def fileno(self) -> int:
        """For `select`."""
        return self._woken.fileno()

    def wanted(self) -> None:
        """Show the prompt, unless it is there."""
        if not self._is_reading and not self.ended:
            self._is_reading = True
            self._wanted.release()

    def read(self) -> list[str]:
        """What was typed."""
        self._woken.recv(_READ)
        found = []
        while self._lines:
            line = self._lines.popleft()
            self._is_reading = False
            if line is None:
                self.ended = True
            else:
                found.append(line)
        return found

    def before(self) -> str:
        """Takes the prompt away."""
        return "\r\x1b[K" if self._is_reading else ""

    def after(self) -> str:
        """And puts it back, with what was typed."""
        return PROMPT + self._readline.get_line_buffer() if self._is_reading else ""

    def close(self) -> None:
        """Leave the terminal, and the signals, as they were."""
        signal.set_wakeup_fd(self._wakeup_before)
        with suppress(self._termios.error):
            self._termios.tcsetattr(0, self._termios.TCSADRAIN, self._attributes)
        if self._is_reading:
            print()

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            try:
                line: str | None = input(PROMPT)
            except (EOFError, OSError, ValueError):
                line = None
            self._lines.append(line)
            with suppress(OSError):
                self._waker.send(b".")
            if line is None:
                return


def open_keyboard() -> Pipe | Terminal:
    """The terminal where one is, else the pipe."""
    if os.isatty(0) and sys.stdout.isatty():
        with suppress(ImportError):  # a Python without readline
            return Terminal()
    return Pipe()
