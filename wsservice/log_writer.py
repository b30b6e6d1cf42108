"""Writing lines to a terminal, a pipe or a file, without ever blocking or failing.

A log is read by others: a pager that waits, a collector that hangs, a disk that is full. None of them may stop the
service. What cannot be written now is kept, up to a bound, and tried again with the next line; past the bound lines
are dropped, whole, and counted.
"""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path
from threading import RLock

#: bytes that are kept for a reader that does not read
LIMIT = 1024 * 1024
#: bytes that never block once poll(2) calls a pipe writable (PIPE_BUF, pipe(7))
_CHUNK = 4096


class LineWriter:
    """Writes lines to a file descriptor, which it closes in the end only where it opened it.

    Args:
        fd: stays the caller's.
        limit: bytes that are kept while nothing can be written.

    Attributes:
        dropped: lines that were lost so far.
    """

    def __init__(self, fd: int, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._path: Path | None = None
        self._pending = bytearray()
        # Handlers in threads may log, too.
        self._lock = RLock()
        self.dropped = 0
        self._use(_own_terminal(fd))

    @classmethod
    def to_file(cls, path: Path, *, limit: int = LIMIT) -> LineWriter:
        """A writer to a file, to its end. When the file is renamed or removed, the next line begins a new one.

        Raises:
            OSError: it cannot be opened.
        """
        path = path.absolute()
        writer = cls(_open(path), limit=limit)
        writer._path = path
        return writer

    @property
    def is_behind(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._pending)

    def write(self, line: str) -> None:
        """Write a line; its end is added. What UTF-8 has no form for (a lone surrogate) is written as its escape."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            if self._path is not None and self._was_moved(self._path):
                self.reopen()
            self._flush()
            if len(self._pending) + len(data) > self._limit:
                self.dropped += 1
                return
            self._pending += data
            self._flush()

    def reopen(self) -> None:
        """Open the file anew, after it was renamed; if that fails, the old one stays in use."""
        if self._path is None:
            return
        with self._lock:
            try:
                fd = _open(self._path)
            except OSError:  # a log has nobody to complain to; the old file still takes lines
                return
            os.close(self._fd)
            self._use(fd)

    def _use(self, fd: int) -> None:
        self._fd = fd
        status = os.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)
        self._poll: select.poll | None = None
        if not stat.S_ISREG(status.st_mode):
            self._poll = select.poll()
            self._poll.register(fd, select.POLLOUT)

    def _was_moved(self, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity

    def _flush(self) -> None:
        while self._pending:
            if self._poll is not None and not self._poll.poll(0):
                return
            try:
                written = os.write(self._fd, self._pending[:_CHUNK])
            except OSError:  # no reader, no space: kept, and later dropped and counted
                return
            del self._pending[:written]


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _own_terminal(fd: int) -> int:
    """A terminal, opened once more without blocking: to set that on `fd` would change the shell's own."""
    try:
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no terminal
        return fd
