"""Tests of `wsservice.redaction`."""

from __future__ import annotations

import json
import time

from twisted.trial.unittest import SynchronousTestCase

from wsservice.redaction import MARK, MAX_TEXT, Redactor
from wsservice.testing import Issuer

HUSH = "hush-hush-hush"


class RedactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.redact = Redactor(secrets=("tiny", "very-secret", "very-secret-and-longer"), cookies=("sid", "rid"))

    def test_a_token_is_known_by_its_shape_even_cut_off(self) -> None:
        token = Issuer().token()
        for text in (token, token[:60], token.rsplit(".", 1)[0], f'"{token}"', f"x={token};", f"{token}.a.b"):
            redacted = self.redact(f"before {text} after")
            self.assertIn(MARK, redacted)
            self.assertNotIn(token[:30], redacted)
            self.assertTrue(redacted.startswith("before ") and redacted.endswith(" after"), redacted)

    def test_known_secrets_are_found_wherever_they_are(self) -> None:
        self.assertEqual(self.redact("xvery-secret-and-longerx very-secret"), f"x{MARK}x {MARK}")
        self.assertEqual(self.redact("a tiny thing"), "a tiny thing")

    def test_cookies_that_hold_tokens(self) -> None:
        self.assertEqual(self.redact("sid=abc; theme=dark; rid.0=def"), f"sid={MARK}; theme=dark; rid.0={MARK}")

    def test_header_lines(self) -> None:
        for head in ("Cookie: ", "set-cookie:", "Authorization: ", "PROXY-AUTHORIZATION :"):
            self.assertEqual(self.redact(f"{head}{HUSH} and more\nnext"), f"{head.rstrip()} {MARK}\nnext")

    def test_headers_as_python_prints_them(self) -> None:
        for text in (
            f"{{'cookie': '{HUSH}', 'a': 1}}",
            f"[(b'Cookie', b'{HUSH}')]",
            f'("authorization", "{HUSH}")',
            json.dumps(json.dumps({"Authorization": HUSH})),
        ):
            self.assertNotIn("hush", self.redact(text), text)

    def test_members_that_are_named_as_secrets(self) -> None:
        for name in (
            "password",
            "Password",
            "NEW_PASSWORD",
            "passwd",
            "SECRET_HASH",
            "SecretHash",
            "ClientSecret",
            "client_secret",
            "aws_secret_access_key",
            "AccessToken",
            "IdToken",
            "RefreshToken",
            "authToken",
            "authToken.1",
            "AWS_SESSION_TOKEN",
            "X-Amz-Security-Token",
            "Signature",
        ):
            for text in (
                f"{name}={HUSH}",
                f"{name}: {HUSH}, next",
                json.dumps({name: f'{HUSH} "and" hush'}),
                json.dumps(json.dumps({name: f"{HUSH} hush"})),
                f"{{'{name}': '{HUSH} hush'}}",
                f"{name}='{HUSH} hush",
            ):
                self.assertNotIn("hush", self.redact(text), text)
                self.assertIn(MARK, self.redact(text), text)

    def test_bearers_and_keys_of_aws(self) -> None:
        self.assertEqual(self.redact(f"Bearer {HUSH}"), f"Bearer {MARK}")
        self.assertEqual(self.redact("AKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE"), f"{MARK} {MARK}")

    def test_the_session_in_the_url_of_a_client_that_comes_back(self) -> None:
        for text in ("GET /ws?recover={} HTTP/1.1", "ws://a/ws?x=1&recover={}&offset=1", "'/ws?Recover={}'"):
            self.assertEqual(self.redact(text.format(f"AAAA-_AAAA{HUSH}")).lower(), text.format(MARK).lower())
        self.assertEqual(self.redact("/ws?recover=1&a=2"), "/ws?recover=1&a=2")

    def test_what_is_no_secret_stays(self) -> None:
        for text in (
            "connection of alice opened",
            "auth_token_use=access,id dev_token_lifetime=60 auth_cookie_name=sid",
            "alice      password abcd-efgh-jkmn",
            "the cookie and the Authorization header hold different tokens",
            "Wrong user name or password.",
            "signing keys loaded from https://a.example/keys: ['eyJ1']",
        ):
            self.assertEqual(self.redact(text), text)

    def test_without_names_the_shapes_are_known_all_the_same(self) -> None:
        self.assertEqual(Redactor()(f"sid=abc {Issuer().token()}"), f"sid=abc {MARK}")

    def test_names_of_fields(self) -> None:
        for name in ("password", "refresh_token", "client_secret"):
            self.assertTrue(self.redact.is_secret_name(name))
        for name in ("user", "auth_token_use", "peer"):
            self.assertFalse(self.redact.is_secret_name(name))

    def test_a_mark_of_its_own_is_no_secret(self) -> None:
        redact = Redactor(cookies=("authToken",))
        self.assertEqual(redact("authToken=abc; a=1"), f"authToken={MARK}; a=1")
        self.assertEqual(redact(redact("password=abc authToken=abc")), f"password={MARK} authToken={MARK}")

    def test_the_quotes_of_json_within_json_are_told_apart_by_their_backslashes(self) -> None:
        text = json.dumps(json.dumps({"password": f'{HUSH} "hush" hush', "next": 1}))
        self.assertNotIn("hush", self.redact(text))
        text = json.dumps(json.dumps({"password": f"{HUSH} hush", "next": 1}))
        self.assertEqual(json.loads(json.loads(self.redact(text.replace(MARK, "")).replace(MARK, "null")))["next"], 1)


class BoundTests(SynchronousTestCase):
    """A long text is cut before it is looked through."""

    def test_a_text_within_the_bound_stays(self) -> None:
        self.assertEqual(Redactor()("x" * MAX_TEXT), "x" * MAX_TEXT)

    def test_a_long_text_is_cut_at_white_space(self) -> None:
        text = Redactor()("word " * MAX_TEXT)
        self.assertLess(len(text), MAX_TEXT)
        self.assertTrue(text.endswith(" word…"), text[-20:])
        self.assertEqual(len(Redactor()("x" * (2 * MAX_TEXT))), MAX_TEXT)

    def test_no_known_secret_is_cut_in_half(self) -> None:
        redact = Redactor(secrets=(HUSH, f"{HUSH} and {HUSH}"))
        for secret in (HUSH, f"{HUSH} and {HUSH}"):
            for fill in ("x", "word "):
                for before in range(MAX_TEXT - len(secret) - 8, MAX_TEXT + 8):
                    text = (fill * MAX_TEXT)[:before] + secret + fill * MAX_TEXT
                    self.assertNotIn("hus", redact(text))

    def test_a_token_that_is_cut_is_known_by_its_begin(self) -> None:
        text = "x" * (MAX_TEXT - 100) + Issuer().token() * 20
        self.assertTrue(Redactor()(text).endswith(f"x{MARK}…"))


class LinearTests(SynchronousTestCase):
    """The work grows with the length of a text; a pattern that goes back and forth grows with its square."""

    pieces = ("password", "cookie", "eyJ", 'password="', "\\", "a-", "bearer ", "password:\\'", "password='", " ", "a.")

    def work(self, text: str) -> float:
        """The processor's time, the least of some runs, for a machine that has other things to do."""
        redact, times = Redactor(cookies=("sid",)), []
        for _ in range(4):
            started = time.process_time()
            redact(text, len(text))
            times.append(time.process_time() - started)
        return max(min(times), 0.0001)

    def test_sixteen_times_the_text_is_nowhere_near_256_times_the_work(self) -> None:
        for begin in ("", 'password=\\"', 'password="', "password=", "cookie", "cookie,", "bearer "):
            for piece in self.pieces:
                small = begin + piece * (4096 // len(piece))
                large = begin + piece * (65536 // len(piece))
                self.assertLess(self.work(large) / self.work(small), 100, (begin, piece))
