"""The real service in `--dev`, which the tests of the page start, stop and start again at the same port."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: seconds: far more than anything here takes, so that only a failure waits so long
WAIT = 30

#: a user of `--dev` with the password, as the greeting prints them
_CREDENTIALS = re.compile(r"^\s+(\w+)\s+password (\S+)$", re.MULTILINE)
_USERS = 4


class DevService:
    """`twistd -n wsservice --dev` in a process of its own.

    Attributes:
        passwords: of the users, as printed at start; new ones after each start.

    Args:
        directory: an empty working directory, so that no `.env` file is read.
        options: more of `twistd -n wsservice`.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.passwords: dict[str, str] = {}
        self._directory = directory
        self._options = options
        self._port = _free_port()
        self._process: subprocess.Popen[str] | None = None
        self._output: list[str] = []
        self.start()

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://localhost:{self._port}/"

    def start(self) -> None:
        """Start it, on the same port as before; returns when it has printed its users, and so listens."""
        self.passwords = {}
        self._output = []
        ready = threading.Event()
        command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        self._process = subprocess.Popen(
            [*command, "--pidfile=", "-n", "wsservice", "--port", str(self._port), "--dev", *self._options],
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self._process, ready), daemon=True).start()
        if not ready.wait(WAIT) or len(self.passwords) < _USERS:
            self.stop()
            raise RuntimeError("the service did not start:\n" + "".join(self._output))

    def count(self, words: str) -> int:
        """In how many lines of its log these words stand so far."""
        return sum(words in line for line in self._output)

    def stop(self) -> int:
        """Ask it to end (SIGTERM); returns its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._output.append(line)
                self.passwords.update(_CREDENTIALS.findall(line))
                if len(self.passwords) == _USERS:
                    ready.set()
        ready.set()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
