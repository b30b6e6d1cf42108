"""The broadcasts of @socket.io/redis-adapter 8.3 and its emitters, in MessagePack. Pure; SOCKETIO.md sections 2.1, 2.4.

    [uid, {"type": 2, "data": [event, ...args], "nsp": "/"}, {"rooms": [], "except": [], "flags": {}}]

Ours may have one more member beside the flags, `serial`, and a fourth item (see `Received`): Node
ignores them. Every broadcast of the cluster passes here. What our own nodes and Node's send is read in one typed
step; what does not fit is read once more, value by value, before it is refused.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from wsservice.adapters.redis.classic_target import decode_target, encode_target, one_room, to_target
from wsservice.adapters.redis.foreign import ForeignMessage, check_size
from wsservice.adapters.redis.msgpack_values import is_dense, unpack
from wsservice.adapters.redis.values import cleaned, is_number, is_plain, js_text
from wsservice.messages import RESERVED, ROOT, Broadcast, check_name

#: of Socket.IO's packets: with binary data it is the one or the other, by the version of the sender
EVENT, BINARY_EVENT = 2, 5

_NONE: frozenset[str] = frozenset()
_BINARY = (bytes, bytearray, memoryview)
#: an id of an entry of a Redis stream
_OFFSET = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)

_pack = msgspec.msgpack.Encoder().encode


class _Packet(msgspec.Struct, gc=False):
    type: int
    data: list[Any]
    nsp: str = ROOT


class _Flags(msgspec.Struct, gc=False):
    volatile: bool = False


class _Opts(msgspec.Struct, gc=False, rename={"out": "except"}):
    rooms: frozenset[str] = _NONE
    out: frozenset[str] = _NONE
    flags: _Flags | None = None
    users: frozenset[str] = _NONE
    sessions: frozenset[str] = _NONE
    skip: frozenset[str] = _NONE
    serial: int = 0


class _Message(msgspec.Struct, array_like=True, gc=False):
    uid: str
    packet: _Packet
    opts: _Opts
    offset: str | None = None


_decode = msgspec.msgpack.Decoder(_Message).decode


class Received(msgspec.Struct, frozen=True, gc=False):
    """A broadcast that came from the cluster.

    Attributes:
        uid: of the node that sent it: a node drops its own. `emitter` is a program without clients. offset: where the
        event stands in the stream; None without recovery. The fourth item of a message. serial: the sender's own
        number of it, from 1; 0 for none.
    """

    uid: str
    broadcast: Broadcast
    offset: str | None = None
    serial: int = 0


def encode_broadcast(
    uid: str, broadcast: Broadcast, *, offset: str | None = None, serial: int = 0, is_canonical: bool = False
) -> tuple[str | None, bytes]:
    """The room whose channel it takes (None: the channel of all), and the payload: an array of 3, with an offset of 4.

    Args:
        is_canonical: whether every process must write the same bytes.

    Raises:
        TypeError: the name is no str, or the arguments cannot be sent.
        ValueError: the name is empty or reserved.
    """
    opts = encode_target(broadcast.target)
    opts["flags"] = {"volatile": True} if broadcast.volatile else {}
    if serial:
        opts["serial"] = serial
    message = [uid, encode_packet(broadcast), opts]
    if offset is not None:
        message.append(offset)
    if is_canonical:  # sets have another order in each process
        opts.update((name, sorted(value)) for name, value in opts.items() if isinstance(value, frozenset))
    return one_room(broadcast.target), pack(message)


def encode_packet(broadcast: Broadcast) -> dict[str, Any]:
    """The packet, whose type is EVENT even with binary data: a node looks for that when it writes to its clients."""
    name, args = broadcast.event, broadcast.args
    check_name(name)
    if not is_plain(args):
        args = _portable(args)
    return {"type": EVENT, "data": [name, *args], "nsp": broadcast.target.namespace}


def pack(message: Any) -> bytes:
    """MessagePack.

    Raises:
        TypeError: it cannot hold this, or a client could not get it.
    """
    try:
        return _pack(message)
    except OverflowError:
        pass  # an integer beyond 64 bits, which JSON's clients get as they get any number
    except (ValueError, RecursionError) as error:
        raise TypeError(f"this cannot be sent: {error}") from error
    try:
        return _pack(cleaned(_portable(message)))
    except (ValueError, RecursionError, ForeignMessage) as error:
        raise TypeError(f"this cannot be sent: {error}") from error


def _portable(value: Any) -> Any:
    """Values of other types (dates, dataclasses, sets) as the texts, lists and objects that JSON makes of them."""
    try:
        return msgspec.to_builtins(value, builtin_types=_BINARY, str_keys=True)
    except (ValueError, RecursionError) as error:
        raise TypeError(f"this cannot be sent: {error}") from error


def decode_broadcast(payload: bytes) -> Received:
    """A broadcast of any node or emitter.

    Raises:
        ForeignMessage: it is none.
    """
    check_size(payload)
    if is_dense(payload):
        return _decode_exactly(payload)
    try:
        message = _decode(payload)
    except (ValueError, RecursionError):
        return _decode_exactly(payload)
    packet, opts = message.packet, message.opts
    data = packet.data
    if packet.type != EVENT or not data or type(data[0]) is not str or not is_plain(data):
        return _decode_exactly(payload)
    name = data[0]
    if name in RESERVED or not name:
        raise ForeignMessage("reserved name")
    target = to_target(
        packet.nsp, rooms=opts.rooms, out=opts.out, users=opts.users, sessions=opts.sessions, skip=opts.skip
    )
    volatile = opts.flags is not None and opts.flags.volatile
    broadcast = Broadcast(name, tuple(data[1:]), target, volatile)
    return Received(message.uid, broadcast, _offset(message.offset), opts.serial)


def _decode_exactly(payload: bytes) -> Received:
    message = unpack(payload)
    if type(message) is not list or len(message) < 3 or type(message[0]) is not str:
        raise ForeignMessage("ill-typed")
    uid, packet, opts = message[:3]
    broadcast = decode_packet(packet, opts)
    serial = opts.get("serial")
    return Received(
        uid,
        broadcast,
        _offset(message[3] if len(message) > 3 else None),
        serial if type(serial) is int else 0,
    )


def _offset(value: Any) -> str | None:
    return value if type(value) is str and _OFFSET.fullmatch(value) else None


def decode_packet(packet: Any, opts: Any, namespace: str = ROOT) -> Broadcast:
    """A broadcast of a packet and its `opts`.

    Args:
        namespace: of a packet that names none.

    Raises:
        ForeignMessage: they are none.
    """
    if type(packet) is not dict:
        raise ForeignMessage("ill-typed")
    namespace = packet.get("nsp", namespace)
    if type(namespace) is not str:
        raise ForeignMessage("ill-typed")
    if packet.get("type") not in (EVENT, BINARY_EVENT):
        raise ForeignMessage("no event")
    name, args = decode_event(packet.get("data"))
    target = decode_target(opts, namespace)
    flags = opts.get("flags")
    return Broadcast(name, args, target, type(flags) is dict and bool(flags.get("volatile")))


def decode_event(data: Any) -> tuple[str, tuple[Any, ...]]:
    """The name of an event, which may be a number to Node, and its arguments.

    Raises:
        ForeignMessage: it is no array that begins with a name that may be sent.
    """
    if type(data) is not list or not data:
        raise ForeignMessage("ill-typed")
    name = js_text(data[0]) if is_number(data[0]) else data[0]
    try:
        check_name(name)
    except TypeError as error:
        raise ForeignMessage("ill-typed") from error
    except ValueError as error:
        raise ForeignMessage("reserved name") from error
    return name, tuple(data[1:])
