"""The two wire formats of Socket.IO: finished WebSocket frames, and finished pieces of polling payloads.

A packet with attachments is one piece of bytes in both, so nothing can come between its parts.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from wsservice.engineio.packet import frames_of_piece
from wsservice.errors import UNKNOWN_EVENT, ClientError
from wsservice.frames import BINARY, TEXT, Framing
from wsservice.recorded import Entry
from wsservice.socketio.packet import (
    Encoded,
    encode_ack,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    encode_event,
    encode_plain_event,
    plain_head,
)

#: the Engine.IO type of every Socket.IO packet
_MESSAGE = b"4"
#: names of events that are remembered for each namespace and format, and bytes of what is remembered of one
_MOST_HEADS, _LONGEST_HEAD = 1000, 200
#: in a polling payload: the next packet, which is binary
_ATTACHMENT = b"\x1eb"


class SocketIoWire:
    """The wire of one namespace over one transport format; equal connections share one object.

    Args:
        finish: makes the finished bytes of any packet.
        finish_text: makes those of a packet without attachments, which has its `4` already.
    """

    __slots__ = ("__weakref__", "_finish_text", "_heads", "_namespace", "finish")
    is_recoverable = True

    def __init__(
        self, namespace: str, finish: Callable[[Encoded], bytes], finish_text: Callable[[bytes], bytes]
    ) -> None:
        self._namespace = namespace
        #: how events begin, by their names, of which most applications have a few dozen
        self._heads: dict[str, bytes] = {}
        self._finish_text = finish_text
        self.finish = finish

    def event(self, name: str, args: tuple[Any, ...], call_id: int | None = None) -> bytes:
        """An event; with `call_id` the client is asked to acknowledge."""
        if call_id is None:
            text = encode_plain_event(self._heads.get(name) or self._head(name), args)
            if text is not None:
                return self._finish_text(text)
        return self.finish(encode_event(self._namespace, name, args, call_id))

    def _head(self, name: str) -> bytes:
        head = plain_head(self._namespace, name)
        if len(head) <= _LONGEST_HEAD:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[name] = head
        return head

    def recoverable(self, entry: Entry) -> bytes:
        """An event of the history, with its offset."""
        return self.finish(entry.encoded)

    def payload(self, payload: str | bytes) -> bytes:
        """The event `message`, which is what `socket.send` of the clients is, too."""
        if not isinstance(payload, str | bytes | bytearray | memoryview):
            raise TypeError(f"send takes str or bytes, not {type(payload).__name__}; emit takes anything JSON can hold")
        return self.event("message", (payload,))

    def result(self, ack_id: int, result: Any) -> bytes:
        """The acknowledgement of an event: None is no argument, a tuple several."""
        args = result if isinstance(result, tuple) else () if result is None else (result,)
        return self.finish(encode_ack(self._namespace, ack_id, args))

    def error(self, ack_id: int | None, name: str, error: ClientError) -> bytes | None:
        """A handler's refusal: the acknowledgement's one argument `{"error": ...}`, or the event `error`.

        An event that has no handler and asks for nothing is ignored, as the reference does.
        """
        body: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.data is not None:
            body["data"] = error.data
        if ack_id is not None:
            return self.finish(encode_ack(self._namespace, ack_id, ({"error": body},)))
        if error.code == UNKNOWN_EVENT:
            return None
        return self.event("error", ({**body, "event": name},))

    def connect(self, sid: str, pid: str | None) -> bytes:
        """The namespace is joined."""
        return self.finish(encode_connect(self._namespace, sid, pid))

    def connect_error(self, message: str, data: Any = None) -> bytes:
        """The namespace is refused."""
        return self.finish(encode_connect_error(self._namespace, message, data))

    def disconnect(self) -> bytes:
        """The server leaves the namespace: a stock client does not come back by itself."""
        return self.finish(encode_disconnect(self._namespace))


class Wires:
    """The wires in use, by namespace and format: those of clients that are gone are forgotten."""

    def __init__(self) -> None:
        self._wires: WeakValueDictionary[tuple[str, Framing | None], SocketIoWire] = WeakValueDictionary()

    def get(self, namespace: str, framing: Framing | None) -> SocketIoWire:
        """The wire of a namespace; of a WebSocket with that framing, or of long-polling without one."""
        wire = self._wires.get((namespace, framing))
        if wire is None:
            if framing is None:
                wire = SocketIoWire(namespace, polling_piece, bytes)
            else:
                wire = SocketIoWire(namespace, _frames_with(framing), framing.finish)
            self._wires[namespace, framing] = wire
        return wire


def polling_piece(encoded: Encoded) -> bytes:
    """A packet as part of a polling payload."""
    if not encoded.attachments:
        return _MESSAGE + encoded.text
    parts = [_MESSAGE, encoded.text]
    for attachment in encoded.attachments:
        parts += (_ATTACHMENT, b2a_base64(attachment, newline=False))
    return b"".join(parts)


def to_frames(piece: bytes, framing: Framing) -> bytes:
    """A finished piece of a polling payload as finished frames: for what waits when the transport changes."""
    return b"".join(message_frame(message, framing) for message in frames_of_piece(piece))


def message_frame(message: str | bytes, framing: Framing) -> bytes:
    """One WebSocket message as a finished frame."""
    if isinstance(message, str):
        return framing.finish(message.encode(), TEXT)
    return framing.finish(message, BINARY)


def _frames_with(framing: Framing) -> Callable[[Encoded], bytes]:
    def finish(encoded: Encoded) -> bytes:
        text = framing.finish(_MESSAGE + encoded.text, TEXT)
        if not encoded.attachments:
            return text
        return b"".join((text, *(framing.finish(attachment, BINARY) for attachment in encoded.attachments)))

    return finish
