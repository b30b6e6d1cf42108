"""Boots a systemd in a container of this machine's own files, installs the units there, and runs the tests under it.

    python -m tests.systemd.run           as root; apt-get install systemd-container python3-venv

Nothing of it stays: the container writes to memory (an overlay), and has a network of its own, a loopback and nothing
else. The tests run in that network, and reach the system by nsenter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: where the service is installed, in the container
HOME = "/opt/wsservice"
#: seconds that a boot may take
PATIENCE = 60.0
_TARGET = """\
[Unit]
Description=little more than the journal
Requires=sysinit.target
Wants=systemd-journald.service
After=sysinit.target
AllowIsolate=yes
"""


def main() -> int:
    """The exit status."""
    why_not = cannot_boot()
    if why_not:
        print(f"skipped: {why_not}")
        return 0
    with tempfile.TemporaryDirectory(prefix="wsservice-systemd-") as name:
        folder = Path(name)
        machine = boot(folder, install(folder))
        try:
            leader = leader_of(machine)
            run = [sys.executable, "-m", "twisted.trial", "--temp-directory", str(folder / "trial"), *sys.argv[1:]]
            tests = [] if sys.argv[1:] else ["tests.systemd.machine"]
            environ = {**os.environ, "WSSERVICE_MACHINE": leader, "PYTHONPATH": str(ROOT)}
            return subprocess.run(["nsenter", "-t", leader, "-n", *run, *tests], env=environ, cwd=ROOT).returncode
        finally:
            machine.terminate()  # systemd-nspawn ends what it has started
            machine.wait(PATIENCE)


def cannot_boot() -> str:
    """What is missing here for a container; empty if nothing is."""
    if os.geteuid():
        return "it needs root"
    absent = [program for program in ("systemd-nspawn", "nsenter", "unshare") if shutil.which(program) is None]
    return f"no {', '.join(absent)}: apt-get install systemd-container" if absent else ""


def install(folder: Path) -> dict[Path, str]:
    """The service in a virtual environment of the system's own Python; what is to be seen where in the container."""
    source, venv = folder / "source", folder / "venv"
    source.mkdir()
    for one in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / one, source)
    for one in ("wsservice", "twisted"):
        shutil.copytree(ROOT / one, source / one, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    subprocess.run(["/usr/bin/python3", "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "--quiet", source], check=True)
    subprocess.run([venv / "bin" / "twistd", "--help"], check=True, capture_output=True)  # it lists its plugins
    for script in (*(venv / "bin").iterdir(), venv / "pyvenv.cfg"):  # it moves to another place
        if script.is_file() and not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(str(venv).encode(), f"{HOME}/venv".encode()))
    app = folder / "app"
    app.mkdir()
    shutil.copy(ROOT / "tests" / "systemd" / "app.py", app / "chat.py")
    for path in (venv, app):
        path.chmod(0o755)
    units = ROOT / "deploy" / "systemd"
    # The recipes of sysusers and tmpfiles are carried out by hand: the target is smaller than what would do it.
    return {
        folder / "venv": f"{HOME}/venv",
        folder / "app": f"{HOME}/app",
        units / "wsservice.sysusers.conf": "/etc/sysusers.d/wsservice.conf",
        units / "wsservice.tmpfiles.conf": "/etc/tmpfiles.d/wsservice.conf",
        **{path: f"/etc/systemd/system/{path.name}" for path in units.glob("wsservice*.*") if _is_unit(path)},
    }


def boot(folder: Path, binds: dict[Path, str], *, network: bool = False) -> subprocess.Popen[bytes]:
    """systemd-nspawn on a copy of this machine's tree, in a mount namespace of its own.

    Args:
        binds: what stands where in the container, besides.
        network: whether it has this machine's network rather than none.
    """
    tree = folder / "tree"
    tree.mkdir()
    folder.chmod(0o755)
    (folder / "own.target").write_text(_TARGET)
    binds = {folder / "own.target": "/etc/systemd/system/own.target", **binds}
    options = [f"--bind-ro={source}:{target}" for source, target in binds.items()]
    nspawn = [
        "systemd-nspawn",
        "--quiet",
        f"--directory={tree}",
        "--volatile=overlay",
        *([] if network else ["--private-network"]),
        "--register=no",
        "--keep-unit",
        "--console=pipe",
        *options,
        "--boot",
        "--",
        "systemd.unit=own.target",
    ]
    script = f'mount --make-rprivate / && mount --bind / "{tree}" && exec "$@"'
    return subprocess.Popen(
        ["unshare", "-m", "sh", "-c", script, "sh", *nspawn], stdin=subprocess.DEVNULL, stdout=sys.stderr
    )


def _is_unit(path: Path) -> bool:
    return path.suffix in (".service", ".socket", ".target")


def leader_of(machine: subprocess.Popen[bytes]) -> str:
    """The process id of the container's systemd, once that answers.

    Raises:
        RuntimeError: it does not come.
    """
    deadline = time.monotonic() + PATIENCE
    children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children")
    while time.monotonic() < deadline and machine.poll() is None:
        for leader in children.read_text().split():
            asked = ["nsenter", "-t", leader, "-a", "systemctl", "is-active", "own.target"]
            if subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "active":
                return leader
        time.sleep(0.2)
    raise RuntimeError("the container does not boot: see what systemd-nspawn says above")


if __name__ == "__main__":
    sys.exit(main())
