"""The service under test: the real one, in its own process, with authentication on and a provider of keys beside it."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

import wsservice
from wsservice.testing import Issuer

ROOT = Path(__file__).resolve().parents[2]
APP = "tests.conformance.echo_app:app"
AUDIENCE = "conformance"
COOKIE_NAME = "authToken"
TOKEN_HOURS = 12
# The largest message of the suite has 16 MiB (9.1.6 and 9.2.6).
MAX_MESSAGE_SIZE = 32 * 1024 * 1024
START_SECONDS = 60
STOP_SECONDS = 45
MISSING_TOKEN = (1008, "Missing authentication token")


class ServiceError(Exception):
    """The service does not start, does not refuse strangers, does not echo, or does not end well."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: where it listens and the cookie that it accepts."""

    port: int
    cookie: str

    @property
    def origin(self) -> str:
        """The origin of the service's own pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of the raw WebSocket."""
        return f"ws://127.0.0.1:{self.port}/ws"


@contextmanager
def running(log_file: Path) -> Iterator[Service]:
    """Start the service with its provider of keys; stop both at the end and look at how it ended.

    Raises:
        ServiceError: it did not become ready, died, logged a traceback, or did not end with status 0 on SIGTERM.
    """
    port = _free_port()
    with (
        _key_provider() as issuer,
        tempfile.TemporaryDirectory(prefix="wsservice-conformance-") as folder,
        log_file.open("wb") as log,
    ):
        process = subprocess.Popen(
            _command(port), stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=_environment(issuer.issuer)
        )
        try:
            _wait_until_ready(process, port, log_file)
            yield Service(port, f"{COOKIE_NAME}={issuer.id_token(exp=int(time.time()) + TOKEN_HOURS * 3600)}")
            _stop(process, log_file)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def prove(service: Service) -> None:
    """Without the cookie the service closes with 1008; with it, it negotiates compression and echoes both kinds.

    Raises:
        ServiceError: something of this is not so.
    """
    try:
        _prove(service)
    except (WebSocketException, OSError) as error:
        raise ServiceError(f"the service cannot be spoken to: {error}") from error


def _prove(service: Service) -> None:
    refusal = _refusal(service)
    if refusal != MISSING_TOKEN:
        raise ServiceError(f"authentication is not on: without a cookie the close is {refusal}, not {MISSING_TOKEN}")
    headers = {"Cookie": service.cookie}
    with connect(service.url, origin=Origin(service.origin), additional_headers=headers, proxy=None) as client:
        if not client.protocol.extensions:
            raise ServiceError("compression is not negotiated")
        for message in ("Grüße", b"\x00\xff"):
            client.send(message)
            if (answer := client.recv(timeout=10)) != message:
                raise ServiceError(f"{message!r} came back as {answer!r}")


def versions() -> dict[str, str]:
    """The versions of the service and of what it stands on."""
    named = {name: metadata.version(name.lower()) for name in ("Twisted", "Autobahn")}
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"wsservice": wsservice.__version__, **named, "Python": python}


def _command(port: int) -> list[str]:
    # The script `twistd` may belong to another Python and does not look into PYTHONPATH's twisted/plugins by itself.
    twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]
    options = ["--host", "127.0.0.1", "--port", str(port), "--app", APP, "--compression"]
    # The suite sends 65,536 fragments as fast as it can, and one byte a second: no rates then.
    limits = ["--max-message-size", str(MAX_MESSAGE_SIZE), "--message-rate", "0", "--byte-rate", "0"]
    return [*twistd, "wsservice", *options, *limits]


def _environment(issuer: str) -> dict[str, str]:
    # Nothing of the caller's own settings: they would change what is tested.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "AUTH_ISSUER": issuer,
        "AUTH_JWKS_URL": f"{issuer}/jwks.json",
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_COOKIE_NAME": COOKIE_NAME,
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _key_provider() -> Iterator[Issuer]:
    """An issuer of tokens whose address, on loopback, answers with its public keys."""
    body = b""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_address[1]}", AUDIENCE)
        body = issuer.jwks()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield issuer
        finally:
            server.shutdown()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log_file: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with opener.open(f"http://127.0.0.1:{port}/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise ServiceError(f"the service does not become ready (status {process.poll()}):\n{log_file.read_text()[-3000:]}")


def _refusal(service: Service) -> tuple[int, str]:
    """The code and the reason of the close frame that a client without the cookie gets."""
    with connect(service.url, origin=Origin(service.origin), proxy=None) as client:
        try:
            answer = client.recv(timeout=10)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
    raise ServiceError(f"authentication is not on: without a cookie the service said {answer!r}")


def _stop(process: subprocess.Popen[bytes], log_file: Path) -> None:
    if process.poll() is not None:
        raise ServiceError(f"the service died with status {process.returncode}; see {log_file}")
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"the service did not end within {STOP_SECONDS} s of SIGTERM; see {log_file}") from error
    if status != 0:
        raise ServiceError(f"the service ended with status {status}; see {log_file}")
    if b"Traceback" in log_file.read_bytes():
        raise ServiceError(f"the service logged a traceback; see {log_file}")
