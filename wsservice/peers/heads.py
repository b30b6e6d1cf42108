"""The heads between nodes: of a request as it is passed on, and of the answer that comes back. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsservice.handshake import Handshake
from wsservice.headers import Headers, security_headers
from wsservice.peers.proofs import FORWARDED, HEADER, prove

#: what a node itself has to say to the owner, or to ask it
NOTE = "x-wsservice-note"
#: in the head of a POST whose body never comes: the client has not taken the answer to its last poll
LOST = "lost"
#: in an OPTIONS: how many bytes may the client send in a body? The answer has `LIMIT`
ASKS_LIMIT = "limit?"
LIMIT = b"X-Wsservice-Limit"
#: what a head that is passed on may have beyond the client's, whose host it names once more
MORE_LINES = 8
MORE_BYTES = 1024
#: bytes of the head of an answer
MAX_HEAD = 32768
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [\t\x20-\x7e]*)?")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e]*)")
#: of one connection (RFC 9110 section 7.6.1), and what is said anew
_NOT_PASSED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "forwarded",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
        HEADER.lower(),
        NOTE,
        *FORWARDED,
    }
)
#: what every answer here has anyway
_OWN = frozenset(
    [name.lower() for name, _ in security_headers(secure=True, host="")]
    + [b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding", b"x-request-id"]
)


class BadAnswer(Exception):
    """An answer that no node of ours gives."""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The head of an answer.

    Attributes:
        headers: those that the client gets, beside those of every answer.
        length: bytes of the body.
        is_last: whether the connection ends behind it.
    """

    status: int
    headers: Headers
    length: int
    is_last: bool


def request_head(
    handshake: Handshake, *, node: str, secret: bytes, now: float, length: int | None = None, note: str = ""
) -> bytes:
    """The head of a request as a peer gets it: all headers of the client but those of its connection.

    Args:
        node: whom it goes to.
        now: POSIX seconds.
        length: of the body; None: it is an upgrade to a WebSocket.
        note: `LOST`, `ASKS_LIMIT`, or nothing.
    """
    target = f"{handshake.path}?{handshake.query_string}" if handshake.query_string else handshake.path
    forwarded = (handshake.peer, "https" if handshake.secure else "http", handshake.host)
    lines = [f"{handshake.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in handshake.headers if name not in _NOT_PASSED]
    lines += [f"{name}: {value}" for name, value in zip(FORWARDED, forwarded, strict=True) if value]
    proof = prove(secret, node=node, now=now, line=(handshake.method, target), forwarded=forwarded)
    lines += [f"x-request-id: {handshake.request_id}", f"{HEADER.lower()}: {proof}"]
    if note:
        lines.append(f"{NOTE}: {note}")
    if length is None:
        lines += ["upgrade: websocket", "connection: upgrade"]
    elif length or handshake.method == "POST":
        lines.append(f"content-length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def read_answer(head: bytes) -> AnswerHead:
    """The head of an answer, up to and with the empty line.

    Raises:
        BadAnswer: it is not what a node of ours sends.
    """
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise BadAnswer("a status line that is none, or an interim answer")
    status = int(match[1])
    headers: list[tuple[bytes, bytes]] = []
    lengths: list[bytes] = []
    is_last = False
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise BadAnswer("a line that is no header")
        name, value = header[1].lower(), header[2]
        if name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            raise BadAnswer("a body without its length")
        elif name == b"connection":
            is_last = is_last or value.lower() != b"keep-alive"
        if name not in _OWN:
            headers.append((header[1], value))
    return AnswerHead(status, tuple(headers), _length(status, lengths), is_last)


def _length(status: int, lengths: list[bytes]) -> int:
    if status in (204, 304):
        return 0
    if len(lengths) != 1 or not re.fullmatch(rb"[0-9]{1,12}", lengths[0]):
        raise BadAnswer("a body without its length")
    return int(lengths[0])
