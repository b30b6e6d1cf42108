"""The headers of every answer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.headers import security_headers


def connect_sources(host: str, secure: bool = True) -> bytes:
    policy = dict(security_headers(secure=secure, host=host))[b"Content-Security-Policy"]
    (directive,) = [part for part in policy.split(b"; ") if part.startswith(b"connect-src ")]
    return directive.removeprefix(b"connect-src ")


class SecurityHeadersTests(SynchronousTestCase):
    def test_nothing_inline_and_nothing_foreign_is_allowed(self) -> None:
        policy = dict(security_headers(secure=True, host="a.example"))[b"Content-Security-Policy"]
        self.assertNotIn(b"unsafe", policy)
        self.assertNotIn(b"*", policy)
        for directive in (
            b"default-src 'none'",
            b"script-src 'self'",
            b"style-src 'self'",
            b"base-uri 'none'",
            b"form-action 'self'",
            b"frame-ancestors 'none'",
        ):
            self.assertIn(directive, policy.split(b"; "))

    def test_the_usual_ones_are_there(self) -> None:
        headers = dict(security_headers(secure=False, host="a.example"))
        self.assertEqual(headers[b"X-Content-Type-Options"], b"nosniff")
        self.assertEqual(headers[b"Referrer-Policy"], b"no-referrer")
        self.assertEqual(headers[b"Cross-Origin-Opener-Policy"], b"same-origin")
        self.assertEqual(headers[b"Cross-Origin-Resource-Policy"], b"same-origin")
        self.assertIn(b"camera=()", headers[b"Permissions-Policy"])

    def test_no_version_is_told(self) -> None:
        self.assertEqual(dict(security_headers(secure=False, host=""))[b"Server"], b"wsservice")

    def test_tls_is_demanded_only_by_tls(self) -> None:
        self.assertEqual(
            dict(security_headers(secure=True, host=""))[b"Strict-Transport-Security"], b"max-age=31536000"
        )
        self.assertNotIn(b"Strict-Transport-Security", dict(security_headers(secure=False, host="")))

    def test_websockets_of_the_same_host_are_named(self) -> None:
        self.assertEqual(connect_sources("a.example"), b"'self' wss://a.example")
        self.assertEqual(connect_sources("localhost:3020", secure=False), b"'self' ws://localhost:3020")
        self.assertEqual(connect_sources("[::1]:3020", secure=False), b"'self' ws://[::1]:3020")

    def test_a_host_that_could_break_out_of_the_policy_is_left_out(self) -> None:
        for host in (
            "",
            "a; script-src *",
            "a b",
            "a\r\nX: y",
            "a'",
            "*.example",
            "a/b",
            "a:b",
            "[a]",
            "-a",
            "a" * 300,
        ):
            with self.subTest(host=host):
                self.assertEqual(connect_sources(host), b"'self'")
