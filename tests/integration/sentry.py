"""A Sentry that takes envelopes over HTTP, as the SDK sends them, and keeps what they hold."""

from __future__ import annotations

import gzip
import json
import queue
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0


class Sentry:
    """The server; use it by `with`.

    Args:
        answers: an event; while it is not set, no request is answered.

    Attributes:
        bodies: all that came, unpacked.
        paths: and where.
    """

    def __init__(self, *, answers: threading.Event | None = None) -> None:
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._answers = answers
        sentry = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sentry.take(self.path, body)
                with suppress(OSError):  # the service did not wait for it
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def dsn(self) -> str:
        """What a service is given."""
        return f"http://publickey0123456789@127.0.0.1:{self._server.server_port}/42"

    def __enter__(self) -> Sentry:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: bytes) -> None:
        """An envelope came: a line of JSON, and items, each with a line and a payload of its length."""
        self.paths.append(path)
        self.bodies.append(body)
        _, rest = body.split(b"\n", 1)
        while rest.strip():
            head, rest = rest.split(b"\n", 1)
            item = json.loads(head)
            payload, rest = rest[: item["length"]], rest[item["length"] + 1 :]
            if item["type"] == "event":
                self._events.put(json.loads(payload))
        if self._answers is not None:
            self._answers.wait(PATIENCE)

    def event(self) -> dict[str, Any]:
        """The next event; waits for it."""
        return self._events.get(timeout=PATIENCE)
