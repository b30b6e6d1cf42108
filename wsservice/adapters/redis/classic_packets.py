"""The requests and answers of @socket.io/redis-adapter 8.3 as bytes. Pure; SOCKETIO.md section 2.1.

JSON, or MessagePack where there may be binary data; the first byte tells, and every node takes both of any. What is no
request or answer raises ForeignMessage, and nothing else is raised for what came from the cluster.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wsservice.adapters.redis.classic_broadcast import decode_event, decode_packet, encode_packet, pack
from wsservice.adapters.redis.classic_requests import (
    AllRooms,
    CallClients,
    DisconnectSockets,
    Fetch,
    Join,
    Leave,
    OldDisconnect,
    OldJoin,
    OldLeave,
    Request,
    ServerSideEmit,
    Sockets,
)
from wsservice.adapters.redis.classic_responses import (
    ClientAck,
    ClientCount,
    ClientLost,
    FetchAnswer,
    OldDone,
    RemoteSocket,
    Response,
    RoomsAnswer,
    ServerSideAnswer,
    SocketsAnswer,
)
from wsservice.adapters.redis.classic_target import decode_target, encode_target, name_of, names_of, rooms_of
from wsservice.adapters.redis.foreign import MAX_ANSWER_BYTES, MAX_BYTES, ForeignMessage, check_size
from wsservice.adapters.redis.msgpack_values import unpack
from wsservice.adapters.redis.values import is_number, load_object
from wsservice.close_codes import may_be_sent
from wsservice.messages import check_name

#: characters of a uid or a request id; Node's have 6
MAX_ID = 128

SOCKETS, ALL_ROOMS, JOIN, LEAVE, DISCONNECT, FETCH, SERVER_SIDE_EMIT, BROADCAST, CLIENT_COUNT, CLIENT_ACK = range(10)
#: ours
CLIENT_LOST = 10

_encode = msgspec.json.Encoder().encode


def encode_request(request: Request) -> bytes:
    """A request as Node writes it: MessagePack for CallClients, JSON for all others.

    Raises:
        TypeError: it has what cannot be sent.
        ValueError: the event's name is empty or reserved.
    """
    members = {"uid": request.uid, "requestId": getattr(request, "request_id", None)}
    head: dict[str, Any] = {name: value for name, value in members.items() if value is not None}
    match request:
        case CallClients(broadcast=broadcast, timeout=timeout):
            flags = ({"volatile": True} if broadcast.volatile else {}) | (
                {} if timeout is None else {"timeout": timeout}
            )
            opts = encode_target(broadcast.target) | {"flags": flags}
            return pack(head | {"type": BROADCAST, "packet": encode_packet(broadcast), "opts": opts})
        case ServerSideEmit(event=event, args=args):
            check_name(event)
            return _json(head, SERVER_SIDE_EMIT, data=[event, *args])
        case Sockets(rooms=rooms):
            return _json(head, SOCKETS, rooms=rooms)
        case AllRooms():
            return _json(head, ALL_ROOMS)
        case Fetch(target=target):
            return _json(head, FETCH, opts=encode_target(target))
        case Join(target=target, rooms=rooms):
            return _json(head, JOIN, opts=encode_target(target), rooms=rooms)
        case Leave(target=target, rooms=rooms):
            return _json(head, LEAVE, opts=encode_target(target), rooms=rooms)
        case DisconnectSockets(target=target, close=close, code=code, reason=reason):
            ours = {} if code is None else {"code": code, "reason": reason}
            return _json(head, DISCONNECT, opts=encode_target(target), close=close, **ours)
        case OldJoin(sid=sid, room=room):
            return _json(head, JOIN, sid=sid, room=room)
        case OldLeave(sid=sid, room=room):
            return _json(head, LEAVE, sid=sid, room=room)
        case OldDisconnect(sid=sid, close=close):
            return _json(head, DISCONNECT, sid=sid, close=close)


def decode_request(payload: bytes, namespace: str) -> Request:
    """A request that came on a namespace's channel of requests.

    Raises:
        ForeignMessage: it is none.
    """
    request = _load(payload, MAX_BYTES)
    kind = _kind(request)
    uid = _id(request, "uid")
    if kind == SOCKETS:
        return Sockets(uid, _request_id(request), rooms_of(request.get("rooms")))
    if kind == ALL_ROOMS:
        return AllRooms(uid, _request_id(request))
    if kind in (JOIN, LEAVE, DISCONNECT):
        return _decode_change(request, kind, namespace)
    if kind == FETCH:
        return Fetch(uid, _request_id(request), decode_target(request.get("opts"), namespace))
    if kind == SERVER_SIDE_EMIT:
        name, args = decode_event(request.get("data"))
        return ServerSideEmit(uid, name, args, _id(request, "requestId"))
    if kind == BROADCAST:
        return _decode_call(request, namespace)
    raise ForeignMessage("unknown type")


def _decode_change(request: dict[str, Any], kind: int, namespace: str) -> Request:
    """One of those that have an old form, too."""
    uid, close = _id(request, "uid"), bool(request.get("close"))
    if request.get("opts") is not None:
        target = decode_target(request["opts"], namespace)
        if kind == DISCONNECT:
            code, reason = request.get("code"), request.get("reason")
            if type(code) is not int or not may_be_sent(code) or type(reason) is not str:
                code, reason = None, ""
            return DisconnectSockets(uid, target, close, code, reason)
        return (Join if kind == JOIN else Leave)(uid, target, names_of(request.get("rooms")))
    request_id, sid, room = _id(request, "requestId"), request.get("sid"), name_of(request.get("room"))
    if type(sid) is not str:
        raise ForeignMessage("ill-typed")
    if kind == DISCONNECT:
        return OldDisconnect(uid, request_id, sid, close)
    if room is None:
        raise ForeignMessage("ill-typed")
    return (OldJoin if kind == JOIN else OldLeave)(uid, request_id, sid, room)


def _decode_call(request: dict[str, Any], namespace: str) -> CallClients:
    opts = request.get("opts")
    broadcast = decode_packet(request.get("packet"), opts, namespace)
    if broadcast.target.namespace != namespace:
        raise ForeignMessage("another namespace")
    flags = opts.get("flags") if type(opts) is dict else None
    timeout = flags.get("timeout") if type(flags) is dict else None
    return CallClients(_id(request, "uid"), _request_id(request), broadcast, timeout if is_number(timeout) else None)


def encode_response(response: Response, node: str = "") -> bytes:
    """An answer as Node writes it: MessagePack for ClientAck, JSON for all others.

    Args:
        node: our id, as one more member: so others of our kind know who has answered.

    Raises:
        TypeError: it has what cannot be sent.
    """
    head: dict[str, Any] = {"requestId": response.request_id} | ({"node": node} if node else {})
    match response:
        case ClientAck(value=value):
            return pack({"type": CLIENT_ACK} | head | {"packet": value})
        case ClientCount(count=count):
            return _json({"type": CLIENT_COUNT} | head, clientCount=count)
        case ClientLost():
            return _json({"type": CLIENT_LOST} | head)
        case ServerSideAnswer(data=data):
            return _json({"type": SERVER_SIDE_EMIT} | head, data=data)
        case SocketsAnswer(ids=ids):
            return _json(head, sockets=ids)
        case RoomsAnswer(rooms=rooms):
            return _json(head, rooms=rooms)
        case FetchAnswer(sockets=sockets):
            return _json(head, sockets=sockets)
        case OldDone():
            return _json(head)


class Head(msgspec.Struct, frozen=True):
    """Whose an answer is, and whose node's; of Node's nodes that is not known."""

    request_id: str = msgspec.field(name="requestId", default="")
    node: str | None = None


_json_head = msgspec.json.Decoder(Head).decode
_pack_head = msgspec.msgpack.Decoder(Head).decode


def head_of(payload: bytes) -> Head | None:
    """What an answer begins with, or None: asked before it is decoded, since all nodes get all answers."""
    try:
        return _json_head(payload) if payload[:1] == b"{" else _pack_head(payload)
    except (ValueError, RecursionError):
        return None


def decode_response(payload: bytes) -> Response:
    """An answer to somebody's request.

    Raises:
        ForeignMessage: it is none.
    """
    response = _load(payload, MAX_ANSWER_BYTES)
    request_id = _request_id(response)
    if "type" in response:
        return _decode_typed(response, request_id)
    if "sockets" in response:
        sockets = response["sockets"]
        if type(sockets) is not list:
            raise ForeignMessage("ill-typed")
        if sockets and type(sockets[0]) is not dict:
            return SocketsAnswer(request_id, _names(sockets))
        return FetchAnswer(request_id, tuple(map(_decode_socket, sockets)))
    if "rooms" in response:
        return RoomsAnswer(request_id, _names(response["rooms"]))
    return OldDone(request_id)


def _decode_typed(response: dict[str, Any], request_id: str) -> Response:
    kind = _kind(response)
    if kind == SERVER_SIDE_EMIT:
        return ServerSideAnswer(request_id, response.get("data"))
    if kind == CLIENT_ACK:
        return ClientAck(request_id, response.get("packet"))
    if kind == CLIENT_LOST:
        return ClientLost(request_id)
    if kind == CLIENT_COUNT:
        count = response.get("clientCount")
        if type(count) is not int or count < 0:
            raise ForeignMessage("ill-typed")
        return ClientCount(request_id, count)
    raise ForeignMessage("unknown type")


def _decode_socket(socket: Any) -> RemoteSocket:
    if type(socket) is not dict or type(socket.get("id")) is not str:
        raise ForeignMessage("ill-typed")
    handshake = socket.get("handshake")
    if handshake is not None and type(handshake) is not dict:
        raise ForeignMessage("ill-typed")
    return RemoteSocket(socket["id"], names_of(socket.get("rooms")), handshake or {}, socket.get("data"))


def _names(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise ForeignMessage("ill-typed")
    return tuple(name for name in map(name_of, value) if name is not None)


def _load(payload: bytes, most: int) -> dict[str, Any]:
    check_size(payload, most)
    if payload[:1] == b"{":
        return load_object(payload)
    message = unpack(payload)
    if type(message) is not dict:
        raise ForeignMessage("ill-typed")
    return message


def _kind(message: dict[str, Any]) -> int:
    kind = message.get("type")
    if type(kind) is not int:
        raise ForeignMessage("unknown type")
    return kind


def _id(message: dict[str, Any], name: str) -> str | None:
    value = message.get(name)
    if value is not None and (type(value) is not str or not 0 < len(value) <= MAX_ID):
        raise ForeignMessage("ill-typed")
    return value


def _request_id(message: dict[str, Any]) -> str:
    value = _id(message, "requestId")
    if value is None:
        raise ForeignMessage("no request id")
    return value


def _json(head: dict[str, Any], kind: int | None = None, **members: Any) -> bytes:
    try:
        return _encode(head | ({} if kind is None else {"type": kind}) | members)
    except (ValueError, RecursionError) as error:
        raise TypeError(f"this cannot be sent: {error}") from error
