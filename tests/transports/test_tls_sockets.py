"""WebSockets over TLS on real sockets: clients that read slowly, or not at all, or leave in the middle."""

from __future__ import annotations

import random
import socket
import ssl
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString, wrapServerTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.certificates import make_certificate, write_pem
from tests.transports.fixtures import Service
from tests.transports.tls_memory import credentials
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.transports.reads import Reads
from wsservice.transports.tcp import serve_by
from wsservice.transports.tls_transport import TlsTransport, encrypt_at_once

reactor: Any = _reactor
#: seconds; a bound for a machine that is busy
PATIENCE = 60.0


class Client:
    """Blocks, in one thread at a time: with a thread that reads beside one that writes, as in `websockets.sync`, an
    OpenSSL that gets its session tickets meanwhile may lose what is written (1 of 500 handshakes, with any server).
    """

    def __init__(self, port: int) -> None:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.settimeout(PATIENCE)
        plain.connect(("127.0.0.1", port))
        self.socket = credentials()[1].wrap_socket(plain, server_hostname="localhost")
        self.protocol = ClientProtocol(parse_uri("wss://localhost/ws"), max_size=None)
        self.protocol.send_request(self.protocol.connect())
        self._events: list[Any] = []
        self._next()

    def recv(self) -> str | None:
        """The next text; None for the end."""
        while True:
            event = self._next()
            if event is None:
                return None
            assert isinstance(event, Frame)
            if event.opcode is Opcode.TEXT:
                return bytes(event.data).decode()

    def close(self) -> list[str | None]:
        """Close, and wait for the end; what came until then."""
        self.protocol.send_close(1000)
        return list(iter(self.recv, None))

    def _next(self) -> Any:
        while not self._events:
            for data in self.protocol.data_to_send():
                if data:
                    self.socket.sendall(data)
            data = self.socket.recv(65536)
            if not data:
                self.socket.close()
                return None
            self.protocol.receive_data(data)
            self._events += self.protocol.events_received()
        return self._events.pop(0)


class SocketCase(TestCase):
    async def listen(self, **settings: Any) -> None:
        """A service that speaks TLS, as `Server` makes it."""
        self.service = Service(**settings)
        self.opened: Deferred[Connection] = Deferred()
        self.service.app.on_connect(lambda connection: self.opened.callback(connection))
        certificate, _ = credentials()
        endpoint = wrapServerTLS(certificate, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), reactor)
        port: Any = await endpoint.listen(self.service.factory)
        self.addCleanup(port.stopListening)
        reads = Reads(reactor, Counters())
        self.addCleanup(reads.stop)
        serve_by(reads, [port])
        encrypt_at_once([port])
        self.port = port.getHost().port

    async def connect(self) -> tuple[Connection, Client]:
        """A client, and the service's side of it; the client reads no more than 64 KiB and what it is asked for."""
        self.opened = Deferred()
        client = await deferToThread(Client, self.port)
        self.addCleanup(client.socket.close)
        return await self.opened, client

    async def until(self, condition: Any) -> None:
        """Wait for what other ends bring about."""
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end)
            await deferLater(reactor, 0.01)
            self.service.clock.advance(0.01)


def receive_all(client: Client, count: int) -> list[Any]:
    """So many messages, the first of them late."""
    time.sleep(0.2)
    return [client.recv() for _ in range(count)]


class LostTests(SocketCase):
    async def test_the_alert_of_a_cut_is_no_message(self) -> None:
        await self.listen()
        connection, client = await self.connect()
        for _ in range(20):
            connection.send("read")
        self.assertEqual(await deferToThread(receive_all, client, 20), ["read"] * 20)
        connection._link.transport.abortConnection()  # type: ignore[attr-defined]
        await self.until(lambda: not self.service.factory.live)
        self.assertEqual(self.service.counters.get("messages_dropped", "lost"), 0)

    async def test_messages_are_counted_behind_one_that_was_written_directly_and_before_the_alert(self) -> None:
        await self.listen(send_queue_bytes=1 << 30)
        connection, _ = await self.connect()
        assert connection.direct is not None
        for _ in range(3):
            connection.send("x" * 12_000_000)
        connection._link.transport.abortConnection()  # type: ignore[attr-defined]
        await self.until(lambda: not self.service.factory.live)
        self.assertEqual(self.service.counters.get("messages_dropped", "lost"), 3)


class DeliveryTests(SocketCase):
    async def test_a_slow_client_gets_everything_in_its_order_whoever_writes(self) -> None:
        await self.listen(send_queue_bytes=1 << 30)
        connection, client = await self.connect()
        self.assertIsInstance(connection._link.transport, TlsTransport)  # type: ignore[attr-defined]
        self.assertIsNotNone(connection.direct)
        chance = random.Random(5)
        sent = []
        receiving = deferToThread(receive_all, client, 2000)
        was_behind = 0
        for number in range(2000):
            text = f"{number} " * chance.choice([1, 20, 20, 20, 6000])
            if chance.random() < 0.5:
                self.service.app.emit("message", text)
                sent.append(f'"{text}"')
            else:
                connection.send(text)
                sent.append(text)
            if number % 100 == 0:
                connection._link.sendPing(b"in between")  # type: ignore[attr-defined]
                was_behind += connection.direct is None
                await deferLater(reactor, 0)
        self.assertGreater(was_behind, 0)
        self.assertTrue(await receiving == sent)
        await self.until(lambda: connection.direct is not None)
        self.service.app.emit("message", "at once")
        self.assertEqual(await deferToThread(client.recv), '"at once"')
        await deferToThread(client.close)

    async def test_one_that_does_not_read_is_closed_at_its_bound_and_others_do_not_notice(self) -> None:
        await self.listen(send_queue_bytes=1 << 20)
        deaf, _ = await self.connect()
        other, client = await self.connect()
        text = "x" * 8000
        count = 0
        receiving = None
        while deaf.is_open:
            for _ in range(100):
                self.service.app.emit("message", text)
            count += 100
            receiving = await deferToThread(lambda: [client.recv() for _ in range(100)])
            self.assertLess(count, 100_000)
        self.assertEqual(receiving, [f'"{text}"'] * 100)
        self.assertEqual(self.service.counters.get("slow_consumers"), 1)
        self.assertTrue(other.is_open)
        await self.until(lambda: len(self.service.registry) == 1 and len(self.service.factory.live) == 1)
        await deferToThread(client.close)

    async def test_a_close_comes_behind_what_waits(self) -> None:
        await self.listen(send_queue_bytes=1 << 30)
        connection, client = await self.connect()
        texts = [f"{number} " * 1500 for number in range(3000)]
        for text in texts:
            self.service.app.emit("message", text)
        self.assertIsNone(connection.direct)
        connection.disconnect(CloseCode.GOING_AWAY, "bye")
        self.assertEqual(self.service.app.emit("message", "too late"), None)
        self.assertTrue(await deferToThread(receive_all, client, 3000) == [f'"{text}"' for text in texts])
        self.assertIsNone(await deferToThread(client.recv))
        self.assertEqual(str(client.protocol.close_rcvd), "1001 (going away) bye")
        await self.until(lambda: not self.service.factory.live)

    async def test_nothing_follows_the_answer_to_a_clients_close(self) -> None:
        await self.listen()
        connection, client = await self.connect()
        link: Any = connection._link
        close = link.sendCloseFrame

        def close_and_write(*args: Any, **options: Any) -> None:
            close(*args, **options)
            self.service.app.emit("message", "too late")

        link.sendCloseFrame = close_and_write
        self.assertEqual(await deferToThread(client.close), [])
        self.assertEqual(str(client.protocol.close_rcvd), "1000 (OK)")

    async def test_a_reset_in_the_middle_of_a_broadcast_ends_that_client_only(self) -> None:
        await self.listen()
        _, leaving = await self.connect()
        _, client = await self.connect()
        leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        plain = socket.socket(fileno=leaving.socket.detach())
        plain.close()
        for number in range(10):
            self.service.app.emit("message", str(number))
        self.assertEqual(await deferToThread(receive_all, client, 10), [f'"{number}"' for number in range(10)])
        await self.until(lambda: len(self.service.registry) == 1)
        await deferToThread(client.close)


class PortTests(TestCase):
    async def test_ports_with_a_certificate_of_their_own_have_it_too_and_plain_ones_do_not(self) -> None:
        both = write_pem(self.folder(), *make_certificate("localhost"))
        tls = f"ssl:0:interface=127.0.0.1:privateKey={both}:certKey={both}"
        made: list[Any] = []
        factory = Factory()

        class Echo(Protocol):
            def connectionMade(self) -> None:
                made.append(self.transport)

            def dataReceived(self, data: bytes) -> None:
                transport: Any = self.transport
                transport.write_now(data)

        factory.protocol = Echo
        ports = [
            await serverFromString(reactor, text).listen(factory)
            for text in (tls, "tcp:0:interface=127.0.0.1", f"unix:{self.folder()}")
        ]
        serve_by(None, ports)
        encrypt_at_once(ports)

        def speak() -> bytes:
            context = ssl._create_unverified_context()
            plain = socket.create_connection(("127.0.0.1", ports[0].getHost().port))
            with context.wrap_socket(plain) as client:
                client.sendall(b"hello")
                return client.recv(100)

        self.assertEqual(await deferToThread(speak), b"hello")
        self.assertEqual([type(one) for one in made], [TlsTransport])
        self.assertEqual([ports[1].factory, ports[2].factory, factory.protocol], [factory, factory, Echo])
        for port in ports:
            await port.stopListening()

    def folder(self) -> Path:
        return Path(self.mktemp())
