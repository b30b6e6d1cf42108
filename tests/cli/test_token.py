"""Tests of wsservice.cli.token: `wsservice token`."""

from __future__ import annotations

import stat
import time

from tests.cli.memory import Bench
from wsservice.auth.keys import parse_key_set
from wsservice.auth.tokens import Rules, parse_token, verify_token
from wsservice.cli.token import CLIENT, ISSUER, parse_time
from wsservice.errors import ExpiredToken


class TokenTests(Bench):
    def setUp(self) -> None:
        super().setUp()
        self.keys = parse_key_set(self.done("token", "--key", "key.pem", "--new-key", "--jwks").encode())

    def verify(self, text: str, **rules: object) -> object:
        token = parse_token(text.strip())
        known = {"issuers": frozenset({ISSUER}), "clients": frozenset({CLIENT}), "style": "oidc", **rules}
        return verify_token(token, self.keys[token.kid], Rules(**known), time.time())  # type: ignore[arg-type]

    def test_a_token_is_good_for_both_kinds_of_service(self) -> None:
        text = self.done("token", "--key", "key.pem", "--sub", "ann", "--group", "a", "--group", "b", "--scope", "x")
        for style in ("oidc", "cognito"):
            user = self.verify(text, style=style)
            self.assertEqual((user.id, user.roles, user.scopes), ("ann", {"a", "b"}, {"x"}))  # type: ignore[attr-defined]

    def test_claims_can_be_added_and_left_out_and_the_end_chosen(self) -> None:
        done = self.done(
            "token", "--key", "key.pem", "--claim", 'username="Ann"', "--claim", "origin_jti=null", "--cookie"
        )
        self.assertEqual(self.verify(done.removeprefix("authToken=")).username, "Ann")  # type: ignore[attr-defined]
        self.assertRaises(ExpiredToken, self.verify, self.done("token", "--key", "key.pem", "--expires=-1m"))
        self.assertEqual([parse_time(text) for text in ("90", "90s", "15m", "1h", "7d")], [90, 90, 900, 3600, 604800])

    def test_a_key_is_for_its_user_alone_and_never_replaced(self) -> None:
        path = self.folder / "key.pem"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertIn("is there already", self.refused("token", "--key", "key.pem", "--new-key"))

    def test_what_is_wrong_is_told(self) -> None:
        (self.folder / "no.pem").write_text("nothing")
        for arguments, part, status in (
            (("--key", "nowhere"), "--new-key makes it", 1),
            (("--key", "no.pem"), "not a private key", 1),
            (("--key", "key.pem", "--claim", "x"), "NAME=JSON", 2),
            (("--key", "key.pem", "--claim", "x=y"), "in quotes", 2),
            (("--key", "key.pem", "--expires", "soon"), "is no time", 2),
        ):
            self.assertIn(part, self.refused("token", *arguments, status=status))
