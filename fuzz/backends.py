"""Target: what backends send to `/api`, and as lines to `wsservice emit -`."""

from __future__ import annotations

from collections.abc import Hashable

from fuzz.target import outcome_of
from wsservice.adapters.redis.classic_broadcast import decode_broadcast, encode_broadcast
from wsservice.adapters.redis.classic_packets import decode_request, encode_request
from wsservice.adapters.redis.classic_requests import DisconnectSockets
from wsservice.auth.strict_json import NotStrictJson, decode_value
from wsservice.emissions import MAX_DEPTH, NotAnEmission, read_broadcast, read_disconnect
from wsservice.socketio.packet import encode_event


def emissions(data: bytes) -> Hashable:
    """What is taken can be sent, to clients and to other nodes, and means the same there."""
    try:
        body = decode_value(data, depth=MAX_DEPTH)
    except NotStrictJson as error:
        return outcome_of(error)
    outcomes = []
    try:
        broadcast = read_broadcast(body)
    except NotAnEmission as error:
        outcomes.append(outcome_of(error))
    else:
        outcomes.append("broadcast" if broadcast else "nobody")
        if broadcast is not None:
            encode_event(broadcast.target.namespace, broadcast.event, broadcast.args)
            received = decode_broadcast(encode_broadcast("emitter", broadcast)[1]).broadcast
            assert (received.event, received.target) == (broadcast.event, broadcast.target)
    try:
        message = read_disconnect(body)
    except NotAnEmission as error:
        outcomes.append(outcome_of(error))
    else:
        outcomes.append("disconnect" if message else "nobody")
        if message is not None:
            request = DisconnectSockets(None, message.target, code=message.code, reason=message.reason)
            assert decode_request(encode_request(request), message.target.namespace) == request
    return tuple(outcomes)
