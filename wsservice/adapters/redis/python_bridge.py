"""The channel of python-socketio's RedisManager: its programs reach our clients as they reach its own.

Inbound, and the acknowledgements that it asks for. What our application sends does not go there. SOCKETIO.md section
2.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsservice.adapters.local import Local
from wsservice.adapters.redis.foreign import ForeignMessage
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.python_packets import (
    Callback,
    CloseRoom,
    DisconnectClient,
    Emit,
    EnterRoom,
    LeaveRoom,
    Message,
    ReplyTo,
    decode_message,
    encode_message,
)
from wsservice.adapters.redis.refusals import Refusals
from wsservice.close_codes import CloseCode
from wsservice.messages import Broadcast, Disconnect, Join, Leave, Target

#: seconds that clients have to acknowledge; python-socketio itself waits for ever
_TIMEOUT = 60.0


class PythonBridge:
    """See the module's docstring.

    Args:
        channel: the `channel` of the RedisManager.
        emit: delivers a broadcast of the channel here, as every node does that reads it.
    """

    def __init__(
        self,
        link: RedisLink,
        channel: str,
        local: Local,
        refusals: Refusals,
        emit: Callable[[bytes, Broadcast], None],
    ) -> None:
        self._link = link
        self._channel = channel.encode()
        self._local = local
        self._refusals = refusals
        self._emit = emit
        link.subscribe(self._channel, self._received)

    def _received(self, channel: bytes, payload: bytes) -> None:
        try:
            self._handle(decode_message(payload))
        except ForeignMessage as error:
            self._refusals.refuse(channel, error.word)
        except (TypeError, ValueError):  # what no client of ours can be sent
            self._refusals.refuse(channel, "unsendable")

    def _handle(self, message: Message) -> None:
        local = self._local
        match message:
            case Emit(broadcast=broadcast, reply_to=None):
                self._emit(self._channel, broadcast)
            case Emit(host_id=host, broadcast=broadcast, reply_to=ReplyTo() as reply_to):
                local.ask(broadcast, _TIMEOUT, lambda result: self._answer(host, reply_to, result), _nothing)
            case DisconnectClient(namespace=namespace, sid=sid):
                target = Target(namespace, frozenset({sid}))
                local.disconnect(Disconnect(target, CloseCode.NORMAL, "Disconnected by the server"))
            case EnterRoom(namespace=namespace, sid=sid, room=room):
                local.join(Join(Target(namespace, frozenset({sid})), frozenset({room})))
            case LeaveRoom(namespace=namespace, sid=sid, room=room):
                local.leave(Leave(Target(namespace, frozenset({sid})), frozenset({room})))
            case CloseRoom(namespace=namespace, room=room):
                local.leave(Leave(Target(namespace, frozenset({room})), frozenset({room})))
            case Callback():  # for those who asked
                pass

    def _answer(self, host: str, reply_to: ReplyTo, result: Any) -> None:
        args = result if isinstance(result, tuple) else () if result is None else (result,)
        self._link.publish(self._channel, encode_message(Callback(host, reply_to, args)))


def _nothing() -> None:
    return None
