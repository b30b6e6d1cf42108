"""A user pool on loopback that misbehaves to order: its keys, and its API for logins."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wsservice.testing import CLIENT_ID, REGION, USER_POOL, Issuer

#: how it answers: well, never, with nonsense, by closing the connection, with an error
GOOD, SILENT, LYING, CLOSING, BROKEN = "good", "silent", "lying", "closing", "broken"


class Provider:
    """Use it by `with`; change `keys` and `api` at any time.

    Attributes:
        keys, api: how it answers requests for its keys, and of its API.
        requests: how often each was asked.
    """

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.keys = self.api = GOOD
        self.requests: Counter[str] = Counter()
        self._released = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self, "keys", provider.keys, provider.issuer.jwks())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                provider.answer(self, "api", provider.api, b'{"__type": "NotAuthorizedException"}', 400)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 1000

            def handle_error(self, request: Any, client_address: Any) -> None:
                """The service may leave before its answer."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_address[1]}"

    def __enter__(self) -> Provider:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """For the service."""
        return {
            "AWS_REGION": REGION,
            "AWS_COGNITO_USER_POOL_ID": USER_POOL,
            "AWS_COGNITO_CLIENT_ID": CLIENT_ID,
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": self.url,
        }

    def cookie(self, user: str, **claims: Any) -> str:
        """A Cookie header with a token of that user."""
        return f"authToken={self.issuer.token(user, **claims)}"

    def release(self) -> None:
        """End the requests that were not answered, by closing their connections."""
        released, self._released = self._released, threading.Event()
        released.set()

    def answer(self, handler: BaseHTTPRequestHandler, what: str, how: str, body: bytes, status: int = 200) -> None:
        """Answer a request."""
        self.requests[what] += 1
        if how == SILENT:
            self._released.wait()
        handler.close_connection = True
        if how in (SILENT, CLOSING):
            return
        if how == BROKEN:
            status, body = 500, b"<html>Internal Server Error</html>"
        elif how == LYING:
            status, body = 200, b'{"keys": [{"kid": "key-0"}], "AuthenticationResult": {"AccessToken": "made up"}}'
        handler.send_response(status)
        handler.send_header("Content-Type", "application/x-amz-json-1.1" if what == "api" else "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
