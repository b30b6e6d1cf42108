"""The real service as a process: `twistd -n wsservice ...`, started on a free port and ended by its pid."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
#: a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0
_LISTENING = re.compile(r"listening on .*:(\d+) \(https?\)")
_USER = re.compile(r"^\s+(\w+)\s+password\s+(\S+)", re.MULTILINE)


class Answer(NamedTuple):
    """An HTTP answer; `cookies` are name=value of every Set-Cookie that sets one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def cookies(self) -> list[str]:
        """What a browser would send back."""
        found = [value.split(";")[0] for name, value in self.headers if name.lower() == "set-cookie"]
        return [cookie for cookie in found if not cookie.endswith("=")]


class RunningService:
    """A service process. Use it by `with`; leaving the block ends the process if it still runs.

    Args:
        arguments: of `wsservice`; `--port 0` is put before them.
        env: on top of an environment without any setting of the caller's.
        cwd: the working directory; a folder of the test's own.
        before: a program that runs it, with its arguments, such as `prlimit`.
        twistd: options of `twistd`; the port must be known another way if the log goes elsewhere.
        program: runs instead of `twistd`, with the same arguments.
        fds: descriptors that the process inherits.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: str | Path,
        env: dict[str, str] | None = None,
        tls: bool = False,
        before: Sequence[str] = (),
        twistd: Sequence[str] = (),
        program: Sequence[str] = (),
        fds: Sequence[int] = (),
    ) -> None:
        kept = {name: os.environ[name] for name in os.environ if name in _KEPT or name.startswith("COVERAGE")}
        self._tls = tls
        self.cwd = Path(cwd)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._log: list[str] = []
        run = program or (sys.executable, "-c", _TWISTD)
        command = [*before, *run, "--pidfile=", "-n", *twistd]
        self.process = subprocess.Popen(
            [*command, "wsservice", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**kept, "PYTHONPATH": str(ROOT), **(env or {})},
            text=True,
            pass_fds=fds,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> RunningService:
        self.port = int(self.wait_for_line(lambda line: _LISTENING.search(line) is not None, _LISTENING)[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def log(self) -> str:
        """Everything that the process has printed so far."""
        return "".join(self._log)

    @property
    def origin(self) -> str:
        """The origin of its own pages."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    @property
    def url(self) -> str:
        """The address of the raw WebSocket."""
        return f"{'wss' if self._tls else 'ws'}://localhost:{self.port}/ws"

    @property
    def users(self) -> dict[str, str]:
        """The users of `--dev` and their passwords, as the banner tells them; `newuser` comes last."""
        self.wait_for_line(lambda line: "newuser" in line)
        return dict(_USER.findall(self.log))

    def wait_for_line(self, wanted: Callable[[str], bool], pattern: re.Pattern[str] | None = None) -> Any:
        """Wait until the process prints such a line; gives the line, or the pattern's match."""
        for line in list(self._log):
            if wanted(line):
                return pattern.search(line) if pattern else line
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self._lines.get(timeout=max(0.1, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"the service ended with {self.process.wait()}:\n{self.log}")
            if wanted(line):
                return pattern.search(line) if pattern else line

    def wait(self) -> int:
        """Wait for the end of the process; gives its exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; gives the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def request(
        self, method: str, path: str, body: Any = None, *, cookie: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        """One HTTP request with the service's own origin."""
        if self._tls:
            context = ssl._create_unverified_context()
            connection: Any = http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=context)
        else:
            connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        sent = {"Origin": self.origin, **({"Cookie": cookie} if cookie else {}), **(headers or {})}
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def log_in(self, username: str, password: str | None = None) -> str:
        """Log a user in; gives the Cookie header of the session."""
        secret = self.users[username] if password is None else password
        answer = self.request("POST", "/auth/login", {"username": username, "password": secret})
        assert answer.status == 200, answer
        return "; ".join(answer.cookies)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._log.append(line)
            self._lines.put(line)
        self._lines.put(None)


_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
# The script `twistd` may belong to another Python than the one that runs the tests.
_TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
