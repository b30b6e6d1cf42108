"""What an idle, authenticated connection costs the real service, in KiB of resident memory.

    python -m benchmarks.idle_memory [--connections 4000]

Starts `twistd -n wsservice --dev`, logs a user in, and opens connections with that cookie. The first two hundred
are not counted: they pay for what is made once.
"""

from __future__ import annotations

import argparse
import base64
import os
import resource
import socket
import sys
import tempfile
from pathlib import Path

from tests.integration.service import RunningService

WARM_UP = 200
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"


def resident(pid: int) -> int:
    """The resident memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise RuntimeError("no Rss line; this needs Linux")


def connect(port: int, cookie: str) -> socket.socket:
    """One open WebSocket, with the headers that a browser sends."""
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: http://localhost:{port}\r\n"
        f"User-Agent: {AGENT}\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n"
        f"Cache-Control: no-cache\r\nCookie: {cookie}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(head.encode())
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise RuntimeError(f"not upgraded: {answer[:80]!r}")
    return connection


def measure(count: int) -> float:
    """KiB for each of `count` idle connections."""
    with tempfile.TemporaryDirectory() as folder, RunningService("--dev", cwd=folder) as service:
        cookie = service.log_in("alice")
        connections = [connect(service.port, cookie) for _ in range(WARM_UP)]
        before = resident(service.process.pid)
        connections += [connect(service.port, cookie) for _ in range(count)]
        after = resident(service.process.pid)
        for connection in connections:
            connection.close()
    return (after - before) / count


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=4000)
    count = parser.parse_args().connections
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stdout.write(f"{measure(count):.1f} KiB for each of {count} idle authenticated connections\n")


if __name__ == "__main__":
    main()
