"""Running out of file descriptors: accepting pauses and resumes, and those that are connected notice nothing.

A process gets the lowest free descriptor, so the number of a new connection's tells how many are in use. Near the
limit the listening sockets are left alone for a while; clients then wait in the system's backlog. (Without this,
Twisted accepts and closes them one by one.)
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from wsservice.alarms import Alarms

#: seconds of a pause
PAUSE = 0.25


class Accepting:
    """Pauses the ports.

    Args:
        highest: the descriptor from which on a new connection is one too many.
    """

    def __init__(self, clock: IReactorTime, alarms: Alarms, *, highest: int) -> None:
        self._clock = clock
        self._alarms = alarms
        self._highest = highest
        self._is_paused = False
        #: the listening ports; set once they listen, emptied when they no longer do
        self.ports: list[Any] = []

    def accepts(self, transport: Any) -> bool:
        """Whether a new connection may stay; if not, no others are accepted for a while."""
        fileno = getattr(transport, "fileno", None)
        if fileno is None or fileno() < self._highest:
            return True
        self._alarms.hit("open_files", "ulimit -n, LimitNOFILE=")
        if not self._is_paused:
            self._is_paused = True
            for port in self.ports:
                port.stopReading()
            self._clock.callLater(PAUSE, self._resume)
        return False

    def _resume(self) -> None:
        self._is_paused = False
        for port in self.ports:
            port.startReading()
