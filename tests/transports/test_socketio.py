"""The Socket.IO path on WebSockets: handshakes, frames and ends, hostile ones above all. SOCKETIO.md 1.3, 1.7, 1.18."""

from __future__ import annotations

import itertools
import json
import zlib
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from tests.clients.bench import (
    APP_ORIGIN,
    EVIL_ORIGIN,
    BystanderCase,
    Socketeer,
    event,
    make_head,
    parse_answer,
    principal,
    upgrade_head,
)
from tests.tables import by_row, rows
from tests.transports.memory import MemoryTransport
from wsservice.clients.client import Client
from wsservice.clients.settings import Settings
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.errors import InvalidToken, KeysUnavailable, MissingToken
from wsservice.headers import security_headers
from wsservice.transports.slim import SlimProtocol

ANSWERS = {
    0: "Transport unknown",
    1: "Session ID unknown",
    2: "Bad handshake method",
    3: "Bad request",
    4: "Forbidden",
    5: "Unsupported protocol version",
}
WORDS = {
    0: "transport_unknown",
    1: "session_unknown",
    2: "bad_handshake_method",
    3: "bad_request",
    5: "unsupported_version",
}
DIRECT = "EIO=4&transport=websocket"


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """One frame of a client, whatever is wrong with it; the mask is zero."""
    size = len(payload)
    head = bytes([(0x80 if final else 0) | rsv | opcode])
    mask = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask | size])
    elif size < 65536:
        head += bytes([mask | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([mask | 127]) + size.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if masked else b"") + payload


def text(payload: str) -> bytes:
    return frame(1, payload.encode())


class WitnessedCase(BystanderCase):
    """There is somebody else, whom nothing of this may harm, and nothing is left of anybody else."""

    def come(self) -> None:
        self.witness = self.bench.socketeer("witness", "/")
        self.before = self.bench.sizes()

    def tearDown(self) -> None:
        self.check_unharmed()
        super().tearDown()

    def check_unharmed(self) -> None:
        self.witness.hear()
        self.witness.say(event("echo", "unharmed", id=1))
        self.assertEqual(self.witness.hear(), ['431["unharmed"]'])

    def check_all_gone(self) -> None:
        for exchange in self.bench.exchanges:
            exchange.transport.drop()
        for socketeer in self.bench.socketeers:
            if socketeer is not self.witness:
                socketeer.drop()
        self.assertEqual(self.bench.sizes(), self.before)

    def connect(self) -> MemoryTransport:
        """A TCP connection to the port, with no client around it."""
        transport = MemoryTransport()
        transport.protocol = self.bench.port.buildProtocol(transport.getPeer())
        transport.protocol.makeConnection(transport)
        return transport

    def assertEnds(self, socket: Socketeer, code: int) -> None:
        """The WebSocket is closed by the code, and its session is over."""
        self.assertEqual(socket.close[0] if socket.close else None, code)
        socket.client.receive_eof()
        socket.drop()
        self.check_all_gone()


class OpenTests(WitnessedCase):
    def test_the_open_packet_is_the_first_frame_and_has_the_keys_that_clients_look_for(self) -> None:
        socket = self.bench.socketeer("alice")
        self.assertEqual(len(socket.messages), 1)
        self.assertEqual(
            socket.handshake,
            {
                "sid": socket.sid,
                "upgrades": [],
                "pingInterval": 25000,
                "pingTimeout": 20000,
                "maxPayload": 1_000_000,
            },
        )
        self.assertEqual(list(socket.handshake), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"])

    def test_the_path_is_good_with_and_without_its_slash_and_no_other(self) -> None:
        for path in ("/socket.io/", "/socket.io"):
            socket = Socketeer(self.bench, path=path)
            socket.deliver()
            self.assertEqual(socket.client.state.name, "OPEN")
        for path in ("/socket.io/x", "/socket.iox", "/socket.io/x/y/", "/engine.io/", "/SOCKET.IO/"):
            self.assertEqual(Socketeer(self.bench, path=path).refusal.status, 404, path)

    def test_what_it_asks_beside_the_protocol_is_told_to_the_application(self) -> None:
        socket = Socketeer(self.bench, query=f"{DIRECT}&t=abc&b64=1&room=a%20b&room=last&empty=")
        socket.deliver()
        socket.join("/")
        query = self.bench.connection().handshake.query
        self.assertEqual((query["room"], query["empty"], query["t"]), ("last", "", "abc"))

    def test_an_empty_sid_is_none(self) -> None:
        socket = Socketeer(self.bench, query=f"{DIRECT}&sid=")
        socket.deliver()
        self.assertTrue(socket.sid)

    def test_no_cookie_is_set_unless_one_is_wanted(self) -> None:
        transport = self.connect()
        transport.protocol.dataReceived(upgrade_head(DIRECT))
        self.assertNotIn(b"Set-Cookie", transport.value())
        transport.protocol.connectionLost(Failure(ConnectionDone()))

    def test_a_cookie_for_load_balancers_is_set_where_a_session_begins_and_is_its_sid(self) -> None:
        self.begin(cookie=lambda sid: f"io={sid}; Path=/; HttpOnly; SameSite=Lax")
        for is_seen_before in (True, False):
            if not is_seen_before:
                self.patch(self.bench.gate, "decide", self.bench.gate.authenticate)
            transport = self.connect()
            transport.protocol.dataReceived(upgrade_head(DIRECT))
            head, _, rest = transport.value().partition(b"\r\n\r\n")
            sid = json.loads(rest[rest.index(b"{") :])["sid"]
            self.assertIn(f"Set-Cookie: io={sid}; Path=/; HttpOnly; SameSite=Lax\r\n".encode(), head + b"\r\n")
            transport.protocol.connectionLost(Failure(ConnectionDone()))
        poller = self.bench.poller("alice")
        transport = self.connect()
        transport.protocol.dataReceived(upgrade_head(f"{DIRECT}&sid={poller.sid}"))
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 101 "))
        self.assertNotIn(b"Set-Cookie", transport.value())
        transport.protocol.connectionLost(Failure(ConnectionDone()))

    def test_a_refused_user_is_let_in_and_told_at_its_connect(self) -> None:
        self.begin(cookie=lambda sid: f"io={sid}")
        for answer in (MissingToken("x"), InvalidToken("x"), KeysUnavailable("x")):
            self.bench.gate.answers["alice"] = answer
            socket = self.bench.socketeer("alice")
            socket.say("40")
            self.assertEqual(socket.hear(), [f'44{{"message":"{answer.message}"}}'])
            self.assertEqual(self.bench.counters.get("handshakes", answer.word), 1)
        self.assertEqual(self.bench.counters.get("handshakes", "ok"), 1)

    def test_a_session_that_moves_is_not_authenticated_anew(self) -> None:
        poller = self.bench.poller("alice", "/")
        seen = len(self.bench.gate.seen)
        socket = Socketeer(self.bench, None, sid=poller.sid)
        socket.deliver()
        self.assertEqual(len(self.bench.gate.seen), seen)
        socket.say("2probe")
        self.assertEqual(socket.messages, ["3probe"])


@dataclass(frozen=True)
class Refused:
    """A handshake that gets no 101."""

    name: str
    query: str
    code: int


REFUSED = (
    Refused("no transport", "EIO=4", 0),
    Refused("an unknown transport", "EIO=4&transport=smoke", 0),
    Refused("webtransport", "EIO=4&transport=webtransport", 0),
    Refused("polling", "EIO=4&transport=polling", 3),
    Refused("polling with a sid", "EIO=4&transport=polling&sid=SID", 3),
    Refused("an unknown sid", f"{DIRECT}&sid=AAAAAAAAAAAAAAAAAAAA", 1),
    Refused("a sid that is no text of ours", f"{DIRECT}&sid=%00%ff%f0%9f%98%80", 1),
    Refused("no version", "transport=websocket", 5),
    Refused("version 3", "EIO=3&transport=websocket", 5),
    Refused("version 4 in other digits", "EIO=%D9%A4&transport=websocket", 5),
    Refused("another version than the session's", "EIO=3&transport=websocket&sid=SID", 3),
    Refused("a callback", f"{DIRECT}&j=0", 3),
    Refused("nothing", "", 0),
)


@by_row
class RefusalTests(WitnessedCase):
    @rows(REFUSED)
    def test_instead_of_a_101(self, row: Refused) -> None:
        poller = self.bench.poller("alice", "/")
        socket = Socketeer(self.bench, query=row.query.replace("SID", poller.sid))
        answer = socket.refusal
        self.assertEqual((answer.status, answer.json), (400, {"code": row.code, "message": ANSWERS[row.code]}))
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(answer.header("Connection"), "close")
        for name, value in security_headers(secure=False, host="localhost"):
            self.assertEqual(answer.header(name.decode()), value.decode())
        self.assertEqual(self.bench.counters.get("handshakes", WORDS[row.code]), 1)
        self.assertEqual(socket.transport.ended, "lost")
        poller.say(event("echo", id=1))
        self.assertEqual(poller.hear(), ["431[]"])
        self.assertEqual(len(self.bench.clients), 2)

    def test_a_foreign_page_is_forbidden_and_gets_no_session(self) -> None:
        poller = self.bench.poller("alice", "/")
        before = len(self.bench.clients)
        for origin in (EVIL_ORIGIN, "null", f"{APP_ORIGIN}.evil.example", f"{APP_ORIGIN}:8443", "", "x y"):
            for query in (DIRECT, f"{DIRECT}&sid={poller.sid}", "EIO=3", ""):
                with self.subTest(origin=origin, query=query):
                    socket = Socketeer(self.bench, query=query, headers=(("Origin", origin),))
                    answer = socket.refusal
                    self.assertEqual((answer.status, answer.json), (403, {"code": 4, "message": "Forbidden"}))
        self.assertEqual(len(self.bench.clients), before)
        self.assertEqual(len(self.bench.gate.seen), 2)

    def test_an_allowed_page_and_a_client_without_a_page_may_come(self) -> None:
        for headers in (((("Origin", APP_ORIGIN)),), (), (("Origin", "http://localhost"),)):
            socket = Socketeer(self.bench, headers=headers)
            socket.deliver()
            self.assertEqual(socket.client.state.name, "OPEN", headers)

    def test_a_head_that_is_no_handshake_is_refused_in_the_same_words(self) -> None:
        good = upgrade_head(DIRECT)
        for head in (
            good.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
            good.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
            good.replace(b"Connection: Upgrade\r\n", b""),
            good.replace(b"Host: localhost\r\n", b""),
            good.replace(b"Host: localhost\r\n", b"Host: a\r\nHost: b\r\n"),
            good.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
            good.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
            good.replace(b"\r\n\r\n", b"\r\nX: \x00\r\n\r\n"),
            good.replace(b"HTTP/1.1", b"HTTP/1.2"),
        ):
            with self.subTest(head=head):
                transport = self.connect()
                transport.protocol.dataReceived(head)
                answer = parse_answer(transport.value())
                self.assertEqual((answer.status, answer.json["message"]), (400, "Bad request"))
                transport.finish()
        transport = self.connect()
        transport.protocol.dataReceived(good.replace(b"Version: 13", b"Version: 99"))
        answer = parse_answer(transport.value())
        self.assertEqual((answer.status, answer.header("Sec-WebSocket-Version")), (426, "13"))
        transport.finish()
        self.check_all_gone()

    def test_heads_beyond_all_measure_are_refused_quickly(self) -> None:
        good = upgrade_head(DIRECT)
        for extra, status in (
            (b"".join(b"X-%d: x\r\n" % number for number in range(3000)), 431),
            (b"".join(b"X: x\r\n" for number in range(150)), 431),
            (b"Sec-WebSocket-Protocol:" + b" " * 65536 + b"x\r\n", 431),
            (b"Sec-WebSocket-Protocol:" + b" ,\t" * 4000 + b"x\r\n", 101),
            (b"Sec-WebSocket-Extensions: constructor; __proto__=1, permessage-deflate; x=y\r\n", 101),
            (b"Sec-WebSocket-Extensions: " + b"permessage-deflate, " * 700 + b"x\r\n", 101),
            (b"Cookie: " + b"a=b; " * 3000 + b"\r\n", 101),
        ):
            with self.subTest(extra=extra[:40]):
                transport = self.connect()
                transport.protocol.dataReceived(good[:-2] + extra + b"\r\n")
                status_line = transport.value()[:13]
                self.assertIn(status_line, (b"HTTP/1.1 %d " % status, b"HTTP/1.1 400 "))
                if transport.value().startswith(b"HTTP/1.1 101 "):
                    transport.protocol.connectionLost(Failure(ConnectionLost()))
                else:
                    transport.finish()
        self.check_all_gone()


class MatrixTests(WitnessedCase):
    """CVE-2023-31125: no combination is a fault of ours, and none harms a session."""

    METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
    TRANSPORTS = (None, "", "polling", "websocket", "webtransport", "constructor")
    SIDS = (None, "", "unknown", "POLLING", "WEBSOCKET")
    VERSIONS = (None, "3", "4")

    def test_every_combination_has_a_clean_answer(self) -> None:
        poller, socket = self.bench.poller("alice", "/"), self.bench.socketeer("bob", "/")
        sids = {"POLLING": poller.sid, "WEBSOCKET": socket.sid}
        before = len(self.bench.clients)
        for method, is_upgrade, transport, sid, version in itertools.product(
            self.METHODS, (False, True), self.TRANSPORTS, self.SIDS, self.VERSIONS
        ):
            good = transport == "polling" and sid in (None, "", "POLLING") and version == "4" and not is_upgrade
            if method == "GET" and good:
                continue  # what a client does
            if method == "POST" and good and sid == "POLLING":
                continue
            if method == "GET" and is_upgrade and transport == "websocket" and version == "4" and sid != "unknown":
                continue
            pairs = (("EIO", version), ("transport", transport), ("sid", sids.get(sid or "", sid)))
            query = "&".join(f"{name}={value}" for name, value in pairs if value is not None)
            make = upgrade_head if is_upgrade else make_head
            connection = self.connect()
            body = b"3" if method in ("POST", "PUT", "PATCH") else b""
            head = make(query, method=method) if is_upgrade else make_head(method, query)
            if body:
                head = head[:-2] + b"Content-Length: 1\r\n\r\n"
            connection.protocol.dataReceived(head + body)
            where = (method, is_upgrade, query)
            answer = parse_answer(connection.value())
            expected = self.expected(method, is_upgrade, transport, sid, version)
            self.assertEqual(answer.status, 204 if method == "OPTIONS" else 405 if expected is None else 400, where)
            if answer.status == 400 and method != "HEAD":
                self.assertEqual(answer.json, {"code": expected, "message": ANSWERS[expected or 0]}, where)
            connection.finish()
        self.assertEqual(len(self.bench.clients), before)
        for peer in (poller, socket):
            peer.say(event("echo", id=1))
            self.assertEqual(peer.hear(), ["431[]"])

    def expected(
        self, method: str, is_upgrade: bool, transport: str | None, sid: str | None, version: str | None
    ) -> int | None:
        """The code by 1.3; None: the method is not allowed."""
        if transport not in ("polling", "websocket"):
            return 0
        if sid == "unknown":
            return 1
        if not sid and method != "GET":
            return 2
        if (transport == "websocket") is not is_upgrade:
            return 3
        if version != "4":
            return 3 if sid else 5
        if transport == "websocket" or (sid == "WEBSOCKET" and method == "POST"):
            return 3
        return 3 if sid == "WEBSOCKET" and method == "GET" else None


@dataclass(frozen=True)
class Broken:
    """Frames that break the WebSocket protocol, and the code of the answer."""

    name: str
    data: bytes
    code: int


BROKEN = (
    Broken("a reserved bit", frame(1, b"40", rsv=0x40), 1002),
    Broken("all reserved bits", frame(1, b"40", rsv=0x70), 1002),
    Broken("a reserved opcode", frame(3, b"x"), 1002),
    Broken("a reserved control opcode", frame(11, b"x"), 1002),
    Broken("no mask", frame(1, b"40", masked=False), 1002),
    Broken("a continuation of nothing", frame(0, b"x"), 1002),
    Broken("a message within another", frame(1, b"4", final=False) + frame(1, b"0"), 1002),
    Broken("a ping in fragments", frame(9, b"x", final=False), 1002),
    Broken("a ping of 126 bytes", frame(9, b"x" * 126), 1002),
    Broken("a close of one byte", frame(8, b"x"), 1002),
    Broken("a close of a code that is not sent", frame(8, b"\x03\xed"), 1002),
    Broken("a length that is not minimal", b"\x81\xfe\x00\x02\0\0\0\x0040", 1002),
    Broken("a length beyond 63 bits", b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0", 1002),
    Broken("a length of an exabyte", b"\x81\xff\x0f" + b"\xff" * 7 + b"\0\0\0\0", 1009),
    Broken("text that is not UTF-8", frame(1, b"4\xff\xfe"), 1007),
    Broken("text that is a lone surrogate", frame(1, b"4\xed\xa0\x80"), 1007),
    Broken("text that ends within a character", frame(1, "4é".encode()[:-1]), 1007),
    Broken("a close reason that is not UTF-8", frame(8, b"\x03\xe8\xff"), 1007),
)


@by_row
class BrokenFrameTests(WitnessedCase):
    """CVE-2022-21676 among them."""

    @rows(BROKEN)
    def test_in_the_same_segment_as_the_handshake(self, row: Broken) -> None:
        socket = Socketeer(self.bench)
        socket.current.dataReceived(socket.flush() + row.data + text("40") + text(event("m")))
        socket.read()
        self.assertEqual([step for step in self.bench.steps if step[0] != "disconnect"], [])
        self.assertEnds(socket, row.code)

    @rows(BROKEN)
    def test_in_a_session(self, row: Broken) -> None:
        socket = self.bench.socketeer("alice", "/")
        self.bench.steps.clear()
        socket.raw(row.data + text(event("m")))
        self.assertNotIn(("m",), self.bench.steps)
        self.assertEnds(socket, row.code)
        self.assertEqual(self.bench.steps, [("disconnect", "/", "transport error")])

    @rows(BROKEN)
    def test_on_a_connection_that_polled_before(self, row: Broken) -> None:
        transport = self.connect()
        transport.protocol.dataReceived(make_head("OPTIONS", "") + upgrade_head(DIRECT) + row.data)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 204 "))
        transport.protocol.connectionLost(Failure(ConnectionLost()))
        self.check_all_gone()

    @rows(BROKEN)
    def test_while_the_token_is_checked(self, row: Broken) -> None:
        checking: Deferred[Any] = Deferred()
        self.bench.gate.answers["alice"] = checking
        socket = Socketeer(self.bench)
        socket.current.dataReceived(socket.flush() + row.data)
        checking.callback(principal("alice"))
        socket.read()
        self.assertEnds(socket, row.code)


class ResetTests(WitnessedCase):
    """CVE-2022-41940: a reset at each step of the handshake."""

    def test_at_each_byte(self) -> None:
        talk = upgrade_head(DIRECT) + text("40") + text(event("echo", id=1)) + text("40/slow,") + text("1")
        for end in range(len(talk) + 1):
            transport = self.connect()
            transport.protocol.dataReceived(talk[:end])
            transport.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(self.bench.clients), 1)
        for waiting in self.bench.waiting:
            waiting.callback(None)
        self.assertEqual(self.bench.sizes(), self.before)

    def test_at_each_byte_of_a_move(self) -> None:
        poller = self.bench.poller("alice", "/")
        talk = upgrade_head(f"{DIRECT}&sid={poller.sid}") + text("2probe")
        for end in range(len(talk) + 1):
            transport = self.connect()
            transport.protocol.dataReceived(talk[:end])
            transport.protocol.connectionLost(Failure(ConnectionLost()))
        self.bench.connection().emit("still here")
        self.assertEqual(poller.hear(), ['42["still here"]'])

    def test_while_the_token_is_checked(self) -> None:
        for result in (principal("alice"), InvalidToken("x"), RuntimeError("SECRET")):
            for early in (b"", text("40"), text("40") * 10_000):
                checking: Deferred[Any] = Deferred()
                self.bench.gate.answers["alice"] = checking
                transport = self.connect()
                transport.protocol.dataReceived(upgrade_head(DIRECT))
                transport.protocol.dataReceived(early)
                transport.protocol.connectionLost(Failure(ConnectionLost()))
                checking.errback(result) if isinstance(result, Exception) else checking.callback(result)
        self.assertEqual(self.bench.sizes(), self.before)
        self.flushLoggedErrors(RuntimeError)

    def test_a_thousand_times_between_the_101_and_the_first_packet(self) -> None:
        for _ in range(1000):
            transport = self.connect()
            transport.protocol.dataReceived(upgrade_head(DIRECT))
            transport.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.bench.sizes(), self.before)

    def test_the_deadline_of_a_head_is_a_reset_too(self) -> None:
        transport = self.connect()
        transport.protocol.dataReceived(upgrade_head(DIRECT)[:-2])
        self.bench.advance(6)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        transport.finish()
        self.check_all_gone()


class EarlyTests(WitnessedCase):
    def test_what_comes_while_the_token_is_checked_is_handled_in_order_afterwards(self) -> None:
        checking: Deferred[Any] = Deferred()
        self.bench.gate.answers["alice"] = checking
        socket = Socketeer(self.bench)
        socket.current.dataReceived(socket.flush() + text("40") + text(event("m", 1)))
        socket.current.dataReceived(text(event("m", 2)))
        self.assertEqual((self.bench.steps, len(self.bench.clients)), ([], 1))
        checking.callback(principal("alice"))
        self.bench.turn()
        self.assertEqual(self.bench.steps, [("connect", "/", "alice"), ("m", 1), ("m", 2)])

    def test_it_is_bounded(self) -> None:
        checking: Deferred[Any] = Deferred()
        self.bench.gate.answers["alice"] = checking
        socket = Socketeer(self.bench)
        socket.current.dataReceived(socket.flush())
        for _ in range(70):
            self.assertFalse(socket.transport.paused and len(socket.current.data) > 70_000)
            if not socket.transport.paused:
                socket.current.dataReceived(frame(1, b"6" * 1000))
        self.assertTrue(socket.transport.paused)
        checking.callback(principal("alice"))
        self.bench.turn()
        self.assertFalse(socket.transport.paused)

    def test_a_broken_authenticator_is_a_500_and_no_session(self) -> None:
        self.bench.gate.answers["alice"] = RuntimeError("SECRET")
        socket = Socketeer(self.bench)
        answer = socket.refusal
        self.assertEqual(answer.status, 500)
        self.assertNotIn(b"SECRET", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        socket.drop()
        self.check_all_gone()


class SizeTests(WitnessedCase):
    def setUp(self) -> None:
        super().setUp()
        self.begin(Settings(engine=EngineSettings(max_payload=100_000)))
        self.socket = self.bench.socketeer("alice", "/")
        self.bench.steps.clear()

    def message(self, size: int) -> bytes:
        return b'42["m","%s"]' % (b"x" * (size - 10))

    def test_a_message_of_the_limit_is_taken_and_one_byte_more_is_not(self) -> None:
        self.socket.raw(frame(1, self.message(100_000)))
        self.assertEqual(len(self.bench.steps), 1)
        self.socket.raw(frame(1, self.message(100_001)))
        self.assertEqual(len(self.bench.steps), 1)
        self.assertEnds(self.socket, 1009)

    def test_so_it_is_in_fragments_and_in_bytes(self) -> None:
        self.socket.raw(text('451-["m",{"_placeholder":true,"num":0}]') + frame(2, b"x" * 60_000, final=False))
        self.socket.raw(frame(0, b"x" * 40_000))
        self.assertEqual(len(self.bench.steps), 1)
        self.socket.raw(frame(2, b"x" * 60_000, final=False) + frame(0, b"x" * 40_001, final=False))
        self.assertEnds(self.socket, 1009)

    def test_a_frame_is_refused_by_its_head(self) -> None:
        self.socket.raw(b"\x81\xff" + (100_001).to_bytes(8, "big") + b"\0\0\0\0")
        self.assertEnds(self.socket, 1009)

    def test_what_comes_behind_the_refusal_is_dropped_and_not_kept(self) -> None:
        self.socket.raw(b"\x81\xff" + (10**9).to_bytes(8, "big") + b"\0\0\0\0")
        for _ in range(100):
            self.socket.raw(b"x" * 65536)
        protocol = self.socket.current
        kept = len(protocol.data) + sum(map(len, protocol.frame_data or ())) + sum(map(len, protocol.message_data))
        self.assertLess(kept, 70_000)
        self.assertEnds(self.socket, 1009)

    def test_it_is_closed_when_it_does_not_close(self) -> None:
        self.socket.pongs = False
        self.socket.current.dataReceived(b"\x81\xff" + (10**9).to_bytes(8, "big") + b"\0\0\0\0")
        self.bench.clock.advance(3)
        self.assertEqual(self.socket.transport.ended, "lost")
        self.socket.read()
        self.assertEnds(self.socket, 1009)


class UnknownTests(WitnessedCase):
    """Who sends no token may ask for a namespace, and little more."""

    def test_a_message_of_one_who_is_not_known_is_small(self) -> None:
        for frames in ([text("4" + "x" * 16384)], [frame(1, b"4" * 16000, final=False), frame(0, b"x" * 400)]):
            socket = Socketeer(self.bench, None)
            socket.deliver()
            for one in frames:
                socket.raw(one)
            self.assertEnds(socket, 1009)

    def test_who_is_known_later_sends_what_others_do(self) -> None:
        self.bench.gate.answers["alice"] = KeysUnavailable("x")
        socket = Socketeer(self.bench)
        socket.deliver()
        socket.say("40")
        (protocol,) = [one for one in self.bench.sockets.live if one is socket.current]
        self.assertEqual((protocol.maxMessagePayloadSize, protocol.maxFramePayloadSize), (16384, 16384))
        del self.bench.gate.answers["alice"]
        socket.say("40")
        self.assertEqual((protocol.maxMessagePayloadSize, protocol.maxFramePayloadSize), (1_000_000, 1_000_000))

    def test_one_who_moves_here_without_a_token_does_too(self) -> None:
        moved = self.bench.move(self.bench.poller(None))
        self.assertEqual(moved.current.maxMessagePayloadSize, 16384)
        moved.raw(text("4" + "x" * 16384))
        self.assertEnds(moved, 1009)


class FragmentTests(WitnessedCase):
    """CVE-2026-48779: endless fragments, below every limit of bytes."""

    def test_two_hundred_thousand_of_one_byte_are_too_many(self) -> None:
        self.check(b"\x00\x81\x00\x00\x00\x00x", 200_000)

    def test_so_are_empty_ones(self) -> None:
        self.check(b"\x00\x80\x00\x00\x00\x00", 200_000)

    def check(self, fragment: bytes, count: int) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.current.dataReceived(frame(1, b"4", final=False))
        most = 0
        for _ in range(count // 1000):
            socket.current.dataReceived(fragment * 1000)
            most = max(most, len(socket.current.message_data))
        self.assertLessEqual(most, SlimProtocol.max_fragments)
        socket.read()
        assert socket.close is not None
        self.assertIn(socket.close[0], (1008, 1009))
        self.assertEnds(socket, socket.close[0])

    def test_a_message_of_many_fragments_is_taken(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        payload = event("m", "x" * 1000).encode()
        data = b"".join(b"\x00\x81\x00\x00\x00\x00" + payload[i : i + 1] for i in range(1, len(payload)))
        socket.raw(frame(1, payload[:1], final=False) + data + frame(0))
        self.assertEqual(self.bench.steps[1:], [("m", "x" * 1000)])

    def test_pings_may_come_between_fragments(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.raw(frame(1, b'42["m"', final=False) + frame(9, b"hi") + frame(0, b"]"))
        self.assertEqual(self.bench.steps[1:], [("m",)])
        self.assertEqual(socket.pongs_heard, [b"hi"])


class ControlFrameTests(WitnessedCase):
    def test_a_pong_is_its_ping_exactly(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        payloads = [b"", b"\x00", bytes(range(125))]
        for payload in payloads:
            socket.raw(frame(9, payload))
        self.assertEqual(socket.pongs_heard, payloads)

    def test_pings_and_pongs_of_the_protocol_are_no_heartbeat(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.pongs = False
        for _ in range(46):
            self.bench.advance(1)
            socket.raw(frame(9, b"x") + frame(10, b"x"))
        self.assertEqual(socket.close, (1000, "ping timeout"))

    def test_a_flood_of_pings_from_one_that_does_not_read_is_not_answered(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        protocol = socket.current
        protocol.pauseProducing()
        for _ in range(100):
            protocol.dataReceived(frame(9, b"x" * 100) * 100)
        self.assertEqual(socket.transport.value(), b"")
        self.assertEqual(len(protocol._backlog), 0)
        protocol.resumeProducing()

    def test_a_close_frame_is_answered_and_the_session_is_over(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        self.bench.steps.clear()
        socket.raw(frame(8, (1000).to_bytes(2, "big") + b"bye") + text(event("m")))
        self.assertEqual(socket.transport.ended, "lost")
        socket.drop(ConnectionDone())
        self.assertEqual(self.bench.steps, [("disconnect", "/", "transport close")])
        self.check_all_gone()


class CompressionTests(WitnessedCase):
    def connect_deflating(self, **options: Any) -> Socketeer:
        socket = Socketeer(self.bench, "alice")
        extensions = [ClientPerMessageDeflateFactory(**options)]
        socket.client.available_extensions = extensions
        request = socket.client.connect()
        request.headers["Cookie"] = "token=alice"
        socket.client.writes.clear()
        socket.client.send_request(request)
        socket.deliver()
        return socket

    def test_it_is_declined_unless_it_is_wanted(self) -> None:
        socket = self.connect_deflating()
        self.assertEqual((socket.client.state.name, socket.client.extensions), ("OPEN", []))

    def test_large_messages_are_compressed_where_it_is_on(self) -> None:
        self.begin(compression=True)
        socket = self.connect_deflating().join("/")
        self.assertEqual(len(socket.client.extensions), 1)
        socket.say(event("back", "x" * 5000))
        socket.deliver()
        self.assertEqual(socket.hear(), [event("back", "x" * 5000)])
        self.bench.connection().emit("x", "y" * 5000, b"z" * 5000)
        self.assertLess(len(socket.transport.value()), 500)
        heard = socket.hear()
        self.assertEqual((len(heard), heard[1]), (2, b"z" * 5000))

    def test_a_bomb_is_refused(self) -> None:
        self.begin(compression=True)
        socket = self.connect_deflating().join("/")
        deflater = zlib.compressobj(wbits=-15)
        bomb = deflater.compress(b"4" + b"x" * 50_000_000) + deflater.flush(zlib.Z_SYNC_FLUSH)
        socket.raw(frame(1, bomb[:-4], rsv=0x40))
        self.assertEnds(socket, 1009)

    def test_a_session_that_moves_is_framed_anew(self) -> None:
        self.begin(compression=True)
        poller = self.bench.poller("alice", "/")
        self.bench.connection().emit("waits", "y" * 5000)
        socket = self.connect_deflating()
        socket.drop()
        moved = Socketeer(self.bench, "alice", sid=poller.sid)
        moved.deliver()
        moved.say("2probe", "5")
        self.assertEqual(moved.hear(), ["3probe", event("waits", "y" * 5000)])


class FaultTests(WitnessedCase):
    def test_a_fault_of_ours_ends_the_one_client(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        receive = Client.receive

        def broken(client: Client, where: Any, payload: Any) -> None:
            if where is socket.current:
                raise RuntimeError("ours")
            receive(client, where, payload)

        with patch.object(Client, "receive", broken):
            socket.say(event("m"), event("m"))
            self.check_unharmed()
        self.assertEqual(socket.close, (1011, "Internal error"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.bench.counters.get("internal_errors"), 1)

    def test_frames_behind_the_end_are_ignored(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        protocol = socket.current
        protocol.onClose(True, 1000, "")
        protocol.onMessage(b'42["m"]', False)
        protocol.too_slow()
        protocol.onClose(True, 1000, "")
        self.assertNotIn(("m",), self.bench.steps)

    def test_a_socket_that_has_no_session_is_closed_when_the_service_stops(self) -> None:
        poller = self.bench.poller("alice", "/")
        moved = self.bench.move(poller)
        stray = Socketeer(self.bench, sid=poller.sid)
        stray.current.dataReceived(stray.flush())
        self.bench.sockets.drain()
        stray.read()
        self.assertEqual(stray.close, (1008, "Session elsewhere"))
        self.assertEqual(self.bench.counters.get("handshakes", "session_elsewhere"), 1)
        moved.read()
        self.assertEqual(moved.close, (1001, "Server shutting down"))
        self.begin(Settings())


class EncodingTests(WitnessedCase):
    def test_base64_in_a_text_frame_is_a_binary_message(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        for number, packet in enumerate(("bAP8=", "bAP8", "b", "b-_8=", "b-_8")):
            socket.say('451-["m",{"_placeholder":true,"num":0}]', packet)
            expected = (b"\x00\xff", b"\x00\xff", b"", b"\xfb\xff", b"\xfb\xff")[number]
            self.assertEqual(self.bench.steps[-1], ("m", expected))

    def test_one_message_of_every_opcode_is_one_packet(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.client.send_text(b'42["m","a\x1eb"]'.replace(b"\x1e", b"\\u001e"))
        socket.deliver()
        self.assertEqual(self.bench.steps[-1], ("m", "a\x1eb"))
        self.bench.connection().emit("x", "a\x1eb")
        self.assertEqual(socket.hear(), ['42["x","a\\u001eb"]'])
        self.assertEqual([one.opcode for one in socket.frames if isinstance(one, Frame)][-1], Opcode.TEXT)
