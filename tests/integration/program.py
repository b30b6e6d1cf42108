"""The program `wsservice` as a process of its own, with nothing of the caller's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.integration.service import PATIENCE, ROOT

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
COMMAND = (sys.executable, "-m", "wsservice")


class Done(NamedTuple):
    """How it ended, and what it printed."""

    status: int
    out: str
    error: str


def environment(**more: str) -> dict[str, str]:
    """For a process."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("COVERAGE")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str, cwd: Path, input: str = "", **env: str) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**env),
        input=input,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
