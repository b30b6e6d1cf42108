"""Telling systemd how the service is: sd_notify(3), for units of `Type=notify`.

A message is one datagram of lines NAME=value to the socket that `NOTIFY_SOCKET` names; without that name nobody asked,
and nothing is sent. What is told:

    READY=1                        it listens, and the event loop turns
    RELOADING=1, then READY=1      around a reload
    STOPPING=1                     it ends, and how long that may take (EXTEND_TIMEOUT_USEC)
    WATCHDOG=1                     the event loop still turns: told from it, twice in each WATCHDOG_USEC
    STATUS=...                     one line for `systemctl status`
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger

log = Logger()

#: seconds between two looks at the status line, where no watchdog asks for more
STATUS_INTERVAL = 10.0
#: microseconds in a second
_MICRO = 1_000_000


class Notifier:
    """Tells the service manager; every method does nothing where there is none.

    Args:
        environ: of the process; `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` count.
        clock: the reactor: what it no longer calls, systemd is no longer told.
        status: the line for `systemctl status`.
    """

    def __init__(self, environ: Mapping[str, str], clock: Any, status: Callable[[], str] = lambda: "") -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self._status = status
        self._told = ""
        self._failed = False
        self._call: Any = None
        watchdog = _watchdog(environ)
        self._watches = watchdog > 0
        self._interval = min(watchdog / 2, STATUS_INTERVAL) if self._watches else STATUS_INTERVAL

    def ready(self) -> None:
        """The service is there, or has read its settings anew; from now on it says so regularly."""
        if self._address is None:
            return
        self._send("READY=1", *self._new_status())
        if self._call is None:
            self._tick()

    def reloading(self) -> None:
        """The settings are read anew; call `ready` when that is done, well or not."""
        # systemd 253 compares the time with that of its signal (Type=notify-reload).
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, seconds: float) -> None:
        """The service ends, and asks for so many seconds, whatever the unit's `TimeoutStopSec` is."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * _MICRO)}", *self._new_status())

    def close(self) -> None:
        """Say nothing more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        self._call = self._clock.callLater(self._interval, self._tick)
        lines = [*(["WATCHDOG=1"] if self._watches else []), *self._new_status()]
        if lines:
            self._send(*lines)

    def _new_status(self) -> list[str]:
        status = self._status()
        if status == self._told:
            return []
        self._told = status
        return [f"STATUS={status}"]

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:  # a manager that is busy or gone is no reason not to serve
            if not self._failed:
                log.warn("systemd cannot be told ({reason}): look at NOTIFY_SOCKET", reason=error.strerror)
            self._failed = True


def _address(name: str) -> bytes | None:
    """Where to send: a path, or a name that is in no file system (unix(7), abstract), written with an @."""
    if name.startswith("@"):
        return b"\0" + os.fsencode(name[1:])
    return os.fsencode(name) if name.startswith("/") else None


def _watchdog(environ: Mapping[str, str]) -> float:
    """Seconds within which the manager wants to hear something; 0 where it does not, or not of this process."""
    try:
        wanted = int(environ.get("WATCHDOG_USEC") or 0) / _MICRO
        pid = int(environ.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return 0.0
    return wanted if pid == os.getpid() else 0.0
