"""Ends under load: SIGTERM, a second one, kill -9 and clients that come back, logout, expiry."""

from __future__ import annotations

import asyncio
import json
import select
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.integration.abuse import (
    CLOSE,
    MIB,
    SOCKETIO,
    AbuseCase,
    Victim,
    close_of,
    dial,
    frame,
    more_files,
    open_socket,
    read_head,
    read_to_end,
    scaled,
    until,
    upgrade,
)
from tests.integration.service import PATIENCE


class Audience:
    """Sockets that are read all the time, by a thread, until each has ended."""

    def __init__(self, socks: list[socket.socket]) -> None:
        self.ends: dict[socket.socket, tuple[float, bytes]] = {}
        self.heard = 0
        self._open = dict.fromkeys(socks, b"")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        poll = select.poll()
        by_number = {sock.fileno(): sock for sock in self._open}
        for number in by_number:
            poll.register(number, select.POLLIN)
        while by_number:
            for number, _ in poll.poll(100):
                sock = by_number[number]
                try:
                    data = sock.recv(1 << 20)
                except ConnectionError:
                    data = b""
                self.heard += len(data)
                self._open[sock] = self._open[sock][-200:] + data
                if close_of(self._open[sock][self._open[sock].rfind(b"\x88") :]) is not None and data:
                    sock.sendall(frame(b"\x03\xe8", CLOSE))
                if not data:
                    self.ends[sock] = (time.monotonic(), self._open[sock])
                    poll.unregister(number)
                    del by_number[number]
                    sock.close()

    def closes(self) -> Counter[tuple[int, str] | None]:
        """How those that have ended were closed."""
        return Counter(self.close(sock) for sock in list(self.ends))

    def close(self, sock: socket.socket) -> tuple[int, str] | None:
        """How one was closed."""
        end = self.ends[sock][1]
        return close_of(end[end.rfind(b"\x88") :])

    def join(self) -> None:
        """Wait until all have ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


class EndCase(AbuseCase):
    def crowd(self, victim: Victim, cookie: str, count: int) -> list[socket.socket]:
        """Clients of both kinds that hear what the room is told."""
        more_files(2 * count + 200)
        socks = []
        for number in range(count):
            is_raw = number % 2
            sock = open_socket(victim.port, cookie, path="/ws" if is_raw else SOCKETIO)
            if is_raw:
                sock.sendall(frame(b'{"event": "join", "data": "room"}'))
            else:
                sock.sendall(frame(b"40") + frame(b'42["join","room"]'))
            socks.append(sock)
        return socks

    def load(self, seconds: float = 60) -> None:
        """Each of the crowd is told ten kilobytes a second."""
        self.watcher.ask("flood", {"room": "room", "size": 512, "rate": MIB // 100, "seconds": seconds})


class StopTests(EndCase):
    def test_sigterm_under_load_closes_all_in_batches(self) -> None:
        victim = self.start_dev("--drain-timeout", "20", "--max-connections-per-user", "0")
        count = scaled(400)
        socks = self.crowd(victim, self.bob, count)
        until(lambda: self.watcher.ask("members", "room") == count)
        audience = Audience(socks)
        self.load()
        until(lambda: audience.heard > MIB)
        kept = dial(victim.port)  # a connection that has been served already
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_head(kept)
        kept.sendall(upgrade(victim.port, self.bob)[:30])
        half = dial(victim.port)
        half.sendall(upgrade(victim.port, self.bob)[:30])
        until(lambda: self.watcher.tables["heads"] == 1)
        victim.process.send_signal(signal.SIGTERM)
        until(lambda: audience.ends, "the first have been closed")
        kept.sendall(upgrade(victim.port, self.bob)[30:])
        answer = read_to_end(kept)
        self.assertIn(b"HTTP/1.1 503 ", answer)
        self.assertIn(b"\r\nretry-after: ", answer.lower())
        self.assertNotIn(b" 101 ", read_to_end(half))
        self.assertEqual(victim.wait(), 0)
        audience.join()
        self.assertEqual(audience.closes(), {(1001, "Server shutting down"): count})
        times = sorted(when for when, _ in audience.ends.values())
        # 50 in a tenth of a second: none of them may come earlier, however fast the machine is.
        self.assertGreater(times[-1] - times[0], 0.1 * (count // 50 - 2))
        self.assertIn("stopped", victim.log)

    def test_a_second_sigterm_ends_at_once(self) -> None:
        victim = self.start_dev("--drain-timeout", "3000")
        socks = self.crowd(victim, self.bob, 20)
        audience = Audience(socks)
        stuck = open_socket(victim.port, self.bob)
        stuck.sendall(frame(b'{"event": "never"}'))
        until(lambda: self.watcher.tables["running"] == 1)
        victim.process.send_signal(signal.SIGTERM)
        audience.join()
        self.assertIsNone(victim.process.poll())
        self.assertEqual(victim.stop(signal.SIGTERM), 0)
        self.assertEqual(audience.closes(), {(1001, "Server shutting down"): 20})
        self.assertEqual(close_of(read_to_end(stuck)), (1001, "Server shutting down"))


class SessionTests(EndCase):
    def test_a_logout_under_load_closes_exactly_the_sockets_of_its_session(self) -> None:
        victim = self.start_dev("--max-connections-per-user", "0")
        count = scaled(200)
        other = victim.log_in("bob")  # the same user, elsewhere
        leaving, staying = self.crowd(victim, self.bob, count), self.crowd(victim, other, count)
        with self.unnoticed(victim):
            until(lambda: self.watcher.ask("members", "room") == 2 * count)
            audience = Audience([*leaving, *staying])
            self.load()
            until(lambda: audience.heard > MIB)
            self.assertEqual(victim.request("POST", "/auth/logout", {}, cookie=self.bob).status, 204)
            until(lambda: len(audience.ends) >= count)
            heard = audience.heard
            until(lambda: audience.heard > heard + MIB)
            self.assertEqual(set(audience.ends), set(leaving))
            self.assertEqual(audience.closes(), {(1008, "Signed out"): count})
            self.assertEqual(self.watcher.ask("members", "room"), count)
        self.assertEqual(victim.stop(), 0)
        audience.join()

    def test_expiry_under_load_closes_exactly_what_has_expired(self) -> None:
        provider = self.provide()
        victim = self.start_with(provider, "--max-connections-per-user", "0")
        count = scaled(200)
        short = provider.cookie("bob", exp=int(time.time()) + 4)
        leaving = self.crowd(victim, short, count)
        staying = self.crowd(victim, provider.cookie("bob"), count)
        audience = Audience([*leaving, *staying])
        with self.unnoticed(victim):
            self.load()
            until(lambda: len(audience.ends) >= count)
            heard = audience.heard
            until(lambda: audience.heard > heard + MIB)
            self.assertEqual(set(audience.ends), set(leaving))
            self.assertEqual(audience.closes(), {(1008, "Authentication expired"): count})
        self.assertEqual(self.watcher.counter("connections_expired"), count)
        self.assertEqual(victim.stop(), 0)
        audience.join()


class ComeBackTests(EndCase):
    def test_kill_minus_nine_and_clients_that_come_back(self) -> None:
        provider = self.provide()
        victim = self.start_with(provider)
        cookie = provider.cookie("bob")

        async def scenario() -> None:
            returning = Returning(victim.port, cookie, raw=40, sessions=10)
            await returning.all_have_echoed()
            victim.process.kill()
            self.assertEqual(await asyncio.to_thread(victim.wait), -signal.SIGKILL)
            returning.forget()
            await asyncio.to_thread(self.start, "--port", str(victim.port), env=provider.environment)
            await returning.all_have_echoed()
            self.assertEqual(returning.lost, 50)
            await returning.stop()

        asyncio.run(asyncio.wait_for(scenario(), 3 * PATIENCE))


class Returning:
    """Clients that echo all the time, and connect again whenever they lose their connection."""

    def __init__(self, port: int, cookie: str, *, raw: int, sessions: int) -> None:
        self.lost = 0
        self._port, self._cookie = port, cookie
        self._echoed: set[int] = set()
        self._count = raw + sessions
        self._clients: list[socketio.AsyncClient] = []
        runs = [self._raw] * raw + [self._session] * sessions
        self._tasks = [asyncio.ensure_future(run(number)) for number, run in enumerate(runs)]

    def forget(self) -> None:
        """Each has to echo anew."""
        self._echoed.clear()

    async def all_have_echoed(self) -> None:
        """Wait for that; what went wrong meanwhile is raised."""
        while len(self._echoed) < self._count:
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            http = client.eio.http
            await client.disconnect()
            await http.close()

    async def _echo(self, number: int, echo: Callable[[int], Awaitable[Any]]) -> None:
        count = 0
        while True:
            count += 1
            assert await echo(count) == count
            self._echoed.add(number)
            await asyncio.sleep(0.05)

    async def _raw(self, number: int) -> None:
        headers = {"Cookie": self._cookie}
        url = f"ws://localhost:{self._port}/ws"
        async for client in connect(url, additional_headers=headers, proxy=None, open_timeout=PATIENCE):

            async def echo(count: int, client: Any = client) -> Any:
                await client.send(json.dumps({"event": "echo", "data": count, "id": count}))
                return json.loads(await client.recv())["data"]

            try:
                await self._echo(number, echo)
            except ConnectionClosed:
                self.lost += 1

    async def _session(self, number: int) -> None:
        client = socketio.AsyncClient(handle_sigint=False, reconnection_delay=0.1, reconnection_delay_max=0.5)
        self._clients.append(client)
        connected = asyncio.Event()
        client.on("connect", connected.set)

        async def headers() -> dict[str, str]:
            return {"Cookie": self._cookie}

        def gone(*reason: Any) -> None:
            connected.clear()
            self.lost += 1

        client.on("disconnect", gone)
        await client.connect(
            f"http://localhost:{self._port}", headers=headers, transports=["websocket"], wait_timeout=PATIENCE
        )
        while True:
            await connected.wait()
            try:
                await self._echo(number, lambda count: client.call("echo", count, timeout=5))
            except (socketio.exceptions.SocketIOError, ValueError):
                await asyncio.sleep(0.05)
