"""Targets: bytes on a connection. An open WebSocket in different cuts, and the one port of the whole service."""

from __future__ import annotations

import re
import zlib
from collections.abc import Hashable
from random import Random
from typing import Any, NamedTuple

from fuzz.target import Reader
from fuzz.whole import Peer, Whole, counted_ids, whole

#: between the frames of an input of `websocket`
FRAME_SEPARATOR = b"\x1d"
#: a frame that begins so is raw bytes
_RAW = 0xFF
_CLOSED = re.compile(rb"\x88[\x00\x02-\x7d]")
#: places where the port's input says that something happens
_STEPS = re.compile(rb"(@(?:NEXT|WAIT|LOST|READ|AWAY)@)")
#: how a life ended that broke the WebSocket protocol
_VIOLATION = "violation"
#: bytes that the service may write for each byte that it is sent, and at all
_AMPLIFICATION, _OUTPUT = 8192, 1 << 18


class Outcome(NamedTuple):
    """What a WebSocket's life led to.

    Attributes:
        log: what the app was told.
        output: what the client was told; of a violation only that there was one. A message may break two rules, and
            its cuts decide which is seen first.
        close: who ended the connection, and the app's reason. Not behind a violation: Autobahn parses on from
            wherever it is, so that the connection ends sooner or later (docs/reliability.md).
    """

    log: list[Any]
    output: bytes
    close: tuple[str, Any]


def websocket(data: bytes) -> Hashable:
    """Frames on an open WebSocket; the first byte chooses which and how, the second how the bytes are cut."""
    reader = Reader(data)
    flags, seed = reader.byte(), reader.byte()
    stream = _frames(reader.rest(), deflate=bool(flags & 2))
    lives = [_live(flags, pieces) for pieces in _cuts(stream, seed)]
    first = lives[0]
    for other in lives[1:]:
        known = min(len(first.log), len(other.log)) if first.close[0] == _VIOLATION else None
        assert other.log[:known] == first.log[:known], f"other cuts, other events: {first.log} {other.log}"
        assert other.output == first.output, f"other cuts, other answers: {first.output!r} {other.output!r}"
        assert other.close == first.close, f"other cuts, other ends: {first.close} {other.close}"
    return flags & 3, first.close, _shape(first)


def _shape(life: Outcome) -> Hashable:
    close = _CLOSED.findall(life.output)
    code = life.output[life.output.rfind(close[-1]) :][2:4] if close else b""
    return frozenset(name for name, *_ in life.log[:8]), code, min(len(life.log), 6)


def _frames(data: bytes, *, deflate: bool) -> bytes:
    """Masked frames (RFC 6455 section 5.2) of the parts: the first byte of a frame, then its payload."""
    stream = b""
    for part in data.split(FRAME_SEPARATOR):
        first, payload = part[:1] or b"\x81", part[1:]
        if first[0] == _RAW:
            stream += payload
            continue
        if deflate and first[0] & 0x40:
            compressor = zlib.compressobj(wbits=-15)
            payload = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
        stream += first + size + bytes(4) + payload
    return stream


def _cuts(stream: bytes, seed: int) -> list[list[bytes]]:
    """The same bytes whole, in small pieces of one size, anyhow, and in two."""
    step = 1 if len(stream) <= 200 else 1 + seed % 7
    random = Random(seed)
    places = sorted(random.randint(0, len(stream)) for _ in range(1 + seed % 5))
    anyhow = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    middle = 1 + seed % max(1, len(stream))
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    return [[stream], pieces, anyhow, [stream[:middle], stream[middle:]]]


def _live(flags: int, pieces: list[bytes]) -> Outcome:
    service = whole()
    with counted_ids(), service.life():
        peer = service.connect()
        peer.send(_upgrade(service, flags))
        assert peer.output.startswith(b"HTTP/1.1 101 "), peer.output
        for piece in pieces:
            peer.send(piece)
        service.settle()
        ended, failed = peer.transport.ended, peer.transport.protocol.failedByMe
        waits = service.parts.hub.running  # a handler for an answer that the client owes, until the call's timeout
        assert ended or waits or not peer.transport.paused, "nobody reads on"
    goodbyes = [entry for entry in service.log if entry[0] == "disconnected"]
    assert len(goodbyes) == sum(entry[0] == "connected" for entry in service.log), "on_disconnect runs once"
    rest = [entry for entry in service.log if entry[0] != "disconnected"]
    if failed:
        return Outcome(rest, peer.output[: peer.output.rfind(b"\x88")], (_VIOLATION, None))
    return Outcome(rest, peer.output, (ended, tuple(goodbyes)))


def _upgrade(service: Whole, flags: int) -> bytes:
    path = b"/socket.io/?EIO=4&transport=websocket" if flags & 1 else b"/ws?slow=1" if flags & 8 else b"/ws"
    extension = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if flags & 2 else b""
    cookie = b"" if flags & 4 else b"Cookie: authToken=%s\r\n" % service.token.encode()
    return (
        b"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s%s"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % (path, extension, cookie)
    )


def port(data: bytes) -> Hashable:
    """Anything at all, from the first byte of a connection on; the first byte of the input chooses how it comes.

    `@NEXT@` opens another connection, `@LOST@` ends this one, `@WAIT@` is a few seconds, `@READ@` lets a slow client
    read, `@AWAY@` ends the first session. `@TOKEN@`, `@SID@` and `@PASSWORD@` stand for what is good.
    """
    reader = Reader(data)
    flags, stream = reader.byte(), reader.rest()
    for word, value in ((b"@TOKEN@", whole().token), (b"@PASSWORD@", whole().password)):
        stream = stream.replace(word, value.encode())
    step = 1 + (flags >> 4) * 7 if flags & 2 else 0
    first = _visit(stream, slow=bool(flags & 1), step=step)
    if flags & 4 and not _STEPS.search(stream):
        other = _visit(stream, slow=bool(flags & 1), step=3)
        assert other.kind == first.kind, "other cuts, other violations"
        known = min(len(first.log), len(other.log)) if first.kind else None
        assert other.log[:known] == first.log[:known], f"other cuts, other events: {first.log} {other.log}"
        assert other.answers == first.answers, f"other cuts, other answers: {first.answers} {other.answers}"
    return first.answers


class Visit(NamedTuple):
    """What the connections of an input led to."""

    answers: Hashable
    log: list[Any]
    kind: str


def _visit(stream: bytes, *, slow: bool, step: int) -> Visit:
    service = whole()
    with counted_ids(), service.life():
        peers = _talk(service, stream, slow=slow, step=step)
        failed = any(getattr(peer.transport.protocol, "failedByMe", False) for peer in peers)
        _wait(service, peers)
        written = sum(len(peer.output) for peer in peers)
        assert written <= _OUTPUT + _AMPLIFICATION * len(stream), f"{written} bytes for {len(stream)}"
        answers = tuple((peer.is_websocket, _statuses(peer.output)) for peer in peers[:3])
    log = [entry for entry in service.log if entry[0] != "disconnected"]
    return Visit(answers, log, _VIOLATION if failed else "")


def _talk(service: Whole, stream: bytes, *, slow: bool, step: int) -> list[Peer]:
    """Do what the input says; gives its connections."""
    session = service.begin_session()
    stream = stream.replace(b"@SID@", session.sid.encode())
    peers = [service.connect(slow=slow)]
    for part in _STEPS.split(stream):
        if part == b"@NEXT@":
            peers.append(service.connect(slow=slow))
        elif part == b"@LOST@":
            peers[-1].leave()
        elif part == b"@WAIT@":
            service.tick(3.0)
        elif part == b"@READ@":
            peers[-1].transport.read()
        elif part == b"@AWAY@":
            session.end("away")
        else:
            _send(peers[-1], part, step or len(part) or 1)
        service.step()
    service.settle()
    return peers


def _send(peer: Peer, data: bytes, step: int) -> None:
    for at in range(0, len(data), step):
        peer.send(data[at : at + step])


def _wait(service: Whole, peers: list[Peer]) -> None:
    """Past every deadline; what is still open then is a WebSocket."""
    for seconds in (4.0, 2.0, 4.0, 31.0, 31.0, 61.0):
        service.tick(seconds)
        for peer in peers:
            peer.flush()
    for peer in peers:
        assert peer.transport.ended or peer.transport.is_lost or peer.is_websocket, "a connection without an end"


def _statuses(output: bytes) -> Hashable:
    return tuple(dict.fromkeys(re.findall(rb"HTTP/1\.[01] ([0-9]{3})", output)))[:5]
