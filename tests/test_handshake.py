"""Tests of wsservice.handshake."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from ipaddress import ip_network
from typing import NamedTuple
from urllib.parse import parse_qsl

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import make_handshake as fake_handshake
from tests.tables import by_row, rows
from wsservice.errors import BadHandshake, HeadTooLarge
from wsservice.handshake import Handshake, check_header, choose_request_id, make_handshake, make_request_id, parse_head

GOOD = b"GET /ws HTTP/1.1\r\nHost: example.com\r\n\r\n"
TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def with_lines(*lines: bytes) -> bytes:
    """A good head with more header lines."""
    return GOOD[:-2] + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def parse(head: bytes) -> Handshake:
    return parse_head(head, "192.0.2.7", False)


def forwarded(*lines: bytes, peer: str = "10.0.0.1", secure: bool = False) -> Handshake:
    """What is made of a request that came by a trusted proxy."""
    return parse_head(with_lines(*lines), peer, secure, TRUSTED)


@st.composite
def spliced(draw: st.DrawFn) -> bytes:
    """A good head of many parts in which a stretch was replaced by a few bytes, likely harmful ones."""
    head = with_lines(b"X-Forwarded-For: 1.2.3.4, [::1]:80", b"Cookie: a=b", b"X-Request-Id: 12345678")
    start = draw(st.integers(0, len(head)))
    end = draw(st.integers(start, min(start + 4, len(head))))
    harmful = st.sampled_from(
        [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b"\x00", b"\x0b", b"\x1c", b"\x85", b"%"]
    )
    return head[:start] + b"".join(draw(st.lists(harmful | st.binary(max_size=2), max_size=4))) + head[end:]


class Bad(NamedTuple):
    """A head that must be refused."""

    name: str
    head: bytes
    reason: str


BAD = [
    Bad("nothing", b"", "request line"),
    Bad("only the empty line", b"\r\n\r\n", "request line"),
    Bad("an empty line first", b"\r\n" + GOOD, "request line"),
    Bad("no version", b"GET /ws\r\nHost: a\r\n\r\n", "request line"),
    Bad("version 2", GOOD.replace(b"1.1", b"2.0"), "request line"),
    Bad("version 0.9", GOOD.replace(b"1.1", b"0.9"), "request line"),
    Bad("version 1.10", GOOD.replace(b"1.1", b"1.10"), "request line"),
    Bad("lower case method", GOOD.replace(b"GET", b"get"), "request line"),
    Bad("no method", GOOD.replace(b"GET ", b" "), "request line"),
    Bad("two spaces", GOOD.replace(b"GET ", b"GET  "), "request line"),
    Bad("a tab for a space", GOOD.replace(b"GET ", b"GET\t"), "request line"),
    Bad("a space at the end", GOOD.replace(b"1.1\r\n", b"1.1 \r\n", 1), "request line"),
    Bad("a space in the target", GOOD.replace(b"/ws", b"/w s"), "request line"),
    Bad("a high byte in the target", GOOD.replace(b"/ws", b"/w\xc3\xa9"), "request line"),
    Bad("NUL in the target", GOOD.replace(b"/ws", b"/w\x00"), "request line"),
    Bad("a fragment", GOOD.replace(b"/ws", b"/ws#x"), "request line"),
    Bad("absolute form", GOOD.replace(b"/ws", b"http://evil/ws"), "request line"),
    Bad("authority form", GOOD.replace(b"GET /ws", b"CONNECT evil:443"), "request line"),
    Bad("asterisk form", GOOD.replace(b"GET /ws", b"OPTIONS *"), "request line"),
    Bad("bare LF after the request line", GOOD.replace(b"\r\n", b"\n", 1), "request line"),
    Bad("bare LF between headers", with_lines(b"X-Foo: 1\nCookie: authToken=forged"), "control"),
    Bad("bare CR between headers", with_lines(b"X-Foo: 1\rCookie: authToken=forged"), "control"),
    Bad("LF CR between headers", with_lines(b"X-Foo: 1\n\rCookie: authToken=forged"), "control"),
    Bad("bare LF before the end", GOOD[:-4] + b"\n\r\n\r\n", "control"),
    Bad("a folded line", with_lines(b"X-Foo: 1", b" more"), "colon"),
    Bad("a folded line with a colon", with_lines(b"X-Foo: 1", b" Cookie: authToken=forged"), "token"),
    Bad("a line folded by a tab", with_lines(b"X-Foo: 1", b"\tCookie: authToken=forged"), "token"),
    Bad("a space before the colon", with_lines(b"Cookie : authToken=forged"), "token"),
    Bad("a tab before the colon", with_lines(b"Cookie\t: authToken=forged"), "token"),
    Bad("an empty name", with_lines(b": authToken=forged"), "token"),
    Bad("a name with a space", with_lines(b"X Foo: 1"), "token"),
    Bad("a name with a NUL", with_lines(b"X\x00Foo: 1"), "token"),
    Bad("a name with a high byte", with_lines(b"X\xe9Foo: 1"), "token"),
    Bad("a name in parentheses", with_lines(b"(X): 1"), "token"),
    Bad("no colon", with_lines(b"Cookie"), "colon"),
    Bad("an empty line inside", GOOD + GOOD[18:], "colon"),
    Bad("a request behind it", GOOD + GOOD, "colon"),
    Bad("two hosts", with_lines(b"Host: evil.example"), "more than one Host"),
    Bad("two equal hosts", with_lines(b"Host: example.com"), "more than one Host"),
    Bad("two hosts of other spelling", with_lines(b"hOST: evil.example"), "more than one Host"),
    Bad("no host", b"GET /ws HTTP/1.1\r\n\r\n", "no Host"),
]
BAD += [
    Bad(f"byte {byte:02x} in a value", with_lines(b"X-Foo: 1" + bytes([byte]) + b"Cookie: authToken=forged"), "control")
    for byte in (0x00, 0x01, 0x0B, 0x0C, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x7F, 0x80, 0x85, 0xA0, 0xFF)
]
BAD += [
    Bad(f"byte {byte:02x} at a value's end", with_lines(b"X-Foo: 1" + bytes([byte])), "control")
    for byte in (0x00, 0x0B, 0x0C, 0x85, 0xA0)
]


@by_row
class BadHeadTests(SynchronousTestCase):
    @rows(BAD)
    def test_refused(self, row: Bad) -> None:
        error = self.assertRaises(BadHandshake, parse, row.head)
        self.assertIn(row.reason, str(error))
        self.assertNotIn("forged", str(error))
        self.assertEqual((error.http_status, error.message), (400, "Bad request"))


class HeadTests(SynchronousTestCase):
    def test_the_parts_of_a_head(self) -> None:
        line = b"GET /ws/a%20b?x=1&y=%C3%A9? HTTP/1.1\r\n"
        handshake = parse(line + b"Host:example.com:3020\r\nCOOKIE: \t a=b; c \t\r\n\r\n")
        self.assertEqual((handshake.method, handshake.path), ("GET", "/ws/a%20b"))
        self.assertEqual(handshake.query_string, "x=1&y=%C3%A9?")
        self.assertEqual(handshake.headers, (("host", "example.com:3020"), ("cookie", "a=b; c")))
        self.assertEqual((handshake.host, handshake.peer, handshake.secure), ("example.com:3020", "192.0.2.7", False))

    def test_a_target_may_hold_every_printable_character_but_a_hash(self) -> None:
        target = bytes(byte for byte in range(0x21, 0x7F) if byte not in b"#?")
        self.assertEqual(parse(GOOD.replace(b"/ws", b"/" + target)).path, "/" + target.decode())

    def test_what_many_clients_send_is_one_object_for_all(self) -> None:
        lines = b"User-Agent: Mozilla", b"origin: https://example.com", b"X: 1", b"Cookie: a=b"
        first, second = (parse(with_lines(*lines)) for _ in range(2))
        shared = [one[0] for one, other in zip(first.headers, second.headers, strict=True) if one is other]
        self.assertEqual(shared, ["host", "user-agent", "origin"])
        self.assertIs(first.path, second.path)
        self.assertEqual(first.headers, second.headers)

    def test_nothing_long_and_no_secret_is_shared(self) -> None:
        lines = b"User-Agent: " + b"a" * 300, b"COOKIE: a=b", b"authorization: Bearer a"
        first, second = (parse(with_lines(*lines)).headers[1:] for _ in range(2))
        self.assertEqual(first, second)
        self.assertFalse([one for one, other in zip(first, second, strict=True) if one is other])

    def test_more_than_a_hundred_header_lines_are_too_many(self) -> None:
        self.assertEqual(len(parse(with_lines(*[b"X: 1"] * 99)).headers), 100)
        with self.assertRaises(HeadTooLarge):
            parse(with_lines(*[b"X: 1"] * 100))

    def test_repeated_headers_stay_apart_and_in_order(self) -> None:
        handshake = parse(with_lines(b"Cookie: a=1", b"X: y", b"cookie: b=2"))
        self.assertEqual(handshake.header_values("cookie"), ["a=1", "b=2"])
        self.assertEqual(handshake.header("cookie"), "a=1")

    def test_a_header_that_is_not_there_is_none(self) -> None:
        self.assertIsNone(parse(GOOD).header("origin"))
        self.assertEqual(parse(GOOD).header_values("origin"), [])

    def test_a_value_may_be_empty_and_hold_tabs_and_colons(self) -> None:
        handshake = parse(with_lines(b"Empty:", b"Tab: a\tb", b"Colon: a:b"))
        self.assertEqual([handshake.header(name) for name in ("empty", "tab", "colon")], ["", "a\tb", "a:b"])

    def test_http_1_0_may_leave_the_host_out(self) -> None:
        self.assertEqual(parse(b"GET / HTTP/1.0\r\n\r\n").host, "")

    def test_a_head_cannot_be_changed(self) -> None:
        self.assertRaises(FrozenInstanceError, setattr, parse(GOOD), "peer", "evil")

    @settings(deadline=None)
    @given(st.one_of(st.binary(), spliced()))
    def test_any_bytes_are_a_handshake_or_are_refused(self, head: bytes) -> None:
        try:
            handshake = parse_head(head, "10.0.0.1", False, TRUSTED)
        except BadHandshake:
            return
        self.assertIsInstance(handshake.query, dict)
        self.assertEqual(len(handshake.headers), head.removesuffix(b"\r\n\r\n").count(b"\r\n"))
        for name, value in handshake.headers:
            check_header(name.encode(), value.encode())
            self.assertEqual((name, value), (name.lower(), value.strip()))


class QueryTests(SynchronousTestCase):
    def test_parameters_are_decoded_and_the_last_of_a_name_counts(self) -> None:
        handshake = fake_handshake(query_string="room=caf%C3%A9+1&empty=&room=b&flag")
        self.assertEqual(handshake.query, {"room": "b", "empty": "", "flag": ""})
        self.assertIs(handshake.query, handshake.query)

    def test_no_query_is_an_empty_one(self) -> None:
        self.assertEqual(parse(GOOD).query, {})

    def test_broken_escapes_are_kept_and_bytes_that_are_no_text_replaced(self) -> None:
        self.assertEqual(fake_handshake(query_string="a=%zz&b=%ff").query, {"a": "%zz", "b": "\ufffd"})

    @settings(deadline=None)
    @given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
    def test_any_query_can_be_read(self, query_string: str) -> None:
        self.assertIsInstance(fake_handshake(query_string=query_string).query, dict)

    @given(st.text("ab=&;%+2", max_size=12))
    def test_the_short_way_without_escapes_reads_the_same(self, query_string: str) -> None:
        expected = dict(parse_qsl(query_string, keep_blank_values=True))
        self.assertEqual(fake_handshake(query_string=query_string).query, expected)


class AgainTests(SynchronousTestCase):
    def test_all_but_the_target_and_the_id_stay(self) -> None:
        first = parse(GOOD)
        self.assertEqual((first.query, first.header("host")), ({}, "example.com"))
        second = first.again("/other?a=1")
        self.assertEqual((second.path, second.query, second.header("host")), ("/other", {"a": "1"}, "example.com"))
        self.assertNotEqual(second.request_id, first.request_id)
        expected = replace(first, path="/other", query_string="a=1", request_id=second.request_id)
        self.assertEqual(second, expected)
        self.assertEqual((first.path, first.query), ("/ws", {}))

    def test_an_id_that_a_proxy_set_stays(self) -> None:
        first = parse(with_lines(b"X-Request-Id: of-a-proxy"))
        self.assertEqual(first.again("/").request_id, "of-a-proxy")


class SecretsTests(SynchronousTestCase):
    def test_credentials_are_dropped_and_the_rest_is_kept(self) -> None:
        head = with_lines(b"Cookie: a=secret", b"AUTHORIZATION: Bearer secret", b"Proxy-Authorization: secret", b"X: 1")
        handshake = parse(head)
        bare = handshake.without_secrets()
        self.assertEqual(bare.headers, (("host", "example.com"), ("x", "1")))
        for name in ("method", "path", "query_string", "peer", "secure", "request_id", "host"):
            self.assertEqual(getattr(bare, name), getattr(handshake, name))

    def test_a_repr_shows_neither_headers_nor_the_query(self) -> None:
        handshake = parse(with_lines(b"Cookie: a=secret").replace(b"/ws", b"/ws?token=secret"))
        self.assertNotIn("secret", repr(handshake))
        self.assertIn("192.0.2.7", repr(handshake))


class RequestIdTests(SynchronousTestCase):
    def test_a_fresh_one_is_16_hexadecimal_digits(self) -> None:
        self.assertRegex(make_request_id(), r"\A[0-9a-f]{16}\Z")
        self.assertNotEqual(make_request_id(), make_request_id())

    def test_a_harmless_one_is_kept(self) -> None:
        for offered in ("12345678", "a" * 64, "A.b_c-1234"):
            self.assertEqual(choose_request_id(offered), offered)

    def test_any_other_is_replaced(self) -> None:
        for offered in (None, "", "1234567", "a" * 65, "a b c d e f", "12345678\n", "é" * 8, "12345678;", "<script>"):
            self.assertRegex(choose_request_id(offered), r"\A[0-9a-f]{16}\Z")

    def test_it_is_taken_from_the_first_header(self) -> None:
        self.assertEqual(parse(with_lines(b"X-Request-Id: abcd-1234")).request_id, "abcd-1234")
        self.assertEqual(
            parse(with_lines(b"X-Request-Id: abcd-1234", b"X-Request-Id: other-one")).request_id, "abcd-1234"
        )
        self.assertRegex(parse(GOOD).request_id, r"\A[0-9a-f]{16}\Z")


class Walk(NamedTuple):
    """Who the client is, by the addresses that a trusted proxy handed over."""

    name: str
    hops: str
    client: str


WALKS = [
    Walk("one client", "203.0.113.9", "203.0.113.9"),
    Walk("an address that the client invented", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
    Walk("an inner address that the client invented", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
    Walk("two proxies of ours", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
    Walk("two proxies and an invention", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
    Walk("only proxies of ours", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    Walk("nothing", "", "10.0.0.1"),
    Walk("empty elements", " , 203.0.113.9 ,, ", "203.0.113.9"),
    Walk("unknown", "unknown", "10.0.0.1"),
    Walk("unknown before a proxy of ours", "unknown, 10.0.0.2", "10.0.0.2"),
    Walk("unknown before a client", "unknown, 203.0.113.9", "203.0.113.9"),
    Walk("a client beyond what is unknown", "203.0.113.9, unknown", "10.0.0.1"),
    Walk("text for the log", "evil|ERROR root login", "10.0.0.1"),
    Walk("IPv6", "2001:db8::9", "2001:db8::9"),
    Walk("IPv6 in its long form", "2001:0DB8:0:0:0:0:0:9", "2001:db8::9"),
    Walk("IPv6 by a proxy of ours", "2001:db8::9, fd00::2", "2001:db8::9"),
    Walk("IPv6 in brackets", "[2001:db8::9]", "2001:db8::9"),
    Walk("IPv6 with a port", "[2001:db8::9]:443", "2001:db8::9"),
    Walk("IPv6 whose end is no port", "2001:db8::1:443", "2001:db8::1:443"),
    Walk("IPv6 with a zone", "fe80::1%eth0", "10.0.0.1"),
    Walk("IPv6 with any text as its zone", "fe80::1%<script>", "10.0.0.1"),
    Walk("IPv4 within IPv6", "::ffff:203.0.113.9", "203.0.113.9"),
    Walk("a proxy of ours within IPv6", "203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
    Walk("IPv4 with a port", "203.0.113.9:51234", "203.0.113.9"),
    Walk("IPv4 in brackets", "[203.0.113.9]", "203.0.113.9"),
    Walk("a port of too many digits", "203.0.113.9:123456", "10.0.0.1"),
    Walk("an octet too large", "203.0.113.999", "10.0.0.1"),
    Walk("an octal octet", "203.0.113.010", "10.0.0.1"),
    Walk("a name", "client.example.com", "10.0.0.1"),
]


@by_row
class ForwardedForTests(SynchronousTestCase):
    @rows(WALKS)
    def test_the_client_is_found(self, row: Walk) -> None:
        self.assertEqual(forwarded(b"X-Forwarded-For: " + row.hops.encode()).peer, row.client)

    def test_nobody_is_trusted_by_default(self) -> None:
        head = with_lines(b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil.example")
        for peer in ("192.0.2.7", "127.0.0.1", ""):
            handshake = parse_head(head, peer, False)
            self.assertEqual((handshake.peer, handshake.secure, handshake.host), (peer, False, "example.com"))

    def test_a_peer_that_is_no_proxy_of_ours_is_not_believed(self) -> None:
        head = with_lines(b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil.example")
        for peer in ("192.0.2.7", "11.0.0.1", "2001:db8::1", "not an address"):
            handshake = parse_head(head, peer, False, TRUSTED)
            self.assertEqual((handshake.peer, handshake.secure, handshake.host), (peer, False, "example.com"))

    def test_proxies_are_recognised_in_every_spelling(self) -> None:
        for peer in ("10.0.0.1", "10.255.255.255", "::ffff:10.0.0.1", "fd00::1", "fd00::1%eth0"):
            self.assertEqual(forwarded(b"X-Forwarded-For: 203.0.113.9", peer=peer).peer, "203.0.113.9")

    def test_a_proxy_on_a_unix_socket_is_trusted_where_any_is(self) -> None:
        self.assertEqual(forwarded(b"X-Forwarded-For: 203.0.113.9", peer="").peer, "203.0.113.9")
        self.assertEqual(forwarded(peer="").peer, "")

    def test_several_headers_are_one_list(self) -> None:
        handshake = forwarded(b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-For: 203.0.113.9, 10.0.0.2")
        self.assertEqual(handshake.peer, "203.0.113.9")

    @settings(deadline=None)
    @given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
    def test_what_the_client_wrote_before_its_own_address_counts_for_nothing(self, invented: str) -> None:
        headers = (("host", "a"), ("x-forwarded-for", f"{invented}, 203.0.113.9"))
        handshake = make_handshake("GET", "/", headers, peer="10.0.0.1", secure=False, trusted=TRUSTED)
        self.assertEqual(handshake.peer, "203.0.113.9")


class ForwardedProtoAndHostTests(SynchronousTestCase):
    def test_the_proxy_says_whether_the_client_speaks_tls(self) -> None:
        self.assertTrue(forwarded(b"X-Forwarded-Proto: https").secure)
        self.assertTrue(forwarded(b"X-Forwarded-Proto: HTTPS").secure)
        self.assertFalse(forwarded(b"X-Forwarded-Proto: http", secure=True).secure)

    def test_without_its_word_or_with_another_the_connection_counts(self) -> None:
        for lines in ([], [b"X-Forwarded-Proto: wss"], [b"X-Forwarded-Proto:"]):
            self.assertTrue(forwarded(*lines, secure=True).secure)
            self.assertFalse(forwarded(*lines).secure)

    def test_of_several_the_nearest_proxys_counts(self) -> None:
        self.assertFalse(forwarded(b"X-Forwarded-Proto: https, http").secure)
        self.assertFalse(forwarded(b"X-Forwarded-Proto: https", b"X-Forwarded-Proto: http").secure)
        self.assertEqual(forwarded(b"X-Forwarded-Host: evil.example, app.example.com").host, "app.example.com")

    def test_the_host_is_the_one_that_the_client_asked_for(self) -> None:
        self.assertEqual(forwarded(b"X-Forwarded-Host: app.example.com:8443").host, "app.example.com:8443")
        self.assertEqual(forwarded(b"X-Forwarded-Host:").host, "example.com")


class SplitRequestTests(SynchronousTestCase):
    def test_a_request_that_was_split_already_becomes_the_same_handshake(self) -> None:
        head = with_lines(b"X-Request-Id: abcd-1234").replace(b"/ws", b"/ws?a=b")
        headers = (("host", "example.com"), ("x-request-id", "abcd-1234"))
        made = make_handshake("GET", "/ws?a=b", headers, peer="192.0.2.7", secure=False)
        self.assertEqual(made, parse(head))

    def test_it_may_have_no_host_but_not_two(self) -> None:
        self.assertEqual(make_handshake("GET", "/", (), peer="", secure=True).host, "")
        two = (("host", "a"), ("host", "a"))
        self.assertRaises(BadHandshake, make_handshake, "GET", "/", two, peer="", secure=True)
