"""Two innocent clients in a process of their own, one on /ws and one of Socket.IO, that echo all the time.

    python -m tests.integration.innocents PORT COOKIE

Each line on stdin asks for a report: a line of JSON, once each has had another echo answered that began after the
question. Each client tells the number of its echoes, and the slowest of them since the last report. When one loses its
connection, or an echo is wrong or not answered in time, the process says so and ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from websockets.asyncio.client import connect

#: seconds for one echo: a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0
#: seconds between two echoes
PAUSE = 0.01

Echo = Callable[[int], Awaitable[Any]]


class Innocent:
    """Echoes, and remembers how long it took."""

    def __init__(self, name: str, echo: Echo) -> None:
        self.name = name
        self.echoes = 0
        self.slowest = 0.0
        self._echo = echo
        self._echoed = asyncio.Condition()

    async def run(self) -> None:
        """Echo until something goes wrong."""
        while True:
            began = time.monotonic()
            answer = await asyncio.wait_for(self._echo(self.echoes), PATIENCE)
            if answer != self.echoes:
                raise AssertionError(f"{self.name}: {answer!r} is no echo of {self.echoes}")
            async with self._echoed:
                self.echoes += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                self._echoed.notify_all()
            await asyncio.sleep(PAUSE)

    async def report(self) -> dict[str, Any]:
        """Wait for one echo that is not yet under way."""
        wanted = self.echoes + 2
        async with self._echoed:
            await self._echoed.wait_for(lambda: self.echoes >= wanted)
        slowest, self.slowest = self.slowest, 0.0
        return {"echoes": self.echoes, "slowest": slowest}


async def raw(port: int, cookie: str) -> Innocent:
    """One on /ws."""
    client = await connect(
        f"ws://localhost:{port}/ws", additional_headers={"Cookie": cookie}, proxy=None, open_timeout=PATIENCE
    )

    async def echo(number: int) -> Any:
        await client.send(json.dumps({"event": "echo", "data": number, "id": number}))
        while (answer := json.loads(await client.recv())).get("ack") != number:
            pass
        return answer["data"]

    return Innocent("/ws", echo)


async def socket_io(port: int, cookie: str) -> Innocent:
    """One of Socket.IO."""
    client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
    await client.connect(
        f"http://localhost:{port}", headers={"Cookie": cookie}, transports=["websocket"], wait_timeout=PATIENCE
    )
    return Innocent("Socket.IO", lambda number: client.call("echo", number, timeout=PATIENCE))


async def main(port: int, cookie: str) -> None:
    """Run both until stdin ends."""
    innocents = [await raw(port, cookie), await socket_io(port, cookie)]
    echoing = [asyncio.ensure_future(one.run()) for one in innocents]
    loop = asyncio.get_running_loop()
    while True:
        asked = asyncio.ensure_future(loop.run_in_executor(None, sys.stdin.readline))
        await _unless_lost(echoing, asked)
        if not asked.result():
            os._exit(0)  # some of the libraries' goodbyes take a minute, and this is no test of theirs
        reports = [asyncio.ensure_future(one.report()) for one in innocents]
        await _unless_lost(echoing, asyncio.gather(*reports))
        told = {one.name: report.result() for one, report in zip(innocents, reports, strict=True)}
        print(json.dumps(told), flush=True)


async def _unless_lost(echoing: list[asyncio.Future[None]], wanted: asyncio.Future[Any]) -> None:
    """Wait for something, unless one of the two loses its connection before."""
    await asyncio.wait([*echoing, wanted], return_when=asyncio.FIRST_COMPLETED)
    for one in echoing:
        if one.done():
            print(json.dumps({"lost": repr(one.exception())}), flush=True)
            os._exit(1)  # a thread still reads stdin
    await wanted


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
