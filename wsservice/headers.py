"""The headers that every answer carries, errors too: what a browser may do with it. Pure.

Nothing inline is allowed, no frame, no plugin, no other site's script, style or connection
(Content Security Policy Level 3); the service has no state that a cached or sniffed answer could spoil.
"""

from __future__ import annotations

import re

from wsservice.errors import HandshakeError, ProviderError

Headers = tuple[tuple[bytes, bytes], ...]

#: how long a browser that came by TLS must come by TLS again (RFC 6797), seconds: a year
HSTS_MAX_AGE = 31_536_000
#: a Host header that may be repeated in a policy: a name, an IPv4 or a bracketed IPv6 address, with a port or without
_HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {connect}; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_DENIED_FEATURES = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)
_FIXED: Headers = (
    # No version: it would tell an attacker which holes to try.
    (b"Server", b"wsservice"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Permissions-Policy", ", ".join(f"{feature}=()" for feature in _DENIED_FEATURES).encode()),
)


def security_headers(*, secure: bool, host: str) -> Headers:
    """The headers for an answer.

    Args:
        secure: whether the client speaks TLS; only then is Strict-Transport-Security heard (RFC 6797 section 7.2).
        host: the Host header as the client sent it; one that could break out of a policy is left out of it.
    """
    policy = (b"Content-Security-Policy", _POLICY.format(connect=_connect_sources(secure, host)).encode())
    if not secure:
        return (*_FIXED, policy)
    return (*_FIXED, policy, (b"Strict-Transport-Security", b"max-age=%d" % HSTS_MAX_AGE))


def refusal_headers(error: HandshakeError | ProviderError) -> Headers:
    """What a client must know of a refusal beside its status: how to be let in, or when to come again."""
    headers: list[tuple[bytes, bytes]] = []
    if error.http_status == 401:
        # RFC 9110 section 15.5.2 wants a challenge; a scheme that browsers do not know opens no dialog.
        headers.append((b"WWW-Authenticate", f'Cookie realm="wsservice", error="{error.word}"'.encode()))
    if error.retry_after is not None:
        headers.append((b"Retry-After", b"%d" % error.retry_after))
    if isinstance(error, HandshakeError):
        headers += [(name.encode("ascii"), value.encode("ascii")) for name, value in error.headers]
    return tuple(headers)


def _connect_sources(secure: bool, host: str) -> str:
    """`'self'` covers WebSockets of the same origin, but for Safari before 15.4, which wants them by name."""
    if not _HOST.fullmatch(host):
        return "'self'"
    return f"'self' {'wss' if secure else 'ws'}://{host}"
