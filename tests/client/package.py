"""A copy of `client/` with its packages installed, in which its own tools run; nothing is written in the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.integration.nodejs import node_modules

CLIENT = Path(__file__).resolve().parents[2] / "client"
#: seconds; a bound for a machine that is busy, not a figure that is expected
PATIENCE = 300
#: what is made or installed, and no part of the package
_LEFT_OUT = shutil.ignore_patterns("node_modules", "types", ".vite", "example")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test of vitest went.

    Attributes:
        name: the file, the titles around it, and its own.
        status: `passed`, `failed`, `skipped`, `todo` or `pending`.
        text: why it failed, else empty.
    """

    name: str
    status: str
    text: str


def copy_client(folder: Path) -> Path:
    """Copy the package into a folder of the test, with its packages; gives the copy. Blocks.

    Raises:
        SkipTest, AssertionError: see `node_modules`.
    """
    installed = node_modules(CLIENT)
    copy = folder.absolute() / "client"
    shutil.copytree(CLIENT, copy, ignore=_LEFT_OUT)
    (copy / "node_modules").symlink_to(installed)
    return copy


def run_tool(copy: Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the installed packages in the copy, such as `tsc`; blocks until its end."""
    return subprocess.run(
        ["node", f"node_modules/.bin/{tool}", *arguments],
        cwd=copy,
        env={**os.environ, "CI": "true", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def run_vitest(copy: Path, *arguments: str) -> list[Outcome]:
    """Run the package's own tests; gives how each one went.

    Args:
        arguments: more of `vitest run`, such as `--project`, `react`.

    Raises:
        AssertionError: it did not get so far.
    """
    report = copy / "report.json"
    done = run_tool(copy, "vitest", "run", "--reporter=json", f"--outputFile={report}", *arguments)
    if not report.is_file():
        raise AssertionError(f"vitest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    outcomes = [outcome for file in json.loads(report.read_text())["testResults"] for outcome in _outcomes(copy, file)]
    if done.returncode and all(outcome.status != "failed" for outcome in outcomes):
        raise AssertionError(f"vitest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return outcomes


def _outcomes(copy: Path, file: dict) -> list[Outcome]:
    name = Path(file["name"]).relative_to(copy).as_posix()
    if not file["assertionResults"]:  # it could not be loaded
        return [Outcome(name, file["status"], file["message"])]
    return [
        Outcome(f"{name}: {one['fullName']}", one["status"], "\n".join(one["failureMessages"]))
        for one in file["assertionResults"]
    ]
