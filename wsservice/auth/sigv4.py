"""Signature Version 4, by which AWS knows who calls. Pure: headers in, headers out.

The steps bear the names of AWS's "Create a signed AWS API request": canonical request, string to
sign, signing key, signature. Only what one call with a body in memory needs: no streaming, no presigning.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import SplitResult, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An AWS access key; `session_token` comes with temporary ones (`AWS_SESSION_TOKEN`)."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    region: str,
    service: str,
    access_key: str,
    secret_key: str,
    session_token: str | None = None,
    now: float,
) -> dict[str, str]:
    """The headers to send instead of `headers`: the same, signed, with the signature.

    Send them as they are, `Host` too, and add none of the same names. All of `headers` are signed.

    Args:
        url: absolute; its query must be percent-encoded already.
        headers: each name once, in any case.
        service: the name in the scope, such as `cognito-idp`.
        now: POSIX seconds; AWS refuses a clock that is more than five minutes off.
    """
    parts = urlsplit(url)
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    result = {**headers, "Host": _host(parts), "X-Amz-Date": moment}
    if session_token:
        result["X-Amz-Security-Token"] = session_token
    canonical = {name.lower(): " ".join(value.split()) for name, value in result.items()}
    names = ";".join(sorted(canonical))
    canonical_request = "\n".join(
        [
            method.upper(),
            _canonical_path(parts.path),
            _canonical_query(parts.query),
            *(f"{name}:{canonical[name]}" for name in sorted(canonical)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    day = moment[:8]
    scope = f"{day}/{region}/{service}/aws4_request"
    request_hash = hashlib.sha256(canonical_request.encode()).hexdigest()
    string_to_sign = f"{ALGORITHM}\n{moment}\n{scope}\n{request_hash}"
    key = f"AWS4{secret_key}".encode()
    for step in (day, region, service, "aws4_request"):
        key = _hmac(key, step)
    signature = _hmac(key, string_to_sign).hex()
    result["Authorization"] = (
        f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return result


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _host(parts: SplitResult) -> str:
    """The Host header: lower case, the port only where it is not the scheme's own."""
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _canonical_path(path: str) -> str:
    """Dot segments and doubled slashes resolved, then percent-encoded once more (every service but S3 wants that)."""
    # normpath keeps two leading slashes, which POSIX gives a meaning and HTTP does not.
    normal = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and normal != "/":
        normal += "/"
    return quote(normal, safe="/~")


def _canonical_query(query: str) -> str:
    """The parameters sorted by name, then by value; one without `=` gets one."""
    pairs = (parameter.partition("=") for parameter in query.split("&"))
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs)) if query else ""
