"""Tests of `wsservice.auth.sigv4`, with botocore as the oracle."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.sigv4 import Credentials, sign

NOW = 1_795_000_000.75
KEYS: dict[str, Any] = {"access_key": "AKIDEXAMPLE", "secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SCOPE: dict[str, Any] = {"region": "us-east-1", "service": "cognito-idp"}

ROWS: list[tuple[str, str, dict[str, str], bytes]] = [
    ("POST", "https://cognito-idp.us-east-1.amazonaws.com/", {"X-Amz-Target": "A.B"}, b'{"a":1}'),
    ("POST", "https://cognito-idp.us-east-1.amazonaws.com", {}, b""),
    ("post", "https://cognito-idp.us-east-1.amazonaws.com:443/", {}, b"x"),
    ("POST", "http://127.0.0.1:5000/", {"Content-Type": "application/x-amz-json-1.1"}, b"{}"),
    ("POST", "http://localhost:80/base/", {}, b"{}"),
    ("POST", "http://LOCALHOST:8080/Base", {}, b"{}"),
    ("POST", "http://[::1]:5000/", {}, b"{}"),
    ("GET", "https://host.example/a%20b/%C3%A9/~x", {}, b""),
    ("GET", "https://host.example//a/./b//c/../d/", {}, b""),
    ("GET", "https://host.example/..", {}, b""),
    ("GET", "https://host.example/a?b=2&b=1&a&c=%20x&B=", {}, b""),
    ("PUT", "https://host.example/", {"X-B": "  two   spaces\tand tabs ", "x-a": "", "X-C": "ü"}, "ü".encode()),
]


def botocores(
    method: str, url: str, headers: dict[str, str], body: bytes, session_token: str | None, now: float
) -> str:
    """The Authorization header that botocore makes of the same request."""
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    credentials = BotocoreCredentials(KEYS["access_key"], KEYS["secret_key"], session_token)
    before = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *_: datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    try:
        botocore.auth.SigV4Auth(credentials, SCOPE["service"], SCOPE["region"]).add_auth(request)
    finally:
        botocore.auth.get_current_datetime = before
    return str(request.headers["Authorization"])


class SignTests(SynchronousTestCase):
    """`sign` gives what AWS computes."""

    def test_the_vector_get_vanilla_of_awss_test_suite_holds(self) -> None:
        now = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
        url = "https://example.amazonaws.com/"
        headers = sign("GET", url, {}, b"", region="us-east-1", service="service", now=now, **KEYS)
        self.assertEqual(
            headers["Authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        )

    def test_it_is_botocores_byte_for_byte(self) -> None:
        for method, url, headers, body in ROWS:
            for session_token in (None, "FwoGZXIvYXdzEBYaDH+/="):
                with self.subTest(url=url, session_token=session_token):
                    signed = sign(method, url, headers, body, session_token=session_token, now=NOW, **SCOPE, **KEYS)
                    expected = botocores(method, url, headers, body, session_token, NOW)
                    self.assertEqual(signed["Authorization"], expected)

    @settings(deadline=None, database=None)
    @given(
        path=st.text("ab/.%2~ -_:@", max_size=12),
        query=st.text("ab=&%2-.", max_size=12),
        value=st.text("ab \t,", max_size=8),
        body=st.binary(max_size=40),
        now=st.integers(0, 4_000_000_000),
    )
    def test_it_is_botocores_for_any_request(self, path: str, query: str, value: str, body: bytes, now: int) -> None:
        url = f"https://host.example/{path}?{query}"
        headers = {"X-Thing": value}
        signed = sign("POST", url, headers, body, now=now, **SCOPE, **KEYS)
        self.assertEqual(signed["Authorization"], botocores("POST", url, headers, body, None, now))

    def test_the_headers_to_send_are_complete(self) -> None:
        given_headers = {"X-Amz-Target": "A.B"}
        url = "http://127.0.0.1:5000/"
        headers = sign("POST", url, given_headers, b"", session_token="token", now=NOW, **SCOPE, **KEYS)
        self.assertEqual(headers.pop("Authorization").split()[0], "AWS4-HMAC-SHA256")
        self.assertEqual(
            headers,
            {
                "X-Amz-Target": "A.B",
                "Host": "127.0.0.1:5000",
                "X-Amz-Date": "20261118T110640Z",
                "X-Amz-Security-Token": "token",
            },
        )
        self.assertEqual(given_headers, {"X-Amz-Target": "A.B"})

    def test_another_key_moment_or_body_gives_another_signature(self) -> None:
        url = "https://host.example/"
        signatures = {
            sign("POST", url, {}, body, access_key="A", secret_key=secret, now=now, **SCOPE)["Authorization"]
            for body in (b"", b"x")
            for secret in ("s", "t")
            for now in (NOW, NOW + 1)
        }
        self.assertEqual(len(signatures), 8)


class CredentialsTests(SynchronousTestCase):
    """`Credentials` can be logged."""

    def test_secrets_are_not_in_the_repr(self) -> None:
        text = repr(Credentials("AKIDEXAMPLE", "secret-key", "session-token"))
        self.assertIn("AKIDEXAMPLE", text)
        self.assertNotIn("secret-key", text)
        self.assertNotIn("session-token", text)
