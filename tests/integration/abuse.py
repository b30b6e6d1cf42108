"""What the tests of abuse share: a service under attack, innocent clients that must not notice, and attackers.

Each case is an attack within `unnoticed`, which runs two innocent clients beside it (`innocents.py`): every echo of
theirs must be answered within a generous bound. After the attack `comes_back` waits until the service's open files and
tables are what they were.

The numbers are the specification's; `WSSERVICE_ABUSE_SCALE=0.1` makes the largest of them a tenth.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.provider import Provider
from tests.integration.service import PATIENCE, ROOT, RunningService

APP = "tests.integration.abuse_app:app"
MIB = 1 << 20
#: seconds that an innocent's echo may take: a bound for a machine that is busy, not a figure that is expected
ECHO = 20.0
#: how often (seconds) a condition is looked at
LOOK = 0.02
#: an upgrade as browsers send it, without a token
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
RESET = struct.pack("ii", 1, 0)
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def scaled(number: int) -> int:
    """A number of the specification, or a part of it, as the environment says."""
    return max(1, round(number * float(os.environ.get("WSSERVICE_ABUSE_SCALE", "1"))))


def until(condition: Callable[[], Any], what: str = "", seconds: float = PATIENCE) -> Any:
    """Wait until a condition holds; gives what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what or condition}")
        time.sleep(LOOK)
    return found


def more_files(wanted: int) -> int:
    """Raise this process's own limit of open files as far as it may; how many sockets it can have now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else max(soft, wanted + 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    return min(wanted, most - 200)


class Victim(RunningService):
    """A service under attack."""

    fixed_port = 0

    def __enter__(self) -> Victim:
        if self.fixed_port:  # the log goes elsewhere
            self.port = self.fixed_port
            until(self._answers, "the service listens")
        else:
            super().__enter__()
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the service has ended"
        try:
            return self.request("GET", "/health").status == 200
        except OSError:
            return False

    @property
    def ready(self) -> Any:
        """What `GET /ready` tells."""
        return self.request("GET", "/ready").json

    @property
    def memory(self) -> int:
        """Bytes that are resident now."""
        return int(self._file("statm").split()[1]) * resource.getpagesize()

    @property
    def peak(self) -> int:
        """The most bytes that were resident since `forget_peak`."""
        return int(self._file("status").split("VmHWM:")[1].split()[0]) * 1024

    def forget_peak(self) -> None:
        """Let `peak` begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    @property
    def files(self) -> int:
        """File descriptors that are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = self._file("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _file(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()


class Watcher:
    """A connection to a victim by which a test sees what the process holds, and tells its app what to do."""

    def __init__(self, victim: Victim, cookie: str, **options: Any) -> None:
        self.client = connect(
            victim.url, additional_headers={"Cookie": cookie}, proxy=None, open_timeout=PATIENCE, **options
        )
        self._last = 0

    def ask(self, event: str, data: Any = None, patience: float = PATIENCE) -> Any:
        """Send an event and wait for its acknowledgement."""
        self._last += 1
        self.client.send(json.dumps({"event": event, "data": data, "id": self._last}))
        while True:
            answer = json.loads(self.client.recv(timeout=patience))
            if isinstance(answer, dict) and answer.get("ack") == self._last:
                return answer.get("data", answer.get("error"))

    def counter(self, name: str) -> int:
        """How often something was counted, by its name and reason."""
        return int(self.ask("state")["counters"].get(name, 0))

    @property
    def tables(self) -> dict[str, int]:
        """The sizes of the service's tables."""
        tables: dict[str, int] = self.ask("state")["tables"]
        return tables


class Innocents:
    """The two of `innocents.py`."""

    def __init__(self, victim: Victim, cookie: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.innocents", str(victim.port), cookie],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def report(self) -> dict[str, dict[str, float]]:
        """Wait for one more echo of each; how many there were, and the slowest since the last report."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("?\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        assert select.select([self._process.stdout], [], [], 2 * PATIENCE)[0], "the innocent clients are stuck"
        answer = json.loads(self._process.stdout.readline() or '{"lost": "without a word"}')
        assert "lost" not in answer, answer
        return dict(answer)

    def stop(self) -> None:
        """End them."""
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class AbuseCase(SynchronousTestCase):
    """A service, its innocents, and what it looked like before."""

    def setUp(self) -> None:
        began = time.monotonic()
        self.addCleanup(lambda: self.say(f"{time.monotonic() - began:.1f} s altogether"))

    def start(self, *arguments: str, fixed_port: int = 0, app: str = APP, **options: Any) -> Victim:
        """Start a service; it ends with the test."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        if fixed_port:
            arguments = ("--port", str(fixed_port), *arguments)
        victim = Victim(*arguments, "--app", app, cwd=folder, **options)
        victim.fixed_port = fixed_port
        self.addCleanup(victim.__exit__, None, None, None)
        self.addCleanup(self._told, victim)
        return victim.__enter__()

    def start_dev(self, *arguments: str, **options: Any) -> Victim:
        """The same by `--dev`; innocents are alice, the watcher is carol, and attackers are bob."""
        victim = self.start("--dev", "--login-burst", "1000", *arguments, **options)
        self.alice, self.bob, self.carol = (victim.log_in(name) for name in ("alice", "bob", "carol"))
        self.watcher = self.watch(victim, self.carol)
        return victim

    def start_with(self, provider: Provider, *arguments: str, **options: Any) -> Victim:
        """The same by the tokens of a pool."""
        victim = self.start("--login-burst", "100000", *arguments, env=provider.environment, **options)
        self.alice, self.bob, self.carol = (provider.cookie(name) for name in ("alice", "bob", "carol"))
        until(lambda: victim.ready["checks"]["keys"]["ready"], "the keys are there")
        self.watcher = self.watch(victim, self.carol)
        return victim

    def provide(self) -> Provider:
        """A provider that ends with the test."""
        provider = Provider()
        self.addCleanup(provider.__exit__, None, None, None)
        return provider.__enter__()

    def watch(self, victim: Victim, cookie: str, **options: Any) -> Watcher:
        """A watcher that ends with the test."""
        watcher = Watcher(victim, cookie, **options)
        self.addCleanup(watcher.client.close)
        return watcher

    def _told(self, victim: Victim) -> None:
        """Nothing that nobody expected stands in the log."""
        for word in ("Unhandled", "Traceback"):
            if word not in self.expected:
                self.assertEqual([line for line in victim.log.splitlines() if word in line][:3], [], victim.log[-5000:])

    #: words that may stand in the log
    expected: Sequence[str] = ()

    @contextmanager
    def unnoticed(self, victim: Victim, bound: float = ECHO) -> Iterator[None]:
        """Run an attack beside the innocents; say what it took."""
        innocents = Innocents(victim, self.alice)
        try:
            innocents.report()
            victim.forget_peak()
            memory, began, cpu = victim.memory, time.monotonic(), victim.cpu
            yield
            report = innocents.report()
            self.figures = (
                f"{time.monotonic() - began:.1f} s, cpu {victim.cpu - cpu:.1f} s, memory {memory / MIB:.0f} -> "
                f"{victim.memory / MIB:.0f} MiB, peak {victim.peak / MIB:.0f} MiB, slowest echo "
                + ", ".join(f"{one['slowest']:.2f} s ({name})" for name, one in report.items())
            )
            self.say(self.figures)
            for name, one in report.items():
                self.assertLess(one["slowest"], bound, name)
        finally:
            innocents.stop()

    def say(self, figures: str) -> None:
        """Print figures, if they are wanted."""
        if os.environ.get("WSSERVICE_ABUSE_FIGURES"):
            print(f"\n    {self.id().rpartition('.')[2]}: {figures}", flush=True)

    def holds(self, victim: Victim) -> Holding:
        """What a service holds now."""
        return Holding(victim.files, self.watcher.tables)

    def comes_back(self, victim: Victim, before: Holding) -> None:
        """Wait until open files and tables are what they were."""
        until(lambda: self.holds(victim) == before, f"{before} again, not {self.holds(victim)}")


class Holding(NamedTuple):
    """What a service holds."""

    files: int
    tables: dict[str, int]


# Attackers


def dial(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A connection."""
    return socket.create_connection((host, port), timeout=PATIENCE)


def upgrade(port: int, cookie: str = "", *, path: str = "/ws", extra: str = "") -> bytes:
    """The head of a WebSocket's handshake."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: localhost:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([f"Cookie: {cookie}"] if cookie else []),
        *([extra] if extra else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


SOCKETIO = "/socket.io/?EIO=4&transport=websocket"


def open_socket(port: int, cookie: str = "", **options: Any) -> socket.socket:
    """A WebSocket whose handshake is done."""
    sock = dial(port)
    sock.sendall(upgrade(port, cookie, **options))
    head = read_head(sock)
    assert head.startswith(b"HTTP/1.1 101"), head
    return sock


def read_head(sock: socket.socket) -> bytes:
    """An answer up to the end of its head, and not a byte further."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    return head


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, rsv: int = 0) -> bytes:
    """A client's frame, masked by zeros (RFC 6455 section 5.2)."""
    size = len(payload)
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    return head + bytes(4) + payload


def reset(sock: socket.socket) -> None:
    """Close by a RST, without a word."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def read_to_end(sock: socket.socket) -> bytes:
    """Everything until the other side is gone, by a FIN or a RST."""
    data = bytearray()
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return bytes(data)


def read_close(sock: socket.socket) -> tuple[int, str] | None:
    """The close frame that the server sends, whatever comes before it; None without one."""
    data = b""
    while (found := close_of(data)) is None:
        try:
            piece = sock.recv(65536)
        except ConnectionError:
            piece = b""
        if not piece:
            break
        data += piece
    return found


def close_of(data: bytes) -> tuple[int, str] | None:
    """The close frame among a server's frames; None if there is none."""
    at = 0
    while at + 2 <= len(data):
        opcode, size, start = data[at] & 15, data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif size == 127:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if opcode == CLOSE and len(data) >= start + size:
            payload = data[start : start + size]
            return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
        at = start + size
    return None


def closed(client: ClientConnection) -> tuple[int, str] | None:
    """How the server closes a client of the library, whatever comes before; None without a close frame."""
    try:
        while True:
            client.recv(timeout=PATIENCE)
    except ConnectionClosed as ended:
        return (ended.rcvd.code, ended.rcvd.reason) if ended.rcvd else None
