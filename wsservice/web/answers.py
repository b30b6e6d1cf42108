"""What is sent back: a status, headers and a body; and how each error looks to a client. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from wsservice.errors import HandshakeError, ProviderError, UnsupportedChallenge, WsServiceError
from wsservice.headers import Headers, refusal_headers

_NO_STORE = (b"Cache-Control", b"no-store")
_JSON = (b"Content-Type", b"application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as a handler makes it; repeated headers (such as Set-Cookie) are sent apart, in order."""

    status: int
    body: bytes = b""
    headers: Headers = ()


class RequestRefused(WsServiceError):
    """A request that HTTP itself lets us refuse; raise it in a handler.

    Args:
        status: of RFC 9110 section 15.
        word, message: what the client learns; fixed text.
        headers: sent along, such as `Allow`.
    """

    def __init__(self, status: int, word: str, message: str, *, headers: Headers = ()) -> None:
        super().__init__(message)
        self.http_status = status
        self.word = word
        self.message = message
        self.headers = headers


def bad_request(message: str) -> RequestRefused:
    """400: the client must change its request; `message` says how, without repeating any of it."""
    return RequestRefused(400, "bad_request", message)


def too_large(limit: int) -> RequestRefused:
    """413: the body passes `limit` bytes."""
    return RequestRefused(413, "too_large", f"The request body is larger than {limit} bytes.")


def not_found() -> RequestRefused:
    """404, for every path that is not there."""
    return RequestRefused(404, "not_found", "There is nothing at this address.")


def not_allowed(allowed: str) -> RequestRefused:
    """405: the address knows only the methods `allowed` (a list by commas)."""
    headers = ((b"Allow", allowed.encode()),)
    return RequestRefused(405, "method_not_allowed", f"Only {allowed} work here.", headers=headers)


def reason_phrase(status: int) -> bytes:
    """The words behind a status (RFC 9110 section 15); twisted.web lacks those of 422, 426 and 431."""
    return HTTPStatus(status).phrase.encode()


def json_answer(status: int, body: Mapping[str, Any], headers: Headers = ()) -> Answer:
    """An answer of JSON that is not to be cached."""
    return Answer(status, msgspec.json.encode(body), (_JSON, _NO_STORE, *headers))


def empty_answer(headers: Headers = ()) -> Answer:
    """204, not to be cached."""
    return Answer(204, b"", (_NO_STORE, *headers))


def error_answer(error: Exception, request_id: str, headers: Headers = ()) -> Answer:
    """The answer to a request that failed: the fixed words of the error's class, and nothing of its text.

    An error that is not ours is an `internal_error`: the caller logs it, with the request id.
    """
    if not isinstance(error, RequestRefused | HandshakeError | ProviderError):
        error = RequestRefused(500, "internal_error", "Something went wrong here. The log knows more.")
    body = {"error": error.word, "message": error.message, "requestId": request_id}
    if isinstance(error, UnsupportedChallenge):
        body["challenge"] = error.challenge[:64]
    return json_answer(error.http_status, body, (*_headers_of(error), *headers))


def _headers_of(error: RequestRefused | HandshakeError | ProviderError) -> Headers:
    if isinstance(error, RequestRefused):
        return error.headers
    return refusal_headers(error)
