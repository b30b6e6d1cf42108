"""The server's life on the real reactor: it listens, serves, reloads, and ends in order."""

from __future__ import annotations

import io
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.certificates import make_certificate, write_pem
from wsservice.config import load_config
from wsservice.errors import ConfigurationError
from wsservice.server import Server, batch_size


def make_server(folder: Path, use: Any, **flags: Any) -> Server:
    folder.mkdir(parents=True)
    return Server(load_config({"dev": "yes", "port": "0", **flags}, {}, directory=folder), reactor=use, signals=False)


def ask(port: int, target: str, headers: str = "") -> str:
    """The whole answer to a GET, with its head; the service closes the connection behind it."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n{headers}\r\n".encode())
    return read_all(sock)


def read_all(sock: socket.socket) -> str:
    """What arrives until the peer closes; closes the socket."""
    with sock:
        sock.settimeout(30)
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def read_until(sock: socket.socket, end: bytes) -> None:
    """Read to an end and not a byte further."""
    data = b""
    while not data.endswith(end):
        data += sock.recv(1)


def read_numbers(sock: socket.socket, count: int) -> tuple[list[int], int]:
    """The numbers before the colon in so many text frames, and how many pongs came between them."""
    numbers: list[int] = []
    pongs, data = 0, b""
    while len(numbers) < count:
        data += sock.recv(3000)
        while len(data) >= 4:
            kind, size, start = data[0], data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            if len(data) < start + size:
                break
            if kind == 0x8A:
                pongs += 1
            else:
                numbers.append(int(data[start : start + size].split(b":")[0].strip(b'"')))
            data = data[start + size :]
    return numbers, pongs


class LifeTests(TestCase):
    def setUp(self) -> None:
        self.terminal = io.StringIO()
        self.patch(sys, "__stdout__", self.terminal)

    def start(self, **flags: Any) -> Server:
        server = make_server(Path(self.mktemp()), reactor, **flags)
        server.privilegedStartService()
        server.startService()
        return server

    def token(self, server: Server) -> str:
        return server.parts.provider.issue("alice")  # type: ignore[attr-defined,no-any-return]

    def url(self, server: Server) -> str:
        return f"ws://localhost:{server.addresses[0].port}/ws"

    async def open(self, server: Server) -> Any:
        headers = {"Cookie": f"authToken={self.token(server)}"}
        return await deferToThread(connect, self.url(server), additional_headers=headers, proxy=None)

    async def until_running(self, server: Server, client: Any) -> None:
        """Wait until a handler runs that does not end."""
        while not server.parts.hub.running:
            await deferToThread(client.ping)

    async def open_narrow(self, server: Server) -> socket.socket:
        """A WebSocket whose system takes little that it has not read."""
        port = server.addresses[0].port
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(60)
        await deferToThread(sock.connect, ("127.0.0.1", port))
        head = f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: authToken={self.token(server)}\r\n{UPGRADE}\r\n"
        sock.sendall(head.encode())
        await deferToThread(read_until, sock, b"\r\n\r\n")
        return sock

    async def close_of(self, client: Any) -> tuple[int, str]:
        def receive() -> tuple[int, str]:
            try:
                while True:
                    client.recv(timeout=30)
            except ConnectionClosed as closed:
                assert closed.rcvd is not None
                return closed.rcvd.code, closed.rcvd.reason

        return await deferToThread(receive)

    async def test_it_greets_with_its_address_and_the_users(self) -> None:
        server = self.start()
        await server.stopService()
        text = self.terminal.getvalue()
        self.assertIn("Open http://localhost:", text)
        self.assertIn("alice", text)

    async def test_the_greeting_has_an_address_that_answers(self) -> None:
        for host, start in (("127.0.0.2", "Open http://127.0.0.2:"), ("::1", "Open http://[::1]:")):
            await self.start(host=host).stopService()
            self.assertIn(start, self.terminal.getvalue())

    async def test_a_terminal_that_nobody_reads_does_not_matter(self) -> None:
        class Closed(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        self.patch(sys, "__stdout__", Closed())
        await self.start().stopService()

    async def test_a_stop_closes_what_is_open_and_waits_for_handlers(self) -> None:
        server = self.start()
        finished: list[str] = []
        waiting: Deferred[None] = Deferred()

        @server.parts.app.on("slow")
        async def slow(connection: Any, data: Any) -> None:
            await waiting
            finished.append("handler")

        server.parts.app.on_disconnect(lambda connection, reason: finished.append(reason))
        client = await self.open(server)
        await deferToThread(client.send, '{"event": "slow", "id": 1}')
        await deferToThread(client.send, '{"event": "ping", "id": 2}')
        await self.until_running(server, client)
        stopped = server.stopService()
        self.assertEqual(await self.close_of(client), (1001, "Server shutting down"))
        self.assertFalse(stopped.called)
        waiting.callback(None)
        await stopped
        self.assertEqual(finished, ["handler", "Server shutting down"])

    async def test_what_is_sent_at_once_and_what_waits_keep_their_order(self) -> None:
        """Broadcasts, answers and Autobahn's own pongs, to a client whose socket is full time and again."""
        server = self.start(send_queue_bytes=str(1 << 26), send_queue_messages="1000000")
        sock, count = await self.open_narrow(server), 3000
        (connection,) = server.parts.app.connections()
        reading = None
        states = set()
        for number in range(count):
            if number % 3 == 0:
                server.parts.app.emit("message", f"{number}:" + "x" * 2000)
            else:
                connection.emit("message", f"{number}:" + "x" * 2000)
            if number % 50 == 0:
                sock.sendall(b"\x89\x80\0\0\0\0")
                await deferLater(reactor, 0)
            states.add(connection.direct is None)
            if connection.direct is None and reading is None:  # the socket was full once
                reading = deferToThread(read_numbers, sock, count)
        assert reading is not None
        numbers, pongs = await reading
        self.assertEqual(numbers, list(range(count)))
        self.assertGreater(pongs, 0)
        self.assertEqual(states, {False, True})
        sock.close()
        await server.stopService()

    async def test_what_a_slow_client_is_closed_before_it_was_sent_is_counted(self) -> None:
        server = self.start(send_queue_bytes=str(1 << 26), send_queue_messages="1000000")
        sock, count = await self.open_narrow(server), 10_000
        (connection,) = server.parts.app.connections()
        for number in range(count):
            connection.emit("message", f"{number}:" + "x" * 1000)
            if number % 100 == 0:
                await deferLater(reactor, 0)
        connection.disconnect(4000)
        (protocol,) = server.parts.raw.live
        unsent = protocol.transport.unsent
        self.assertGreater(unsent, 1_000_000)
        protocol.transport.abortConnection()
        await deferLater(reactor, 0)
        dropped = server.parts.hub.counters.get("messages_dropped", "lost")
        self.assertIn(dropped, range(unsent // 1011, unsent // 1011 + 3))
        sock.close()
        await server.stopService()

    async def test_what_does_not_end_is_cut_off_when_the_drain_time_is_over(self) -> None:
        server = self.start(drain_timeout="0.1")

        @server.parts.app.on("never")
        def never(connection: Any, data: Any) -> Deferred[None]:
            return Deferred()

        client = await self.open(server)
        await deferToThread(client.send, '{"event": "never"}')
        await self.until_running(server, client)
        await server.stopService()
        self.assertEqual(server.parts.raw.live, set())
        self.assertEqual(server.parts.hub.counters.get("drain_cut_off", "handlers"), 1)
        self.assertEqual(server.parts.hub.counters.get("limits_hit", "drain"), 1)
        await deferToThread(client.close)

    async def test_who_comes_while_it_stops_is_told_when_to_come_again(self) -> None:
        server = self.start(drain_timeout="600")
        waiting: Deferred[None] = Deferred()
        server.parts.app.on("slow")(lambda connection, data: waiting)
        client = await self.open(server)
        await deferToThread(client.send, '{"event": "slow"}')
        await self.until_running(server, client)
        port = server.addresses[0].port
        early = socket.create_connection(("127.0.0.1", port))  # its head is not whole when the stop begins
        early.sendall(f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\n".encode())
        stopped = server.stopService()
        for target, headers in (
            ("/ws", UPGRADE),
            ("/socket.io/?EIO=4&transport=websocket", UPGRADE),
            ("/socket.io/?EIO=4&transport=polling", f"Cookie: authToken={self.token(server)}\r\n"),
            ("/ready", ""),
        ):
            answer = await deferToThread(ask, port, target, headers)
            self.assertRegex(answer, r"^HTTP/1.1 503 ", target)
            self.assertRegex(answer, "\r\n(?i:connection: close)\r\n", target)
            if target != "/ready":
                self.assertIn("\r\nRetry-After: 5\r\n", answer, target)
                self.assertIn('"error":"stopping"', answer, target)
        early.sendall(UPGRADE.encode() + b"\r\n")
        self.assertRegex(await deferToThread(read_all, early), r"^HTTP/1.1 503 ")
        waiting.callback(None)
        await deferToThread(client.close)
        await stopped

    async def test_who_has_come_to_a_shared_port_and_said_nothing_yet_is_told(self) -> None:
        server = self.start(reuse_port="yes")
        port = server.addresses[0].port
        early = socket.create_connection(("127.0.0.1", port))
        while not server.parts.port.waiting:
            await deferLater(reactor, 0)
        stopped = server.stopService()
        while server._ports:
            await deferLater(reactor, 0)
        self.assertFalse(stopped.called)
        early.sendall(f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\n{UPGRADE}\r\n".encode())
        self.assertRegex(await deferToThread(read_all, early), r"^HTTP/1.1 503 ")
        await stopped

    async def test_who_waits_to_be_accepted_at_the_end_is_answered(self) -> None:
        server = self.start(drain_timeout="0")
        port = server.addresses[0].port
        waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for sock in waiting:
            sock.sendall(f"GET /ready HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        await server.stopService()
        for sock in waiting:
            self.assertRegex(await deferToThread(read_all, sock), r"^HTTP/1.1 503 ")

    async def test_a_second_signal_does_not_wait(self) -> None:
        server = self.start(drain_timeout="600")
        waiting: Deferred[None] = Deferred()
        server.parts.app.on("never")(lambda connection, data: waiting)
        client = await self.open(server)
        await deferToThread(client.send, '{"event": "never"}')
        await self.until_running(server, client)
        stopped = server.stopService()
        server._asked_to_stop()
        await stopped
        await deferToThread(client.close)

    async def test_without_time_to_drain_everybody_is_told_all_the_same(self) -> None:
        server = self.start(drain_timeout="0")
        client = await self.open(server)
        stopped = server.stopService()
        self.assertEqual(await self.close_of(client), (1001, "Server shutting down"))
        await stopped

    async def test_in_a_hurry_everybody_is_told_all_the_same(self) -> None:
        server = self.start(drain_timeout="600")
        client = await self.open(server)
        server._hurry = True
        stopped = server.stopService()
        self.assertEqual(await self.close_of(client), (1001, "Server shutting down"))
        await stopped

    async def test_nobody_listens_once_it_has_stopped(self) -> None:
        server = self.start()
        url = self.url(server)
        await server.stopService()
        self.assertEqual(server.addresses, [])
        with self.assertRaises(OSError):
            await deferToThread(connect, url, proxy=None)

    async def test_a_port_that_is_taken_is_a_configuration_error(self) -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        server = make_server(Path(self.mktemp()), reactor, port=str(taken.getsockname()[1]))
        with self.assertRaises(ConfigurationError) as caught:
            server.privilegedStartService()
        self.assertIn("Address already in use", str(caught.exception))
        await server.parts.provider.stop()

    async def test_one_endpoint_of_several_that_cannot_be_had_is_told_at_once(self) -> None:
        server = make_server(Path(self.mktemp()), reactor, listen=["tcp:0:interface=127.0.0.1", "unix:/nowhere/s"])
        with self.assertRaises(ConfigurationError) as caught:
            server.privilegedStartService()
        self.assertIn("cannot listen on unix:/nowhere/s", str(caught.exception))
        await server.parts.provider.stop()
        await deferLater(reactor, 0)

    async def test_the_log_says_where_it_listens_and_what_is_spoken_there(self) -> None:
        both = write_pem(Path(self.mktemp()), *make_certificate("localhost"))
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        plain = ["unix:test.sock", "tcp6:0:interface=\\:\\:1"]
        own = f"ssl:0:interface=127.0.0.1:privateKey={both}:certKey={both}"
        for flags in ({"listen": [*plain, own]}, {"listen": plain, "tls_cert": str(both)}):
            server = self.start(**flags)
            await server.stopService()
        told = [re.sub(r":\d+ ", ":N ", formatEvent(one)) for one in events if "listening on" in str(one)]
        self.assertEqual(
            [one for one in told if one.startswith("listening")],
            [
                "listening on unix:test.sock (http)",
                "listening on [::1]:N (http)",
                "listening on 127.0.0.1:N (https)",
                "listening on unix:test.sock (http)",
                "listening on [::1]:N (https)",
            ],
        )
        self.assertIn("Open http://[::1]:", self.terminal.getvalue())
        self.assertIn("Open https://[::1]:", self.terminal.getvalue())


class ReloadTests(SynchronousTestCase):
    def test_without_a_certificate_nothing_happens(self) -> None:
        make_server(Path(self.mktemp()), MemoryReactorClock()).reload()

    def test_a_bad_file_changes_nothing_and_is_logged(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        both = write_pem(folder / "both.pem", *make_certificate("localhost"))
        server = make_server(Path(self.mktemp()), MemoryReactorClock(), tls_cert=str(both))
        server.reload()
        before = server.parts.certificate._context  # type: ignore[union-attr]
        both.write_text("nonsense")
        server.reload()
        self.assertIs(server.parts.certificate._context, before)  # type: ignore[union-attr]


class SignalReactor(MemoryReactorClock):
    """Calls at once; a second stop is an error, as it is to the real one."""

    stopped = 0

    def callFromThread(self, function: Any) -> None:
        function()

    def callWhenRunning(self, function: Any, *args: Any) -> None:
        function(*args)

    def stop(self) -> None:
        if self.stopped:
            raise ReactorNotRunning
        self.stopped += 1


class SignalTests(SynchronousTestCase):
    def test_two_signals_in_one_turn_are_a_stop_in_a_hurry(self) -> None:
        use = SignalReactor()
        server = make_server(Path(self.mktemp()), use)
        server._asked_to_stop()
        self.assertFalse(server._hurry)
        server._asked_to_stop()
        self.assertEqual((use.stopped, server._hurry), (1, True))

    def test_a_signal_after_somebody_else_stopped_the_reactor_is_none(self) -> None:
        use = SignalReactor()
        use.stop()
        server = make_server(Path(self.mktemp()), use)
        server._asked_to_stop()
        self.assertFalse(server._hurry)

    def test_the_signals_are_the_services_own(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        handlers: dict[int, Any] = {}
        self.patch(signal, "signal", lambda number, handler: handlers.__setitem__(number, handler))
        self.patch(sys, "__stdout__", None)
        use = SignalReactor()
        config = load_config({"dev": "yes"}, {}, directory=folder)
        server = Server(config, reactor=use)
        self.assertIs(use.seconds, time.monotonic)
        server.privilegedStartService()
        self.assertEqual(set(handlers), {signal.SIGHUP, signal.SIGTERM, signal.SIGINT})
        handlers.clear()
        server.startService()
        handlers[signal.SIGHUP](signal.SIGHUP, None)
        handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.assertEqual(use.stopped, 1)
        self.assertEqual(set(handlers), {signal.SIGHUP, signal.SIGTERM, signal.SIGINT})


class BatchTests(SynchronousTestCase):
    def test_few_clients_are_closed_at_once_and_many_over_most_of_the_drain_time(self) -> None:
        self.assertEqual(batch_size(3, 30.0), 50)
        self.assertEqual(batch_size(10_000, 30.0), 50)
        self.assertEqual(batch_size(100_000, 30.0), 417)  # in 24 seconds
        self.assertEqual(batch_size(100_000, 0.0), 100_000)
