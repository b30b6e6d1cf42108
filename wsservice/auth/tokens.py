"""What a token must be: RS256 JWTs in compact form (RFC 7519, RFC 7515), checked as RFC 8725 advises.

It goes in two steps, since the key has to be found between them:

    token = parse_token(text)                    cheap, and touches nothing but the header
    key = ...                                    by token.kid, from the configured key set and nowhere else
    principal = verify_token(token, key, rules, now)

The payload is not decoded before the signature is good. What the token itself wishes for is never done:
the algorithm is fixed, and keys or addresses of keys in the header (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from wsservice.auth.keys import VerifyKey, check_kid
from wsservice.auth.principal import Principal
from wsservice.auth.strict_json import NotStrictJson, decode_object
from wsservice.errors import ExpiredToken, InvalidToken, NotPermitted

#: characters of a token; a cookie holds half of it, a request head twice as much
MAX_TOKEN = 8192
#: the largest number that is a time here: past it a double, which JavaScript has, cannot tell seconds apart
MAX_TIME = 2**53
#: seconds that `Rules.leeway` may be at most; it covers clocks that differ, not tokens that are old
MAX_LEEWAY = 60.0

TOKEN_USES = frozenset({"access", "id"})

#: the claims that may name the user to people: of an access token, of an ID token, of OpenID Connect
_USERNAMES = ("username", "cognito:username", "preferred_username")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token in the right form; nothing in it is known to be true.

    Attributes:
        kid: the id of the key that it claims to be signed with; look it up by equality, in nothing else.
        signing_input, signature: what `VerifyKey.verify` takes.
        payload: the claims as JSON, not looked at yet.
    """

    kid: str
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the claims of a token must be.

    Attributes:
        issuers: the allowed values of `iss`, compared exactly; at least one.
        clients: the allowed app clients; at least one.
        style: `cognito`: `token_use` is checked, and the client is `client_id` of an access token and `aud` of an
            ID token, each one string. `oidc` (any other issuer): the client is in `aud`, a string or a list;
            `token_use`, `client_id` and `azp` are not looked at.
        token_uses: the allowed values of `token_use`; nothing but `access` and `id`. For `cognito` only.
        leeway: seconds, 0 to 60, by which the issuer's clock may differ from ours at `exp` and `nbf`.
        max_clock_skew: seconds that `iat` and `auth_time` may lie ahead of our clock.
        required_groups: the user must be in at least one of them; empty asks for nothing.
        required_scopes: the token must have at least one of them; empty asks for nothing.
        groups_claim: the claim that lists the groups.

    Raises:
        ValueError: if they would let every issuer or client in, or nobody.
    """

    issuers: frozenset[str]
    clients: frozenset[str]
    style: Literal["cognito", "oidc"] = "cognito"
    token_uses: frozenset[str] = TOKEN_USES
    leeway: float = 0.0
    max_clock_skew: float = 300.0
    required_groups: frozenset[str] = frozenset()
    required_scopes: frozenset[str] = frozenset()
    groups_claim: str = "cognito:groups"

    def __post_init__(self) -> None:
        if not self.issuers or "" in self.issuers:
            raise ValueError("no issuer: a token of anybody's would do")
        if not self.clients or "" in self.clients:
            raise ValueError("no client: a token for any application of the issuer would do")
        if not self.token_uses or not self.token_uses <= TOKEN_USES:
            raise ValueError("token_uses is access, id or both")
        if not 0 <= self.leeway <= MAX_LEEWAY:
            raise ValueError(f"the leeway is 0 to {MAX_LEEWAY:g} seconds")
        if not self.max_clock_skew >= 0:
            raise ValueError("the clock skew is not negative")


def parse_token(text: str) -> UnverifiedToken:
    """Take a token apart and check its form and its header.

    Find the key of its `kid` next, then call `verify_token`.

    Raises:
        InvalidToken: with the reason for the log, which holds nothing of the payload.
    """
    if len(text) > MAX_TOKEN:
        raise InvalidToken(f"longer than {MAX_TOKEN} characters")
    try:
        parts = text.encode("ascii").split(b".")
    except UnicodeEncodeError:
        raise InvalidToken("not ASCII") from None
    if len(parts) != 3:
        raise InvalidToken(f"{len(parts)} parts in place of 3")
    header, payload, signature = parts
    kid = _check_header(_decode_part(header, "header"))
    return UnverifiedToken(
        kid, header + b"." + payload, _decode_part(signature, "signature"), _decode_part(payload, "payload")
    )


def verify_token(token: UnverifiedToken, key: VerifyKey, rules: Rules, now: float) -> Principal:
    """Check the signature and then every claim (AUTH.md, "The token").

    Args:
        key: the issuer's key of the token's `kid`.
        now: POSIX seconds.

    Raises:
        InvalidToken: if a rule is broken; the text is for the log.
        ExpiredToken: if the token is over, and nothing else is wrong with it.
        NotPermitted: if the token is good and its user has none of the required groups or scopes.
    """
    if key.kid != token.kid:
        raise InvalidToken("the key is not the one that the token names")
    if not key.verify(token.signing_input, token.signature):
        raise InvalidToken("bad signature")
    claims = _decode_json(token.payload, "payload")
    _check_issuer_and_client(claims, rules)
    expires_at = _check_times(claims, rules, now)
    principal = _make_principal(claims, rules, expires_at, token.payload)
    if expires_at <= now:
        raise ExpiredToken(f"expired {now - expires_at:.0f} s ago", principal)
    if not principal.has_any(rules.required_groups):
        raise NotPermitted("in none of the required groups")
    if rules.required_scopes and rules.required_scopes.isdisjoint(principal.scopes):
        raise NotPermitted("none of the required scopes")
    return principal


# -- form


def _decode_part(part: bytes, name: str) -> bytes:
    """Strict base64url (RFC 7515 section 2): what encoding would give again, so that a token has one spelling."""
    try:
        data = base64.urlsafe_b64decode(part + b"==")
    except ValueError:
        raise InvalidToken(f"the {name} is not base64url") from None
    if not data or base64.urlsafe_b64encode(data).rstrip(b"=") != part:
        raise InvalidToken(f"the {name} is empty or not canonical base64url")
    return data


def _decode_json(data: bytes, name: str) -> dict[str, Any]:
    try:
        return decode_object(data)
    except NotStrictJson as error:
        raise InvalidToken(f"the {name} is not strict JSON: {error}") from None


def _check_header(data: bytes) -> str:
    """The header's `kid` (RFC 7515 section 4.1)."""
    header = _decode_json(data, "header")
    if header.get("alg") != "RS256":  # RFC 8725 section 3.1
        raise InvalidToken("`alg` is not RS256")
    if "crit" in header:  # RFC 7515 section 4.1.11: it names extensions that we must know, and we know none
        raise InvalidToken("`crit` is there")
    try:
        return check_kid(header.get("kid"))
    except ValueError as error:
        raise InvalidToken(str(error)) from None


# -- claims


def _check_issuer_and_client(claims: Mapping[str, Any], rules: Rules) -> None:
    """RFC 8725 sections 3.8, 3.9 and 3.12."""
    if not _is_one_of(claims.get("iss"), rules.issuers):
        raise InvalidToken(f"`iss` is {_show(claims.get('iss'))}, which is not a configured issuer")
    if rules.style == "oidc":
        audience = claims.get("aud")
        members = audience if isinstance(audience, list) else [audience]
        if not any(_is_one_of(member, rules.clients) for member in members):
            raise InvalidToken(f"`aud` is {_show(audience)}, which has no configured client")
        if "events" in claims:  # a logout token: same issuer, key and audience (OpenID Back-Channel Logout 2.4)
            raise InvalidToken("`events` is there: a security event, not a login")
        return
    use = claims.get("token_use")
    if not _is_one_of(use, rules.token_uses):
        raise InvalidToken(f"`token_use` is {_show(use)}, which is not configured")
    name = "client_id" if use == "access" else "aud"
    if not _is_one_of(claims.get(name), rules.clients):
        raise InvalidToken(f"`{name}` is {_show(claims.get(name))}, which is not a configured client")


def _check_times(claims: Mapping[str, Any], rules: Rules, now: float) -> float:
    """The end of the token by our clock; whether that is over is for the caller to see."""
    exp = _time(claims, "exp")
    if exp is None:
        raise InvalidToken("`exp` is missing")
    nbf = _time(claims, "nbf")
    if nbf is not None and nbf - rules.leeway > now:
        raise InvalidToken(f"`nbf` is {nbf - now:.0f} s ahead")
    for name in ("iat", "auth_time"):
        issued = _time(claims, name)
        if issued is not None and issued - rules.max_clock_skew > now:
            raise InvalidToken(f"`{name}` is {issued - now:.0f} s ahead")
    return exp + rules.leeway


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2), or None if there is no such claim."""
    if name not in claims:
        return None
    value = claims[name]
    # bool is a subclass of int
    if type(value) not in (int, float) or not -MAX_TIME < value < MAX_TIME:
        raise InvalidToken(f"`{name}` is not a time")
    return float(value)


def _make_principal(claims: Mapping[str, Any], rules: Rules, expires_at: float, payload: bytes) -> Principal:
    sub = _string(claims, "sub")
    if sub is None:
        raise InvalidToken("`sub` is missing")
    groups = claims.get(rules.groups_claim, [])
    if not (isinstance(groups, list) and all(isinstance(group, str) for group in groups)):
        raise InvalidToken(f"`{rules.groups_claim}` is not a list of strings")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise InvalidToken("`scope` is not a string")
    session, token_id = _string(claims, "origin_jti"), _string(claims, "jti")
    username = next((name for name in map(claims.get, _USERNAMES) if isinstance(name, str) and name), sub)
    return Principal(
        id=sub,
        username=sub if username == sub else username,  # one text for both: Cognito's are often equal
        session=session or token_id or sub,
        expires_at=expires_at,
        roles=_shared(tuple(groups)),
        scopes=_shared(tuple(name for name in scope.split(" ") if name)),
        payload=payload,
    )


@lru_cache(maxsize=256)
def _shared(names: tuple[str, ...]) -> frozenset[str]:
    """One set for all users who have the same, since each costs 220 bytes."""
    return frozenset(names)


def _string(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim that is a non-empty string, or None if it is not there."""
    if name not in claims:
        return None
    value = claims[name]
    if not (isinstance(value, str) and value):
        raise InvalidToken(f"`{name}` is not a non-empty string")
    return value


def _is_one_of(value: Any, allowed: frozenset[str]) -> bool:
    return isinstance(value, str) and value in allowed


def _show(value: Any) -> str:
    """A claim of a verified token in the log: what is wrong with the configuration, most of the time."""
    return ascii(value)[:200]
