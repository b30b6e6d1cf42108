"""The channel of python-socketio's RedisManager, in JSON. Pure; SOCKETIO.md section 2.5.

Until 5.13 it wrote pickles, which run what their author wants when they are loaded: they are refused by their first
byte. One channel carries all namespaces. A program's `emit` comes here whole, its binary data in base64.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import msgspec

from wsservice.adapters.redis.channels import NOBODY
from wsservice.adapters.redis.classic_target import name_of
from wsservice.adapters.redis.foreign import MAX_BYTES, ForeignMessage, check_size
from wsservice.adapters.redis.values import load_object
from wsservice.messages import ROOT, Broadcast, Target, check_name
from wsservice.socketio.decoder import ParseError, find_placeholders
from wsservice.socketio.packet import encode_event

#: how a pickle begins, of protocol 2 and later
_PICKLE = b"\x80"
#: characters of a host's id or a connection's
MAX_ID = 256

_encode = msgspec.json.Encoder().encode
_loads = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the acknowledgement of an Emit goes: the three come back with it as they are.

    Attributes:
        room: what the sender emitted to: a connection's id, or a room.
    """

    room: str
    namespace: str
    id: int


@dataclass(frozen=True, slots=True)
class Emit:
    """An event for many.

    Attributes:
        host_id: of the process that sent it: a host drops its own.
        reply_to: each client's acknowledgement is wanted, as a Callback for that host.
    """

    host_id: str
    broadcast: Broadcast
    reply_to: ReplyTo | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """A client's acknowledgement, for the host that is named."""

    host_id: str
    reply_to: ReplyTo
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class DisconnectClient:
    """A connection leaves the namespace."""

    host_id: str
    namespace: str
    sid: str


@dataclass(frozen=True, slots=True)
class EnterRoom:
    """A connection enters a room."""

    host_id: str
    namespace: str
    sid: str
    room: str


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """A connection leaves a room."""

    host_id: str
    namespace: str
    sid: str
    room: str


@dataclass(frozen=True, slots=True)
class CloseRoom:
    """All leave a room."""

    host_id: str
    namespace: str
    room: str


Message = Emit | Callback | DisconnectClient | EnterRoom | LeaveRoom | CloseRoom


def encode_message(message: Message) -> bytes:
    """A message as python-socketio writes it.

    Its `emit` has neither excepted rooms nor volatile events, users or sessions: who names them must not come here.

    Raises:
        TypeError: it has what cannot be sent.
        ValueError: the event's name is empty or reserved, or the target is none that the channel has.
    """
    match message:
        case Emit():
            return _json("emit", message.host_id, _emit_members(message))
        case Callback(reply_to=to, args=args):
            return _json(
                "callback", message.host_id, {"sid": to.room, "namespace": to.namespace, "id": to.id, "args": args}
            )
        case DisconnectClient(namespace=namespace, sid=sid):
            return _json("disconnect", message.host_id, {"sid": sid, "namespace": namespace})
        case EnterRoom(namespace=namespace, sid=sid, room=room):
            return _json("enter_room", message.host_id, {"sid": sid, "room": room, "namespace": namespace})
        case LeaveRoom(namespace=namespace, sid=sid, room=room):
            return _json("leave_room", message.host_id, {"sid": sid, "room": room, "namespace": namespace})
        case CloseRoom(namespace=namespace, room=room):
            return _json("close_room", message.host_id, {"room": room, "namespace": namespace})


def _emit_members(message: Emit) -> dict[str, Any]:
    broadcast, to = message.broadcast, message.reply_to
    target = broadcast.target
    if target.users or target.sessions or target.except_rooms:
        raise ValueError("python-socketio's channel knows rooms and left out connections only")
    text, attachments = encode_event(ROOT, broadcast.event, broadcast.args)
    data = _loads(text[text.index(b"[") :])[1:]
    rooms, skip = sorted(target.rooms), sorted(target.skip)
    return {
        "event": broadcast.event,
        "data": [data, *(b64encode(attachment).decode() for attachment in attachments)] if attachments else data,
        "binary": bool(attachments),
        "namespace": target.namespace,
        "room": rooms[0] if len(rooms) == 1 else rooms or None,
        "skip_sid": skip or None,
        "callback": None if to is None else [to.room, to.namespace, to.id],
    }


def _json(method: str, host_id: str, members: dict[str, Any]) -> bytes:
    try:
        return _encode({"method": method} | members | {"host_id": host_id})
    except (ValueError, RecursionError) as error:
        raise TypeError(f"this cannot be sent as JSON: {error}") from error


def decode_message(payload: bytes) -> Message:
    """A message of python-socketio's channel.

    Raises:
        ForeignMessage: it is none.
    """
    check_size(payload)
    if payload[:1] == _PICKLE:
        raise ForeignMessage("pickle")
    message = load_object(payload, constants=True)
    method, host_id, namespace = message.get("method"), _text(message, "host_id"), _namespace(message)
    if method == "emit":
        return _decode_emit(message, host_id, namespace)
    if method == "callback":
        return _decode_callback(message, host_id, namespace)
    if method == "disconnect":
        return DisconnectClient(host_id, namespace, _text(message, "sid"))
    if method == "enter_room":
        return EnterRoom(host_id, namespace, _text(message, "sid"), _room(message.get("room")))
    if method == "leave_room":
        return LeaveRoom(host_id, namespace, _text(message, "sid"), _room(message.get("room")))
    if method == "close_room":
        return CloseRoom(host_id, namespace, _room(message.get("room")))
    raise ForeignMessage("unknown type")


def _decode_emit(message: dict[str, Any], host_id: str, namespace: str) -> Emit:
    event = message.get("event")
    try:
        check_name(event)  # type: ignore[arg-type]
    except TypeError as error:
        raise ForeignMessage("ill-typed") from error
    except ValueError as error:
        raise ForeignMessage("reserved name") from error
    data = message.get("data")
    if message.get("binary"):
        data = _attached(data)
    args = tuple(data) if type(data) is list else (data,)
    if args == (None,):
        args = ()  # python-socketio writes so of an event without arguments
    target = Target(namespace, _rooms(message.get("room")), skip=_skip(message.get("skip_sid")))
    return Emit(host_id, Broadcast(str(event), args, target), _reply_to(message.get("callback")))


def _attached(data: Any) -> Any:
    """The arguments with the binary parts in their places."""
    if type(data) is not list or not data or type(data[0]) is not list:
        raise ForeignMessage("ill-typed")
    try:
        attachments = [b64decode(text, validate=True) for text in data[1:]]
        places = find_placeholders(data[0], len(attachments))
    except (binascii.Error, TypeError, ValueError, ParseError) as error:
        raise ForeignMessage("malformed") from error
    # Each counts as often as it is used: a small message must not become a huge one when it is sent on.
    if sum(len(attachments[number]) for *_, number in places) > MAX_BYTES:
        raise ForeignMessage("too large")
    for container, key, number in places:
        container[key] = attachments[number]
    return data[0]


def _reply_to(value: Any) -> ReplyTo | None:
    if value is None:
        return None
    if type(value) is not list or len(value) != 3:
        return None  # as python-socketio has it: the event is sent, and nobody is asked
    room, namespace, number = value
    if type(room) is not str or type(namespace) is not str or type(number) is not int:
        raise ForeignMessage("ill-typed")
    return ReplyTo(room, namespace, number)


def _decode_callback(message: dict[str, Any], host_id: str, namespace: str) -> Callback:
    number, args = message.get("id"), message.get("args")
    if type(number) is not int or type(args) is not list:
        raise ForeignMessage("ill-typed")
    return Callback(host_id, ReplyTo(_text(message, "sid"), namespace, number), tuple(args))


def _rooms(value: Any) -> frozenset[str]:
    """The rooms of an `emit`; none is everybody, also among others. An empty list is nobody in python-socketio."""
    if value is None:
        return frozenset()
    if type(value) is not list:
        return frozenset({_room(value)})
    if None in value:
        return frozenset()
    return frozenset(map(_room, value)) or frozenset({NOBODY})


def _skip(value: Any) -> frozenset[str]:
    values = value if type(value) is list else [value]
    return frozenset(one for one in values if type(one) is str)


def _room(value: Any) -> str:
    name = name_of(value)
    if name is None:
        raise ForeignMessage("ill-typed")
    return name


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if type(value) is not str or not 0 < len(value) <= MAX_ID:
        raise ForeignMessage("ill-typed")
    return value


def _namespace(message: dict[str, Any]) -> str:
    value = message.get("namespace") or ROOT
    if type(value) is not str:
        raise ForeignMessage("ill-typed")
    return value
