"""What an HTTP client may cost."""

from __future__ import annotations

from dataclasses import dataclass

from wsservice.handshake import MAX_HEADERS


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost; bytes and seconds.

    Attributes:
        head_bytes: of a request line and its headers; precedent: twisted.web, nginx (4 times 8 KiB).
        headers: header lines.
        body_bytes: of a body, for every address of the site; resources may ask for less.
        head_timeout: from a request's first byte to the end of its head; precedent: Autobahn's 5 s.
        body_timeout: from there to the end of its body.
        idle_timeout: between two requests; precedent: twisted.web's 60 s.
        write_timeout: that a client may leave an answer unread.
        linger: that a refused client has to read why, before the connection is closed; whatever it
            still sends in that time is dropped, since a socket closed on unread bytes is reset, answer and all.
    """

    head_bytes: int = 16384
    headers: int = MAX_HEADERS
    body_bytes: int = 8192
    head_timeout: float = 5.0
    body_timeout: float = 5.0
    idle_timeout: float = 60.0
    write_timeout: float = 10.0
    linger: float = 1.0
