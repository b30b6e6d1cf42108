"""What the runners of blocks share: a folder with the programs on its path, and what people's eyes pass over."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.service import PATIENCE, ROOT, RunningService

#: what differs from one run to the next, and what stands for it in a comparison
_VARIES = (
    (r"\b\d\d:\d\d:\d\d\.\d{3}\b", "TIME"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"joined / as \S+", "joined / as ID"),
    (r'"[\w-]{8}\.\d+" \(\d+ bytes\)', '"OFFSET" (N bytes)'),
    (r"\b[\d.]+ ms\b", "N ms"),
    (r"\b\d+ min\b", "N min"),
)


class Base(SynchronousTestCase):
    """A folder of the test's own, in which `wsservice` and `twistd` are found."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "bin").mkdir(parents=True)
        for name, module in (("python", ""), ("python3", ""), ("wsservice", "-m wsservice")):
            self.write_program(name, f'exec "{sys.executable}" {module} "$@"')

    def write_program(self, name: str, line: str) -> None:
        program = self.folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> RunningService:
        """The service, until the test ends."""
        return self.enterContext(RunningService(*arguments, cwd=self.folder, env=env))

    def shell(self, command: str, *, status: int = 0, **environ: str) -> str:
        """What a command prints, on either stream."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-u", "-c", command],
            cwd=self.folder,
            env={**kept, "PATH": path, "PYTHONPATH": str(ROOT), "NO_PROXY": "*", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, status, f"{command}\n{done.stdout}")
        return done.stdout

    def assert_printed(self, printed: str, shown: str) -> None:
        """A page shows what was printed, but for times, ids and the like."""
        self.assertEqual(without_chance(printed), without_chance(shown))


def console(code: str) -> list[tuple[str, str]]:
    """The commands of a block, and what it shows that each prints."""
    found = re.findall(r"^\$ ((?:.*[\\|]\n)*.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE)
    return [(command, shown.strip("\n")) for command, shown in found]


def on_port(text: str, service: RunningService) -> str:
    """A block for this service."""
    return text.replace("localhost:3020", f"localhost:{service.port}").replace("port 3020", f"port {service.port}")


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """A text with each of these put in; each must be there."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in {text!r}"
        text = text.replace(old, new)
    return text


def without_chance(text: str) -> str:
    """A text in which words stand for times and ids."""
    for pattern, word in _VARIES:
        text = re.sub(pattern, word, text)
    return text.strip("\n")
