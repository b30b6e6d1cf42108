"""A healthy client: it comes, does this and that, goes in one way or another, and comes again.

It checks that every message came, once. What an acknowledgement tells takes effect in the turn in which it is read,
since the next message may already stand behind it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn

from soak.crowd import Crowd
from soak.ledger import Ledger
from soak.lines import Closed, Line, RawLine, SocketIoLine, Where, quietly
from soak.polling import PollingLine
from soak.sessions import Session
from soak.wires import Heard

KINDS: dict[str, Callable[[Where], Line]] = {"raw": RawLine, "socketio": SocketIoLine, "polling": PollingLine}
#: seconds for an answer
_TIMEOUT = 60.0
_SLOW = 4408
#: bytes of a large message; on `/ws` it must stay below 64 KiB, and Socket.IO's own bound is a megabyte
_LARGE = {"raw": (20_000, 60_000), "socketio": (20_000, 200_000), "polling": (20_000, 60_000)}

#: of the time in which a ping must be answered: how long somebody reads nothing. A mebibyte may wait for a poll; for a
#: WebSocket some more in the system's buffers, so that most who pause keep below the bound, and some pass it
_PAUSE = {"raw": (0.2, 0.5), "socketio": (0.2, 0.5), "polling": (0.02, 0.08)}


class Healthy:
    """One client for the whole soak; see the module's docstring."""

    def __init__(self, crowd: Crowd, kind: str, rng: random.Random) -> None:
        self._crowd = crowd
        self._kind = kind
        self._rng = rng
        self._large = _LARGE[kind]
        self._actions: list[tuple[float, Callable[[], Awaitable[None]]]] = self._choose_actions()

    async def live(self) -> None:
        """Visit the service again and again, until the crowd goes home."""
        while not self._crowd.going_home.is_set():
            session = self._crowd.sessions.pick()
            if session is not None:
                await self._visit(session)
            await asyncio.sleep(self._rng.uniform(0.05, 0.5))

    # One visit

    async def _visit(self, session: Session) -> None:
        self.session = session
        self.since = time.time()
        self.is_deaf = False
        self._cookie, self._cookie_ends = session.cookie, session.expires_at
        self._opened_at = 0.0
        self._ledger = Ledger()
        self._line = KINDS[self._kind](Where(self._crowd.port, session.cookie, session.address))
        self._doing = "connecting"
        self._hears = asyncio.Event()
        self._hears.set()
        self._said_hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, tuple[asyncio.Future[Any], Callable[[Any], None] | None]] = {}
        self._blobs: list[asyncio.Future[bytes]] = []
        self._aside: asyncio.Future[None] | None = None
        self._number = self._published = 0
        reading: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._line.open()
            reading = asyncio.create_task(self._read())
            await self._wait(self._said_hello)
            self._opened_at = time.time()
            self._crowd.open.add(self)
            self._crowd.tally.done[f"{self._kind}: connected"] += 1
            for room in self._rng.sample(range(self._crowd.plan.rooms), 2):
                await self._enter(f"room:{room}")
            await self._stay()
            self._crowd.open.discard(self)
            reading.cancel()
            await self._go()
        except Closed as closed:
            self._judge(closed)
        except TimeoutError:
            self._crowd.tally.unexpected[f"{self._kind}: no answer while {self._doing}"] += 1
        finally:
            self._crowd.open.discard(self)
            if reading is not None:
                reading.cancel()
                await quietly(reading)
            if self._ended.done():
                self._ended.exception()
            self._crowd.tally.close(self._kind, self._ledger)
            with suppress(OSError, AssertionError):  # it is gone, or never was there
                self._line.reset()

    async def _stay(self) -> None:
        plan = self._crowd.plan
        until = self.since + self._rng.expovariate(1 / plan.visit)
        weights = [weight for weight, _ in self._actions]
        while time.time() < until and not self._crowd.going_home.is_set():
            await self._rest(self._rng.expovariate(1 / plan.action))
            if self._crowd.going_home.is_set():
                break
            [(_, action)] = self._rng.choices(self._actions, weights)
            self._doing = action.__name__.strip("_")
            self._crowd.tally.done[self._doing] += 1
            await action()
        self._doing = "saying goodbye"
        await self._sync()

    async def _go(self) -> None:
        way = self._rng.choices(("politely", "by a reset", "silently"), (55, 25, 20))[0]
        if self._crowd.going_home.is_set() and way == "silently":
            way = "politely"
        self._crowd.tally.done[f"left {way}"] += 1
        if way == "politely":
            await quietly(asyncio.wait_for(self._line.leave(), _TIMEOUT))
        elif way == "by a reset":
            self._line.reset()
        else:
            self._line.vanish()
            await self._crowd.rest(self._crowd.plan.patience)
            if self._crowd.going_home.is_set():
                return
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self._line.listen_again()
            except Closed:
                self._crowd.tally.done["silent ones that were cut off"] += 1

    def _judge(self, closed: Closed) -> None:
        why = self.session.explains(closed.code, closed.reason)
        if why is None and time.time() >= self._cookie_ends and self.session.came_late(self._cookie, self._opened_at):
            why = "opened by a cookie that a refresh had just replaced"
        if why is None and self.is_deaf and (closed.code == _SLOW or self._kind == "polling"):
            why = "reads too slowly for a while"
        if why is not None:
            self._crowd.tally.done[f"closed: {why}"] += 1
        else:
            self._crowd.tally.unexpected[f"{self._kind}: closed by {closed} while {self._doing}"] += 1

    # Reading

    async def _read(self) -> None:
        try:
            while True:
                await self._hears.wait()
                for heard in await self._line.hear():
                    await self._take(heard)
        except Closed as closed:
            self._end(closed)
        except (ValueError, LookupError, TypeError) as error:
            self._crowd.tally.unexpected[f"{self._kind}: heard nonsense: {error!r:.100}"] += 1
            self._end(Closed(None, "nonsense"))

    def _end(self, closed: Closed) -> None:
        if not self._ended.done():
            self._ended.set_exception(closed)

    async def _take(self, heard: Heard) -> None:
        if heard.kind == "event":
            if heard.name == "said":
                self._ledger.hear(heard.data["scope"], heard.data["n"])
            elif heard.name == "hello":
                for scope, head in heard.data["heads"].items():
                    self._ledger.enter(scope, head)
                self._said_hello.set_result(None)
            elif heard.name == "question" and heard.id is not None:
                await self._line.send(self._line.wire.answer(heard.id, heard.data))
            elif heard.name != "tick":
                self._crowd.tally.unexpected[f"{self._kind}: the event {heard.name}: {heard.data!r:.60}"] += 1
        elif heard.kind == "answer" and heard.id is not None:
            answer, then = self._answers.pop(heard.id)
            if then is not None:
                then(heard.data)
            if not answer.done():
                answer.set_result(heard.data)
        elif heard.kind == "blob":
            self._blobs.pop(0).set_result(heard.data)
        elif heard.kind == "joined" and self._aside is not None:
            self._aside.set_result(None)
        elif heard.kind == "refused":
            raise Closed(None, heard.data)

    # Asking

    async def _wait(self, what: asyncio.Future[Any], patience: float = _TIMEOUT) -> Any:
        await asyncio.wait((what, self._ended), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if what.done():
            return what.result()
        if self._ended.done():
            self._ended.result()
        raise TimeoutError

    async def _rest(self, seconds: float) -> None:
        await asyncio.wait((self._ended, self._crowd.going), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            self._ended.result()

    async def _ask(self, name: str, data: Any, then: Callable[[Any], None] | None = None, aside: bool = False) -> Any:
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer, then
        began = time.perf_counter()
        await self._line.send(self._line.wire.emit(name, data, self._number, aside))
        found = await self._wait(answer)
        if name == "sync":  # others may have to wait
            self._crowd.tally.round_trips.append(time.perf_counter() - began)
        return found

    def _expect(self, found: Any, wanted: Any) -> None:
        if found != wanted:
            self._crowd.tally.unexpected[f"{self._kind}: a wrong answer while {self._doing}: {found!r:.60}"] += 1

    # What it does

    def _choose_actions(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        plan = self._crowd.plan
        often = [
            (3.0, self._sync),
            (3.0, self._echo),
            (0.2, self._echo_much),
            (0.3, self._hurry),
            (1.0, self._blob),
            (1.0, self._answer),
            (0.1, self._ask_room),
            (1.5, self._tell_room),
            (1.0, self._move),
            (0.05, self._read_slowly),
        ]
        if self._kind != "raw":
            often.append((0.5, self._go_aside))
        whole = sum(weight for weight, _ in often)
        to_all, to_user = plan.share_of_actions(plan.to_all), plan.share_of_actions(plan.to_user)
        rare = [(to_all * whole, self._tell_all), (to_all / 2 * whole, self._tick), (to_user * whole, self._tell_user)]
        return [*often, *rare]

    async def _sync(self) -> None:
        def check(heads: dict[str, int]) -> None:
            self._ledger.check_all(heads)
            if set(heads) != set(self._ledger.scopes):
                self._crowd.tally.unexpected[f"{self._kind}: is in other rooms than it asked for"] += 1

        await self._ask("sync", None, check)

    async def _echo(self) -> None:
        value = self._rng.randrange(10**9)
        self._expect(await self._ask("echo", {"value": value}), value)

    async def _echo_much(self) -> None:
        value = "\u00e9" * (self._rng.randrange(*self._large) // 6)
        self._expect(await self._ask("echo", {"value": value}), value)

    async def _hurry(self) -> None:
        """Send faster than the handlers work."""
        asked = [self._ask("echo", {"value": number, "wait": 0.01}) for number in range(20)]
        self._expect(await asyncio.gather(*asked), list(range(20)))

    async def _blob(self) -> None:
        payload = self._rng.randbytes(self._rng.choice((10, 1000, 30_000)))
        back: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._blobs.append(back)
        await self._line.send(*self._line.wire.blob(payload))
        self._expect(await self._wait(back), payload)

    async def _answer(self) -> None:
        value = self._rng.randrange(10**9)
        self._expect(await self._ask("ask me", value), value)

    async def _ask_room(self) -> None:
        answers, asked = await self._ask("ask room", self._rng.choice(self._rooms()))
        self._crowd.tally.done["members of rooms that were asked"] += asked
        self._crowd.tally.done["members of rooms that answered"] += answers

    async def _tell_room(self) -> None:
        size = self._rng.randrange(100, 300)
        if self._rng.random() < 0.03:
            size = self._rng.randrange(20_000, 60_000)
        await self._publish(self._rng.choice(self._rooms()), size, shout=self._rng.random() < 0.3)

    async def _tell_all(self) -> None:
        await self._publish("all", self._rng.randrange(50, 200))

    async def _tell_user(self) -> None:
        await self._publish(f"user:{self.session.user}", self._rng.randrange(50, 200))

    async def _tick(self) -> None:
        await self._line.send(self._line.wire.emit("tick", None))

    async def _move(self) -> None:
        old = self._rng.choice(self._rooms())
        await self._exit(old)
        new = self._rng.randrange(self._crowd.plan.rooms)
        while f"room:{new}" in self._rooms():
            new = (new + 1) % self._crowd.plan.rooms
        await self._enter(f"room:{new}")

    async def _read_slowly(self) -> None:
        """Read nothing for a while, and then everything: many large messages come meanwhile."""
        await self._enter("firehose")
        self.is_deaf = True
        self._hears.clear()
        shortest, longest = _PAUSE[self._kind]
        await self._rest(self._rng.uniform(shortest, longest) * self._crowd.plan.ping_timeout)
        self._hears.set()
        await self._exit("firehose")
        self.is_deaf = False

    async def _go_aside(self) -> None:
        """Join the other namespace, say something there, and leave it."""
        self._aside = asyncio.get_running_loop().create_future()
        await self._line.send("0/side,")
        await self._wait(self._aside)
        self._aside = None
        value = self._rng.randrange(10**9)
        self._expect(await self._ask("echo", {"value": value}, aside=True), value)
        await self._line.send("1/side,")

    async def _publish(self, scope: str, size: int, shout: bool = False) -> None:
        self._published += 1
        order = {"scope": scope, "size": size, "shout": shout, "count": self._published}
        await self._ask("publish", order, (lambda number: self._ledger.hear(scope, number)) if shout else None)

    async def _enter(self, scope: str) -> None:
        await self._ask("join", scope, lambda head: self._ledger.enter(scope, head))

    async def _exit(self, scope: str) -> None:
        await self._ask("leave", scope, lambda head: self._ledger.leave(scope, head))

    def _rooms(self) -> list[str]:
        return [scope for scope in self._ledger.scopes if scope.startswith("room:")]
