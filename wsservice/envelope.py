"""The raw WebSocket's wire: frames to events and back. Pure; `docs/protocol.md` is the page for people.

From the client:

- text that is a JSON object with a string member `event`: that event, with the argument `data` (null
  if absent); with an integer `id` the client wants an acknowledgement
- text that is a JSON object of an integer `ack` and `data` or `error`, nothing else: the answer to
  `connection.call`
- any other text: the event `message` with that text, verbatim
- binary: the event `message` with those bytes

To the client:

- `emit("message", data)`: the bare JSON of `data`; an object that has a member `event` or `ack` itself
  is sent in the envelope
- `emit("message", b"...")`: a binary frame
- `emit(event, data)`: `{"event": event, "data": data}`, with `id` where an acknowledgement is wanted
- an acknowledgement: `{"ack": id, "data": result}` or `{"ack": id, "error": {"code", "message", "data"?}}`

A client that asks to recover (`EnvelopeWire`) gets a `welcome` first, and every event in an envelope, those that it can
recover with their `offset`; `message`, too.

Several arguments become a list. Bytes inside JSON become base64 text, NaN and the infinities null. JSON
beyond Python's limits (a number over 1e308 or of 4,300 digits, nesting of about a thousand) is a message,
too, and cannot be sent.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wsservice.errors import ClientError
from wsservice.frames import BINARY, Framing
from wsservice.messages import Ack, Event
from wsservice.recorded import Entry

MESSAGE = "message"
#: ids travel through JavaScript's doubles
MAX_ID = 2**53 - 1

_decode = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder()
_SPACE = " \t\r\n"


def decode_text(text: str) -> Event | Ack:
    """What a text frame means; never fails, since any text at all is a message."""
    first = text[:1]
    if first != "{" and (first not in _SPACE or text.lstrip(_SPACE)[:1] != "{"):
        return Event(MESSAGE, (text,))
    try:
        value = _decode(text)
    except (ValueError, RecursionError):  # a lone surrogate is no DecodeError, but a ValueError, too
        return Event(MESSAGE, (text,))
    name = value.get("event")
    if isinstance(name, str):
        return Event(name, (value.get("data"),), _integer(value.get("id")))
    number = _integer(value.get("ack"))
    if number is not None and value.keys() <= {"ack", "data", "error"}:
        return Ack(number, (value.get("data"),), value.get("error"))
    return Event(MESSAGE, (text,))


def decode_binary(payload: bytes) -> Event:
    """A binary frame is a message of bytes."""
    return Event(MESSAGE, (payload,))


def _integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID:
        return value
    return None


def _encode(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except (ValueError, RecursionError) as error:  # a lone surrogate, a huge integer, a circle
        raise TypeError(f"this cannot be sent as JSON: {error}") from error


class RawWire:
    """The raw wire format over one kind of framing; equal connections share one object.

    Every method gives finished bytes for the socket. They raise TypeError, before anything is sent,
    for what JSON cannot hold.
    """

    is_recoverable = False

    def __init__(self, framing: Framing) -> None:
        self._finish = framing.finish

    def event(self, name: str, args: tuple[Any, ...], call_id: int | None = None) -> bytes:
        """An event; with `call_id` the client is asked to acknowledge."""
        data = args[0] if len(args) == 1 else list(args) if args else None
        if name == MESSAGE and call_id is None:
            if type(data) is str:  # nearly every message
                return self._finish(_encode(data))
            if isinstance(data, bytes | bytearray | memoryview):
                return self._finish(bytes(data), BINARY)
            bare = _encode(data)
            if not (bare.startswith(b"{") and _looks_enveloped(bare)):
                return self._finish(bare)
        envelope = {"event": name, "data": data}
        if call_id is not None:
            envelope["id"] = call_id
        return self._finish(_encode(envelope))

    def recoverable(self, entry: Entry) -> bytes:
        """An event of the history; these clients did not ask to recover, and get no offset."""
        return self.event(entry.broadcast.event, entry.broadcast.args)

    def payload(self, payload: str | bytes) -> bytes:
        """A text or binary frame of exactly this payload."""
        if isinstance(payload, bytes | bytearray | memoryview):
            return self._finish(bytes(payload), BINARY)
        if not isinstance(payload, str):
            raise TypeError(f"send takes str or bytes, not {type(payload).__name__}; emit takes anything JSON can hold")
        try:
            return self._finish(payload.encode())
        except UnicodeEncodeError as error:
            raise TypeError(f"this cannot be sent as text: {error}") from error

    def result(self, ack_id: int, result: Any) -> bytes:
        """The acknowledgement of an event that asked for one."""
        return self._finish(_encode({"ack": ack_id, "data": result}))

    def error(self, ack_id: int | None, name: str, error: ClientError) -> bytes:
        """A handler's refusal: as an acknowledgement, or as the event `error` where none was asked for."""
        body = {"code": error.code, "message": error.message}
        if error.data is not None:
            body["data"] = error.data
        if ack_id is None:
            return self._finish(_encode({"event": "error", "data": {**body, "event": name}}))
        return self._finish(_encode({"ack": ack_id, "error": body}))


class EnvelopeWire(RawWire):
    """The raw wire format for clients that ask to recover: an object in every text frame, and no binary ones.

    Of bytes the `data` is base64 text, and `binary` is true.
    """

    is_recoverable = True

    def event(self, name: str, args: tuple[Any, ...], call_id: int | None = None) -> bytes:
        """An event that cannot be recovered; with `call_id` the client is asked to acknowledge."""
        envelope = _envelope(name, args)
        if call_id is not None:
            envelope["id"] = call_id
        return self._finish(_encode(envelope))

    def recoverable(self, entry: Entry) -> bytes:
        """An event of the history, with its offset."""
        envelope = _envelope(entry.broadcast.event, entry.broadcast.args)
        envelope["offset"] = entry.offset
        return self._finish(_encode(envelope))

    def payload(self, payload: str | bytes) -> bytes:
        """The event `message`."""
        super().payload(payload)  # raises for what is neither
        return self.event(MESSAGE, (payload,))


def _envelope(name: str, args: tuple[Any, ...]) -> dict[str, Any]:
    data = args[0] if len(args) == 1 else list(args) if args else None
    envelope = {"event": name, "data": data}
    if isinstance(data, bytes | bytearray | memoryview):
        envelope["binary"] = True
    return envelope


def _looks_enveloped(bare: bytes) -> bool:
    """Whether a bare object would be taken for an envelope; dataclasses and Structs are objects, too."""
    if b'"event"' not in bare and b'"ack"' not in bare:
        return False
    try:
        value = _decode(bare)
    except (msgspec.DecodeError, RecursionError):
        return True
    return "event" in value or "ack" in value
