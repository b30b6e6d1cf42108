"""A WebSocket upgrade that comes late: on an HTTP connection that has served other requests before.

The first request of a connection is sorted by `port.py`; a later one arrives at twisted.web, which gives
the transport away here. It goes the same way as every other WebSocket from then on.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from wsservice.transports.handover import hand_over
from wsservice.transports.port import websocket_path


class UpgradeResource(Resource):
    """Mount it in the site at the path of a WebSocket factory.

    Args:
        factory: builds the protocol that takes the connection over; its `counters` know of those that are refused.
        otherwise: answers what is no upgrade; by default, that one is needed.
        splices: takes the WebSockets that are another node's (`wants`).
    """

    isLeaf = True

    def __init__(self, factory: Any, otherwise: IResource | None = None, splices: Any = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._splices = splices
        self._factory = factory
        self._otherwise = otherwise

    def render(self, request: Request) -> int | bytes:
        """Hand the connection over, or say what this path wants: GET, and a WebSocket (RFC 9110 15.5.6, 15.5.22)."""
        head = _rebuild(request)
        path = websocket_path(head)
        if path is None and self._otherwise is not None:
            answer: int | bytes = self._otherwise.render(request)
            return answer
        if request.postpath and (self._otherwise is None or any(request.postpath)):
            return self._refuse(request, HTTPStatus.NOT_FOUND, "There is nothing at this address.")
        if request.method != b"GET":
            request.setHeader(b"Allow", b"GET")
            return self._refuse(request, HTTPStatus.METHOD_NOT_ALLOWED, "Only GET works here.")
        if path is None:
            request.setHeader(b"Upgrade", b"websocket")
            return self._refuse(request, HTTPStatus.UPGRADE_REQUIRED, "This address speaks WebSocket only.")
        channel: Any = request.channel
        behind = channel.clearLineBuffer()  # frames in the same segment: the channel would take them for a request
        transport, channel.transport = channel.transport, None
        # The channel stays its producer otherwise, and a connection could not register itself.
        transport.unregisterProducer()
        transport.resumeProducing()  # before what is handed over, which may have it pause again
        is_elsewhere = self._splices is not None and self._splices.wants(path, head)
        factory = self._splices if is_elsewhere else self._factory
        hand_over(transport, factory.buildProtocol(transport.getPeer()), head + behind)
        return NOT_DONE_YET

    def _refuse(self, request: Request, status: HTTPStatus, message: str) -> bytes:
        word = status.name.lower()
        self._factory.counters.add("http_refused", word)
        request.setResponseCode(status.value, status.phrase.encode())
        request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
        return msgspec.json.encode({"error": word, "message": message})


def _rebuild(request: Request) -> bytes:
    """The head as the client sent it, but for the spelling of header names: repeated headers stay apart."""
    lines = [b"%s %s %s" % (request.method, request.uri, request.clientproto)]
    for name, values in request.requestHeaders.getAllRawHeaders():
        lines += [b"%s: %s" % (name, value) for value in values]
    return b"\r\n".join([*lines, b"", b""])
