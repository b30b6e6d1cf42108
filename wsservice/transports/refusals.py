"""The HTTP answer to a WebSocket handshake that is refused (RFC 9112), in the form of the service's other errors."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from wsservice.errors import HandshakeError


def http_refusal(code: int, refusal: HandshakeError | None, request_id: str, extra: list[tuple[str, str]]) -> bytes:
    """A whole answer: fixed text, whatever Autobahn or an exception had to say.

    Args:
        refusal: gives the word and the text; else they are the status's own.
        extra: more headers.
    """
    phrase = HTTPStatus(code).phrase
    body = msgspec.json.encode(
        {
            "error": refusal.word if refusal else phrase.lower().replace(" ", "_"),
            "message": refusal.message if refusal else phrase,
            "requestId": request_id,
        }
    )
    headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-Id", request_id),
        ("Connection", "close"),
        *extra,
    ]
    lines = [f"HTTP/1.1 {code} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("ascii") + body
