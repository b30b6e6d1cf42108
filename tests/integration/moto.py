"""moto's own server as a process: a user pool that nobody here wrote, over HTTP.

moto = shared()                 # blocks until it answers, for about a second, the first time
moto.reset()
...                             # moto.url, moto.boto3
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import subprocess
import sys
import threading
import urllib.request
from functools import cache, cached_property
from queue import Empty, Queue
from typing import Any

HOW_TO = "moto's server is not installed: pip install 'moto[cognitoidp]' flask flask-cors (or .[test])"
#: seconds; a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0
#: moto takes any credentials; these are in its environment and in its clients, nowhere else
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


def missing() -> str | None:
    """Why tests with moto must be skipped, or None. In CI (`CI=true`) nothing is skipped: they fail there."""
    installed = all(importlib.util.find_spec(name) for name in ("moto", "flask", "flask_cors", "boto3"))
    return None if installed or os.environ.get("CI") == "true" else HOW_TO


class MotoServer:
    """A running `moto_server` on a free port of the loopback interface."""

    def __init__(self) -> None:
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**keep, **CREDENTIALS},
            text=True,
        )
        lines: Queue[str | None] = Queue()
        # It logs each request: a pipe that nobody reads would stop it.
        self._reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._reader.start()
        self.url = self._wait_for_address(lines)

    def _read(self, lines: Queue[str | None]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            lines.put(line)
        lines.put(None)

    def _wait_for_address(self, lines: Queue[str | None]) -> str:
        seen = ""
        try:
            while (line := lines.get(timeout=PATIENCE)) is not None:
                seen += line
                if match := _RUNNING.search(line):
                    return match[1]
        except Empty:
            seen += f"(nothing more in {PATIENCE:g} s)"
        self.stop()
        raise RuntimeError(f"moto's server did not start. {HOW_TO}\n{seen}")

    @cached_property
    def boto3(self) -> Any:
        """A client for the pool service; its calls block. Making it takes longer than they do."""
        import boto3

        return boto3.session.Session().client(
            "cognito-idp",
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
            endpoint_url=self.url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def reset(self) -> None:
        """Forget every pool; blocks."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")):
            pass

    def stop(self) -> None:
        """End the process, by its id, and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@cache
def shared() -> MotoServer:
    """The one server of a test run, which ends with it; `reset` it first."""
    server = MotoServer()
    atexit.register(server.stop)
    return server
