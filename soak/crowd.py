"""What all clients of a load process share."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from soak.plan import Plan
from soak.sessions import Session, Sessions
from soak.tally import Tally

#: seconds in which every connection of a session that is over must have found out
_TO_FIND_OUT = 10.0


class Visitor(Protocol):
    """A client that is connected.

    Attributes:
        session: by which it is.
        since: POSIX seconds.
        is_deaf: whether it does not read at the moment.
    """

    session: Session
    since: float
    is_deaf: bool


class Crowd:
    """What all clients share.

    Attributes:
        open: the healthy clients that are connected.
        going_home: set when the soak is over; `going` is done then.
    """

    sessions: Sessions

    def __init__(self, plan: Plan, port: int) -> None:
        self.plan = plan
        self.port = port
        self.tally = Tally()
        self.open: set[Visitor] = set()
        self.going_home = asyncio.Event()
        self.going: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def go_home(self) -> None:
        """The soak is over."""
        self.going_home.set()
        self.going.set_result(None)

    async def rest(self, seconds: float) -> None:
        """Wait, or until the soak is over."""
        await asyncio.wait((self.going,), timeout=seconds)

    def over(self, session: Session, why: str) -> None:
        """A session ended: in a while, none of its connections of before may be open."""
        asyncio.get_running_loop().call_later(_TO_FIND_OUT, self._find_forgotten, session, why, time.time())

    def _find_forgotten(self, session: Session, why: str, ended_at: float) -> None:
        for visitor in self.open:
            if visitor.session is session and visitor.since < ended_at - 1 and not visitor.is_deaf:
                self.tally.unexpected[f"still connected after its session has {why}"] += 1
