"""Tests of wsservice.auth.origin: the table of AUTH-FACTS 4.2 first."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.auth.origin import Origin, OriginPolicy, parse_origin
from wsservice.errors import BadHandshake, HandshakeError, OriginNotAllowed
from wsservice.handshake import Handshake, parse_head

APP = "https://app.example.com"


def handshake(
    *headers: tuple[str, str], host: str = "ws.example.com", secure: bool = True, method: str = "GET"
) -> Handshake:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"{method} /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n{lines}\r\n"
    return parse_head(head.encode("latin-1"), "192.0.2.1", secure)


def coming_from(*origins: str, host: str = "ws.example.com", secure: bool = True) -> Handshake:
    return handshake(*[("Origin", origin) for origin in origins], host=host, secure=secure)


@dataclass
class Row:
    """A request's headers (or one Origin), and its fate where `allowed` is configured."""

    name: str
    headers: str | list[tuple[str, str]]
    error: type[HandshakeError] | None = None
    reason: str = ""
    allowed: list[str] = field(default_factory=lambda: [APP])
    host: str = "ws.example.com"
    secure: bool = True
    require_origin: bool = False
    method: str = "GET"


NO = OriginNotAllowed
COOKIE = ("Cookie", "authToken=T")

#: the rows of AUTH-FACTS 4.2; O19: a missing Origin passes unless it is required
FACTS = [
    Row("O01 the configured one", APP),
    Row("O02 in capitals", "https://APP.EXAMPLE.COM"),
    Row("O03 with the default port", "https://app.example.com:443"),
    Row("O04 another port", "https://app.example.com:4430", NO),
    Row("O05 another scheme", "http://app.example.com", NO),
    Row("O06 as a subdomain of evil", "https://app.example.com.evil.com", NO),
    Row("O07 as the user of evil", "https://app.example.com@evil.com", NO),
    Row("O08 behind a hash", "https://evil.com#https://app.example.com", NO),
    Row("O09 in a path", "https://evil.com/https://app.example.com", NO),
    Row("O10 a name that looks alike", "https://app-example.com", NO),
    Row("O11 null", "null", NO, "'null' is not allowed"),
    Row("O12 file", "file://", NO),
    Row("O13 with a path", "https://app.example.com/", NO),
    Row("O14 two headers, one good", [("Origin", APP), ("Origin", "https://evil.com")], NO, "more than one"),
    Row("O14 two headers, both good", [("Origin", APP), ("Origin", APP)], NO, "more than one"),
    Row("O15 a byte that Autobahn splits at", APP + "\x85X: 1", BadHandshake),
    Row("O16 half an IPv6 address", "https://[::1", NO),
    Row("O16 a port too large", "https://app.example.com:99999", NO),
    Row("O16 a space in the scheme", "ht tp://x", NO),
    Row("O17 markup", "<script>alert(1)</script>", NO, r"'<script>alert\(1\)</script>' is not allowed"),
    Row("O18 an extension", "chrome-extension://abc", NO),
    Row("O19 missing, cookie there", [COOKIE]),
    Row("O19 missing, cookie there, required", [COOKIE], NO, "required", require_origin=True),
    Row("O20 missing, bearer", [("Authorization", "Bearer T")]),
    Row("O21 only Sec-WebSocket-Origin", [("Sec-WebSocket-Origin", "https://evil.com")]),
    Row("O21 the same, Origin required", [("Sec-WebSocket-Origin", APP)], NO, "required", require_origin=True),
    Row("O22 empty value", "", NO),
]  # fmt: skip

MORE = [
    Row("same origin", "https://ws.example.com", allowed=[]),
    Row("same origin, with the default port", "https://ws.example.com:443", allowed=[]),
    Row("same origin, Host with the default port", "https://ws.example.com", allowed=[], host="WS.example.com:443"),
    Row("same origin on a port", "https://ws.example.com:8443", allowed=[], host="ws.example.com:8443"),
    Row("same origin, plain http", "http://localhost:3020", allowed=[], host="localhost:3020", secure=False),
    Row("same origin, plain http, default port", "http://localhost", allowed=[], host="localhost:80", secure=False),
    Row("same origin by IPv4", "http://127.0.0.1:3020", allowed=[], host="127.0.0.1:3020", secure=False),
    Row("same origin by IPv6", "http://[::1]:3020", allowed=[], host="[0:0:0:0:0:0:0:1]:3020", secure=False),
    Row("same host, other port", "http://localhost:5173", NO, allowed=[], host="localhost:3020", secure=False),
    Row("same host, plain page of a TLS service", "http://ws.example.com", NO, allowed=[]),
    Row("same host, TLS page of a plain service", "https://ws.example.com", NO, allowed=[], secure=False),
    Row("https on port 80", "https://ws.example.com:80", NO, allowed=[], host="ws.example.com:80", secure=False),
    Row("localhost is not 127.0.0.1", "http://localhost", NO, allowed=[], host="127.0.0.1", secure=False),
    Row("a final dot is another host", "https://ws.example.com.", NO, allowed=[]),
    Row("sibling", "https://evil.example.com", NO, allowed=[]),
    Row("parent", "https://example.com", NO, allowed=[]),
    Row("Host that is none", "https://ws.example.com", NO, allowed=[], host="user@ws.example.com"),
    Row("Host empty", "https://", NO, allowed=[], host=""),
    Row("Host empty, Origin configured", APP, host=""),
    Row("one of several configured", "http://localhost:5173", allowed=[APP, "http://localhost:5173"]),
    Row("configured with the default port", APP, allowed=["HTTPS://App.Example.com:443"]),
    Row("configured in other letters", "https://xn--mller-kva.example", allowed=["https://MÜLLER.example"]),
    Row("configured, a scheme of an app", "capacitor://localhost", allowed=["capacitor://localhost"]),
    Row("scheme of an app with a port that is not configured", "capacitor://localhost:1", NO, allowed=["capacitor://localhost"]),
    Row("configured by IPv6", "http://[2001:db8::1]", allowed=["http://[2001:DB8:0:0::1]:80"]),
    Row("wildcard", "https://a.example.com", allowed=["https://*.example.com"]),
    Row("wildcard in capitals", "https://A.Example.COM:443", allowed=["https://*.EXAMPLE.com"]),
    Row("wildcard with a port", "https://a.example.com:8443", allowed=["https://*.example.com:8443"]),
    Row("wildcard, other port", "https://a.example.com:8443", NO, allowed=["https://*.example.com"]),
    Row("wildcard, other scheme", "http://a.example.com", NO, allowed=["https://*.example.com"]),
    Row("wildcard, two labels", "https://a.b.example.com", NO, allowed=["https://*.example.com"]),
    Row("wildcard, no label", "https://example.com", NO, allowed=["https://*.example.com"], host="x"),
    Row("wildcard, empty label", "https://.example.com", NO, allowed=["https://*.example.com"]),
    Row("wildcard, end of another name", "https://evilexample.com", NO, allowed=["https://*.example.com"]),
    Row("wildcard, begin of another name", "https://a.example.com.evil.com", NO, allowed=["https://*.example.com"]),
    Row("wildcard itself", "https://*.example.com", NO, allowed=["https://*.example.com"]),
    Row("wildcard in other letters", "https://a.xn--mller-kva.example", allowed=["https://*.müller.example"]),
    Row("port with a leading zero", "https://app.example.com:0443", NO),
    Row("port empty", "https://app.example.com:", NO),
    Row("port zero", "https://app.example.com:0", NO),
    Row("port negative", "https://app.example.com:-1", NO),
    Row("query", "https://app.example.com?x", NO),
    Row("backslash", "https://app.example.com\\evil.com", NO),
    Row("host in brackets that is none", "https://[app.example.com]", NO),
    Row("IPv6 with a zone", "https://[fe80::1%25eth0]", NO),
    Row("percent-encoded dot", "https://app%2eexample.com", NO),
    Row("label that ends in a hyphen", "https://app-.example.com", NO),
    Row("two origins in one header", f"{APP} https://evil.com", NO),
    Row("two origins with a comma", f"{APP}, https://evil.com", NO),
    Row("without a scheme", "app.example.com", NO),
    Row("without slashes", "https:app.example.com", NO),
    Row("a secret long one", "https://" + "a" * 5000, NO, "^.{0,240}$"),
    Row("cross-site without Origin", [COOKIE, ("Sec-Fetch-Site", "cross-site")], NO, "cross-site"),
    Row("cross-site in capitals", [("Sec-Fetch-Site", "CROSS-SITE")], NO, "Sec-Fetch-Site"),
    Row("same-site without Origin", [("Sec-Fetch-Site", "same-site")], NO, "same-site"),
    Row("a value to come", [("Sec-Fetch-Site", "new-site")], NO, "new-site"),
    Row("two values", [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], NO, "Sec-Fetch-Site"),
    Row("cross-site POST without Origin", [("Sec-Fetch-Site", "cross-site")], NO, method="POST"),
    Row("same-origin without Origin", [("Sec-Fetch-Site", "same-origin")]),
    Row("from the address bar", [("Sec-Fetch-Site", "none")]),
    Row("cross-site with an allowed Origin", [("Origin", APP), ("Sec-Fetch-Site", "cross-site")]),
    Row("required and there", APP, require_origin=True),
]  # fmt: skip


@by_row
class CheckTests(SynchronousTestCase):
    @rows([*FACTS, *MORE])
    def test_origin(self, row: Row) -> None:
        headers = [("Origin", row.headers)] if isinstance(row.headers, str) else row.headers
        policy = OriginPolicy(row.allowed, row.require_origin)

        def check() -> None:
            policy.check(handshake(*headers, host=row.host, secure=row.secure, method=row.method))

        if row.error is None:
            check()
        else:
            with self.assertRaisesRegex(row.error, row.reason) as caught:
                check()
            self.assertIs(type(caught.exception), row.error)

    def test_the_client_is_told_nothing_of_its_text(self) -> None:
        self.assertEqual(OriginNotAllowed("<script>").message, "Origin not allowed")

    def test_nothing_configured_is_same_origin_only(self) -> None:
        policy = OriginPolicy([])
        self.assertTrue(policy.allows("https://ws.example.com", handshake()))
        self.assertFalse(policy.allows(APP, handshake()))

    def test_letters_that_become_ascii_in_lower_case_are_none(self) -> None:
        self.assertEqual("\u212aey".lower(), "key")
        self.assertFalse(OriginPolicy(["https://key.example.com"]).allows("https://\u212aey.example.com", handshake()))

    def test_an_origin_is_not_required_by_default(self) -> None:
        OriginPolicy([]).check(handshake())

    @settings(deadline=None, database=None)
    @given(st.text() | st.text(alphabet="htps:/.*[]@#?app.example.com123\\ "), st.booleans())
    def test_any_text_is_allowed_or_not(self, text: str, secure: bool) -> None:
        policy = OriginPolicy([APP, "https://*.example.org"])
        if policy.allows(text, coming_from(secure=secure)):
            self.assertIn(parse_origin(text).host, {"app.example.com", "ws.example.com"})

    @settings(deadline=None, database=None)
    @given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20), st.integers(1, 65535))
    def test_an_origin_equals_itself_however_it_is_written(self, label: str, port: int) -> None:
        written = f"https://{label}.example.com:{port}"
        self.assertEqual(parse_origin(written), parse_origin(written.upper()))
        self.assertTrue(OriginPolicy([written]).allows(written.upper(), handshake()))
        self.assertTrue(OriginPolicy([]).allows(written, handshake(host=f"{label}.example.com:{port}")))

    @settings(deadline=None, database=None)
    @given(st.text())
    def test_any_text_is_an_origin_or_a_value_error(self, text: str) -> None:
        for parse in (parse_origin, lambda text: OriginPolicy([text])):
            try:
                parse(text)
            except ValueError:
                pass


class RememberedTests(SynchronousTestCase):
    def test_a_decision_holds_for_one_host_and_one_scheme(self) -> None:
        policy = OriginPolicy([])
        for _ in range(2):
            for host, secure, is_own in (
                ("a.example", True, True),
                ("b.example", True, False),
                ("a.example", False, False),
            ):
                head = coming_from("https://a.example", host=host, secure=secure)
                self.assertEqual(policy.allows("https://a.example", head), is_own)

    def test_long_ones_are_refused_and_not_remembered(self) -> None:
        policy = OriginPolicy(["https://app.example"])
        long = f"https://{'a' * 300}"
        self.assertFalse(policy.allows(long, coming_from(long, host="a" * 300)))
        self.assertTrue(policy.allows("https://app.example", coming_from("https://app.example", host="a" * 300)))
        for number in range(1000):
            self.assertFalse(policy.allows(f"https://{number}.example", coming_from()))
        self.assertLess(policy._judge.cache_info().currsize, 300)


class ParseOriginTests(SynchronousTestCase):
    def test_it_is_normalised(self) -> None:
        self.assertEqual(parse_origin("HTTP://Example.COM"), Origin("http", "example.com", 80))
        self.assertEqual(parse_origin("https://[2001:DB8:0::1]:444"), Origin("https", "[2001:db8::1]", 444))
        self.assertEqual(parse_origin("tauri://localhost"), Origin("tauri", "localhost", None))
        self.assertEqual(parse_origin("http://a_b.example:65535"), Origin("http", "a_b.example", 65535))

    def test_what_is_longer_than_any_host_name_is_none(self) -> None:
        self.assertEqual(parse_origin("https://" + "a" * 292).host, "a" * 292)
        for text in ("https://" + "a" * 293, "https://" + "a." * 8000, "a" * 16000):
            with self.assertRaises(ValueError):
                parse_origin(text)


class ConfiguredOriginsTests(SynchronousTestCase):
    def test_what_cannot_be_used_is_refused_with_the_fix(self) -> None:
        for entry, fix in [
            ("*", "cookies authenticate: name each one, as https://app.example.com"),
            ("", "name each one"),
            ("null", "name each one"),
            ("app.example.com", "write it with its scheme, as https://app.example.com"),
            ("*.example.com", r"write it with its scheme, as https://\*.example.com"),
            ("https://app.example.com/", "has no path: write https://app.example.com$"),
            ("https://app.example.com/login", "has no path: write https://app.example.com$"),
            ("https://*.example.com/", r"has no path: write https://\*.example.com$"),
            ("wss://app.example.com", "write https://app.example.com"),
            ("ws://localhost:5173", "write http://localhost:5173"),
            ("https://", "is not an origin"),
            ("https://app.example.com:65536", "the port is above 65535"),
            ("https://app.example.com?x", "is not an origin"),
            ("https://user@app.example.com", "is not an origin"),
            ("https://app.*.example.com", "is not an origin"),
            ("https://*.*.example.com", "is not an origin"),
            ("https://app*.example.com", "is not an origin"),
            ("https://*", "is not an origin"),
            ("https://*.", "is not an origin"),
            ("https://*.com", "far too much"),
            ("https://*.com.", "far too much"),
            ("https://*.localhost:3000", "far too much"),
            ("https://*.10.0.0.1", "far too much"),
            ("https://*.[::1]", "far too much"),
            ("https://straße.example", "punycode"),
            ("https://" + "ü" * 70 + ".example", "is not an origin"),
            ("file://", "is not an origin"),
        ]:
            with self.assertRaisesRegex(ValueError, fix) as caught:
                OriginPolicy(["https://good.example.com", entry])
            self.assertIn(repr(entry), str(caught.exception))

    def test_spaces_around_are_no_matter(self) -> None:
        self.assertTrue(OriginPolicy([f" {APP} "]).allows(APP, handshake()))


class CorsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.policy = OriginPolicy([APP, "https://*.example.org"])

    def test_an_allowed_page_of_another_origin_may_read_the_answer(self) -> None:
        for origin in (APP, "https://a.example.org", "https://APP.example.com:443"):
            self.assertEqual(
                self.policy.cors_headers(coming_from(origin)),
                [
                    ("Access-Control-Allow-Origin", origin),
                    ("Access-Control-Allow-Credentials", "true"),
                    ("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Date"),
                    ("Vary", "Origin"),
                ],
            )

    def test_a_preflight_is_told_what_may_be_sent(self) -> None:
        headers = dict(self.policy.preflight_headers(coming_from(APP)))
        self.assertEqual(headers["Access-Control-Allow-Origin"], APP)
        self.assertEqual(headers["Access-Control-Allow-Methods"], "GET, POST")
        self.assertEqual(headers["Access-Control-Allow-Headers"], "Content-Type, X-Request-Id")
        self.assertEqual(headers["Access-Control-Max-Age"], "600")

    def test_nobody_else_gets_a_header(self) -> None:
        for request in (
            coming_from(),
            coming_from("https://ws.example.com"),
            coming_from("https://evil.com"),
            coming_from("null"),
            coming_from(""),
            coming_from(APP, APP),
            coming_from(APP, "https://evil.com"),
        ):
            self.assertEqual(self.policy.cors_headers(request), [])
            self.assertEqual(self.policy.preflight_headers(request), [])
