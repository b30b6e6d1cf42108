"""What `wsservice connect` prints: a line for each frame, with time, direction and size."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from wsservice.cli.client.keyboard import Pipe, Terminal
from wsservice.terminal import escape

#: characters of a message that are shown; `--full` shows all
SHOWN = 2000


class Screen:
    """Prints; nothing that the service sends can command the terminal.

    Args:
        keyboard: whose prompt must not be torn.
        quiet: only what comes from the service, bare, for scripts; the rest goes to stderr or nowhere.
        full: messages of any length.
        now: POSIX seconds.
    """

    def __init__(
        self,
        keyboard: Pipe | Terminal,
        *,
        quiet: bool = False,
        full: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keyboard = keyboard
        self._quiet = quiet
        self._most = None if full else SHOWN
        self._now = now

    def sent(self, text: str, size: int) -> None:
        """A message to the service."""
        if not self._quiet:
            self._print("->", text, f"({_bytes(size)})")

    def came(self, text: str, size: int, took: float | None = None) -> None:
        """A message from the service; `took` so many seconds, if it is an answer."""
        if self._quiet:
            print(escape(text), flush=True)
            return
        self._print("<-", text, f"({_bytes(size)}{'' if took is None else f', {took * 1000:.1f} ms'})")

    def note(self, text: str) -> None:
        """A word of the client's own."""
        if self._quiet:
            print(f"wsservice: {escape(text)}", file=sys.stderr, flush=True)
        else:
            self._print("--", text)

    def help(self, text: str) -> None:
        """Lines as they are."""
        print(self._keyboard.before() + text + "\n" + self._keyboard.after(), end="", flush=True)

    def _print(self, direction: str, text: str, behind: str = "") -> None:
        if self._most is not None and len(text) > self._most:
            text = f"{text[: self._most]} ... {len(text) - self._most} more characters"
        now = self._now()
        stamp = f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now * 1000) % 1000:03}"
        line = " ".join(filter(None, [stamp, direction, escape(text), behind]))
        print(f"{self._keyboard.before()}{line}\n{self._keyboard.after()}", end="", flush=True)


def _bytes(size: int) -> str:
    return "1 byte" if size == 1 else f"{size} bytes"
