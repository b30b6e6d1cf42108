"""A WebSocket of a client, on a socket that never blocks: `select` says when to read, and when to write on."""

from __future__ import annotations

import re
import select
import socket
import ssl
import time

from wsservice.cli.client.address import Address
from wsservice.cli.client.opening import Head, Headers, NotHttp, make_request, parse_head, problem_of
from wsservice.cli.client.sockets import TIMEOUT, connect, explain
from wsservice.cli.command import Failed
from wsservice.client_frames import FrameError, FrameReader, Message, Opcode, encode_close, encode_frame, make_key

#: bytes of an answer's head; precedent: the service's own `--max-head-size` for requests
_MAX_HEAD = 64 * 1024
#: bytes of the body of a refusal that are read
_MAX_BODY = 8192
_READ = 65536


class UpgradeRefused(Failed):
    """The service, or something before it, did not answer 101.

    Attributes:
        head, body: what it answered; the body's beginning.
    """

    def __init__(self, head: Head, body: bytes) -> None:
        super().__init__(f"the handshake was answered by {head.status} {head.phrase}")
        self.head, self.body = head, body


def open_websocket(address: Address, headers: Headers, context: ssl.SSLContext, timeout: float = TIMEOUT) -> WebSocket:
    """Connect and shake hands.

    Raises:
        UpgradeRefused: the answer is not 101.
        Failed: there is no connection, or no HTTP.
    """
    sock = connect(address, context, timeout)
    try:
        key = make_key()
        sock.sendall(make_request(address, key, headers))
        head, rest = _read_head(sock)
        if head.status != 101:
            raise UpgradeRefused(head, _read_body(sock, head, rest))
        problem = problem_of(head, key)
        if problem:
            raise Failed(problem)
    except NotHttp as error:
        sock.close()
        raise Failed(f"{address.host} port {address.port}: {error}") from None
    except OSError as error:
        sock.close()
        raise Failed(explain(error, address)) from None
    except BaseException:
        sock.close()
        raise
    return WebSocket(sock, rest)


def _read_head(sock: socket.socket) -> tuple[Head, bytes]:
    """The answer's head, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(_READ)
        if not more:
            if data:
                raise NotHttp("what answers there speaks no HTTP")
            raise ConnectionResetError
        data += more
        if len(data) > _MAX_HEAD:
            raise NotHttp("the head of the answer has no end")
    head, _, rest = data.partition(b"\r\n\r\n")
    return parse_head(head), rest


def _read_body(sock: socket.socket, head: Head, rest: bytes) -> bytes:
    length = head.header("content-length")
    wanted = min(int(length), _MAX_BODY) if re.fullmatch("[0-9]{1,18}", length) else _MAX_BODY
    try:
        while len(rest) < wanted and (more := sock.recv(_READ)):
            rest += more
    except OSError:
        pass  # what has come is enough
    return rest[:wanted]


class WebSocket:
    """An open WebSocket.

    Args:
        sock: after the handshake.
        rest: what came behind the answer's head.

    Attributes:
        ended: the connection is gone; nothing more will come.
        problem: why, where the service broke the protocol or the network did.
    """

    def __init__(self, sock: socket.socket, rest: bytes = b"") -> None:
        sock.setblocking(False)
        self._sock = sock
        self._reader = FrameReader()
        self._rest = rest
        self._unsent = b""
        self.ended = False
        self.problem = ""

    def fileno(self) -> int:
        """For `select`."""
        return self._sock.fileno()

    @property
    def has_more(self) -> bool:
        """Whether `receive` has something to read that `select` does not see."""
        return bool(self._rest) or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0)

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits for the socket; call `flush` when it takes more."""
        return bool(self._unsent)

    def send(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message, or a control frame."""
        self._unsent += encode_frame(opcode, payload)
        self.flush()

    def close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame; the service answers by its own, which `receive` gives, and ends the connection."""
        self.send(Opcode.CLOSE, encode_close(code, reason))

    def flush(self) -> None:
        """Write what the socket takes."""
        try:
            while self._unsent and not self.ended:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            # What it had sent before may still be there to be read: the reader finds the end.
            self._unsent, self.problem = b"", error.strerror or str(error)

    def receive(self) -> list[Message]:
        """What has come; `ended` tells when that was all."""
        found: list[Message] = []
        try:
            while True:
                data, self._rest = self._rest or self._sock.recv(_READ), b""
                if not data:
                    break
                found += self._reader.feed(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return found
        except FrameError as error:
            self.problem = str(error)
        except OSError as error:
            self.problem = error.strerror or str(error)
        self.ended = True
        return found

    def wait(self, seconds: float) -> list[Message]:
        """Wait for something to come, for so long at most; gives it."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            if not self.has_more:
                left = deadline - time.monotonic()
                if left <= 0 or not any(select.select([self], [self] if self._unsent else [], [], left)):
                    return []
            self.flush()
            found = self.receive()
            if found:
                return found
        return []

    def cut(self) -> None:
        """Close the socket."""
        self.ended = True
        self._sock.close()
