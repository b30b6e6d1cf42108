"""`make packages`: the archives, installed with their dependencies on each Python, as users do.

For each: a clean environment; the wheel, with what it needs from the registry; `twistd` lists the service, which
starts, serves its page with the client's files, and ends; `wsservice config` runs; and nothing is left when it is
uninstalled. Other Pythons by name: python -m tools.check_packages python3.12 /opt/python3.14/bin/python3
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("python3.11", "python3.12", "python3.13")
#: what of the installed package is asked for by HTTP
_PAGES = ("/health", "/", "/static/client/client.js")
_PLUGIN = "wsservice "


class CheckFailed(Exception):
    """What is wrong, in a sentence."""


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a program that must succeed."""
    done = subprocess.run([str(one) for one in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckFailed(f"{command[0]} {command[1:]}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def is_here(python: str) -> bool:
    """Whether a Python can be started; pyenv has programs of that name that only say that it is not chosen."""
    return shutil.which(python) is not None and subprocess.run([python, "-V"], capture_output=True).returncode == 0


def files(folder: Path) -> set[Path]:
    """All files of an environment but for bytecode, which each Python makes as it goes."""
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def check(python: str, wheel: Path, folder: Path) -> str:
    """Install, use, uninstall; gives the version of that Python.

    Raises:
        CheckFailed: anything is not as it should be.
    """
    run(python, "-m", "venv", folder / "venv", cwd=folder)
    scripts = folder / "venv" / "bin"
    # The dependencies first, so that what the service itself leaves can be told.
    run(scripts / "pip", "install", "--quiet", wheel, cwd=folder)
    run(scripts / "pip", "uninstall", "--quiet", "--yes", "wsservice", cwd=folder)
    run(scripts / "twistd", "--help", cwd=folder)
    before = files(folder / "venv")
    run(scripts / "pip", "install", "--quiet", wheel, cwd=folder)
    if f"    {_PLUGIN}" not in run(scripts / "twistd", "--help", cwd=folder):
        raise CheckFailed("twistd does not list the service")
    run(scripts / "wsservice", "config", "--", "--dev", cwd=folder)
    serve(scripts, folder)
    run(scripts / "pip", "uninstall", "--quiet", "--yes", "wsservice", cwd=folder)
    left = files(folder / "venv") - before
    if left:
        raise CheckFailed(f"left behind: {', '.join(map(str, left))}")
    if _PLUGIN in run(scripts / "twistd", "--help", cwd=folder):
        raise CheckFailed("twistd still lists the service")
    return run(scripts / "python", "--version", cwd=folder).strip()


def serve(scripts: Path, folder: Path) -> None:
    """Start the service, ask for some pages, and end it."""
    command = [str(scripts / "twistd"), "--pidfile=", "-n", "wsservice", "--dev", "--port", "0"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        port = next((found[1] for line in process.stdout if (found := re.search(r"listening on .*:(\d+)", line))), None)
        if port is None:
            raise CheckFailed(f"the service ended with {process.wait()}")
        for page in _PAGES:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=30).close()
            except HTTPError as error:
                raise CheckFailed(f"{page}: {error}") from None
        process.terminate()
        process.communicate(timeout=60)
    finally:
        process.kill()
    if process.returncode:
        raise CheckFailed(f"the service ended with {process.returncode}")


def main(pythons: list[str]) -> int:
    """Check each Python that is there; gives the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
        (wheel,) = (folder / "dist").glob("*.whl")
        print(", ".join(sorted(path.name for path in (folder / "dist").iterdir())))
        failed = False
        for python in pythons or PYTHONS:
            if not is_here(python):
                print(f"{python}: not here, not checked")
                continue
            place = folder / Path(python).name
            place.mkdir()
            try:
                print(f"{python}: {check(python, wheel, place)}: good")
            except CheckFailed as error:
                failed = True
                print(f"{python}: {error}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
