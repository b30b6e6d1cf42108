"""The pages of examples/, whose commands are run as they stand there, but for ports, keys and the place of Redis."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue

from tests.docs.blocks import blocks as page_blocks
from tests.integration.nodejs import node_modules
from tests.integration.service import PATIENCE, ROOT, RunningService
from tests.needs import missing

EXAMPLES = ROOT / "examples"
_EXPECTED = re.compile(r"^// -> (.*)$", re.MULTILINE)
_START = ["twistd", "-n", "wsservice", "--port", "3020"]
#: what a browser's console has, and Node has not: the page's cookie goes along, as a browser would send it
_PRELUDE = """\
const { COOKIE, PORT } = process.env;
const location = { host: `localhost:${PORT}` };
class WebSocket extends require("ws") {
  constructor(url) {
    super(url, { headers: { Cookie: COOKIE }, origin: `http://${location.host}` });
    this.addEventListener("open", () => console.log("(open)"));
  }
}
const io = (url, options) => require("socket.io-client").io(url, { ...options, extraHeaders: { Cookie: COOKIE } });
"""


class Program:
    """A program that prints lines; `stop` it in the end."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line in which this is found."""
        while True:
            try:
                line = self._queue.get(timeout=PATIENCE)
            except Empty:
                raise AssertionError(f"{pattern!r} does not come: {self.lines}") from None
            if line is None:
                raise AssertionError(f"{pattern!r} did not come: {self.lines}")
            found = re.search(pattern, line)
            if found:
                return found

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)


def blocks(example: str, language: str) -> list[str]:
    """The blocks of code of an example's page."""
    return [block.code for block in page_blocks(f"examples/{example}/README.md") if block.language == language]


def commands(code: str) -> list[list[str]]:
    """The commands of a block, taken apart."""
    return [shlex.split(line) for line in code.splitlines()]


def start(example: str, block: int = 0, *, replaced: Mapping[str, str] | None = None) -> RunningService:
    """The service as a block of the page starts it, on a free port.

    Args:
        block: which one, of those in `sh`.
        replaced: arguments that must be others here.
    """
    change, *_, twistd = commands(blocks(example, "sh")[block])
    assert change == ["cd", f"examples/{example}"], change
    assert twistd[: len(_START)] == _START, twistd
    arguments = [(replaced or {}).get(one, one) for one in twistd[len(_START) :]]
    return RunningService(*arguments, cwd=EXAMPLES / example, env={"PYTHONDONTWRITEBYTECODE": "1"})


def run_javascript(code: str, service: RunningService, user: str) -> Program:
    """Run a block as if in the console of a page where that user is logged in; stop it in the end."""
    env = {"COOKIE": service.log_in(user), "PORT": str(service.port), "NODE_PATH": str(node_modules())}
    code = _PRELUDE + code.replace("localhost:3020", f"localhost:{service.port}")
    return Program(["node", "-e", code], cwd=EXAMPLES, env=env)


def expected_lines(code: str) -> list[str]:
    """What a block says that it prints."""
    return _EXPECTED.findall(code)


def printed(program: Program, code: str) -> list[str]:
    """What a block prints, as much of it as it says."""
    expected = expected_lines(code)
    program.wait_for(f"^{re.escape(expected[-1])}$")
    return [line for line in program.lines if line != "(open)"]


def curl(code: str, port: int) -> str:
    """Run a block of one curl command against a backend's real port; gives what it prints."""
    if shutil.which("curl") is None:
        raise missing("curl is not installed: apt-get install curl")
    (command,) = commands(code)
    command = [one.replace("localhost:5000", f"127.0.0.1:{port}") for one in command]
    done = subprocess.run(
        [*command, "-sS", "--noproxy", "*"], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout


def python_of(command: Sequence[str]) -> list[str]:
    """A command whose `python`, or `flask`, is this environment's."""
    program, *arguments = command
    return [sys.executable, *(["-m", program] if program != "python" else []), *arguments]
