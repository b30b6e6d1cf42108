"""Logins: their cookies, their refreshes, and their ends."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from soak.http import Answer, Http
from soak.plan import Plan
from soak.tally import Tally

#: of a token's life, after which it is refreshed: a handshake with the old one must not outlive the next refresh
_REFRESH_AT = 0.4
#: seconds before a token's end in which nobody connects with it, and after which it is over for sure
_MARGIN = 1.5
#: seconds in which a client may still find out that its session had expired
_RECENTLY = 30.0
#: refreshes under way, and seconds until the next ones
_AT_ONCE, _PAUSE = 10, 0.2
_REFRESH_COOKIE = "refreshToken"


@dataclass(slots=True, eq=False)
class Session:
    """A login.

    Attributes:
        lapses: whether it is refreshed only when it has expired.
        is_over: whether it was signed out.
    """

    user: str
    address: str
    lapses: bool = False
    cookie: str = ""
    refresh: str = ""
    expires_at: float = 0.0
    is_over: bool = False
    #: when it expired, of late; connections of before may end with that reason
    lapsed_at: float = 0.0
    #: cookies that were replaced, and when that began
    replaced: dict[str, float] = field(default_factory=dict)

    @property
    def is_usable(self) -> bool:
        """Whether one can connect with it."""
        return not self.is_over and self.expires_at - time.time() > _MARGIN

    def came_late(self, cookie: str, opened_at: float) -> bool:
        """Whether a connection by this cookie may have opened behind the refresh that replaced it.

        Nobody could renew it then, and it ends with the cookie's token.
        """
        return opened_at >= self.replaced.get(cookie, float("inf"))

    def explains(self, code: int | None, reason: str) -> str | None:
        """Why the service may have ended a connection of this session, if it may."""
        ends = [] if not self.is_over else ["Signed out"]
        if time.time() > self.expires_at - _MARGIN or time.time() - self.lapsed_at < _RECENTLY:
            ends.append("Authentication expired")
        if reason in ends:
            return reason
        # Long-polling tells no reasons, and a handshake no details.
        if ends and (code in (None, 400) or reason == "Invalid authentication token"):
            return ends[0]
        return None


class Sessions:
    """All logins of a soak.

    Args:
        passwords: by user.
        over: is told when a session was signed out or has expired, and why.
    """

    def __init__(
        self,
        plan: Plan,
        port: int,
        passwords: dict[str, str],
        *,
        tally: Tally,
        rng: random.Random,
        over: Callable[[Session, str], None],
    ) -> None:
        self._plan = plan
        self._port = port
        self._passwords = passwords
        self._tally = tally
        self._rng = rng
        self._over = over
        self._all: list[Session] = []
        self._made = 0

    def pick(self) -> Session | None:
        """One that can be used."""
        for _ in range(20):
            session = self._rng.choice(self._all)
            if session.is_usable:
                return session
        return None

    async def begin(self) -> None:
        """Log in as often as the plan says."""
        for number in range(self._plan.sessions):
            self._all.append(await self._log_in(lapses=number < self._plan.lapsing * self._plan.sessions))

    async def refresh_for_ever(self) -> None:
        """Refresh each session in time, or too late where it lapses."""
        while True:
            due = [session for session in self._all if self._is_due(session, time.time())]
            self._rng.shuffle(due)
            await asyncio.gather(*map(self._refresh, due[:_AT_ONCE]))
            await asyncio.sleep(_PAUSE)

    def _is_due(self, session: Session, now: float) -> bool:
        if session.lapses:
            return now >= session.expires_at + _MARGIN
        return now >= session.expires_at - (1 - _REFRESH_AT) * self._plan.lifetime

    async def sign_out_one(self) -> None:
        """End a session that does not lapse, and let a new one take its place."""
        index = self._rng.randrange(int(self._plan.lapsing * len(self._all)) + 1, len(self._all))
        session = self._all[index]
        self._all[index] = await self._log_in()
        session.is_over = True
        answer = await self._ask(session, "logout")
        self._tally.done["signed out"] += 1
        if answer.status != 204:
            self._tally.unexpected[f"logout {answer.status}"] += 1
        self._over(session, "signed out")

    async def _log_in(self, *, lapses: bool = False) -> Session:
        self._made += 1
        user = sorted(self._passwords)[self._made % len(self._passwords)]
        address = f"10.{self._made >> 16 & 255}.{self._made >> 8 & 255}.{self._made & 255}"
        session = Session(user, address, lapses)
        answer = await self._ask(session, "login", {"username": user, "password": self._passwords[user]})
        self._tally.done["logged in"] += 1
        self._take(session, answer, "login")
        return session

    async def _refresh(self, session: Session) -> None:
        if time.time() >= session.expires_at:
            session.lapsed_at = session.expires_at
            self._over(session, "expired")
            if not session.lapses:
                self._tally.done["refreshed too late, since the crowd is busy"] += 1
        session.replaced[session.cookie] = time.time()
        answer = await self._ask(session, "refresh")
        if session.is_over:
            return
        self._tally.done["refreshed"] += 1
        self._take(session, answer, "refresh")

    def _take(self, session: Session, answer: Answer, what: str) -> None:
        if answer.status != 200:
            self._tally.unexpected[f"{what} {answer.status}"] += 1
            session.expires_at = time.time() + self._plan.lifetime  # and not again at once
            return
        session.refresh = f"{_REFRESH_COOKIE}={answer.cookies.pop(_REFRESH_COOKIE)}"
        session.cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
        session.expires_at = json.loads(answer.body)["expiresAt"]

    async def _ask(self, session: Session, what: str, body: object = None) -> Answer:
        http = Http(self._port, session.address)
        try:
            return await http.request(
                "POST",
                f"/auth/{what}",
                cookie="; ".join(filter(None, (session.cookie, session.refresh))),
                body=json.dumps({} if body is None else body).encode(),
                kind="application/json",
            )
        finally:
            http.close()
