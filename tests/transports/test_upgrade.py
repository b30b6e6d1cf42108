"""Late upgrades: a WebSocket on an HTTP connection that has served other requests."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from websockets.frames import Frame, Opcode

from tests.transports.fixtures import Service
from tests.transports.memory import MemoryClient
from wsservice.counters import Counters
from wsservice.transports.port import PortFactory
from wsservice.transports.upgrade import UpgradeResource


class UpgradeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service()

        @self.service.app.on("message")
        def echo(connection, payload):  # type: ignore[no-untyped-def]
            connection.send(payload)

        root = Resource()
        root.putChild(b"ws", UpgradeResource(self.service.factory))
        site = Site(root, reactor=Clock())
        self.port = PortFactory({}, site, clock=Clock(), counters=Counters(), head_timeout=5.0)

    def kept_alive(self, **arguments: object) -> MemoryClient:
        client = MemoryClient(self.port, **arguments)  # type: ignore[arg-type]
        client.current.dataReceived(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(client.transport.value().startswith(b"HTTP/1.1 404 "))
        client.transport.clear()
        return client

    def test_a_websocket_opens_behind_another_request(self) -> None:
        client = self.kept_alive()
        client.deliver()
        client.send("hello")
        self.assertEqual(client.messages, ["hello"])
        (connection,) = self.service.app.connections()
        connection.emit("message", "pushed")
        client.read()
        self.assertEqual(client.messages[1:], ['"pushed"'])

    def test_a_connection_that_pauses_at_once_is_not_read(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.service.app.on("slow")(lambda connection, data: waiting)
        client = self.kept_alive()
        frames = Frame(Opcode.TEXT, b'{"event": "slow"}').serialize(mask=True) * 150
        client.current.dataReceived(client.flush() + frames)
        self.assertTrue(client.transport.paused)
        waiting.callback(None)
        self.service.clock.advance(0)
        self.assertFalse(client.transport.paused)

    def test_repeated_headers_stay_apart(self) -> None:
        client = self.kept_alive(headers=(("Cookie", "a=1"), ("Cookie", "b=2")))
        client.deliver()
        (handshake,) = self.service.authenticator.seen
        self.assertEqual(handshake.header_values("cookie"), ["a=1", "b=2"])

    def test_the_connection_can_tell_when_the_client_is_behind(self) -> None:
        client = self.kept_alive()
        client.deliver()
        self.assertIs(client.transport.producer, client.current)

    def test_the_end_of_the_transport_is_the_end_of_the_connection(self) -> None:
        client = self.kept_alive()
        client.deliver()
        client.transport.finish()
        self.assertEqual(len(self.service.registry), 0)

    def test_a_plain_request_is_told_to_upgrade(self) -> None:
        client = self.kept_alive()
        client.current.dataReceived(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = client.transport.value()
        self.assertTrue(answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n"), answer)
        self.assertIn(b"\r\nUpgrade: websocket\r\n", answer)
        self.assertEqual(self.service.counters.get("http_refused", "upgrade_required"), 1)

    def test_another_method_than_get_is_told_which_one_works(self) -> None:
        for method in (b"PUT", b"POST", b"OPTIONS", b"HEAD"):
            client = self.kept_alive()
            client.current.dataReceived(method + b" /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            head, _, body = client.transport.value().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n"), head)
            self.assertIn(b"\r\nAllow: GET\r\n", head)
            self.assertNotIn(b"\r\nUpgrade:", head)
            self.assertEqual(b'"method_not_allowed"' in body, method != b"HEAD")
        self.assertEqual(self.service.counters.get("http_refused", "method_not_allowed"), 4)
        self.assertEqual(self.service.counters.get("http_refused", "upgrade_required"), 0)

    def test_nothing_is_below_the_path(self) -> None:
        client = self.kept_alive(path="/ws/below")
        client.current.dataReceived(client.flush())
        self.assertTrue(client.transport.value().startswith(b"HTTP/1.1 404 "), client.transport.value())
        self.assertEqual(self.service.counters.get("http_refused", "not_found"), 1)

    def test_frames_behind_the_late_handshake_are_not_taken_for_requests(self) -> None:
        client = self.kept_alive()
        client.current.dataReceived(client.flush())
        client.current.dataReceived(Frame(Opcode.TEXT, b"next").serialize(mask=True))
        client.read()
        self.assertEqual(client.messages, ["next"])

    def test_frames_in_the_segment_of_the_late_handshake_are_kept(self) -> None:
        client = self.kept_alive()
        client.current.dataReceived(client.flush() + Frame(Opcode.TEXT, b"early").serialize(mask=True))
        client.read()
        self.assertEqual(client.messages, ["early"])

    def test_frames_behind_a_pipelined_late_handshake_are_kept(self) -> None:
        client = MemoryClient(self.port)
        other = b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.current.dataReceived(other + client.flush() + Frame(Opcode.TEXT, b"early").serialize(mask=True))
        answer = client.transport.value()
        self.assertTrue(answer.startswith(b"HTTP/1.1 404 "), answer)
        self.assertIn(b"HTTP/1.1 101 ", answer)
        self.assertIn(Frame(Opcode.TEXT, b"early").serialize(mask=False), answer)
