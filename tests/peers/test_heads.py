"""Heads between nodes, and the proof in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.handshake import Handshake, parse_head
from wsservice.peering import EVERYWHERE, for_peers
from wsservice.peers.heads import AnswerHead, BadAnswer, read_answer, request_head
from wsservice.peers.proofs import WINDOW, NotAPeer, check
from wsservice.web.limits import Limits

SECRET = b"s" * 32
NOW = 1_800_000_000.7
PLAIN = (
    b"GET /socket.io/?EIO=4&sid=x HTTP/1.1\r\nHost: chat.example\r\nCookie: a=1\r\nCookie: b=2\r\nX-Other: 1\r\n"
    b"Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nExpect: 100-continue\r\n"
    b"Transfer-Encoding: chunked\r\nContent-Length: 7\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\n"
    b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: for=6.6\r\n"
    b"X-Wsservice-Peer: 1.00\r\nX-Request-Id: request-id-1\r\n\r\n"
)


def passed(head: bytes = PLAIN, *, length: int | None = 0, node: str = "one", secure: bool = False) -> Handshake:
    """A request as the owner reads it."""
    handshake = parse_head(head, "192.0.2.7", secure, ())
    made = request_head(handshake, node=node, secret=SECRET, now=NOW, length=length)
    return parse_head(made, "", False, EVERYWHERE)


class RequestTests(SynchronousTestCase):
    def test_what_the_client_said_of_itself_arrives(self) -> None:
        got = passed()
        self.assertEqual((got.method, got.path, got.query_string), ("GET", "/socket.io/", "EIO=4&sid=x"))
        self.assertEqual(got.header_values("cookie"), ["a=1", "b=2"])
        self.assertEqual((got.header("x-other"), got.request_id), ("1", "request-id-1"))

    def test_what_we_found_out_counts_and_not_what_the_client_claims(self) -> None:
        got = passed(secure=True)
        self.assertEqual((got.peer, got.secure, got.host), ("192.0.2.7", True, "chat.example"))
        self.assertEqual(got.header_values("x-forwarded-for"), ["192.0.2.7"])

    def test_what_belongs_to_the_connection_stays(self) -> None:
        got = passed()
        for name in ("connection", "keep-alive", "te", "expect", "transfer-encoding", "content-length", "upgrade"):
            self.assertIsNone(got.header(name), name)
        for name in ("proxy-authorization", "forwarded"):
            self.assertIsNone(got.header(name), name)

    def test_a_body_has_its_length_and_an_upgrade_its_headers(self) -> None:
        post = PLAIN.replace(b"GET", b"POST")
        self.assertEqual(passed(post, length=12).header("content-length"), "12")
        self.assertEqual(passed(post, length=0).header("content-length"), "0")
        upgrade = passed(length=None)
        self.assertEqual((upgrade.header("upgrade"), upgrade.header("connection")), ("websocket", "upgrade"))

    def test_what_is_made_of_the_longest_head_is_within_the_bounds_of_peers(self) -> None:
        limits = Limits()
        lines = [f"a:{number}" for number in range(limits.headers - 2)]
        fixed = "\r\n".join(["GET /?x=1 HTTP/1.1", *lines, "Expect:", "Host:{}", "", ""])
        head = fixed.format("h" * (limits.head_bytes - len(fixed) + 2)).encode()
        self.assertEqual(len(head), limits.head_bytes)
        handshake = parse_head(head, "2001:db8:1111:2222:3333:4444:5555:6666", True, max_headers=limits.headers)
        for length, note in ((None, ""), (10**9, "lost"), (0, "limit?")):
            made = request_head(handshake, node="n" * 64, secret=SECRET, now=NOW, length=length, note=note)
            self.assertGreater(len(made), limits.head_bytes)
            bounds = for_peers(limits)
            self.assertLessEqual(len(made), bounds.head_bytes)
            parse_head(made, "", False, EVERYWHERE, max_headers=bounds.headers)

    def test_without_a_query_or_an_address_there_is_none(self) -> None:
        handshake = parse_head(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "", False)
        made = request_head(handshake, node="one", secret=SECRET, now=NOW, length=0)
        self.assertTrue(made.startswith(b"GET /a HTTP/1.1\r\n"))
        self.assertNotIn(b"x-forwarded-for", made)
        check(SECRET, parse_head(made, "", False, EVERYWHERE), node="one", now=NOW)


class ProofTests(SynchronousTestCase):
    def refused(
        self, handshake: Handshake, *, secret: bytes | None = SECRET, node: str = "one", now: float = NOW
    ) -> bool:
        try:
            check(secret, handshake, node=node, now=now)
        except NotAPeer as error:
            self.assertEqual((error.http_status, error.code), (403, 4))
            return True
        return False

    def test_it_holds_for_one_node_for_a_while(self) -> None:
        got = passed()
        for now in (NOW, NOW + WINDOW - 1, NOW - WINDOW + 1):
            self.assertFalse(self.refused(got, now=now))
        for now in (NOW + WINDOW, NOW - WINDOW - 1):
            self.assertTrue(self.refused(got, now=now))
        self.assertTrue(self.refused(got, node="two"))

    def test_the_secret_is_needed(self) -> None:
        self.assertTrue(self.refused(passed(), secret=b"t" * 32))
        self.assertTrue(self.refused(passed(), secret=None))

    def test_what_it_binds_cannot_be_changed(self) -> None:
        handshake = parse_head(PLAIN, "192.0.2.7", False, ())
        made = request_head(handshake, node="one", secret=SECRET, now=NOW, length=0)
        for old, new in (
            (b"GET", b"POST"),
            (b"sid=x", b"sid=y"),
            (b"192.0.2.7", b"192.0.2.8"),
            (b"x-forwarded-proto: http", b"x-forwarded-proto: https"),
            (b"x-forwarded-host: chat", b"x-forwarded-host: shop"),
            (b"x-wsservice-peer: 1", b"x-wsservice-peer: 2"),
            (b"x-forwarded-for", b"x-forwarded-for: 1.1.1.1\r\nx-forwarded-for"),
        ):
            self.assertIn(old, made)
            self.assertTrue(self.refused(parse_head(made.replace(old, new), "", False, EVERYWHERE)), old)

    def test_none_or_two_or_nonsense_are_no_proof(self) -> None:
        for lines in (
            b"",
            b"x-wsservice-peer: \r\n",
            b"x-wsservice-peer: a.b\r\n",
            b"x-wsservice-peer: 1800000000.\r\n",
        ):
            head = b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"
            self.assertTrue(self.refused(parse_head(head, "", False)), lines)
        handshake = parse_head(PLAIN, "192.0.2.7", False, ())
        made = request_head(handshake, node="one", secret=SECRET, now=NOW, length=0)
        line = made[made.index(b"x-wsservice-peer") :].partition(b"\r\n")[0]
        twice = made.replace(line, line + b"\r\n" + line)
        self.assertTrue(self.refused(parse_head(twice, "", False, EVERYWHERE)))


class AnswerTests(SynchronousTestCase):
    def test_what_the_client_gets(self) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\nServer: wsservice\r\nDate: now\r\nX-Request-Id: a\r\nContent-Type: text/plain\r\n"
            b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 12\r\n\r\n"
        )
        self.assertEqual(
            read_answer(head),
            AnswerHead(
                200, ((b"Content-Type", b"text/plain"), (b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2")), 12, False
            ),
        )

    def test_the_last_of_a_connection_and_one_without_a_body(self) -> None:
        self.assertTrue(read_answer(b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 1\r\n\r\n").is_last)
        self.assertEqual(read_answer(b"HTTP/1.1 204 No Content\r\n\r\n").length, 0)

    def test_what_no_node_of_ours_says(self) -> None:
        good = b"Content-Length: 0\r\n\r\n"
        for head in (
            b"HTTP/1.0 200 OK\r\n" + good,
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 OK\r\n" + good,
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + good,
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1234567890123\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nnonsense\r\n" + good,
            b"HTTP/1.1 200 OK\r\nX: a\x0bb\r\n" + good,
            b"\r\n\r\n",
        ):
            self.assertRaises(BadAnswer, read_answer, head)

    @given(st.binary(max_size=100))
    def test_nothing_else_is_raised(self, data: bytes) -> None:
        for head in (data, b"HTTP/1.1 200 OK\r\n" + data):
            try:
                read_answer(head + b"\r\n\r\n")
            except BadAnswer:
                pass
