"""Resources as tables of handlers: `{"GET": handler}`; the rest of HTTP is done here, once.

A handler takes the request and gives an `Answer`, at once or later (a coroutine, a Deferred); what it raises
becomes an error of fixed words. A client that goes away does not stop it: a refresh or a logout that was begun
must end, and its answer is dropped.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from wsservice.auth.origin import OriginPolicy
from wsservice.auth.strict_json import NotStrictJson, decode_object
from wsservice.errors import OriginNotAllowed, WsServiceError
from wsservice.handshake import Handshake
from wsservice.headers import Headers
from wsservice.web.answers import (
    Answer,
    RequestRefused,
    bad_request,
    empty_answer,
    error_answer,
    not_allowed,
    not_found,
    too_large,
)
from wsservice.web.request import WsRequest

log = Logger()

#: bytes of a JSON body from a browser; the largest there is, the answer to a challenge, holds a session of 4,096
MAX_JSON = 8192
#: characters of an error's text in the log
_LOGGED = 200

Handler = Callable[[WsRequest], Answer | Awaitable[Answer]]


class JsonResource(Resource):
    """One address; what lies below it is not found.

    Args:
        handlers: method -> handler. HEAD is answered as GET, OPTIONS and all other methods by the table.
        origins: who may call from a browser; None for what every page may load.
    """

    def __init__(self, handlers: Mapping[str, Handler], *, origins: OriginPolicy | None = None) -> None:
        super().__init__()
        self._handlers = handlers
        self._origins = origins
        methods = {*handlers, "OPTIONS", *(["HEAD"] if "GET" in handlers else [])}
        self._allowed = ", ".join(sorted(methods))

    def getChild(self, path: bytes, request: WsRequest) -> IResource:
        """Nothing is below."""
        return NOT_FOUND

    def render(self, request: WsRequest) -> int:
        """Answer, now or later."""
        answered: Deferred[Any] = Deferred.fromCoroutine(self._answer(request))
        answered.addCallback(request.send).addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def _answer(self, request: WsRequest) -> Answer:
        """The handler's answer or that of its error, which another origin may read if it is an allowed one."""
        handshake = request.handshake
        try:
            answer = await self._dispatch(request)
        except WsServiceError as error:
            log.debug(
                "refused: {reason} ({request_id})",
                reason=ascii(str(error))[:_LOGGED],
                request_id=handshake.request_id,
            )
            if isinstance(error, RequestRefused | OriginNotAllowed):  # others are counted where they come from
                request.site.count_refusal(error)
            answer = error_answer(error, handshake.request_id)
        except Exception as error:
            request.site.counters.add("internal_errors")
            log.failure("a handler failed ({request_id})", request_id=handshake.request_id)
            answer = error_answer(error, handshake.request_id)
        if self._origins is None or handshake.method == "OPTIONS":
            return answer
        return replace(answer, headers=(*answer.headers, *_encode(self._origins.cors_headers(handshake))))

    async def _dispatch(self, request: WsRequest) -> Answer:
        handshake = request.handshake
        method = "GET" if handshake.method == "HEAD" else handshake.method
        handler = self._handlers.get(method)
        if handler is None and method != "OPTIONS":
            raise not_allowed(self._allowed)
        if self._origins is not None:
            self._origins.check(handshake)
            _check_fetch_metadata(handshake)
        if handler is None:
            preflight = self._origins.preflight_headers(handshake) if self._origins else []
            return empty_answer(((b"Allow", self._allowed.encode()), *_encode(preflight)))
        answer = handler(request)
        return answer if isinstance(answer, Answer) else await answer


class Branch(Resource):
    """A folder of resources; itself, and what is not in it, is not found."""

    def getChild(self, path: bytes, request: WsRequest) -> IResource:
        """What `putChild` did not put here."""
        return NOT_FOUND

    def render(self, request: WsRequest) -> int:
        """404, whatever the method."""
        request.refuse(not_found())
        return NOT_DONE_YET


#: answers 404, for itself and all below
NOT_FOUND = Branch()


def read_json(request: WsRequest, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The body, which must be a JSON object.

    Args:
        may_be_empty: whether no body at all is as good as `{}`.

    Raises:
        RequestRefused: 415 for another Content-Type (a page can send `application/json` to another origin only
            after a preflight), 413 over `MAX_JSON`, 400 for all that is no object in strict JSON.
    """
    body = read_body(request, MAX_JSON)
    if not body and may_be_empty:
        return {}
    try:
        return decode_object(body)
    except NotStrictJson:
        raise bad_request("The body must be a JSON object.") from None


def read_body(request: WsRequest, most: int) -> bytes:
    """A body that is said to be JSON.

    Raises:
        RequestRefused: 415 for another Content-Type, 413 over so many bytes.
    """
    types = request.handshake.header_values("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(415, "unsupported_media_type", "Send the header Content-Type: application/json.")
    body = request.body()
    if len(body) > most:
        raise too_large(most)
    return body


def _check_fetch_metadata(handshake: Handshake) -> None:
    """A browser names the origin of every POST; one that says where it comes from but not that is none of ours.

    Raises:
        OriginNotAllowed: see Fetch Metadata Request Headers, section 2.
    """
    site = handshake.header("sec-fetch-site")
    if handshake.method == "POST" and site and site != "same-origin" and handshake.header("origin") is None:
        raise OriginNotAllowed(f"Sec-Fetch-Site is {ascii(site)[:40]}, and there is no Origin")


def _encode(headers: list[tuple[str, str]]) -> Headers:
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in headers)
