"""Tests of wsservice.cli.client: addresses, frames, cookies, lines, ends, and the two protocols."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.cli.client.address import Address
from wsservice.cli.client.cookies import Jar, SetCookie
from wsservice.cli.client.ends import End
from wsservice.cli.client.lines import Line, parse_line
from wsservice.cli.client.opening import check_header, parse_head, problem_of
from wsservice.cli.client.raw import RawWire
from wsservice.cli.client.socketio import SocketIoWire
from wsservice.cli.client.wire import Answered, BadLine, Came, Over, Send
from wsservice.client_frames import FrameError, FrameReader, Message, Opcode, accept_value, encode_frame
from wsservice.close_codes import Advice
from wsservice.frames import frame


class AddressTests(SynchronousTestCase):
    def test_urls(self) -> None:
        for text, url, origin in (
            ("localhost:3020", "ws://localhost:3020", "http://localhost:3020"),
            ("https://a.example/ws", "wss://a.example/ws", "https://a.example"),
            ("wss://[::1]:8443", "wss://[::1]:8443", "https://[::1]:8443"),
        ):
            found = Address.parse(text)
            self.assertEqual((found.url, found.origin), (url, origin))

    def test_what_is_none(self) -> None:
        for text in ("ftp://x", "ws://", "ws://u:p@x", "ws://x:99999", "ws://x:0", "ws://a b", "ws://ü"):
            self.assertRaises(ValueError, Address.parse, text)


class FrameTests(SynchronousTestCase):
    def test_the_services_frames_are_read_in_any_pieces(self) -> None:
        for size in (0, 125, 126, 65535, 65536):
            data = frame(b"x" * size)
            self.assertEqual(FrameReader().feed(data), [Message(Opcode.TEXT, b"x" * size)])
        reader = FrameReader()
        parts = b"\x01\x01a" + b"\x89\x00" + b"\x80\x01b"
        found = [message for byte in parts for message in reader.feed(bytes([byte]))]
        self.assertEqual(found, [Message(Opcode.PING, b""), Message(Opcode.TEXT, b"ab")])

    def test_a_frame_is_masked(self) -> None:
        # RFC 6455 section 5.7
        expected = bytes.fromhex("818537fa213d7f9f4d5158")
        self.assertEqual(encode_frame(Opcode.TEXT, b"Hello", bytes.fromhex("37fa213d")), expected)

    def test_what_breaks_the_protocol(self) -> None:
        for data in (
            b"\xc1\x00",
            b"\x81\x80",
            b"\x83\x00",
            b"\x09\x00",
            b"\x89\x7e\x00\x7e",
            b"\x80\x00",
            b"\x01\x00\x81\x00",
        ):
            self.assertRaises(FrameError, FrameReader().feed, data)

    def test_the_opening(self) -> None:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        self.assertEqual(accept_value(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        head = "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
        head += f"Sec-WebSocket-Accept: {accept_value(key)}"
        self.assertEqual(problem_of(parse_head(head.encode()), key), "")
        self.assertIn("wrong Sec-WebSocket-Accept", problem_of(parse_head(head.encode()), "other"))
        self.assertRaises(ValueError, parse_head, b"SSH-2.0-OpenSSH")
        self.assertRaises(ValueError, check_header, "X", "a\r\nb")
        self.assertRaises(ValueError, check_header, "X:", "a")


class CookieTests(SynchronousTestCase):
    def test_a_jar_keeps_paths_and_forgets(self) -> None:
        jar = Jar()
        jar.add_header("a=1; b=2")
        jar.take(SetCookie.parse("refresh=3; Path=/auth; HttpOnly"))
        self.assertEqual(jar.header("/ws"), "a=1; b=2")
        self.assertEqual(jar.header("/auth/me"), "a=1; b=2; refresh=3")
        jar.take(SetCookie.parse("a=; Max-Age=0; Path=/"))
        self.assertEqual(jar.header("/authority"), "b=2")
        self.assertNotIn("3", repr(SetCookie.parse("refresh=3")))


class LineTests(SynchronousTestCase):
    def test_lines(self) -> None:
        for text, line in (
            ("hello", Line("text", "hello")),
            ("//hello", Line("text", "/hello")),
            ("/event news", Line("event", "news")),
            ('/call news {"a": 1} 2', Line("call", "news", [{"a": 1}, 2])),
            ("/binary 00ff", Line("binary", data=b"\0\xff")),
            ("/wait", Line("wait")),
            ("/close", Line("close", number=1000)),
            ("/close 4000 a b", Line("close", "a b", number=4000)),
            (" ", None),
        ):
            self.assertEqual(parse_line(text), line, text)

    def test_bad_lines(self) -> None:
        for text in ("/nope", "/event", "/event x {", "/event x NaN", "/binary 0", "/wait x", "/close 1006"):
            self.assertRaises(BadLine, parse_line, text)


class EndTests(SynchronousTestCase):
    def test_the_advice_is_that_of_the_close_codes(self) -> None:
        for end, advice in (
            (End(1008, "Authentication expired"), Advice.REFRESH),
            (End(1008, "Signed out"), Advice.STOP),
            (End(1001), Advice.BACKOFF),
            (End(None), Advice.BACKOFF),
            (End(4000), Advice.STOP),
            (End(4408), Advice.BACKOFF),
        ):
            self.assertEqual(end.advice, advice, end)
        self.assertIn("'Signed out': refused, or the session is over; log in anew", End(1008, "Signed out").describe())


class WireTests(SynchronousTestCase):
    def test_a_raw_call_and_its_answer(self) -> None:
        wire = RawWire()
        (sent,) = wire.call("news", [1])
        self.assertIsInstance(sent, Send)
        answer = Message(Opcode.TEXT, b'{"ack":1,"data":2}')
        self.assertEqual(list(wire.received(answer)), [Answered(1, "news answered 2", 18)])
        self.assertEqual(list(wire.received(answer)), [Came('{"ack":1,"data":2}', 18)])
        self.assertRaises(BadLine, list, wire.event("news", [1, 2]))
        list(wire.call("news", []))
        self.assertEqual(wire.lost(), ["news"])

    def test_socketio(self) -> None:
        wire = SocketIoWire(namespace="/a")
        hello = Message(Opcode.TEXT, b'0{"sid":"s","pingInterval":1000,"pingTimeout":500}')
        self.assertEqual([step.payload for step in wire.received(hello) if isinstance(step, Send)], [b"40/a,"])
        self.assertEqual(wire.deadline, 1.5)
        self.assertFalse(wire.is_ready)
        list(wire.received(Message(Opcode.TEXT, b'40/a,{"sid":"x"}')))
        self.assertTrue(wire.is_ready)
        (sent,) = wire.call("news", [1])
        assert isinstance(sent, Send)
        self.assertEqual(sent.payload, b'42/a,1["news",1]')
        self.assertEqual(list(wire.received(Message(Opcode.TEXT, b"43/a,1[2]"))), [Answered(1, "news answered 2", 8)])
        (pong,) = wire.received(Message(Opcode.TEXT, b"2"))
        self.assertEqual(pong, Send(Opcode.TEXT, b"3"))
        (over,) = wire.received(Message(Opcode.TEXT, b"nonsense"))
        self.assertIsInstance(over, Over)
        self.assertRaises(BadLine, list, wire.call("disconnect", []))
        self.assertEqual(wire.calls, {})
