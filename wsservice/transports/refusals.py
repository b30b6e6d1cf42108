"""The HTTP answer to a WebSocket handshake that is refused (RFC 9112), in the form of the service's other errors."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from wsservice.errors import HandshakeError
from wsservice.headers import Headers, refusal_headers, security_headers


def http_refusal(
    code: int,
    refusal: HandshakeError | None,
    request_id: str,
    *,
    secure: bool,
    host: str = "",
) -> bytes:
    """A whole answer: fixed text, whatever Autobahn or an exception had to say.

    Args:
        refusal: gives the word and the text; else they are the status's own.
        secure, host: see `security_headers`.
    """
    phrase = HTTPStatus(code).phrase
    if refusal is not None and refusal.http_status != code:
        refusal = None
    body = msgspec.json.encode(
        {
            "error": refusal.word if refusal else phrase.lower().replace(" ", "_"),
            "message": refusal.message if refusal else phrase,
            "requestId": request_id,
        }
    )
    headers = refusal_headers(refusal) if refusal else ()
    return http_answer(
        code,
        body,
        "application/json; charset=utf-8",
        request_id=request_id,
        headers=(*security_headers(secure=secure, host=host), *headers),
    )


def http_answer(code: int, body: bytes, content_type: str, *, request_id: str, headers: Headers) -> bytes:
    """A whole answer that is the last one of its connection, and not to be cached."""
    lines = [
        f"HTTP/1.1 {code} {HTTPStatus(code).phrase}".encode("ascii"),
        b"Content-Type: " + content_type.encode("ascii"),
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        b"X-Request-Id: " + request_id.encode("ascii"),
        b"Connection: close",
        *(name + b": " + value for name, value in headers),
    ]
    return b"\r\n".join([*lines, b"", body])
