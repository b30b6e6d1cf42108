"""The raw WebSocket protocol, driven by the `websockets` library's client in memory."""

from __future__ import annotations

import json
import zlib
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from tests.transports.fixtures import ALICE, Service
from tests.transports.memory import MemoryClient
from wsservice.errors import InvalidToken, KeysUnavailable, MissingToken, OriginNotAllowed
from wsservice.headers import security_headers


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.start()

    def start(self, **settings: Any) -> None:
        self.service = Service(**settings)
        self.events: list[Any] = []

        @self.service.app.on("message")
        def message(connection: Any, payload: Any) -> None:
            self.events.append(payload)
            connection.send(payload)

    def connect(self, **arguments: Any) -> MemoryClient:
        client = MemoryClient(self.service.factory, **arguments)
        client.deliver()
        return client


class HandshakeTests(Base):
    def test_a_verified_user_gets_101_and_an_echo(self) -> None:
        client = self.connect()
        self.assertEqual(client.client.state.name, "OPEN")
        client.send("hello")
        client.send(b"\x00\x01")
        self.assertEqual(client.messages, ["hello", b"\x00\x01"])
        self.assertEqual(self.service.counters.get("handshakes", "ok"), 1)

    def test_an_origin_that_the_policy_lets_pass_is_not_refused_by_autobahn(self) -> None:
        for origin in ("http://localhost:3020", "https://app.example.com", "https://xn--bcher-kva.example:8443"):
            client = self.connect(headers=(("Origin", origin),))
            self.assertEqual(client.client.state.name, "OPEN", origin)

    def test_the_server_does_not_tell_what_it_runs(self) -> None:
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush())
        head = client.transport.value()
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "))
        self.assertNotIn(b"Autobahn", head)
        self.assertNotIn(b"Server:", head)

    def test_a_refused_user_is_told_in_a_close_frame(self) -> None:
        for error, expected in [
            (MissingToken("no cookie"), (1008, "Missing authentication token")),
            (InvalidToken("bad signature"), (1008, "Invalid authentication token")),
            (KeysUnavailable("provider away"), (1013, "Authentication failed")),
        ]:
            self.service.authenticator.answer = error
            client = MemoryClient(self.service.factory)
            early = Frame(Opcode.TEXT, b"too early").serialize(mask=True)
            client.current.dataReceived(client.flush() + early)
            client.read()
            client.current.dataReceived(early)
            self.assertEqual(client.close, expected)
        self.assertEqual(self.events, [])
        self.assertEqual(len(self.service.registry), 0)

    def test_a_refusal_by_http_answers_the_status_and_no_101(self) -> None:
        self.start(reject_by_http=True)
        for error, status in [(MissingToken("x"), b"401"), (KeysUnavailable("x"), b"503")]:
            self.service.authenticator.answer = error
            client = MemoryClient(self.service.factory)
            client.current.dataReceived(client.flush())
            answer = client.transport.value()
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
            self.assertIn(error.message.encode(), answer)
            self.assertEqual(client.transport.ended, "lost")
            self.assertEqual(b"\r\nWWW-Authenticate: Cookie " in answer, status == b"401")
            self.assertEqual(b"\r\nRetry-After: 2\r\n" in answer, status == b"503")

    def test_every_refusal_has_the_security_headers_of_all_answers(self) -> None:
        self.start(reject_by_http=True, trusted_proxies=(ip_network("192.0.2.7"),))
        self.service.authenticator.answer = MissingToken("x")
        by_proxy = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "chat.example"))
        for status, headers, change, expected in (
            (b"401", (), (b"", b""), security_headers(secure=False, host="localhost")),
            (b"401", by_proxy, (b"", b""), security_headers(secure=True, host="chat.example")),
            (b"400", (), (b"Connection: Upgrade", b"Connection: no"), security_headers(secure=False, host="localhost")),
            (b"400", (), (b"Host: localhost", b"Host: a\x80"), security_headers(secure=False, host="")),
        ):
            client = MemoryClient(self.service.factory, headers=headers)
            client.current.dataReceived(client.flush().replace(*change))
            head = client.transport.value().partition(b"\r\n\r\n")[0].split(b"\r\n")
            self.assertEqual(head[0][9:12], status)
            for name, value in expected:
                self.assertEqual([line for line in head if line.startswith(name + b":")], [name + b": " + value])

    def test_a_handshake_that_meets_a_stop_is_counted_as_such(self) -> None:
        self.service.factory.draining = True
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush())
        self.assertTrue(client.transport.value().startswith(b"HTTP/1.1 503 "))
        self.assertEqual(self.service.counters.get("handshakes", "stopping"), 1)

    def test_a_foreign_origin_is_refused_before_the_upgrade(self) -> None:
        self.service.authenticator.origin_error = OriginNotAllowed("evil")
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush())
        head, _, body = client.transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 403 Forbidden\r\n"))
        self.assertEqual(json.loads(body)["error"], "origin_not_allowed")
        self.assertEqual(self.service.authenticator.seen, [])

    def test_a_header_with_a_byte_at_which_autobahn_would_split_is_refused(self) -> None:
        for byte in (b"\x85", b"\x0b", b"\x0c", b"\x1c", b"\x1e", b"\x00", b"\x7f"):
            client = MemoryClient(self.service.factory)
            head = client.flush().replace(b"\r\n\r\n", b"\r\nX-Foo: 1" + byte + b"Cookie: authToken=forged\r\n\r\n")
            client.current.dataReceived(head)
            answer = client.transport.value()
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), byte)
            self.assertNotIn(b"forged", answer)
        self.assertEqual(self.service.authenticator.seen, [])

    def test_an_upgrade_with_a_body_is_refused(self) -> None:
        for name, value in (("Content-Length", "40"), ("Transfer-Encoding", "chunked")):
            client = MemoryClient(self.service.factory, headers=((name, value),))
            client.current.dataReceived(client.flush())
            self.assertTrue(client.transport.value().startswith(b"HTTP/1.1 400 "), name)
        self.assertEqual(self.service.authenticator.seen, [])

    def test_what_is_no_good_upgrade_is_answered_with_fixed_text(self) -> None:
        for change in (
            (b"Upgrade: websocket", b"Upgrade: <script>"),
            (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 99"),
            (b"Connection: Upgrade", b"Connection: evil"),
            (b"GET /ws HTTP/1.1", b"GET /ws#x HTTP/1.1"),
            (b"Sec-WebSocket-Key", b"X-Key"),
        ):
            client = MemoryClient(self.service.factory)
            client.current.dataReceived(client.flush().replace(*change))
            answer = client.transport.value()
            self.assertTrue(answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 426 ")), (change, answer))
            self.assertNotIn(b"<script>", answer)
            self.assertNotIn(b"evil", answer)
            self.assertEqual(client.transport.ended, "lost")

    def test_frames_that_come_while_the_token_is_checked_are_kept_in_order(self) -> None:
        self.service.authenticator.answer = waiting = Deferred()
        client = MemoryClient(self.service.factory)
        head = client.flush()
        other = Frame(Opcode.TEXT, b"one").serialize(mask=True) + Frame(Opcode.TEXT, b"two").serialize(mask=True)
        client.current.dataReceived(head + other)
        client.current.dataReceived(Frame(Opcode.TEXT, b"three").serialize(mask=True))
        self.assertEqual(self.events, [])
        self.assertEqual(client.transport.value(), b"")
        waiting.callback(ALICE)
        self.assertEqual(self.events, ["one", "two", "three"])
        self.assertEqual(len(self.service.authenticator.seen), 1)

    def test_a_second_handshake_in_the_waiting_bytes_is_not_parsed(self) -> None:
        self.service.authenticator.answer = waiting = Deferred()
        client = MemoryClient(self.service.factory)
        head = client.flush()
        client.current.dataReceived(head)
        client.current.dataReceived(head)
        waiting.callback(ALICE)
        self.assertEqual(len(self.service.authenticator.seen), 1)
        self.assertEqual(client.transport.value().count(b"101 Switching"), 1)

    def test_too_many_early_bytes_pause_reading_until_the_token_is_checked(self) -> None:
        self.service.authenticator.answer = waiting = Deferred()
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush())
        client.current.dataReceived(Frame(Opcode.BINARY, b"x" * 60000).serialize(mask=True))
        self.assertFalse(client.transport.paused)
        client.current.dataReceived(Frame(Opcode.BINARY, b"x" * 60000).serialize(mask=True))
        self.assertTrue(client.transport.paused)
        waiting.callback(ALICE)
        self.service.clock.advance(0)
        self.assertFalse(client.transport.paused)
        self.assertEqual([len(event) for event in self.events], [60000, 60000])

    def test_a_client_that_left_while_its_token_was_checked_never_opens(self) -> None:
        connected: list[Any] = []
        self.service.app.on_connect(connected.append)
        self.service.authenticator.answer = waiting = Deferred()
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush())
        client.transport.finish()
        waiting.callback(ALICE)
        self.assertEqual(connected, [])
        self.assertEqual(len(self.service.registry), 0)
        self.assertEqual(self.service.factory.live, set())

    def test_a_client_that_left_before_its_refusal_is_forgotten(self) -> None:
        self.start(reject_by_http=True)
        self.service.authenticator.answer = waiting = Deferred()
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush())
        client.transport.finish()
        waiting.errback(MissingToken("x"))
        self.assertEqual(client.transport.value(), b"")

    def test_a_fault_of_the_authenticator_tells_the_client_nothing(self) -> None:
        self.service.authenticator.answer = fail(RuntimeError("SECRET\r\nX-Injected: 1"))
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush())
        answer = client.transport.value()
        self.assertTrue(answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n"), answer)
        self.assertNotIn(b"SECRET", answer)
        self.assertNotIn(b"Injected", answer)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_fault_as_it_opens_is_logged_wherever_the_principal_came_from(self) -> None:
        for answer in (ALICE, succeed(ALICE)):
            self.start()
            self.service.authenticator.answer = answer
            self.patch(self.service.factory.pings, "add", lambda protocol: 1 // 0)
            client = MemoryClient(self.service.factory)
            client.current.dataReceived(client.flush())
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(self.service.counters.get("internal_errors"), 1)

    def test_what_is_logged_at_debug_is_not_made_where_nobody_reads_it(self) -> None:
        for logs_debug in (True, False):
            self.start(hub={"logs_debug": logs_debug})
            with capturedLogs() as events:
                client = self.connect()
                client.transport.finish()
            lines = [event["log_format"] for event in events if event["log_namespace"].startswith("wsservice.")]
            expected = ["connection of {user} opened", "connection closed: {end} {code}"]
            self.assertEqual(lines, expected if logs_debug else [])
            self.assertEqual(self.service.counters.get("connections_closed", "1006"), 1)

    def test_nothing_is_kept_of_what_a_refused_client_sends(self) -> None:
        client = MemoryClient(self.service.factory)
        client.current.dataReceived(client.flush().replace(b"Version: 13", b"Version: 12"))
        self.assertTrue(client.transport.value().startswith(b"HTTP/1.1 426 "))
        kept = len(client.current.data)
        for _ in range(10):  # as over TLS, which is read until its end
            client.current.dataReceived(b"x" * 65536)
        self.assertEqual(len(client.current.data), kept)

    def test_cookies_are_not_kept_once_the_connection_is_open(self) -> None:
        self.connect(headers=(("Cookie", "authToken=secret"), ("Authorization", "Bearer secret")))
        (connection,) = self.service.app.connections()
        self.assertNotIn("secret", repr(connection.handshake))
        (protocol,) = self.service.factory.live
        slots = {name for kind in type(protocol).__mro__ for name in getattr(kind, "__slots__", ())}
        kept = [vars(protocol), *(getattr(protocol, name, None) for name in slots)]
        self.assertNotIn("secret", repr(kept))


class OpenTests(Base):
    def test_a_broadcast_reaches_everybody(self) -> None:
        clients = [self.connect() for _ in range(3)]
        self.service.app.emit("message", {"user": "x", "message": "y"})
        for client in clients:
            client.read()
            self.assertEqual([json.loads(message) for message in client.messages], [{"user": "x", "message": "y"}])

    def test_a_message_over_the_limit_closes_1009(self) -> None:
        self.start(max_message_size=1000)
        client = self.connect()
        client.send("x" * 1000)
        client.send("x" * 1001)
        self.assertEqual(client.close[0], 1009)
        self.assertEqual(len(self.events), 1)

    def test_a_fragmented_message_over_the_limit_closes_1009(self) -> None:
        self.start(max_message_size=1000)
        client = self.connect()
        client.current.dataReceived(Frame(Opcode.TEXT, b"x" * 600, fin=False).serialize(mask=True))
        client.current.dataReceived(Frame(Opcode.CONT, b"x" * 600).serialize(mask=True))
        client.read()
        self.assertEqual(client.close[0], 1009)
        self.assertEqual(self.events, [])

    def test_invalid_utf8_closes_1007_and_an_unmasked_frame_1002(self) -> None:
        for data, code in [
            (Frame(Opcode.TEXT, b"\xff").serialize(mask=True), 1007),
            (Frame(Opcode.TEXT, b"x").serialize(mask=False), 1002),
        ]:
            client = self.connect()
            client.current.dataReceived(data)
            client.read()
            self.assertEqual(client.close[0], code)
            self.assertEqual(self.service.counters.get("frames_refused", str(code)), 1)

    def test_a_closing_handshake_of_the_client_ends_cleanly(self) -> None:
        reasons: list[str] = []
        self.service.app.on_disconnect(lambda connection, reason: reasons.append(reason))
        client = self.connect()
        client.client.send_close(1000, "bye")
        client.deliver()
        self.assertEqual(client.transport.ended, "lost")
        client.transport.finish()
        self.assertEqual(reasons, ["transport close"])
        self.assertEqual(self.service.factory.live, set())
        self.assertEqual(len(self.service.registry), 0)

    def test_a_lost_transport_and_a_violation_have_their_reasons(self) -> None:
        reasons: list[str] = []
        self.service.app.on_disconnect(lambda connection, reason: reasons.append(reason))
        client = self.connect()
        client.transport.finish()
        client = self.connect()
        client.current.dataReceived(b"\xff\xff\xff\xff")
        client.transport.finish()
        self.assertEqual(reasons, ["transport error", "parse error"])

    def test_a_close_by_the_server_is_answered_and_then_ends_without_a_reset(self) -> None:
        client = self.connect()
        (connection,) = self.service.app.connections()
        connection.disconnect(1001, "Going away")
        client.read()
        self.assertEqual(client.close, (1001, "Going away"))
        client.deliver()
        self.assertEqual(client.transport.ended, "lost")

    def test_the_timer_of_a_cut_does_not_outlive_the_transport(self) -> None:
        client = self.connect()
        client.client.send_close(1000, "bye")
        client.deliver()
        client.transport.finish()
        self.service.expirations.stop()
        self.assertEqual(self.service.clock.getDelayedCalls(), [])

    def test_a_timer_of_a_close_does_not_outlive_the_transport(self) -> None:
        client = self.connect()
        (connection,) = self.service.app.connections()
        connection.disconnect(1001, "Going away")
        client.transport.finish()
        self.service.expirations.stop()
        self.assertEqual(self.service.clock.getDelayedCalls(), [])

    def test_a_token_that_expires_closes_the_connection(self) -> None:
        client = self.connect()
        self.service.clock.pump([1.0] * 3601)
        client.read()
        self.assertEqual(client.close, (1008, "Authentication expired"))

    def test_a_fault_while_a_message_is_taken_closes_1011(self) -> None:
        client = self.connect()
        (connection,) = self.service.app.connections()
        self.patch(type(connection), "receive", lambda *_: 1 / 0)
        client.send("x")
        self.assertEqual(client.close, (1011, "Internal error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DrainTests(Base):
    def test_what_is_open_is_closed_with_1001(self) -> None:
        client = self.connect()
        self.service.factory.drain()
        client.read()
        self.assertEqual(client.close, (1001, "Server shutting down"))

    def test_what_is_not_yet_open_or_comes_now_is_told_to_come_back_later(self) -> None:
        self.service.authenticator.answer = waiting = Deferred()
        early = MemoryClient(self.service.factory)
        early.current.dataReceived(early.flush())
        self.service.factory.drain()
        late = MemoryClient(self.service.factory)
        late.current.dataReceived(late.flush())
        waiting.callback(ALICE)
        for client in (early, late):
            answer = client.transport.value()
            self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
            self.assertIn(b"\r\nRetry-After: 5\r\n", answer)
            self.assertEqual(answer.count(b"HTTP/1.1"), 1)

    def test_a_connection_that_is_being_refused_is_left_to_end(self) -> None:
        self.service.authenticator.answer = MissingToken("x")
        client = self.connect()
        self.service.factory.drain()
        client.read()
        self.assertEqual(client.close[0], 1008)


class BackpressureTests(Base):
    def test_a_client_that_does_not_read_is_closed_past_the_bound(self) -> None:
        self.start(send_queue_bytes=1000)
        client = self.connect()
        (connection,) = self.service.app.connections()
        client.transport.producer.pauseProducing()
        for _ in range(10):
            connection.emit("message", "x" * 90)
        self.assertIsNone(client.close)
        for _ in range(2):
            connection.emit("message", "x" * 90)
        client.read()
        self.assertEqual(client.close, (4408, "Client reads too slowly"))
        self.assertEqual(self.service.counters.get("slow_consumers"), 1)

    def test_the_transport_may_say_at_each_write_that_it_is_full(self) -> None:
        self.start(send_queue_bytes=1000)
        client = self.connect()
        (connection,) = self.service.app.connections()
        for _ in range(12):
            client.transport.producer.pauseProducing()
            connection.emit("message", "x" * 90)
        self.assertEqual(self.service.counters.get("slow_consumers"), 1)

    def test_a_client_that_is_always_a_little_behind_is_not_closed(self) -> None:
        self.start(send_queue_bytes=1000)
        client = self.connect()
        (connection,) = self.service.app.connections()
        producer = client.transport.producer
        written: list[bytes] = []

        def write(data: bytes) -> None:
            """A transport with room for one frame."""
            written.append(data)
            producer.pauseProducing()

        client.transport.write = write  # type: ignore[method-assign]
        for number in range(100):
            connection.emit("message", f"{number:090}")
            if number > 5:
                producer.resumeProducing()
        while producer.is_behind() and len(written) < 100:
            producer.resumeProducing()
        self.assertIsNone(client.close)
        self.assertEqual([json.loads(frame[2:]) for frame in written], [f"{number:090}" for number in range(100)])

    def test_what_waits_is_sent_before_a_close(self) -> None:
        client = self.connect()
        (connection,) = self.service.app.connections()
        client.transport.producer.pauseProducing()
        connection.emit("message", "last words")
        connection.disconnect(1001, "Going away")
        client.read()
        self.assertEqual(client.messages, ['"last words"'])
        self.assertEqual(client.close, (1001, "Going away"))

    def test_a_client_that_catches_up_starts_anew(self) -> None:
        self.start(send_queue_bytes=1000)
        client = self.connect()
        (connection,) = self.service.app.connections()
        for _ in range(5):
            client.transport.producer.pauseProducing()
            for _ in range(5):
                connection.emit("message", "x" * 90)
            client.transport.producer.resumeProducing()
        client.read()
        self.assertEqual(len(client.messages), 25)

    def test_a_volatile_event_is_dropped_while_the_client_is_behind(self) -> None:
        client = self.connect()
        client.transport.producer.pauseProducing()
        self.service.app.emit("tick", 1, volatile=True)
        client.transport.producer.resumeProducing()
        self.service.app.emit("tick", 2, volatile=True)
        client.read()
        self.assertEqual([json.loads(message)["data"] for message in client.messages], [2])

    def test_pings_are_not_answered_while_the_client_is_behind(self) -> None:
        client = self.connect()
        client.client.send_ping(b"1")
        client.deliver()
        client.transport.producer.pauseProducing()
        client.client.send_ping(b"2")
        client.deliver()
        self.assertEqual([frame.data for frame in client.frames if frame.opcode is Opcode.PONG], [b"1"])

    def test_the_transport_is_no_longer_written_to_once_it_stops_the_producer(self) -> None:
        client = self.connect()
        client.transport.producer.stopProducing()
        client.transport.finish()
        self.service.app.emit("message", "x")
        self.assertEqual(client.transport.value(), b"")

    def test_a_handler_that_is_slow_pauses_reading(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.service.hub.inbox_limit = 10

        @self.service.app.on("slow")
        def slow(connection: Any, data: Any) -> Deferred[None]:
            return waiting

        client = self.connect()
        client.send('{"event": "slow"}')
        for number in range(10):
            client.send(str(number))
        self.assertTrue(client.transport.paused)
        waiting.callback(None)
        self.assertFalse(client.transport.paused)
        self.assertEqual(self.events, [str(number) for number in range(10)])

    def test_one_read_does_not_bring_more_messages_than_may_wait(self) -> None:
        turns: list[Deferred[None]] = []
        self.service.hub.inbox_limit = 10

        @self.service.app.on("slow")
        def slow(connection: Any, data: Any) -> Deferred[None]:
            turns.append(Deferred())
            return turns[-1]

        client = self.connect()
        client.client.send_text(b'{"event": "slow"}')
        for number in range(9000):
            client.client.send_text(b'{"event": "slow"}' if number % 20 == 0 else b"%d" % number)
        client.deliver()
        (connection,) = self.service.app.connections()
        self.assertEqual(len(connection._inbox), 10)
        while turns:
            turns.pop().callback(None)
            self.service.clock.advance(0)
            self.assertLessEqual(len(connection._inbox or ()), 10)
        self.assertEqual(self.events, [str(number) for number in range(9000) if number % 20])
        client.transport.finish()
        self.assertEqual(self.service.registry._by_id, {})

    def test_what_waits_unparsed_is_dropped_when_the_client_is_gone(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.service.hub.inbox_limit = 1

        @self.service.app.on("slow")
        def slow(connection: Any, data: Any) -> Deferred[None]:
            return waiting

        client = self.connect()
        for text in (b'{"event": "slow"}', b"1", b"2", b"3"):
            client.client.send_text(text)
        client.deliver()
        waiting.callback(None)
        client.transport.finish()
        self.service.clock.advance(0)
        self.assertEqual(self.events, ["1"])


class CompressionTests(Base):
    def client(self, **options: Any) -> MemoryClient:
        client = MemoryClient(self.service.factory)
        factory = ClientPerMessageDeflateFactory(**options)
        client.client.available_extensions = [factory]
        request = client.client.connect()
        client.client.writes.clear()
        client.client.send_request(request)
        client.deliver()
        return client

    def test_it_is_off_by_default(self) -> None:
        client = self.client()
        self.assertEqual(client.client.extensions, [])
        client.send("x" * 5000)
        self.assertEqual(client.messages, ["x" * 5000])

    def test_both_ways_are_compressed_whatever_windows_the_client_asks_for(self) -> None:
        self.start(compression=True)
        for options in ({}, {"server_max_window_bits": 9}, {"client_max_window_bits": True}):
            client = self.client(**options)
            self.assertEqual(len(client.client.extensions), 1)
            client.send("y" * 5000)
            client.send("z")
            client.send("y" * 5000)
            self.assertEqual(client.messages, ["y" * 5000, "z", "y" * 5000])

    def test_a_broadcast_is_compressed_once(self) -> None:
        self.start(compression=True)
        clients = [self.client() for _ in range(3)]
        made: list[int] = []
        original = zlib.compressobj

        def compressobj(*args: Any, **kwargs: Any) -> Any:
            made.append(1)
            return original(*args, **kwargs)

        self.patch(zlib, "compressobj", compressobj)
        self.service.app.emit("message", "x" * 5000)
        self.assertEqual(len(made), 1)
        for client in clients:
            client.read()
            self.assertEqual(client.messages, ['"' + "x" * 5000 + '"'])

    def test_a_bomb_is_stopped_at_the_limit(self) -> None:
        self.start(compression=True)
        client = self.client()
        client.send("x" * 60_000_000)
        self.assertEqual(client.close[0], 1009)
        self.assertEqual(self.events, [])
