"""python-socketio's client, on asyncio, against the service as a user runs it, with the cookie of a login."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.service import RunningService
from tests.integration.test_socketio_node import SOON, Base, Pool
from tests.needs import missing

try:
    import aiohttp  # noqa: F401 - the client cannot do without
    import socketio
    from engineio.payload import Payload
    from socketio.exceptions import ConnectionError as NotConnected
except ImportError:
    socketio = None

TRANSPORTS = (["websocket"], ["polling"], ["polling", "websocket"])
DEEP = {"a": [{"b": b"\x00\xff"}, b""], "c": None}


class Heard:
    """What a client hears: the arguments of each event, in a queue of its own.

    Args:
        events: their names, beside those of the client itself.
    """

    def __init__(self, client: socketio.AsyncClient, *events: str, namespace: str = "/") -> None:
        self._queues: dict[str, asyncio.Queue[list[Any]]] = {}
        for event in ("connect", "connect_error", "disconnect", *events):
            self._queues[event] = asyncio.Queue()
            client.on(event, self._hear(event), namespace)

    async def next(self, event: str) -> list[Any]:
        """The arguments of the next such event."""
        return await asyncio.wait_for(self._queues[event].get(), SOON)

    def _hear(self, event: str) -> Callable[..., None]:
        return lambda *args: self._queues[event].put_nowait(list(args))


async def leave(client: socketio.AsyncClient) -> None:
    """Disconnect once what was sent is under way: on long-polling this client drops it, and its goodbye with it."""
    if client.connected:
        await asyncio.wait_for(client.eio.queue.join(), SOON)
    await client.disconnect()


class PythonClientTests(Base):
    def setUp(self) -> None:
        if socketio is None:
            raise missing("python-socketio is not installed: pip install 'python-socketio[asyncio-client]'")

    def run_async(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            await asyncio.wait_for(scenario(), 4 * SOON)

        asyncio.run(bounded())

    @asynccontextmanager
    async def client(
        self, port: int, cookie: str, transports: list[str], *events: str, **options: Any
    ) -> AsyncIterator[tuple[socketio.AsyncClient, Heard]]:
        """A connected client; it is disconnected at the end."""
        client = socketio.AsyncClient(
            handle_sigint=False, reconnection_delay=0.05, reconnection_delay_max=0.2, randomization_factor=0
        )
        heard = Heard(client, *events)

        async def headers() -> dict[str, str]:  # anew for each attempt: the client takes the cookie out
            return {"Cookie": cookie}

        try:
            await client.connect(
                f"http://localhost:{port}",
                headers=headers,
                transports=transports,
                wait_timeout=SOON,
                **{"namespaces": ["/"], **options},
            )
            yield client, heard
        finally:
            await leave(client)

    def each_way(
        self,
        service: RunningService,
        check: Callable[[socketio.AsyncClient, Heard], Awaitable[None]],
        *events: str,
        **options: Any,
    ) -> None:
        """Run a check with a client of each transport, and with one that upgrades."""
        cookie = service.log_in("alice")

        async def scenario() -> None:
            for transports in TRANSPORTS:
                async with self.client(service.port, cookie, transports, *events, **options) as (client, heard):
                    self.assertEqual(client.transport(), transports[-1])
                    await check(client, heard)

        self.run_async(scenario)

    def test_it_connects_by_each_transport_and_upgrades(self) -> None:
        # Of more than 16 packets in one answer of long-polling this client thinks ill, whoever the server is.
        self.patch(Payload, "max_decode_packets", 1000)

        async def check(client: socketio.AsyncClient, heard: Heard) -> None:
            await heard.next("connect")
            me = await client.call("who am i", timeout=SOON)
            self.assertEqual((me["user"], me["id"], me["auth"]), ("alice", client.get_sid(), {"colour": "red"}))
            for number in range(100):
                await client.emit("say", number)
            self.assertEqual([await heard.next("said") for _ in range(100)], [[number] for number in range(100)])

        self.each_way(self.start(), check, "said", auth={"colour": "red"})

    def test_acknowledgements_both_ways(self) -> None:
        async def check(client: socketio.AsyncClient, heard: Heard) -> None:
            client.on("question", lambda *args: (*args, "answered"))
            self.assertEqual(await client.call("echo", (1, "zwei", [3]), timeout=SOON), (1, "zwei", [3]))
            self.assertEqual(await client.call("echo", "one", timeout=SOON), "one")
            self.assertIsNone(await client.call("leave", "a room", timeout=SOON))
            answer = await client.call("ask me", (SOON, "question", 1, {"two": 2}), timeout=SOON)
            self.assertEqual(answer, [1, {"two": 2}, "answered"])
            refusal = await client.call("refuse", timeout=SOON)
            self.assertEqual(refusal["error"]["code"], "not_today")
            self.assertEqual((await client.call("nobody's", timeout=SOON))["error"]["code"], "unknown_event")

        self.each_way(self.start(), check)

    def test_bytes_at_any_depth_both_ways(self) -> None:
        async def check(client: socketio.AsyncClient, heard: Heard) -> None:
            client.on("question", lambda data: {"again": data})
            self.assertEqual(await client.call("echo", (DEEP, b"end"), timeout=SOON), (DEEP, b"end"))
            await client.emit("say", (DEEP, b"x" * 200_000))
            self.assertEqual(await heard.next("said"), [DEEP, b"x" * 200_000])
            self.assertEqual(await client.call("ask me", (SOON, "question", DEEP), timeout=SOON), {"again": DEEP})

        self.each_way(self.start(), check, "said")

    def test_several_namespaces_and_the_end_of_one(self) -> None:
        names = ["/", "/admin", "/room-3"]

        async def check(client: socketio.AsyncClient, heard: Heard) -> None:
            room = Heard(client, "news", namespace="/room-3")
            for name in names:
                self.assertEqual((await client.call("who am i", namespace=name, timeout=SOON))["namespace"], name)
            await client.call("tell", ({}, "news", name), namespace="/room-3", timeout=SOON)
            self.assertEqual(await room.next("news"), ["/room-3"])
            await client.emit("disconnect me", namespace="/room-3")
            await room.next("disconnect")
            self.assertEqual(await client.call("echo", "still here", namespace="/admin", timeout=SOON), "still here")

        self.each_way(self.start(), check, namespaces=names)

    async def refused(self, port: int, cookie: str, message: str, transports: list[str], **options: Any) -> None:
        """Connect in vain, and be told this."""
        client = socketio.AsyncClient(handle_sigint=False)
        heard = Heard(client)
        headers = {"Cookie": cookie} if cookie else {}
        url = f"http://localhost:{port}"
        with self.assertRaises(NotConnected):
            await client.connect(url, headers=headers, transports=transports, wait_timeout=SOON, **options)
        self.assertEqual((await heard.next("connect_error"))[0]["message"], message)

    def test_a_refusal_is_told(self) -> None:
        service = self.start()
        good = service.log_in("alice")

        async def scenario() -> None:
            for transports in TRANSPORTS:
                await self.refused(service.port, "", "Missing authentication token", transports)
                await self.refused(service.port, good, "This ticket is torn", transports, auth={"ticket": "torn"})
                await self.refused(service.port, "authToken=no", "Invalid authentication token", transports)

        self.run_async(scenario)

    def test_a_bad_token_is_told_where_only_the_first_request_brought_it(self) -> None:
        # On long-polling this client sends its headers with the handshake, and with no later request.
        service = self.start()
        self.run_async(lambda: self.refused(service.port, "authToken=no", "Invalid authentication token", ["polling"]))

    def test_a_disconnect_by_the_server_and_one_by_the_client_are_heard_on_the_other_side(self) -> None:
        service = self.start()
        cookie = service.log_in("alice")

        async def scenario() -> None:
            async with self.client(service.port, cookie, ["websocket"], "left") as (watcher, told):
                await watcher.call("enter", "watchers", timeout=SOON)
                for transports in TRANSPORTS:
                    async with self.client(service.port, cookie, transports) as (client, heard):
                        sid = client.get_sid()
                        await client.emit("disconnect me")
                        self.assertEqual(await heard.next("disconnect"), ["server disconnect"])
                        self.assertEqual((await told.next("left"))[0], sid)
                    async with self.client(service.port, cookie, transports) as (client, heard):
                        sid = client.get_sid()
                        await leave(client)
                        self.assertEqual(await heard.next("disconnect"), ["client disconnect"])
                        self.assertEqual((await told.next("left"))[0], sid)

        self.run_async(scenario)

    def test_it_comes_back_to_a_service_that_was_stopped_or_killed_and_started_again(self) -> None:
        with Pool() as pool:
            options = {"dev": False, "env": pool.env}
            service = self.start(**options)
            port = service.port

            async def scenario() -> None:
                nonlocal service
                for transports in TRANSPORTS:
                    for number in (signal.SIGTERM, signal.SIGKILL):
                        async with self.client(port, pool.cookie("alice"), transports, "said") as (client, heard):
                            await heard.next("connect")
                            sid = client.get_sid()
                            status = await asyncio.to_thread(service.stop, number)
                            self.assertEqual(status, 0 if number == signal.SIGTERM else -signal.SIGKILL)
                            await heard.next("disconnect")
                            service = await asyncio.to_thread(self.start, "--port", str(port), **options)
                            await heard.next("connect")
                            self.assertNotEqual(client.get_sid(), sid)
                            await client.emit("say", "back again")
                            self.assertEqual(await heard.next("said"), ["back again"])

            self.run_async(scenario)
