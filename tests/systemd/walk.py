"""Walks docs/deployment.md from the clone to the chat: its blocks, as they stand, in a container with a real systemd.

    python -m tests.systemd.walk          as root; installs packages, in the container alone

The container has this machine's network, for packages; its port 443 must be free. Prints how long each block took.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.systemd.run import PATIENCE, ROOT, boot, cannot_boot, leader_of

PAGE = ROOT / "docs" / "deployment.md"
#: one for which there is no terminal, and one that starts a service with a pool that there is not
_LEFT_OUT = ("editor ",)


def blocks() -> list[str]:
    """Those of the section, in order."""
    section = PAGE.read_text().partition("\n## From a clone")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def main() -> int:
    """The exit status."""
    why_not = cannot_boot()
    if why_not:
        print(f"skipped: {why_not}")
        return 0
    with tempfile.TemporaryDirectory(prefix="wsservice-walk-") as name:
        machine = boot(Path(name), {}, network=True)
        try:
            return walk(leader_of(machine))
        finally:
            machine.terminate()
            machine.wait(PATIENCE)


def walk(leader: str) -> int:
    """Run the blocks; the exit status."""
    start = time.monotonic()
    environ = [
        f"REPOSITORY=file://{ROOT}",
        "HOME=/root",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND=noninteractive",
    ]
    git = [f"GIT_CONFIG_{name}" for name in ("COUNT=1", "KEY_0=safe.directory", "VALUE_0=*")]
    for block in blocks():
        began = time.monotonic()
        script = "".join(line for line in block.splitlines(True) if not line.startswith(_LEFT_OUT))
        command = ["nsenter", "-t", leader, "-a", "env", "-i", *environ, *git, "bash", "-e", "-x"]
        status = subprocess.run(command, input=script, text=True).returncode
        print(f"-- {time.monotonic() - began:.0f} s, status {status}", flush=True)
        if status:
            return 1
    print(f"-- {time.monotonic() - start:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
