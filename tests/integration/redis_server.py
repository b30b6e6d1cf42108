"""A real redis-server as a process of its own, on a free port of the loopback interface or on a Unix socket.

redis = RedisServer(directory)  # blocks until it answers, for some 20 ms
redis.ask("SET", "key", "value")
redis.kill(); redis.start()     # on the same port
redis.freeze(); redis.thaw()
redis.stop()
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests import needs
from tests.certificates import make_certificate, write_pem
from wsservice.adapters.redis.resp import Reader, encode

#: a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0


class RedisServer:
    """A server that keeps its address when it is started again; `stop` it in the end.

    Args:
        directory: for what it writes; a folder of the test's own.
        password: of the default user.
        tls: a certificate for `localhost` is made for it; `ca` is who signed it.
        unix: a Unix socket instead of a port.
        keep: whether what it holds outlives a kill (an append-only file).
        options: more of redis-server's, such as `--maxclients 2`.
        before: a program that runs it, with its arguments, such as `taskset -c 1`.

    Raises:
        SkipTest: it is not installed (in CI an AssertionError).
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        password: str = "",
        tls: bool = False,
        unix: bool = False,
        keep: bool = False,
        options: tuple[str, ...] = (),
        before: Sequence[str] = (),
    ) -> None:
        needs.require("redis")
        self.directory = Path(directory).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.password = password
        self.port = 0 if unix else _free_port()
        # A test's own folder has too long a name: 107 bytes are allowed.
        self._short = Path(tempfile.mkdtemp(prefix="redis-")) if unix else None
        self.path = f"{self._short}/redis.sock" if unix else ""
        self.ca = ""
        self._tls = tls
        address = ["--port", "0" if tls or unix else str(self.port), "--bind", "127.0.0.1"]
        if unix:
            address += ["--unixsocket", self.path]
        if tls:
            address += self._make_certificates()
        secret = ["--requirepass", password] if password else []
        files = ["--appendonly", "yes", "--appendfsync", "always"] if keep else ["--save", ""]
        self._command = [*before, "redis-server", "--dir", str(self.directory), *address, *secret, *files, *options]
        self.process: subprocess.Popen[str] | None = None
        atexit.register(self.stop)  # where a run of the tests is cut short
        self.start()

    @property
    def url(self) -> str:
        """What `--adapter` would be."""
        who = f":{self.password}@" if self.password else ""
        if self.path:
            return f"unix://{who}{self.path}"
        return (
            f"rediss://{who}localhost:{self.port}/0?ca={self.ca}"
            if self._tls
            else f"redis://{who}127.0.0.1:{self.port}/0"
        )

    def start(self) -> None:
        """Start it, again if it was killed, and wait until it takes connections; blocks."""
        assert self.process is None
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, args=(self.process, lines), daemon=True)
        self._reader.start()
        seen = ""
        try:
            while (line := lines.get(timeout=PATIENCE)) is not None:
                seen += line
                if "eady to accept connections" in line:
                    return
        except Empty:
            seen += f"(nothing more in {PATIENCE:g} s)"
        self.stop()
        raise RuntimeError(f"redis-server did not start\n{seen}")

    def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command, on a connection of its own; blocks."""
        with self._connect() as connection:
            reader = Reader(1 << 30)
            commands = [("AUTH", self.password), command] if self.password else [command]
            connection.sendall(b"".join(encode(*one) for one in commands))
            replies: list[Any] = []
            while len(replies) < len(commands):
                data = connection.recv(65536)
                assert data, "redis-server closed the connection"
                replies += reader.feed(data)
        return replies[-1]

    def freeze(self) -> None:
        """SIGSTOP: it takes connections, by the kernel's hand, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """End it if it runs."""
        atexit.unregister(self.stop)
        if self.process is not None:
            self.kill()
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)

    def _connect(self) -> socket.socket:
        if self.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(self.path)
            return connection
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        if not self._tls:
            return plain
        return ssl.create_default_context(cafile=self.ca).wrap_socket(plain, server_hostname="localhost")

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def _read(self, process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    def _make_certificates(self) -> list[str]:
        root = make_certificate("root", authority=True)
        certificate, key = make_certificate("localhost", root)
        self.ca = str(write_pem(self.directory / "ca.pem", root[0]))
        chain = str(write_pem(self.directory / "redis.pem", certificate))
        secret = str(write_pem(self.directory / "redis.key", key))
        port = ["--tls-port", str(self.port), "--tls-auth-clients", "no"]
        return [*port, "--tls-cert-file", chain, "--tls-key-file", secret, "--tls-ca-cert-file", self.ca]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
