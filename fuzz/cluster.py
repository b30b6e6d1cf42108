"""Targets: what other processes publish on Redis, by each codec of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from fuzz import strict_reference
from wsservice.adapters.redis.classic_broadcast import decode_broadcast, encode_broadcast
from wsservice.adapters.redis.classic_packets import (
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    head_of,
)
from wsservice.adapters.redis.foreign import MAX_DEPTH, ForeignMessage
from wsservice.adapters.redis.msgpack_values import unpack, unpack_exactly
from wsservice.adapters.redis.python_packets import decode_message, encode_message
from wsservice.messages import Broadcast, check_name
from wsservice.socketio.packet import encode_event

#: every word that a message may be refused with
WORDS = {
    "too large",
    "malformed",
    "nested too deep",
    "too many values",
    "a key that is no text",
    "ill-typed",
    "no event",
    "reserved name",
    "unknown type",
    "another namespace",
    "no request id",
    "pickle",
}


def classic_values(data: bytes) -> Hashable:
    """MessagePack is read the same by msgspec and value by value."""
    outcomes = []
    for read in (unpack, unpack_exactly):
        try:
            value = read(data)
        except ForeignMessage as error:
            assert error.word in WORDS
            outcomes.append(error.word)
        else:
            assert strict_reference.depth(value) <= MAX_DEPTH
            outcomes.append(repr(value))
    assert outcomes[0] == outcomes[1]
    return outcomes[0] if outcomes[0] in WORDS else type(value)


def classic_broadcast(data: bytes) -> Hashable:
    """A broadcast can be sent on, and says the same again; its clients can get it."""
    try:
        received = decode_broadcast(data)
    except ForeignMessage as error:
        assert error.word in WORDS
        return error.word
    _check_broadcast(received.broadcast)
    payload = encode_broadcast(received.uid, received.broadcast, offset=received.offset)[1]
    assert repr(_sorted(decode_broadcast(payload).broadcast)) == repr(_sorted(received.broadcast))
    target = received.broadcast.target
    return (
        bool(target.users or target.sessions),
        received.offset is None,
        bool(target.rooms),
        bool(target.skip),
        bool(target.except_rooms),
    )


def classic_request(data: bytes) -> Hashable:
    """A request says the same again."""
    return _again(data, lambda payload: decode_request(payload, "/"), encode_request)


def classic_response(data: bytes) -> Hashable:
    """An answer says the same again, and whose it is."""
    head = head_of(data)
    outcome = _again(data, decode_response, encode_response)
    if outcome not in WORDS and head is not None and head.request_id:
        assert decode_response(data).request_id == head.request_id
    return outcome


def python_message(data: bytes) -> Hashable:
    """A message of python-socketio's channel says the same again."""
    return _again(data, decode_message, encode_message)


def _again(data: bytes, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Hashable:
    try:
        message = decode(data)
    except ForeignMessage as error:
        assert error.word in WORDS
        return error.word
    broadcast = getattr(message, "broadcast", None)
    if broadcast is not None:
        _check_broadcast(broadcast)
    try:
        payload = encode(message)
    except TypeError as error:
        assert "_placeholder" in str(error)  # a client may have put it there: see socketio.packet
        return "ambiguous"
    # JSON has no word for NaN and the infinities: they are null the second time.
    settled = decode(payload)
    assert type(settled) is type(message)
    assert decode(encode(settled)) == settled or payload[:1] != b"{"
    return type(message).__name__


def _check_broadcast(broadcast: Broadcast) -> None:
    check_name(broadcast.event)
    assert strict_reference.depth([broadcast.event, *broadcast.args]) <= MAX_DEPTH
    try:
        encode_event("/", broadcast.event, broadcast.args)
    except TypeError as error:
        assert "_placeholder" in str(error)


def _sorted(broadcast: Broadcast) -> Any:
    """Without the order of sets, which is in what `repr` gives; NaN is not equal to itself, and so `repr` is asked."""
    target = broadcast.target
    names = (target.rooms, target.users, target.sessions, target.skip, target.except_rooms)
    return broadcast.event, broadcast.args, target.namespace, [sorted(some) for some in names], broadcast.volatile
