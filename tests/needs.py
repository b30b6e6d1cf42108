"""The real parts that pip does not bring: a test without one skips and says how to get it; in CI it fails."""

from __future__ import annotations

import os
import shutil
from unittest import SkipTest

#: part -> the programs that it consists of, and how to get them
PARTS = {
    "node": (("node",), "apt-get install nodejs"),
    "chromium": (("chromium", "chromedriver"), "apt-get install chromium chromium-driver"),
    "redis": (("redis-server",), "apt-get install redis-server"),
    "nginx": (("nginx",), "apt-get install nginx-light"),
    "haproxy": (("haproxy",), "apt-get install haproxy"),
    "systemd": (("systemd-analyze",), "apt-get install systemd"),
}


def require(part: str) -> None:
    """Go on if every program of a part is installed.

    Raises:
        SkipTest: one is not.
        AssertionError: one is not, and `CI=true`: there a missing real part is a failure.
    """
    programs, how_to_get = PARTS[part]
    absent = [program for program in programs if find(program) is None]
    if absent:
        raise missing(f"{' and '.join(absent)} not installed: {how_to_get}")


def find(program: str) -> str | None:
    """Where a program is: some of Debian's are where only the administrator looks."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def missing(text: str) -> Exception:
    """What to raise for the want of a part: a reason to skip, or a failure where `CI=true`."""
    return AssertionError(text) if os.environ.get("CI") == "true" else SkipTest(text)
