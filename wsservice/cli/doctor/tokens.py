"""A token, looked at claim by claim: who issued it, for which client, for how long. It is never shown."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from wsservice.auth.keys import KeySetError, VerifyKey, parse_key_set
from wsservice.auth.strict_json import NotStrictJson, decode_object
from wsservice.auth.tokens import MAX_TIME, UnverifiedToken, parse_token
from wsservice.cli.doctor.local import Expected
from wsservice.cli.doctor.report import Report
from wsservice.errors import InvalidToken

#: seconds of life below which a token is warned of
_SHORT = 60
#: seconds that `iat` may lie ahead (`tokens.Rules.max_clock_skew`)
_MAX_AHEAD = 300
_MAX_DOCUMENT = 1024 * 1024
_CLAIM = 120


def check_token(
    report: Report,
    text: str,
    *,
    expected: Expected | None,
    jwks_url: str | None,
    skew: float,
    timeout: float,
    now: float | None = None,
) -> dict[str, Any] | None:
    """Look at a token; gives its claims, or None if it is none.

    Args:
        expected: what the settings here say; None if there are none.
        jwks_url: where its keys are, instead of below its `iss`.
        skew: seconds that the service's clock is ahead of ours.
    """
    try:
        token = parse_token(text)
        claims = decode_object(token.payload)
    except (InvalidToken, NotStrictJson) as error:
        fix = "only RS256 tokens of the issuer do, whole: is the cookie cut off, or not the token but something else?"
        report.fail("token", f"no token in the right form: {error}", fix)
        return None
    report.ok("token", "it has the right form: RS256, with a kid")
    check_times(report, claims, expected.leeway if expected else 0.0, (time.time() if now is None else now) + skew)
    check_issuer(report, claims, expected)
    check_client(report, claims, expected)
    check_groups(report, claims, expected)
    check_key(report, token, claims, expected, jwks_url, timeout)
    return claims


def check_times(report: Report, claims: Mapping[str, Any], leeway: float, now: float) -> None:
    """`exp`, `nbf` and `iat`, by the service's clock."""
    exp = claims.get("exp")
    if not _is_time(exp):
        report.fail("exp", "it has no `exp`, or one that is no time", "the issuer must set it (RFC 7519 section 4.1.4)")
    elif exp + leeway <= now:
        report.fail("exp", f"it was over {_span(now - exp)} ago", "POST /auth/refresh, or log in anew")
    elif exp - now < _SHORT:
        report.warn("exp", f"it is over in {_span(exp - now)}", "POST /auth/refresh, or log in anew")
    else:
        report.ok("exp", f"it lives for {_span(exp - now)}")
    nbf, iat = claims.get("nbf"), claims.get("iat")
    clocks = "let the issuer and the service use NTP; AUTH_LEEWAY allows for up to 60 s"
    if _is_time(nbf) and nbf - leeway > now:
        report.fail("nbf", f"it begins in {_span(nbf - now)}", clocks)
    if _is_time(iat) and iat - _MAX_AHEAD > now:
        report.fail("iat", f"it was issued {_span(iat - now)} ahead of the service's clock", clocks)


def check_issuer(report: Report, claims: Mapping[str, Any], expected: Expected | None) -> None:
    """`iss` against the settings here."""
    issuer = claims.get("iss")
    if expected is None:
        report.skip("iss", f"it is {_show(issuer)}; there are no settings here to compare it with")
    elif issuer in expected.issuers:
        report.ok("iss", f"{_show(issuer)}, as {expected.issuer_setting} says")
    else:
        wanted = ", ".join(expected.issuers)
        fix = f"{expected.issuer_setting}: correct it ({_pool(issuer)}), or log in at the right pool"
        report.fail("iss", f"{_show(issuer)}, and {expected.where} want {wanted}", fix)


def _pool(issuer: Any) -> str:
    """The setting by which a service would accept an issuer."""
    parts = urlsplit(issuer) if isinstance(issuer, str) else urlsplit("")
    if (parts.hostname or "").startswith("cognito-idp."):
        return f"AWS_COGNITO_USER_POOL_ID={parts.path.strip('/')[:60]}"
    return f"AUTH_ISSUER={_show(issuer)}"


def check_client(report: Report, claims: Mapping[str, Any], expected: Expected | None) -> None:
    """`token_use`, and `client_id` or `aud`."""
    use = claims.get("token_use")
    is_cognito = expected.cognito if expected is not None else use in ("access", "id")
    if expected is not None and is_cognito and use not in expected.token_uses:
        report.fail(
            "token_use", f"{_show(use)}", f"AUTH_TOKEN_USE is {','.join(expected.token_uses)} here: add it there"
        )
    name = "client_id" if is_cognito and use == "access" else "aud"
    value = claims.get(name)
    members = value if isinstance(value, list) and not is_cognito else [value]
    if value is None:
        report.fail(name, f"it has no `{name}`", "the issuer must set it: the service takes no token for everybody")
    elif expected is None:
        report.skip(name, f"it is {_show(value)}")
    elif any(member in expected.clients for member in members if isinstance(member, str)):
        report.ok(name, f"{_show(value)}, as {expected.client_setting} says")
    else:
        wanted = ", ".join(expected.clients)
        fix = f"{expected.client_setting}: add {_show(value)}, or log in by the right app client"
        report.fail(name, f"{_show(value)}, and {expected.where} want {wanted}", fix)


def check_groups(report: Report, claims: Mapping[str, Any], expected: Expected | None) -> None:
    """The groups and scopes that the settings here ask for."""
    if expected is None:
        return
    groups = claims.get("cognito:groups")
    if expected.groups and not set(expected.groups) & set(_texts(groups)):
        fix = f"put the user into one, or change AUTH_REQUIRED_GROUPS={','.join(expected.groups)}"
        report.fail("groups", f"{_show(groups)}: none that is required", fix)
    scopes = str(claims.get("scope", "")).split(" ")
    if expected.scopes and not set(expected.scopes) & set(scopes):
        fix = f"ask for one at the login, or change AUTH_REQUIRED_SCOPES={','.join(expected.scopes)}"
        report.fail("scope", f"{_show(claims.get('scope'))}: none that is required", fix)


def check_key(
    report: Report,
    token: UnverifiedToken,
    claims: Mapping[str, Any],
    expected: Expected | None,
    jwks_url: str | None,
    timeout: float,
) -> None:
    """The key that the token names, among the issuer's, and the signature."""
    url = jwks_url or (expected.jwks_url if expected else "") or _jwks_below(claims.get("iss"))
    if not url:
        report.skip("kid", "where the keys are is not known: the `iss` is no public https address; give --jwks-url")
        return
    try:
        keys = fetch_keys(url, timeout)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        report.fail("jwks", f"{url}: {reason}", "check AWS_COGNITO_USER_POOL_ID or AUTH_JWKS_URL, and the way to it")
        return
    key = keys.get(token.kid)
    if key is None:
        known = ", ".join(ascii(kid) for kid in list(keys)[:4])
        fix = "the token is of another pool, or older than the keys: log in anew; or AUTH_JWKS_URL is another issuer's"
        report.fail("kid", f"{ascii(token.kid)[:_CLAIM]} is not among the keys at {url} ({known})", fix)
    elif not key.verify(token.signing_input, token.signature):
        report.fail("signature", "it is not the key's", "the token was changed or cut off on the way, or is forged")
    else:
        report.ok("kid", f"its key is at {url}, and the signature is good")


def _jwks_below(issuer: Any) -> str:
    """Where an issuer's keys are, if it is one that may be asked: a token must not send us to a private address."""
    if not isinstance(issuer, str):
        return ""
    try:
        parts = urlsplit(issuer)
    except ValueError:
        return ""
    host = parts.hostname or ""
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return ""
    if parts.scheme != "https" or "." not in host or parts.username is not None or parts.query or parts.fragment:
        return ""
    return "" if host.endswith((".invalid", ".local", ".internal", ".localhost")) else f"{issuer}/.well-known/jwks.json"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The service follows none, either."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def fetch_keys(url: str, timeout: float) -> dict[str, VerifyKey]:
    """The keys at an address, by https, or http on this machine.

    Raises:
        OSError: it does not answer.
        ValueError: it is no address to ask, or what answers is no key set.
    """
    from wsservice import parsers

    try:
        parsers.url(url)
    except ValueError as error:
        raise ValueError(f"the address {error}") from None
    context = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(_NoRedirect, context)
    try:
        with opener.open(url, timeout=timeout) as answer:
            body = answer.read(_MAX_DOCUMENT)
    except http.client.HTTPException as error:
        raise ValueError(f"no HTTP answer ({type(error).__name__}); what runs there?") from None
    try:
        return parse_key_set(body)
    except KeySetError as error:
        raise ValueError(str(error)) from None


def _is_time(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and -MAX_TIME < value < MAX_TIME


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _show(value: Any) -> str:
    """A claim that says what is wrong with settings, and is no secret."""
    return value[:_CLAIM] if isinstance(value, str) else json.dumps(value)[:_CLAIM]


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
