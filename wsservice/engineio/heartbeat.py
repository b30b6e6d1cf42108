"""The heartbeat of a session: the server pings, the client must answer in time.

    RESTING   --(ping_interval)-->  a ping is due  -->  AWAITING
    AWAITING  --(a pong)----------------------------->  RESTING
    AWAITING  --(ping_timeout)----------------------->  the session is dead

There is one deadline and nothing else that could pile up: a pong nobody asked for moves it, and that is all
(CVE-2026-48802). It belongs to the session and not to a transport, so an upgrade does not touch it: in
engine.io 6.6 an upgrade forgets the ping that is outstanding, and with it the session, for ever.

Deadlines follow from the schedule, not from when somebody looks: a ping that was due at T is overdue at
T + ping_timeout even if nothing happened in between. So a session whose pings nobody fetches is dead at
exactly ping_interval + ping_timeout after its creation.
"""

from __future__ import annotations

from enum import Enum

from wsservice.engineio.settings import Settings

#: seconds by which a timer may be early: sums of floats differ in their last digits
_TOLERANCE = 1e-6


class Beat(Enum):
    """What is due."""

    NOTHING = "nothing"
    PING = "ping"
    DEATH = "death"


def is_due(deadline: float, now: float) -> bool:
    """Whether a deadline has come."""
    return now >= deadline - _TOLERANCE


class Heartbeat:
    """One session's; starts with its creation, before the open packet is written.

    Attributes:
        deadline: monotonic seconds: of the next ping, or of the pong that is awaited.
        is_awaiting: whether a pong is.
    """

    __slots__ = ("_extended", "_is_deaf", "_settings", "deadline", "is_awaiting")

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self.is_awaiting = False
        self._extended = False
        self._is_deaf = False
        self.deadline = now + settings.ping_interval

    def handle_timer(self, now: float) -> Beat:
        """What is due by now; for a PING the caller sends one, for DEATH it ends the session."""
        if not is_due(self.deadline, now):
            return Beat.NOTHING
        if self.is_awaiting:
            if not self._is_deaf:
                return Beat.DEATH
            self.deadline = now + self._settings.ping_timeout
            return Beat.NOTHING
        self.is_awaiting = True
        self._extended = False
        self.deadline = (now if self._is_deaf else self.deadline) + self._settings.ping_timeout
        return Beat.DEATH if is_due(self.deadline, now) else Beat.PING

    def pong(self, now: float) -> None:
        """A pong arrived, asked for or not: the next ping is an interval away."""
        self.is_awaiting = False
        self.deadline = now + self._settings.ping_interval

    def listen(self, now: float, *, is_deaf: bool) -> None:
        """Whether pongs are not read, for now: nobody dies of that, and once they are there is time for one."""
        if is_deaf is self._is_deaf:
            return
        self._is_deaf = is_deaf
        if self.is_awaiting:
            self.deadline = max(self.deadline, now + self._settings.ping_timeout)

    def traffic(self, now: float) -> None:
        """Something else arrived: once for each ping, the pong may take longer (precedent: engine.io 6.6.12).

        A pong behind a large message on a slow line must not be too late; traffic without any pong does not count.
        """
        if self.is_awaiting and not self._extended:
            self._extended = True
            self.deadline = now + self._settings.ping_timeout
