"""Autobahn's test suite: its Python 2.7 environment, its specification file, and a run of its fuzzing client."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

AGENT = "wsservice"
REQUIREMENTS = Path(__file__).with_name("requirements-py27.txt")
# The last virtualenv that makes environments for Python 2.7.
VIRTUALENV = "virtualenv==20.21.1"
# Groups 12 and 13 take all but a minute of the full run: the quick one keeps a sample of each.
QUICK = (*(f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 9, 10)), "12.1.1", "12.1.2", "12.1.3", "12.1.4", "13.1.1")
FULL = ("*",)
_RUNNING = "Running test case ID "
_SELECTED = "Cases = "


class NoPython27Error(Exception):
    """No Python 2.7 on this machine; the message says how to get one."""


class SuiteError(Exception):
    """The suite could not be installed or did not run to its end."""


def find_python27(path: str, pyenv_root: Path) -> Path:
    """Find an interpreter that really runs: a shim of pyenv may stand on the path without one behind it.

    Raises:
        NoPython27Error: there is none.
    """
    candidates = sorted(pyenv_root.glob("versions/2.7*/bin/python2.7"), reverse=True)
    if on_path := shutil.which("python2.7", path=path):
        candidates.append(Path(on_path))
    for candidate in candidates:
        if _is_python27(candidate):
            return candidate
    raise NoPython27Error(
        "Autobahn's test suite needs Python 2.7, and there is none here: install one, for example with"
        " `pyenv install 2.7.18`, or name one with --python27."
    )


def build_environment(env: Path, python27: Path) -> None:
    """Make the environment of the suite in the folder `env`, unless it is there with the same pins.

    Raises:
        SuiteError: a step failed; the message holds the end of its output.
    """
    stamp = env / "pins"
    pins = REQUIREMENTS.read_text(encoding="utf-8")
    current = stamp.is_file() and stamp.read_text(encoding="utf-8") == pins
    if current and _is_python27(env / "python27/bin/python"):
        return
    env.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _step(sys.executable, "-m", "venv", "--clear", env / "maker")
    _step(env / "maker/bin/python", *pip, VIRTUALENV)
    _step(env / "maker/bin/python", "-m", "virtualenv", "--quiet", "--clear", "--python", python27, env / "python27")
    _step(env / "python27/bin/python", *pip, "--no-deps", "--requirement", REQUIREMENTS)
    stamp.write_text(pins, encoding="utf-8")


def versions(env: Path) -> dict[str, str]:
    """The versions of the suite and of what it runs on."""
    code = (
        "import platform, autobahn, autobahntestsuite as suite, twisted;"
        "print(' '.join([suite.version, autobahn.version, twisted.version.base(), platform.python_version()]))"
    )
    suite, autobahn, twisted, python = _step(env / "python27/bin/python", "-c", code).splitlines()[-1].split()
    return {"autobahntestsuite": suite, "its Autobahn": autobahn, "its Twisted": twisted, "its Python": python}


def build_spec(url: str, *, origin: str, cookie: str, outdir: Path, cases: Sequence[str]) -> dict[str, object]:
    """The fuzzing client's specification.

    A server's entry knows no headers. The origin is written into the request as it stands, so a second
    line in it is a second header: the cookie travels there, and nothing stands between client and service.
    """
    server = {"agent": AGENT, "url": url, "origin": f"{origin}\r\nCookie: {cookie}"}
    return {"outdir": str(outdir), "servers": [server], "cases": list(cases), "exclude-cases": []}


def selected_cases(output: Iterable[str]) -> list[str]:
    """The ids that the suite says it will run, out of its output."""
    for line in output:
        if line.startswith(_SELECTED):
            return [str(name) for name in ast.literal_eval(line.removeprefix(_SELECTED).strip())]
    return []


def running_case(line: str) -> str | None:
    """The id of the case that a line of output announces, if it does."""
    return line.removeprefix(_RUNNING).split()[0] if line.startswith(_RUNNING) else None


def run(env: Path, spec: Mapping[str, object], *, timeout: float, progress: Callable[[str], None]) -> list[str]:
    """Run the fuzzing client to its end and return the ids of the cases that it set out to run.

    Its exit code says nothing about the cases: read `index.json` next. The folder `spec["outdir"]` gets
    the reports, the specification and `wstest.log`. `progress` is called with each case's id.

    Raises:
        SuiteError: it ended in an error, did not end within `timeout` seconds, or had nothing to run.
    """
    outdir = Path(str(spec["outdir"]))
    spec_file, log_file = outdir / "fuzzingclient.json", outdir / "wstest.log"
    spec_file.write_text(json.dumps(spec, indent=2), encoding="utf-8")
    bin_dir = env / "python27/bin"
    client: list[str | Path] = [
        bin_dir / "python",
        "-u",
        bin_dir / "wstest",
        "--mode",
        "fuzzingclient",
        "--spec",
        spec_file,
    ]
    status = _follow(client, log_file, timeout=timeout, progress=progress)
    output = log_file.read_text(encoding="utf-8")
    if status:
        raise SuiteError(f"wstest ended with status {status} (its limit is {timeout:.0f} s):\n{_tail(output)}")
    selected = selected_cases(output.splitlines())
    if not selected:
        raise SuiteError(f"no case was selected; see {log_file}")
    return selected


def _follow(command: Sequence[str | Path], log_file: Path, *, timeout: float, progress: Callable[[str], None]) -> int:
    """Run a command with its output going to a file, kill it after `timeout` seconds, and return its status."""
    with (
        log_file.open("w", buffering=1, encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=_environment(),
        ) as process,
    ):
        assert process.stdout is not None
        deadline = threading.Timer(timeout, process.kill)
        deadline.start()
        try:
            for line in process.stdout:
                log.write(line)
                if case := running_case(line):
                    progress(case)
            return process.wait()
        finally:
            deadline.cancel()
            process.kill()


def _is_python27(python: Path) -> bool:
    check = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    try:
        return subprocess.run([python, "-c", check], capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _step(*command: str | Path) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=_environment()
    )
    if done.returncode:
        raise SuiteError(f"{' '.join(map(str, command))} failed:\n{_tail(done.stdout)}")
    return done.stdout


def _environment() -> dict[str, str]:
    # A PYTHONPATH that is meant for the project would lead another Python astray.
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _tail(text: str, lines: int = 30) -> str:
    return "\n".join(text.splitlines()[-lines:])
