"""`/metrics`, for Prometheus; with a token where one is set."""

from __future__ import annotations

from collections.abc import Callable

from wsservice.auth.api_keys import ApiKeys
from wsservice.web.answers import Answer, RequestRefused
from wsservice.web.compression import THRESHOLD, choose_coding, compress
from wsservice.web.request import WsRequest
from wsservice.web.resource import JsonResource

METRICS = b"/metrics"

_UNAUTHORIZED = ((b"WWW-Authenticate", b"Bearer"),)


def metrics_resource(write: Callable[[str], tuple[str, bytes]], tokens: ApiKeys) -> JsonResource:
    """200 with the metrics, or 401 if there are tokens and the request has none of them.

    Args:
        write: gives the Content-Type and the text for a request's Accept.
        tokens: without any, everybody may ask.
    """

    def metrics(request: WsRequest) -> Answer:
        handshake = request.handshake
        values = handshake.header_values("authorization")
        if len(tokens) and (len(values) != 1 or tokens.find(values[0]) is None):
            raise RequestRefused(
                401, "unauthorized", "Send the header Authorization: Bearer <metrics token>.", headers=_UNAUTHORIZED
            )
        kind, body = write(",".join(handshake.header_values("accept")))
        headers = [
            (b"Content-Type", kind.encode("ascii")),
            (b"Cache-Control", b"no-store"),
            (b"Vary", b"Accept, Accept-Encoding"),
        ]
        coding = choose_coding(handshake.header_values("accept-encoding")) if len(body) >= THRESHOLD else None
        if coding is not None:
            body = compress(body, coding)
            headers.append((b"Content-Encoding", coding.encode("ascii")))
        return Answer(200, body, tuple(headers))

    return JsonResource({"GET": metrics})
