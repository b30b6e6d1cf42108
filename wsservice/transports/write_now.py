"""Writing to a socket at once, instead of in the next turn of the event loop.

Twisted's `transport.write` keeps the bytes, asks epoll for the socket, waits for a turn, sends, and asks epoll to
forget the socket: four system calls for one. Where nothing waits before them the bytes can be sent right now, and only
what the system does not take goes Twisted's way, with its order, its producers and its errors.

Only for a TCP socket with nothing around it. TLS looks the same from outside, down to `transport.socket`, and would
send plain text: so it is decided by the transport's exact class, once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Server


def can_write_now(transport: Any) -> bool:
    """Whether a transport is a plain TCP connection that was accepted, and of Twisted's own kind."""
    return type(transport) is Server


def write_now(transport: Any, data: bytes) -> None:
    """Send what the socket takes, and leave the rest, and every fault, to the transport."""
    if not (transport.dataBuffer or transport._tempDataBuffer) and transport.connected and not transport.disconnecting:
        try:
            sent = transport.socket.send(data)
        except OSError:  # full, or broken: the transport finds out, and tells its protocol in its own time
            sent = 0
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)
