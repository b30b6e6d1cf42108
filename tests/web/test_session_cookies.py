"""The cookies of a session."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.cookies import CookiePolicy, read_token
from wsservice.auth.providers.base import Tokens
from wsservice.errors import InvalidToken, TokenTooLarge
from wsservice.handshake import Handshake, make_handshake
from wsservice.headers import Headers
from wsservice.web.session_cookies import RefreshGrant, SessionCookies


def request(*cookies: str) -> Handshake:
    headers = (("host", "chat.example"), *(("cookie", cookie) for cookie in cookies))
    return make_handshake("POST", "/auth/login", headers, peer="192.0.2.7", secure=True)


def lines(headers: Headers) -> list[str]:
    for name, _ in headers:
        assert name == b"Set-Cookie"
    return [value.decode() for _, value in headers]


class ReadRefreshTests(SynchronousTestCase):
    def read(self, *values: str) -> RefreshGrant | None:
        return SessionCookies().read_refresh(request(*(f"refreshToken={value}" for value in values)))

    def test_none(self) -> None:
        self.assertIsNone(self.read())
        self.assertIsNone(self.read(""))

    def test_a_bare_token_of_the_system_before(self) -> None:
        for value in ("abc.def-_", "abc~def", "~def", "YQ~", "!~def", "_w~def"):
            with self.subTest(value=value):
                self.assertEqual(self.read(value), RefreshGrant(value))

    def test_what_was_written_is_read_again(self) -> None:
        for username in ("alice", "a", "ab", "abc", "ä@b.example", '~;,= \\"', "x" * 128):
            with self.subTest(username=username):
                headers = SessionCookies().set(request(), Tokens("t", "r~e.f"), username=username, max_age=60)
                value = lines(headers)[-1].partition(";")[0].partition("=")[2]
                self.assertEqual(self.read(value), RefreshGrant("r~e.f", username))

    def test_two_different_ones_are_refused(self) -> None:
        with self.assertRaises(InvalidToken):
            self.read("abc", "def")

    def test_the_token_is_not_shown(self) -> None:
        self.assertNotIn("SECRET", repr(RefreshGrant("SECRET", "alice")))


class SetTests(SynchronousTestCase):
    def test_both_cookies_have_their_path_and_lifetime(self) -> None:
        headers = SessionCookies().set(request(), Tokens("tok", "ref"), username="alice", max_age=59.9)
        token, old, refresh = lines(headers)
        self.assertEqual(token, "authToken=tok; Max-Age=59; Path=/; HttpOnly; Secure; SameSite=Lax")
        self.assertEqual(
            refresh, "refreshToken=YWxpY2U~ref; Max-Age=2592000; Path=/auth; HttpOnly; Secure; SameSite=Lax"
        )
        self.assertTrue(old.startswith("refreshToken=; Max-Age=0; "), old)
        self.assertIn("; Path=/;", old)

    def test_names_lifetime_and_attributes_can_be_set(self) -> None:
        cookies = SessionCookies("__Host-token", "__Secure-refresh", 60.0, CookiePolicy(same_site="Strict"))
        token, _, refresh = lines(cookies.set(request(), Tokens("tok", "ref"), username="a", max_age=5))
        self.assertEqual(token, "__Host-token=tok; Max-Age=5; Path=/; HttpOnly; Secure; SameSite=Strict")
        self.assertTrue(refresh.startswith("__Secure-refresh=YQ~ref; Max-Age=60; Path=/auth; "), refresh)

    def test_without_a_refresh_token_an_older_one_is_cleared(self) -> None:
        headers = SessionCookies().set(request("refreshToken=old"), Tokens("tok"), username="a", max_age=5)
        self.assertIn("refreshToken=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/auth", lines(headers)[-1])

    def test_a_large_token_comes_in_chunks(self) -> None:
        token = "t" * 5000
        headers = SessionCookies().set(request(), Tokens(token, "ref"), username="a", max_age=5)
        pairs = [line.partition(";")[0] for line in lines(headers)]
        kept = [pair for pair in pairs if not pair.endswith("=")]
        self.assertEqual(read_token(["; ".join(kept)], "authToken"), token)
        self.assertIn("authToken=", pairs)

    def test_what_does_not_fit_is_refused_whole(self) -> None:
        whole = SessionCookies(policy=CookiePolicy(chunking=False))
        for cookies, tokens in (
            (whole, Tokens("t" * 5000, "ref")),
            (SessionCookies(), Tokens("t" * 9000, "ref")),
            (SessionCookies(), Tokens("t", "r" * 4090)),
        ):
            with self.assertRaises(TokenTooLarge):
                cookies.set(request(), tokens, username="a", max_age=5)


class ClearTests(SynchronousTestCase):
    def test_everything_that_was_set_is_cleared(self) -> None:
        cleared = [
            line.partition(";") for line in lines(SessionCookies().clear(request("authToken.0=a; authToken.1=b")))
        ]
        names = [(pair, "Path=/auth;" in rest) for pair, _, rest in cleared]
        self.assertEqual(
            names,
            [
                ("authToken=", False),
                ("authToken.0=", False),
                ("authToken.1=", False),
                ("refreshToken=", False),
                ("refreshToken=", True),
            ],
        )
        for _, _, rest in cleared:
            self.assertIn("Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT", rest)


class NamesTests(SynchronousTestCase):
    def test_names_that_cannot_work_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            SessionCookies("same", "same")
        with self.assertRaises(ValueError):
            SessionCookies("authToken", "__Host-refresh")
