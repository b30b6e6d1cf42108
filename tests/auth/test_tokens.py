"""Tests of wsservice.auth.tokens; the table of hostile tokens is in tests/auth/hostile_tokens.py."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import jwt
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.hostile_tokens import (
    GOOD_CLAIMS,
    KEY,
    NOW,
    POOL,
    TABLE,
    Row,
    claims,
    good_keys,
    header,
    id_claims,
    judge,
    parts,
    raw_payload,
    sign,
)
from tests.tables import by_row, rows
from wsservice.auth.principal import Principal
from wsservice.auth.tokens import Rules, UnverifiedToken, parse_token, verify_token
from wsservice.errors import AuthenticationError, InvalidToken
from wsservice.testing import CLIENT_ID, ISSUER, OMIT, make_token

RULES = POOL.rules()
GROUPS = RULES.groups_claim


class FrozenDatetime(datetime):
    """PyJWT's clock."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(NOW, UTC)


def judge_by_pyjwt(token: str, document: bytes, rules: Rules) -> dict[str, Any]:
    """The verdict of PyJWT, the claims that it knows included."""
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(key for key in jwt.PyJWKSet.from_json(document.decode()).keys if key.key_id == kid)
    decoded: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=rules.clients,
        issuer=rules.issuers,
        leeway=rules.leeway,
        # its check of `iat` lets no clock be late; an access token's `aud` is a resource
        options={"require": ["exp", "iss", "sub"], "verify_iat": False, "verify_aud": rules.style == "oidc"},
    )
    return decoded


@by_row
class HostileTokenTests(SynchronousTestCase):
    @rows(TABLE)
    def test_token(self, row: Row) -> None:
        token = row.token()
        if row.error is None:
            principal = judge(token, row.keys(), row.rules)
            self.assertEqual((principal.id, principal.session), ("alice", "session-1"))
            return
        with self.assertRaisesRegex(row.error, row.reason) as caught:
            judge(token, row.keys(), row.rules)
        self.assertIs(type(caught.exception), row.error)

    @rows([row for row in TABLE if row.error is None])
    def test_pyjwt_accepts_what_is_accepted(self, row: Row) -> None:
        self.patch(jwt.api_jwt, "datetime", FrozenDatetime)
        self.assertEqual(judge_by_pyjwt(row.token(), row.keys(), row.rules)["sub"], "alice")

    def test_no_reason_holds_the_token_or_a_claim_of_the_user(self) -> None:
        for row in TABLE:
            try:
                judge(row.token(), row.keys(), row.rules)
            except AuthenticationError as error:
                self.assertLess(len(str(error)), 300, row.name)
                for secret in ("alice", "Alice", "session-1", "token-1", "eyJ"):
                    self.assertNotIn(secret, str(error), row.name)


class ParseTokenTests(SynchronousTestCase):
    def test_it_takes_a_token_apart(self) -> None:
        token = claims()
        self.assertEqual(
            parse_token(token),
            UnverifiedToken(
                kid="key-0",
                signing_input=token.rpartition(".")[0].encode(),
                signature=sign(token.rpartition(".")[0].encode()),
                payload=json.dumps(GOOD_CLAIMS, separators=(",", ":")).encode(),
            ),
        )

    def test_it_does_not_look_at_the_payload(self) -> None:
        self.assertEqual(parse_token(raw_payload(b"\xff no JSON")).payload, b"\xff no JSON")

    def test_its_repr_shows_no_more_than_the_key_id(self) -> None:
        self.assertEqual(repr(parse_token(header())), "UnverifiedToken(kid='key-0')")

    @settings(deadline=None, database=None)
    @given(st.text() | st.text(alphabet="eyJhbGciO.-_=AQ", max_size=60))
    def test_any_text_gives_a_token_or_the_named_error(self, text: str) -> None:
        try:
            self.assertIsInstance(parse_token(text), UnverifiedToken)
        except InvalidToken:
            pass

    @settings(deadline=None, database=None)
    @given(st.integers(0, 2), st.integers(0, 400), st.text(max_size=3), st.integers(0, 3))
    def test_a_good_token_with_a_few_letters_changed_is_refused(self, part: int, at: int, new: str, old: int) -> None:
        good = header()
        found = parts(good)
        found[part] = found[part][:at] + new + found[part][at + old :]
        changed = ".".join(found)
        if changed != good:
            with self.assertRaises(InvalidToken):
                judge(changed, good_keys(), RULES)


class VerifyTokenTests(SynchronousTestCase):
    def verify(self, token: str, rules: Rules = RULES, now: float = NOW) -> Principal:
        return verify_token(parse_token(token), POOL.key(), rules, now)

    def test_an_access_token_becomes_a_principal(self) -> None:
        self.assertEqual(
            self.verify(claims()),
            Principal(
                id="alice",
                username="Alice",
                session="session-1",
                expires_at=NOW + 60,
                roles=frozenset({"admin", "chat"}),
                scopes=frozenset({"aws.cognito.signin.user.admin", "chat/write"}),
                payload=json.dumps(GOOD_CLAIMS, separators=(",", ":")).encode(),
            ),
        )

    def test_the_claims_can_be_read_afterwards(self) -> None:
        self.assertEqual(self.verify(claims(extra=[1, {"a": None}])).claims, {**GOOD_CLAIMS, "extra": [1, {"a": None}]})

    def test_an_id_token_has_its_user_name_under_another_claim_and_no_scopes(self) -> None:
        principal = self.verify(id_claims())
        self.assertEqual((principal.username, principal.scopes), ("Alice", frozenset()))

    def test_the_user_name_falls_back_to_the_id(self) -> None:
        for name in (OMIT, "", 7, None):
            self.assertEqual(self.verify(claims(username=name)).username, "alice")
        self.assertEqual(self.verify(claims(username=OMIT, preferred_username="Al")).username, "Al")

    def test_the_session_is_origin_jti_else_jti_else_the_id(self) -> None:
        self.assertEqual(self.verify(claims()).session, "session-1")
        self.assertEqual(self.verify(claims(origin_jti=OMIT)).session, "token-1")
        self.assertEqual(self.verify(claims(origin_jti=OMIT, jti=OMIT)).session, "alice")

    def test_scopes_are_parted_by_spaces(self) -> None:
        self.assertEqual(self.verify(claims(scope=" a  b\tc ")).scopes, frozenset({"a", "b\tc"}))

    def test_groups_of_another_claim(self) -> None:
        rules = POOL.rules(style="oidc", groups_claim="groups")
        self.assertEqual(self.verify(id_claims(groups=["staff"]), rules).roles, frozenset({"staff"}))

    def test_the_end_by_our_clock_includes_the_leeway(self) -> None:
        self.assertEqual(self.verify(claims(), POOL.rules(leeway=30)).expires_at, NOW + 90)

    def test_a_key_of_another_id_is_refused_whatever_it_verifies(self) -> None:
        with self.assertRaisesRegex(InvalidToken, "not the one"):
            verify_token(parse_token(header(kid="key-9")), POOL.key(), RULES, NOW)

    def test_the_payload_is_not_decoded_before_the_signature_is_good(self) -> None:
        head, _, signature = parts()
        with self.assertRaisesRegex(InvalidToken, "bad signature"):
            self.verify(f"{head}.{parts(raw_payload(b'no JSON'))[1]}.{signature}")

    def test_tokens_of_pyjwt_are_accepted(self) -> None:
        token = jwt.encode(GOOD_CLAIMS, KEY, "RS256", headers={"kid": "key-0"})
        self.assertEqual(self.verify(token), self.verify(claims()))

    @settings(deadline=None, database=None)
    @given(
        st.dictionaries(
            st.sampled_from(["sub", "iss", "exp", "nbf", "aud", "client_id", "token_use", "scope", "jti", GROUPS]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.sampled_from([ISSUER, CLIENT_ID, "access", "id", NOW, NOW - 1, NOW + 1])
            | st.text(max_size=5)
            | st.lists(st.sampled_from([CLIENT_ID, "a", 1]), max_size=2),
            max_size=4,
        ),
        st.sampled_from(["cognito", "oidc"]),
    )  # fmt: skip
    def test_any_claims_give_a_principal_or_a_named_error_and_pyjwt_is_never_stricter(
        self, changes: dict[str, Any], style: Any
    ) -> None:
        self.patch(jwt.api_jwt, "datetime", FrozenDatetime)
        rules = POOL.rules(style=style)
        try:
            token = make_token({**GOOD_CLAIMS, "aud": CLIENT_ID, **changes}, key=KEY)
            principal = self.verify(token, rules)
        except AuthenticationError:
            return
        expected = judge_by_pyjwt(token, good_keys(), rules)
        self.assertEqual(principal.claims, expected)
        self.assertEqual((principal.id, principal.expires_at), (expected["sub"], expected["exp"]))

    @settings(deadline=None, database=None)
    @given(
        st.text(min_size=1, max_size=50),
        st.text(min_size=1, max_size=50),
        st.lists(st.text(max_size=20), max_size=5),
        st.lists(st.text(alphabet="abc:/._-", min_size=1, max_size=20), max_size=5),
    )
    def test_a_good_token_s_claims_come_through_unchanged(
        self, sub: str, session: str, groups: list[str], scopes: list[str]
    ) -> None:
        token = claims(sub=sub, origin_jti=session, scope=" ".join(scopes), **{"cognito:groups": groups})
        principal = self.verify(token)
        self.assertEqual((principal.id, principal.session), (sub, session))
        self.assertEqual((principal.roles, principal.scopes), (frozenset(groups), frozenset(scopes)))


class RulesTests(SynchronousTestCase):
    def test_what_would_let_everybody_in_is_refused(self) -> None:
        table: list[tuple[dict[str, Any], str]] = [
            ({"issuers": frozenset()}, "no issuer"),
            ({"issuers": frozenset({""})}, "no issuer"),
            ({"clients": frozenset()}, "no client"),
            ({"clients": frozenset({"a", ""})}, "no client"),
            ({"clients": frozenset(), "style": "oidc"}, "no client"),
            ({"token_uses": frozenset()}, "token_use"),
            ({"token_uses": frozenset({"access", "refresh"})}, "token_use"),
            ({"leeway": -1}, "leeway"),
            ({"leeway": 61}, "leeway"),
            ({"leeway": math.nan}, "leeway"),
            ({"max_clock_skew": -1}, "clock skew"),
            ({"max_clock_skew": math.nan}, "clock skew"),
        ]
        for changes, reason in table:
            with self.assertRaisesRegex(ValueError, reason):
                POOL.rules(**changes)

    def test_the_bounds_themselves_may_be_set(self) -> None:
        for leeway, skew in [(0, 0), (60, 0.0)]:
            rules = POOL.rules(leeway=leeway, max_clock_skew=skew)
            self.assertEqual((rules.leeway, rules.max_clock_skew), (leeway, skew))

    def test_rules_and_unverified_tokens_cannot_be_changed(self) -> None:
        for frozen, name in [(RULES, "leeway"), (parse_token(header()), "kid")]:
            with self.assertRaises(AttributeError):
                setattr(frozen, name, "x")

    def test_they_are_as_auth_md_says_by_default(self) -> None:
        rules = Rules(issuers=frozenset({ISSUER}), clients=frozenset({CLIENT_ID}))
        self.assertEqual((rules.leeway, rules.max_clock_skew), (0, 300))
        self.assertEqual((rules.style, rules.token_uses), ("cognito", {"access", "id"}))
        self.assertEqual((rules.required_groups, rules.required_scopes), (frozenset(), frozenset()))
