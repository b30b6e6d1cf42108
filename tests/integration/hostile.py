"""A service that answers whatever a test says, to see what a client does with it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from wsservice.client_frames import accept_value


class Hostile:
    """Answers every request by the same bytes, and then says nothing more until the client goes.

    Args:
        answer: to a request that is no WebSocket's.
        frames: to a handshake, behind a good 101; None answers it as any other.
        then: one each to what the client sends behind that.
    """

    def __init__(self, answer: bytes = b"", *, frames: bytes | None = None, then: tuple[bytes, ...] = ()) -> None:
        self._answer, self._frames, self._then = answer, frames, then
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Listen no longer."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError), sock:
            head = b""
            while b"\r\n\r\n" not in head:
                more = sock.recv(65536)
                if not more:
                    return
                head += more
            name = b"Sec-WebSocket-Key: "
            if self._frames is None or name not in head:
                sock.sendall(self._answer)
                return
            accept = accept_value(head.partition(name)[2].partition(b"\r\n")[0].decode())
            lines = "HTTP/1.1 101 x", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"
            sock.sendall("\r\n".join([*lines, "", ""]).encode() + self._frames)
            for answer in self._then:
                sock.recv(65536)
                sock.sendall(answer)
            while sock.recv(65536):
                pass
