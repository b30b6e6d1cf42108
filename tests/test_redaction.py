"""Tests of `wsservice.redaction`."""

from __future__ import annotations

import json
import time

from twisted.trial.unittest import SynchronousTestCase

from wsservice.redaction import MARK, Redactor
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

    def test_hostile_texts_take_no_time(self) -> None:
        started = time.process_time()
        for piece in ("password", "cookie", "eyJ", 'password="', "\\", "a-", "bearer ", "password:\\'", "password='"):
            self.redact(piece * (100_000 // len(piece)))
        # Milliseconds by far; a pattern that goes back and forth would take minutes.
        self.assertLess(time.process_time() - started, 20)
