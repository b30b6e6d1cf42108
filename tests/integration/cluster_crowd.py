"""A crowd of Socket.IO clients on several nodes, in a process of its own, which notes what each gets.

    python -m tests.integration.cluster_crowd

It is told what to do by lines of JSON, and answers each with one:

    {"do": "connect", "ports": [...], "cookies": [...], "clients": 500}   clients to each port; they join their rooms
    {"do": "load", "port": 1, "seconds": 5, "rate": 50}                   client 0 of each port says events meanwhile
    {"do": "lost", "port": 1, "to": 2}        the port's node is gone: its clients go to another as they find out
    {"do": "settle", "seconds": 60}           wait until all have all, or so long
    {"do": "report"}                          {"missing": {port: n}, "twice": n, "out_of_order": n, "unrecovered": n}

Events are numbered by who says them; each says whom it is for: everybody, or one of ten rooms.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

ROOMS = 10
#: connections that are being opened at a time
_AT_A_TIME = 50


class Member:
    """One client, wherever it is."""

    def __init__(self, crowd: Crowd, room: str, port: int, cookie: str) -> None:
        self.crowd = crowd
        self.room = room
        self.home = self.port = port
        self.cookie = cookie
        self.pid: str | None = None
        self.offset: str | None = None
        self.got: set[str] = set()
        self.twice: list[str] = []
        self.order: dict[str, int] = {}
        self.out_of_order = 0
        self.unrecovered = 0
        self.moves = 0
        self.socket: ClientConnection | None = None
        self.is_ready = asyncio.Event()
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self.task: asyncio.Task[None] | None = None
        self.joining: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Connect, listen, and come back."""
        while True:
            try:
                async with connect(
                    f"ws://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=websocket",
                    additional_headers={"Cookie": self.cookie},
                    origin=f"http://127.0.0.1:{self.port}",  # type: ignore[arg-type]
                    proxy=None,
                    compression=None,
                    max_queue=None,
                    open_timeout=60,
                    close_timeout=1,
                    ping_interval=None,
                ) as self.socket:
                    await self._talk()
            except (WebSocketException, OSError, TimeoutError, EOFError):
                pass
            self.is_ready.clear()
            self.port = self.crowd.moved.get(self.port, self.port)
            self.moves += 1
            await asyncio.sleep(0.05)  # as a client does before it comes back

    async def _talk(self) -> None:
        assert self.socket is not None
        auth = {name: value for name, value in (("pid", self.pid), ("offset", self.offset)) if value is not None}
        await self.socket.send("40" + json.dumps(auth))
        async for text in self.socket:
            assert isinstance(text, str)
            if text == "2":
                await self.socket.send("3")
            elif text.startswith("42"):
                self._take(*json.loads(text[2:])[1:])
            elif text.startswith("43"):
                number = text[2 : text.index("[")]
                waiting = self._acks.pop(int(number), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)
            elif text.startswith("40"):
                body = json.loads(text[2:])
                if self.pid is not None and body["pid"] != self.pid:
                    self.unrecovered += 1
                    self.offset = None
                if body["pid"] != self.pid:
                    self.pid = body["pid"]
                    self.joining = asyncio.create_task(self._join())
                else:
                    self.is_ready.set()
            elif text.startswith(("41", "44")):
                return

    async def _join(self) -> None:
        await self.ask("join", self.room)
        self.is_ready.set()

    async def ask(self, *event: Any) -> None:
        """Say an event and wait for its acknowledgement."""
        assert self.socket is not None
        self._asked += 1
        answer = self._acks[self._asked] = asyncio.get_running_loop().create_future()
        await self.socket.send(f"42{self._asked}" + json.dumps(event))
        await answer

    async def tell(self, *event: Any) -> None:
        """Say an event."""
        if self.socket is not None:
            await self.socket.send("42" + json.dumps(event))

    def _take(self, who: str, number: int, offset: str) -> None:
        name = f"{who}:{number}"
        if name in self.got:
            self.twice.append(name)
        if self.order.get(who, 0) > number:
            self.out_of_order += 1
        self.order[who] = max(number, self.order.get(who, 0))
        self.got.add(name)
        self.offset = offset


class Crowd:
    """All of them."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.moved: dict[int, int] = {}
        #: for whom an event is: a room, or None; by its name
        self.said: dict[str, str | None] = {}
        self._numbers: defaultdict[str, int] = defaultdict(int)

    async def connect(self, ports: list[int], cookies: list[str], clients: int) -> dict[str, Any]:
        gate = asyncio.Semaphore(_AT_A_TIME)

        async def open_one(member: Member) -> None:
            async with gate:
                member.task = asyncio.create_task(member.run())
                await member.is_ready.wait()

        for index in range(clients * len(ports)):
            room, port = f"room{index // len(ports) % ROOMS}", ports[index % len(ports)]
            self.members.append(Member(self, room, port, cookies[index % len(cookies)]))
        await asyncio.gather(*map(open_one, self.members))
        return {"ready": len(self.members)}

    async def load(self, ports: list[int], seconds: float, rate: float) -> dict[str, Any]:
        """Somebody at each port says events at that rate each, for everybody and for rooms in turn."""
        loop = asyncio.get_running_loop()
        end, due = loop.time() + seconds, loop.time()
        while loop.time() < end:
            for port in ports:
                speaker = next((one for one in self.members if one.port == port and one.is_ready.is_set()), None)
                if speaker is not None:
                    await self.say(speaker)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
        return {"said": len(self.said)}

    async def say(self, speaker: Member) -> None:
        who = f"port{speaker.port}"
        self._numbers[who] += 1
        number = self._numbers[who]
        room = None if number % 3 == 0 else f"room{number % ROOMS}"
        self.said[f"{who}:{number}"] = room
        try:
            await speaker.tell("say", room, who, number)
        except ConnectionClosed:
            del self.said[f"{who}:{number}"]

    def note(self, who: str, number: int, room: str | None) -> dict[str, Any]:
        """An event that another program has sent."""
        self.said[f"{who}:{number}"] = room
        return {}

    def missing(self, member: Member) -> list[str]:
        """What it has not got, of what anybody has."""
        return [name for name, room in self.said.items() if room in (None, member.room) and name not in member.got]

    async def settle(self, seconds: float) -> dict[str, Any]:
        """Wait until all have all, or nothing has come for a while."""
        loop = asyncio.get_running_loop()
        end, quiet, last = loop.time() + seconds, 0, -1
        while loop.time() < end and quiet < 12:
            if all(one.is_ready.is_set() and not self.missing(one) for one in self.members):
                break
            count = sum(len(one.got) for one in self.members)
            quiet = quiet + 1 if count == last else 0
            last = count
            await asyncio.sleep(0.25)
        return {}

    def report(self) -> dict[str, Any]:
        got: set[str] = set().union(*(one.got for one in self.members))
        missing: Counter[str] = Counter()
        events: defaultdict[str, set[str]] = defaultdict(set)
        for member in self.members:
            for name in self.missing(member):
                if name in got:
                    missing[str(member.home)] += 1
                    events[str(member.home)].add(name)
        return {
            "said": len(self.said),
            "nobody_got": sorted(set(self.said) - got),
            "missing": dict(missing),
            "events_missing": {port: sorted(names) for port, names in events.items()},
            "twice": sum(len(one.twice) for one in self.members),
            "out_of_order": sum(one.out_of_order for one in self.members),
            "unrecovered": sum(one.unrecovered for one in self.members),
            "moves": sum(one.moves for one in self.members),
            "deliveries": sum(len(one.got) for one in self.members),
        }

    async def do(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what a line says."""
        match order.pop("do"):
            case "connect":
                return await self.connect(**order)
            case "load":
                return await self.load(**order)
            case "lost":
                self.moved[order["port"]] = order["to"]
                return {}
            case "note":
                return self.note(**order)
            case "settle":
                return await self.settle(**order)
            case "report":
                return self.report()
        raise AssertionError(order)


async def main() -> None:
    """Do what the lines say, side by side; each answer has the line's `id`."""
    crowd = Crowd()
    reader = asyncio.StreamReader(1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def answer(order: dict[str, Any]) -> None:
        id = order.pop("id")
        print(json.dumps({"id": id, **await crowd.do(order)}), flush=True)

    running: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(answer(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(main())
