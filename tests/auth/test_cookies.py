"""Tests of wsservice.auth.cookies: a table of Cookie headers, and what is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http.cookies import SimpleCookie
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.auth.cookies import CHUNK, MAX_COOKIE, CookiePolicy, check_cookie_name, read_cookie, read_token
from wsservice.auth.tokens import MAX_TOKEN
from wsservice.errors import BadHandshake, InvalidToken, TokenTooLarge
from wsservice.handshake import Handshake, parse_head

NAME = "authToken"


@dataclass
class Row:
    """The Cookie header lines, and the token in them: None if there is none, REFUSED for `InvalidToken`."""

    name: str
    lines: list[str]
    token: str | None


REFUSED = "refused"
REASONS = "^(two different cookies of one name|the cookie's chunks have a gap)$"

READING = [
    Row("no header", [], None),
    Row("empty header", [""], None),
    Row("the cookie alone", ["authToken=T"], "T"),
    Row("among others", ["a=1; authToken=T; b=2"], "T"),
    Row("without spaces", ["a=1;authToken=T;b=2"], "T"),
    Row("spaces and tabs around", [" \t a=1 ;\t authToken=T \t; b=2"], "T"),
    Row("on the second line", ["a=1", "authToken=T"], "T"),
    Row("other cookies only", ["a=1; b=2"], None),
    Row("other line empty", ["", "authToken=T"], "T"),
    Row("semicolons without end", [";;; ;authToken=T;;"], "T"),
    Row("semicolons only", [";;;;"], None),
    Row("empty value", ["authToken="], None),
    Row("empty value and white space", ["authToken= \t"], None),
    Row("name without a value", ["authToken"], None),
    Row("two different ones", ["authToken=T; authToken=U"], REFUSED),
    Row("two different ones on two lines", ["authToken=T", "authToken=U"], REFUSED),
    Row("two that differ in case", ["authToken=T; authToken=t"], REFUSED),
    Row("two that differ in a quote", ['authToken=T; authToken="T"'], REFUSED),
    Row("three, two of them equal", ["authToken=T; authToken=T; authToken=U"], REFUSED),
    Row("two equal ones", ["authToken=T; authToken=T"], "T"),
    Row("two equal ones on two lines", ["authToken=T", "a=1; authToken=T"], "T"),
    Row("an empty one and another", ["authToken=; authToken=T"], "T"),
    Row("two empty ones", ["authToken=; authToken="], None),
    Row("quoted", ['authToken="T"'], '"T"'),
    Row("percent-encoded", ["authToken=T%2EU"], "T%2EU"),
    Row("padded", ["authToken=T=="], "T=="),
    Row("equals signs inside", ["authToken=a=b=c"], "a=b=c"),
    Row("a space behind the equals sign", ["authToken= T"], " T"),
    Row("a space before the equals sign", ["authToken =T"], None),
    Row("spaces inside", ["authToken=T U"], "T U"),
    Row("a comma, as of lines that were joined", ["authToken=T, authToken=U"], "T, authToken=U"),
    Row("name in lower case", ["authtoken=T"], None),
    Row("name in upper case", ["AUTHTOKEN=T"], None),
    Row("a name that ends alike", ["xauthToken=T"], None),
    Row("a name that begins alike", ["authToken2=T; authTokens=U"], None),
    Row("prefixed names", ["__Host-authToken=T; __Secure-authToken=U"], None),
    Row("the name in another cookie's value", ["a=authToken=T"], None),
    Row("the name in quotes of another value", ['a="x; authToken=T; y"'], "T"),
    Row("no name", ["=T; authToken=U"], "U"),
    Row("no name but its text", ["=authToken=T"], None),
    Row("$Version of RFC 2109", ['$Version=1; authToken=T; $Path="/"'], "T"),
    Row("a control character", ["authToken=T\x01"], "T\x01"),
    Row("NUL before the name", ["\0authToken=T"], None),
    Row("vertical tab is no white space", ["\x0bauthToken=T"], None),
    Row("form feed is no white space", ["authToken=T\x0c"], "T\x0c"),
    Row("a no-break space is no white space", ["authToken=T\xa0"], "T\xa0"),
    Row("the byte 0x85 splits nothing", ["a=1\x85authToken=T"], None),
    Row("high bytes", ["authToken=\xff\xfe"], "\xff\xfe"),
    Row("line break inside", ["a=1\r\nCookie: authToken=T"], None),
    Row("two chunks", ["authToken.0=T; authToken.1=U"], "TU"),
    Row("chunks in another order", ["authToken.2=V; authToken.0=T", "authToken.1=U"], "TUV"),
    Row("one chunk", ["authToken.0=T"], "T"),
    Row("eight chunks", ["; ".join(f"authToken.{i}={i}" for i in range(8))], "01234567"),
    Row("nine chunks: the ninth is none", ["; ".join(f"authToken.{i}={i}" for i in range(9))], "01234567"),
    Row("ten chunks in another order", ["; ".join(f"authToken.{i}={i}" for i in reversed(range(10)))], "01234567"),
    Row("chunks with a gap", ["authToken.0=T; authToken.2=V"], REFUSED),
    Row("chunks without the first", ["authToken.1=U"], REFUSED),
    Row("chunks with an empty first", ["authToken.0=; authToken.1=U"], REFUSED),
    Row("chunks with an empty last", ["authToken.0=T; authToken.1="], "T"),
    Row("chunks beside the plain one", ["authToken.0=X; authToken=T; authToken.1=Y"], "T"),
    Row("chunks with a gap beside the plain one", ["authToken.5=X; authToken=T"], "T"),
    Row("different chunks beside the plain one", ["authToken.0=X; authToken.0=Y; authToken=T"], "T"),
    Row("chunks beside an empty plain one", ["authToken=; authToken.0=T"], "T"),
    Row("chunks beside two plain ones", ["authToken=T; authToken=U; authToken.0=V"], REFUSED),
    Row("two different chunks of one index", ["authToken.0=T; authToken.1=U; authToken.1=V"], REFUSED),
    Row("two equal chunks of one index", ["authToken.0=T; authToken.1=U; authToken.1=U"], "TU"),
    Row("indices in other spellings", ["authToken.00=T; authToken.+0=U; authToken.0x0=V; authToken.\uff10=W"], None),
    Row("index negative", ["authToken.-1=T"], None),
    Row("index enormous", [f"authToken.{'9' * 5000}=T"], None),
    Row("no index", ["authToken.=T"], None),
]  # fmt: skip


def handshake(*cookies: str, secure: bool = True, host: str = "ws.example.com") -> Handshake:
    """A request with these Cookie header lines."""
    lines = "".join(f"Cookie: {cookie}\r\n" for cookie in cookies)
    return parse_head(f"GET /ws HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode("latin-1"), "192.0.2.1", secure)


class Browser:
    """Keeps cookies as browsers do: by name, and none that is too large."""

    def __init__(self) -> None:
        self.jar: dict[str, str] = {}

    def take(self, set_cookies: Iterable[str]) -> None:
        for line in set_cookies:
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            if len(name) + len(value) > 4096:
                continue
            if "Max-Age=0" in attributes:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value

    def request(self) -> Handshake:
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        return handshake(*[cookies] if cookies else [])

    def token(self) -> str | None:
        return read_token(self.request().header_values("cookie"), NAME)


@by_row
class ReadTokenTests(SynchronousTestCase):
    @rows(READING)
    def test_header(self, row: Row) -> None:
        if row.token is REFUSED:
            with self.assertRaisesRegex(
                InvalidToken, "^(two different cookies of one name|the cookie's chunks have a gap)$"
            ):
                read_token(row.lines, NAME)
        else:
            self.assertEqual(read_token(row.lines, NAME), row.token)

    def test_bytes_that_autobahn_splits_at_never_come_so_far(self) -> None:
        for byte in "\x01\x0b\x0c\x1c\x1d\x1e\x7f\x85\xff":
            with self.assertRaises(BadHandshake):
                handshake(f"a=1{byte}Cookie: authToken=T")

    def test_another_name(self) -> None:
        self.assertEqual(read_token(["__Host-session=T; authToken=U"], "__Host-session"), "T")
        self.assertEqual(read_token(["a.0=T; a.1=U; authToken.0=V"], "a"), "TU")

    @settings(deadline=None, database=None)
    @given(st.lists(st.text() | st.text(alphabet='authToken.01;=" \t')))
    def test_any_text_gives_a_value_or_the_named_error(self, lines: list[str]) -> None:
        for read in (read_token, read_cookie):
            try:
                value = read(lines, NAME)
            except InvalidToken:
                continue
            self.assertTrue(value is None or (isinstance(value, str) and value))

    @settings(deadline=None, database=None)
    @given(st.lists(st.tuples(st.sampled_from([NAME, "a", "authToken.0"]), st.text(alphabet="TU", max_size=1))))
    def test_one_line_or_many_makes_no_difference(self, pairs: list[tuple[str, str]]) -> None:
        def read(lines: list[str]) -> str | None:
            try:
                return read_token(lines, NAME)
            except InvalidToken:
                return REFUSED

        lines = [f"{name}={value}" for name, value in pairs]
        self.assertEqual(read(lines), read(["; ".join(lines)]))
        self.assertEqual(read(lines), read(lines[::-1]))


class ReadCookieTests(SynchronousTestCase):
    def test_it_reads_by_the_same_rules(self) -> None:
        self.assertEqual(read_cookie(["a=1", "refreshToken=R==; b=2"], "refreshToken"), "R==")
        self.assertEqual(read_cookie(["a=1; a=1"], "a"), "1")
        self.assertIsNone(read_cookie(["refreshToken="], "refreshToken"))
        self.assertIsNone(read_cookie([], "refreshToken"))
        with self.assertRaisesRegex(InvalidToken, "two different"):
            read_cookie(["a=1; a=2"], "a")

    def test_it_knows_no_chunks(self) -> None:
        self.assertIsNone(read_cookie(["authToken.0=T; authToken.1=U"], NAME))


class SetCookieTests(SynchronousTestCase):
    def set(self, policy: CookiePolicy | None = None, request: Handshake | None = None, **changes: Any) -> str:
        arguments: dict[str, Any] = {"name": NAME, "value": "T", "max_age": 60, **changes}
        return (policy or CookiePolicy()).set(**arguments, handshake=request or handshake())

    def test_what_is_written(self) -> None:
        self.assertEqual(self.set(), "authToken=T; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax")

    def test_the_standard_library_reads_it_alike(self) -> None:
        morsel = SimpleCookie(self.set(path="/auth", max_age=7.9))[NAME]
        self.assertEqual((morsel.value, morsel["max-age"], morsel["path"]), ("T", "7", "/auth"))
        self.assertEqual((morsel["httponly"], morsel["secure"], morsel["samesite"]), (True, True, "Lax"))
        self.assertEqual((morsel["domain"], morsel["expires"]), ("", ""))

    def test_the_lifetime(self) -> None:
        self.assertIn("; Max-Age=59;", self.set(max_age=59.99))
        self.assertIn("; Max-Age=0;", self.set(max_age=0.5))
        self.assertIn("; Max-Age=0;", self.set(max_age=-5))
        self.assertNotIn("Max-Age", self.set(max_age=None))

    def test_same_site(self) -> None:
        self.assertTrue(self.set(CookiePolicy(same_site="Strict")).endswith("SameSite=Strict"))
        self.assertTrue(self.set(CookiePolicy(same_site="None")).endswith("Secure; SameSite=None"))

    def test_a_cookie_is_secure_unless_it_is_plain_http_to_this_machine(self) -> None:
        for host, is_local in [
            ("localhost", True),
            ("localhost:3020", True),
            ("LocalHost:3020", True),
            ("127.0.0.1", True),
            ("127.0.0.1:3020", True),
            ("[::1]", True),
            ("[::1]:3020", True),
            ("ws.example.com", False),
            ("127.0.0.2", False),
            ("localhost.evil.com", False),
            ("evil.com:localhost", False),
            ("127.0.0.1.evil.com", False),
            ("127a0b0c1", False),
            ("[::1].evil.com", False),
            ("::1", False),
            ("", False),
        ]:
            plain, tls = (replace(handshake(host="x", secure=secure), host=host) for secure in (False, True))
            for policy, expected_plain, expected_tls in [
                (CookiePolicy(), not is_local, True),
                (CookiePolicy(secure="always"), True, True),
                (CookiePolicy(secure="never"), False, False),
                (CookiePolicy(same_site="None"), True, True),
            ]:
                self.assertEqual("; Secure" in self.set(policy, plain), expected_plain, (host, policy))
                self.assertEqual("; Secure" in self.set(policy, tls), expected_tls, (host, policy))

    def test_prefixed_names_get_what_browsers_ask_of_them(self) -> None:
        local = handshake(host="localhost", secure=False)
        for name in ("__Host-session", "__Secure-session", "__host-session"):
            self.assertIn("; Secure", self.set(request=local, name=name))
            with self.assertRaisesRegex(ValueError, "without Secure"):
                self.set(CookiePolicy(secure="never"), name=name)
        self.assertIn("; Path=/auth;", self.set(name="__Secure-session", path="/auth"))
        with self.assertRaisesRegex(ValueError, "path other than /"):
            self.set(name="__Host-session", path="/auth")

    def test_what_no_browser_would_keep_is_no_policy(self) -> None:
        with self.assertRaisesRegex(ValueError, "use Lax, or secure=auto"):
            CookiePolicy(same_site="None", secure="never")

    def test_names_values_and_paths_that_would_break_the_header_are_refused(self) -> None:
        for name in ("", "a b", "a=b", "a;b", "a\r\nSet-Cookie: b", "a,b", "é", '"a"', "a/b", "a\n"):
            with self.assertRaisesRegex(ValueError, "cannot be the name"):
                self.set(name=name)
            with self.assertRaisesRegex(ValueError, "cannot be the name"):
                CookiePolicy().clear(name, handshake=handshake())
            with self.assertRaisesRegex(ValueError, "cannot be the name"):
                check_cookie_name(name)
        for value in ("", "a b", "a;b", "a,b", 'a"b', "a\\b", "a\r\nb", "a\n", "é", "\x7f", "\0"):
            with self.assertRaisesRegex(ValueError, "value"):
                self.set(value=value)
        for path in ("", "auth", "/a;b", "/a\r\n", "/é", "/\n"):
            with self.assertRaisesRegex(ValueError, "path"):
                self.set(path=path)

    def test_every_character_that_is_allowed_comes_back(self) -> None:
        value = "".join(letter for letter in map(chr, range(0x21, 0x7F)) if letter not in '",;\\')
        browser = Browser()
        browser.take([self.set(value=value)])
        self.assertEqual(browser.token(), value)

    def test_a_cookie_that_browsers_would_drop_is_refused(self) -> None:
        room = MAX_COOKIE - len("refreshToken")
        self.assertIn("R" * room, self.set(name="refreshToken", value="R" * room))
        with self.assertRaises(TokenTooLarge):
            self.set(name="refreshToken", value="R" * (room + 1))

    def test_clearing(self) -> None:
        self.assertEqual(
            CookiePolicy().clear(NAME, handshake=handshake(), path="/auth"),
            "authToken=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/auth; HttpOnly; Secure; SameSite=Lax",
        )


class TokenCookiesTests(SynchronousTestCase):
    def write(self, browser: Browser, token: str, policy: CookiePolicy | None = None) -> list[str]:
        lines = (policy or CookiePolicy()).token_cookies(NAME, token, handshake=browser.request(), max_age=60)
        browser.take(lines)
        return lines

    def test_a_token_that_fits_is_one_cookie(self) -> None:
        lines = self.write(browser := Browser(), "T" * 4087)
        self.assertEqual(lines, [f"authToken={'T' * 4087}; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax"])
        self.assertEqual(browser.token(), "T" * 4087)

    def test_a_larger_one_is_split(self) -> None:
        token = "".join(chr(ord("a") + position % 26) for position in range(4088))
        lines = self.write(browser := Browser(), token)
        self.assertEqual([line.partition("=")[0] for line in lines], ["authToken", "authToken.0", "authToken.1"])
        self.assertEqual([len(value) for value in browser.jar.values()], [CHUNK, 288])
        self.assertEqual(browser.token(), token)
        for line in lines[1:]:
            self.assertTrue(line.endswith("; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax"))

    def test_the_largest_one_that_is_accepted(self) -> None:
        self.write(browser := Browser(), "T" * MAX_TOKEN)
        self.assertEqual(list(browser.jar), ["authToken.0", "authToken.1", "authToken.2"])
        self.assertEqual(browser.token(), "T" * MAX_TOKEN)

    def test_what_nobody_could_log_in_with_is_refused(self) -> None:
        with self.assertRaisesRegex(TokenTooLarge, "8193 characters"):
            self.write(Browser(), "T" * (MAX_TOKEN + 1))

    def test_without_chunking_a_larger_one_is_refused(self) -> None:
        with self.assertRaisesRegex(TokenTooLarge, "4097 bytes"):
            self.write(Browser(), "T" * 4088, CookiePolicy(chunking=False))

    def test_a_name_that_leaves_no_room_for_chunks_is_refused(self) -> None:
        with self.assertRaises(TokenTooLarge):
            CookiePolicy().token_cookies("n" * 300, "T" * 4088, handshake=handshake(), max_age=60)

    def test_a_token_that_is_no_cookie_value_is_refused(self) -> None:
        for token in ("", "a;b", "a b" + "c" * 5000):
            with self.assertRaises(ValueError):
                self.write(Browser(), token)

    def test_each_write_clears_what_the_last_one_left(self) -> None:
        browser = Browser()
        for size in (4088, 8000, 4088, 100, 8000, 50):
            lines = self.write(browser, "T" * size)
            self.assertEqual(browser.token(), "T" * size)
            self.assertEqual(sum(map(len, browser.jar.values())), size)
            first_set = next(index for index, line in enumerate(lines) if "Max-Age=60" in line)
            self.assertFalse(any("Max-Age=0" in line for line in lines[first_set:]), "clearing comes first")

    def test_logout_clears_the_plain_one_and_every_chunk(self) -> None:
        for size in (10, 8000):
            self.write(browser := Browser(), "T" * size)
            browser.take(CookiePolicy().clear_token_cookies(NAME, handshake=browser.request()))
            self.assertEqual(browser.jar, {})

    def test_logout_clears_chunks_that_were_planted_and_leaves_other_cookies(self) -> None:
        browser = Browser()
        browser.jar = {"authToken.7": "X", "authToken.8": "Y", "other": "1"}
        lines = CookiePolicy(chunking=False).clear_token_cookies(NAME, handshake=browser.request())
        self.assertEqual([line.partition("=")[0] for line in lines], ["authToken", "authToken.7"])
        browser.take(lines)
        self.assertIsNone(browser.token())

    def test_logout_without_cookies_clears_the_plain_one(self) -> None:
        lines = CookiePolicy().clear_token_cookies(NAME, handshake=handshake(), path="/app")
        self.assertEqual(len(lines), 1)
        self.assertTrue(re.match(r"authToken=; Max-Age=0; Expires=.*; Path=/app; HttpOnly; Secure", lines[0]))

    def test_the_error_is_answered_with_its_word(self) -> None:
        self.assertEqual((TokenTooLarge.http_status, TokenTooLarge.word), (500, "token_too_large"))

    @settings(deadline=None, database=None)
    @given(st.lists(st.integers(1, MAX_TOKEN), min_size=1, max_size=5), st.integers(1, 50))
    def test_after_any_writes_the_last_token_is_read(self, sizes: list[int], width: int) -> None:
        browser = Browser()
        for number, size in enumerate(sizes):
            token = (f"{number}-{'x' * width}" * size)[:size]
            self.write(browser, token)
            self.assertEqual(browser.token(), token)
