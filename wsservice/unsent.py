"""What a peer has not taken yet of what was written: the part that waits here, and the part that the system has.

Bytes leave this process for the system's buffer, which may hold megabytes; the peer's system acknowledges them as room
is made there by whoever reads. So the sum of both shrinks as long as a peer reads, however slowly, and that is how one
who reads slowly is told from one who does not. A reset throws both parts away; a FIN goes behind the system's.
"""

# mypy: allow-untyped-calls
# (twisted.protocols.policies has few annotations)

from __future__ import annotations

import fcntl
import struct
import termios
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.protocols.policies import ProtocolWrapper

_INT = struct.Struct("i")


def unsent(transport: Any) -> int:
    """Bytes that wait in a transport, and in those below it, for the system to take them."""
    known = getattr(transport, "unsent", None)
    if known is not None:
        return int(known)
    waiting = sum(map(len, getattr(transport, "_appSendBuffer", ())))  # for a TLS handshake
    below = _bottom(transport)
    return waiting + (0 if below is None else len(below.dataBuffer) - below.offset + below._tempDataLen)


def untaken(transport: Any) -> int:
    """The same, and those that the system has and the peer has not acknowledged: more than 0 while there are any.

    Behind a proxy on a Unix socket the peer is the proxy.
    """
    below = _bottom(transport)
    return unsent(transport) + (0 if below is None else _queued(below))


def remember_untaken(transport: Any) -> None:
    """Have a transport say by `left_untaken` what its peer had not taken when it ended."""
    below = _bottom(transport)
    if below is not None:
        below.remembers_untaken = True  # type: ignore[attr-defined]


def left_untaken(transport: Any) -> int:
    """What the peer of a transport that has ended had not taken; without `remember_untaken`, only of what waited here.

    Of a Unix socket it is never more than that: what the system had is the peer's, or lost.
    """
    return max(unsent(transport), getattr(_bottom(transport), "untaken_at_end", 0))


def finish(transport: Any) -> None:
    """End a connection by a FIN, at once if nothing is unsent, even if its peer does not answer TLS's own end."""
    transport.loseConnection()
    below = _bottom(transport)
    if below is not None and below is not transport:
        below.loseConnection()


def cut_off(transport: Any) -> None:
    """End a connection now: what the system has, it brings to the peer without us; what waits here is lost."""
    if unsent(transport):
        transport.abortConnection()
    else:
        finish(transport)


class Pace:
    """Whether a peer still takes what it was sent; asked now and then.

    Args:
        now: seconds, when it began.
        left: what it had to take then.
        patience: seconds in which it must take something.
        longest: seconds in which it must take everything.

    Attributes:
        is_stuck: whether it took nothing for too long.
    """

    __slots__ = ("_end", "_left", "_patience", "_since", "is_stuck")

    def __init__(self, now: float, left: int, *, patience: float, longest: float) -> None:
        self._left = left
        self._since = now
        self._patience = patience
        self._end = now + longest
        self.is_stuck = False

    def goes_on(self, now: float, left: int) -> bool:
        """Whether to wait on for one who has this much left to take."""
        if left != self._left:
            self._since, self._left = now, left
        self.is_stuck = left > 0 and now - self._since >= self._patience
        return left > 0 and not self.is_stuck and now < self._end


def _bottom(transport: Any) -> FileDescriptor | None:
    """The transport below all wrappers; None for one that is no socket, as in tests."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport if isinstance(transport, FileDescriptor) else None


def _queued(transport: Any) -> int:
    """Bytes in the system's buffer; 0 where it does not tell."""
    if not transport.connected:
        return 0
    try:
        return int(_INT.unpack(fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))[0])
    except OSError:
        return 0
