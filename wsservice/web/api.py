"""`/api`: backends send messages, and disconnect clients, by HTTP with a key.

    POST /api/emit           a message, or a list of up to a thousand: `emissions.read_broadcast`
    POST /api/disconnect     whom to disconnect: `emissions.read_disconnect`

202 with `{"accepted": 1, "connections": 3}`: how many messages were taken, and how many connections of this process
they are for; other processes have theirs. A key is not for browsers: who has loaded the page would have it, too. So no
other origin may read an answer, none is let in by a preflight, and what says that it comes from a page is refused.
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import IResource

from wsservice.auth.api_keys import ApiKeys
from wsservice.auth.strict_json import NotStrictJson, decode_value
from wsservice.emissions import MAX_DEPTH, NotAnEmission, read_broadcast, read_disconnect
from wsservice.errors import RateLimited
from wsservice.handshake import Handshake
from wsservice.hub import Hub
from wsservice.messages import Broadcast, Disconnect
from wsservice.web.answers import Answer, RequestRefused, bad_request, json_answer
from wsservice.web.rates import Buckets, Rate
from wsservice.web.request import WsRequest
from wsservice.web.resource import JsonResource, read_body
from wsservice.web.uploads import Upload

log = Logger()

T = TypeVar("T", Broadcast, Disconnect)

#: messages of one request
MAX_MESSAGES = 1000
#: deliveries after which the other clients have their turn: those of some milliseconds
MAX_DELIVERIES = 2000

_UNAUTHORIZED = ((b"WWW-Authenticate", b"Bearer"),)


class ApiUpload(Upload):
    """The body of one request; kept if its head had a key."""

    def lost(self) -> None:
        """Nothing has been begun."""


class Api:
    """The addresses; none without a key.

    Args:
        max_body: bytes.
        body_timeout: seconds, for all of them.
        rate: of messages, for each key; None is no limit.
        seconds: of a clock that never goes back.
    """

    def __init__(
        self,
        keys: ApiKeys,
        hub: Hub,
        *,
        max_body: int,
        rate: Rate | None,
        seconds: Callable[[], float],
        body_timeout: float = 30.0,
    ) -> None:
        self._keys = keys
        self._hub = hub
        self._max_body = max_body
        self._body_timeout = body_timeout
        self._buckets = None if rate is None else Buckets(rate, seconds)
        self._routes: dict[str, Callable[[WsRequest], Answer | Awaitable[Answer]]] = {}
        if len(keys):
            self._routes = {"/api/emit": self.emit, "/api/disconnect": self.disconnect}

    @property
    def resources(self) -> Mapping[bytes, IResource]:
        """By path."""
        return {path.encode(): JsonResource({"POST": route}) for path, route in self._routes.items()}

    @property
    def uploads(self) -> Mapping[str, Callable[[Handshake], Upload]]:
        """By path."""
        return dict.fromkeys(self._routes, self._open_upload)

    async def emit(self, request: WsRequest) -> Answer:
        """Send messages to clients, here and in every process of the cluster."""
        hub = self._hub
        messages = self._read(request, read_broadcast)
        connections = in_this_turn = 0
        for place, message in enumerate(messages):
            if message is None:
                continue
            if in_this_turn >= MAX_DELIVERIES:
                in_this_turn = 0
                await deferLater(hub.clock, 0)
            count = len(hub.registry.select(message.target))
            connections += count
            in_this_turn += count
            try:
                hub.broadcast(message)
            except (TypeError, ValueError):
                raise _refused(place, "the arguments cannot be sent", is_list=len(messages) > 1) from None
        return self._accepted("emit", len(messages), connections)

    def disconnect(self, request: WsRequest) -> Answer:
        """Disconnect clients, here and in every process of the cluster."""
        hub = self._hub
        messages = self._read(request, read_disconnect)
        connections = 0
        for message in messages:
            if message is None:
                continue
            connections += hub.registry.disconnect(message)
            if hub.adapter is not None:
                hub.adapter.disconnect(message)
        return self._accepted("disconnect", len(messages), connections)

    def _open_upload(self, handshake: Handshake) -> Upload:
        return ApiUpload(self._max_body, self._body_timeout, is_kept=self._find_key(handshake) is not None)

    def _read(self, request: WsRequest, read: Callable[[Any], T | None]) -> list[T | None]:
        """The messages of a request that may send them; each None is for nobody.

        Raises:
            RequestRefused: 403, 401, 415, 413, 400.
            RateLimited: 429.
        """
        key = self._check(request.handshake)
        try:
            body = decode_value(read_body(request, self._max_body), depth=MAX_DEPTH)
        except NotStrictJson as error:
            raise bad_request(f"The body must be JSON: {error}.") from None
        bodies = body if isinstance(body, list) else [body]
        if not 0 < len(bodies) <= MAX_MESSAGES:
            raise bad_request(f"The list must have 1 to {MAX_MESSAGES} messages.")
        messages = []
        for place, one in enumerate(bodies):
            try:
                messages.append(read(one))
            except NotAnEmission as error:
                raise _refused(place, str(error), is_list=body is bodies) from None
        if self._buckets is not None:
            try:
                self._buckets.take(str(key), len(messages))
            except RateLimited:
                self._hub.alarm("api_rate", "--api-rate")
                raise
        return messages

    def _check(self, handshake: Handshake) -> int:
        """Which key a request has."""
        if handshake.header_values("origin") or handshake.header_values("sec-fetch-site"):
            raise RequestRefused(
                403, "forbidden", "This address is for servers, not for pages: they cannot keep a key."
            )
        key = self._find_key(handshake)
        if key is None:
            log.warn(
                "a request for {api_path} without a good key ({request_id}, {peer})",
                api_path=handshake.path,
                request_id=handshake.request_id,
                peer=handshake.peer,
                log_flood="requests without a good API key",
            )
            raise RequestRefused(
                401, "unauthorized", "Send the header Authorization: Bearer <API key>.", headers=_UNAUTHORIZED
            )
        return key

    def _find_key(self, handshake: Handshake) -> int | None:
        values = handshake.header_values("authorization")
        return self._keys.find(values[0]) if len(values) == 1 else None

    def _accepted(self, what: str, messages: int, connections: int) -> Answer:
        self._hub.counters.add("api_messages", what, messages)
        body: dict[str, Any] = {"accepted": messages, "connections": connections}
        if self._hub.adapter is not None and not self._hub.adapter.readiness().ready:
            body["queued"] = True  # the other processes get it when Redis is back, if the queue is not full by then
        return json_answer(202, body)


def _refused(place: int, reason: str, *, is_list: bool) -> RequestRefused:
    """400; of one message among several it says which."""
    return bad_request(f"[{place}]: {reason}." if is_list else f"{reason}.")
