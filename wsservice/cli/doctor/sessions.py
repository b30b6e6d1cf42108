"""Who the service takes us for: the cookie that arrives, or does not; and the cookies that its login sets."""

from __future__ import annotations

from typing import Any

from wsservice.cli.client.address import Address
from wsservice.cli.client.cookies import SetCookie
from wsservice.cli.client.http import Answer, Http
from wsservice.cli.client.login import LoginRefused
from wsservice.cli.command import Failed
from wsservice.cli.doctor.report import Level, Report

#: browsers keep no larger one (RFC 6265bis section 5.6)
_MAX_COOKIE = 4096


def check_session(
    report: Report,
    http: Http,
    closed: tuple[int | None, str] | None,
    *,
    has_cookie: bool,
    claims: dict[str, Any] | None,
) -> None:
    """What `/auth/me` and the WebSocket say of the cookie.

    Args:
        closed: how the WebSocket ended; see `service.check_upgrade`.
        claims: of the token; None where it is none.
    """
    answer = http.get("/auth/me")
    if not has_cookie:
        if answer.word == "missing":
            report.skip("cookie", "none was given: --cookie or --login tells more")
        else:
            report.warn("cookie", f"/auth/me was answered by {answer.status}", "let the proxy pass /auth on")
        return
    _check_me(report, http, answer, claims)
    if closed is None:
        return
    code, reason = closed
    if code is None:
        report.ok("websocket", "it was let in")
    elif reason == "Missing authentication token" and answer.status == 200:
        fix = "let the proxy pass the Cookie header of WebSocket handshakes on"
        report.fail("websocket", "closed by 1008: no cookie arrived, though one does at /auth/me", fix)
    elif reason == "Signed out":
        report.fail("websocket", "the session was ended", "log in anew")
    else:
        fix = "see above" if answer.status != 200 else "the application (on_connect), a limit or the log says why"
        report.fail("websocket", f"closed by {code} {reason!r}", fix)


def _check_me(report: Report, http: Http, answer: Answer, claims: dict[str, Any] | None) -> None:
    if answer.status == 200:
        report.ok("cookie", "it arrives, and the service accepts its token")
    elif answer.word == "missing":
        fix = (
            "AUTH_COOKIE_NAME is another on the service (give --cookie-name), or the proxy takes the Cookie header away"
        )
        report.fail("cookie", "the service saw no token in it (missing)", fix)
    elif answer.word == "expired":
        report.fail("cookie", "the token has expired", "POST /auth/refresh, or log in anew")
    elif answer.word == "invalid":
        fix = "see what failed about the token above" if _token_failed(report) else _settings_to_check(claims)
        report.fail("cookie", "the service does not accept its token (invalid)", fix)
    elif answer.word == "forbidden":
        fix = "AUTH_REQUIRED_GROUPS or AUTH_REQUIRED_SCOPES: change them, or put the user into a group"
        report.fail("cookie", "the token is good, and its user lacks a group or scope", fix)
    elif answer.word == "unavailable":
        fix = "AUTH_JWKS_URL, AWS_REGION, AWS_COGNITO_USER_POOL_ID: the service gets no keys from there; see /ready"
        report.fail("cookie", "the service cannot get the issuer's keys", fix)
    else:
        fix = "let the proxy pass /auth on"
        report.fail("cookie", f"/auth/me of {http.address.netloc} was answered by {answer.status} {answer.reason}", fix)


def _settings_to_check(claims: dict[str, Any] | None) -> str:
    """What must be set on the service for such a token; its claims are no secrets."""
    if claims is None:
        return "see the step about the token"
    client = claims.get("client_id") if claims.get("token_use") == "access" else claims.get("aud")
    pool = "cognito-idp." in str(claims.get("iss"))
    names = ("AWS_COGNITO_USER_POOL_ID", "AWS_COGNITO_CLIENT_ID") if pool else ("AUTH_ISSUER", "AUTH_AUDIENCE")
    return (
        f"nothing is wrong with the token itself, so that settings of the service differ: {names[1]} must have "
        f"{str(client)[:120]}, {names[0]} must name {str(claims.get('iss'))[:120]}"
        + ("" if pool else " (of a pool: AWS_COGNITO_CLIENT_ID, AWS_COGNITO_USER_POOL_ID)")
        + ", AUTH_TOKEN_USE its token_use; or the session was signed out"
    )


#: the steps of `tokens`
_OF_TOKENS = frozenset({"token", "exp", "nbf", "iat", "iss", "aud", "client_id", "token_use", "kid", "signature"})


def _token_failed(report: Report) -> bool:
    return any(one.level is Level.FAIL and one.step in _OF_TOKENS for one in report.findings)


def explain_login(error: Failed) -> str:
    """What to do about a login that failed."""
    word = error.word if isinstance(error, LoginRefused) else ""
    return _LOGIN_FIXES.get(word, "check user and password, and the pool's settings on the service")


_LOGIN_FIXES = {
    "rate_limited": "wait for --login-interval, or raise --login-burst on the service: the password was not looked at",
    "login_not_supported": "log in at the issuer, and give its token by --cookie",
    "auth_unavailable": "the service does not reach its provider: see /ready, and its log",
    "account_not_ready": "the provider wants something of the user first: a confirmation, or a new password",
}


def check_cookies(report: Report, address: Address, cookies: list[SetCookie], origin: str | None) -> None:
    """The attributes of what a login set, as browsers judge them (RFC 6265bis)."""
    for cookie in (one for one in cookies if not one.clears):
        problems = list(_problems(address, cookie, origin))
        for text, fix in problems:
            report.fail("set-cookie", f"{cookie.name}: {text}", fix)
        if not problems:
            attributes = "; ".join(
                name if not value else f"{name}={value}" for name, value in sorted(cookie.attributes.items())
            )
            report.ok("set-cookie", f"{cookie.name}: {attributes}")


def _problems(address: Address, cookie: SetCookie, origin: str | None) -> list[tuple[str, str]]:
    attributes, found = cookie.attributes, []
    local = address.host in ("localhost", "127.0.0.1", "::1")
    same_site = attributes.get("samesite", "").lower()
    if "secure" in attributes and not address.secure and not local:
        fix = "use https (wss); for a test COOKIE_SECURE=never"
        found.append(("Secure on plain http: browsers drop it", fix))
    if "secure" not in attributes and address.secure:
        fix = "the service does not know that people come by https: "
        fix += "TRUSTED_PROXIES and X-Forwarded-Proto, or COOKIE_SECURE"
        found.append(("not Secure on https", fix))
    if "httponly" not in attributes:
        found.append(("not HttpOnly: scripts can read it", "see what rewrites Set-Cookie on the way"))
    if same_site == "none" and "secure" not in attributes:
        found.append(("SameSite=None without Secure: browsers drop it", "COOKIE_SECURE=always"))
    if origin and same_site in ("lax", "strict") and _site(origin) != _site(address.origin):
        fix = "COOKIE_SAME_SITE=None, since the front end is on another site"
        found.append((f"SameSite={attributes['samesite']}: pages of {origin} do not send it", fix))
    domain = attributes.get("domain", "").lstrip(".").lower()
    if domain and address.host != domain and not address.host.endswith(f".{domain}"):
        fix = "see what rewrites Set-Cookie on the way (nginx: proxy_cookie_domain)"
        found.append((f"Domain={domain} is not {address.host}: browsers drop it", fix))
    if len(cookie.name) + len(cookie.value) > _MAX_COOKIE:
        found.append(("larger than browsers keep", "COOKIE_CHUNKING=yes"))
    return found


def _site(origin: str) -> tuple[str, str]:
    """Scheme and registrable domain, roughly: the last two labels, which is right for most domains."""
    scheme, _, rest = origin.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    host = host.split("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    labels = host.split(".")
    return scheme, host if labels[-1].isdigit() or host.startswith("[") else ".".join(labels[-2:])
