"""What a process takes, from /proc, so Linux only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """Of a process: resident bytes, open descriptors, and seconds of CPU since it began."""

    resident: int
    files: int
    cpu: float


def usage(pid: int) -> Usage:
    """What a process takes now."""
    proc = Path(f"/proc/{pid}")
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    resident = int((proc / "statm").read_text().split()[1]) * _PAGE
    return Usage(resident, len(os.listdir(proc / "fd")), (int(fields[11]) + int(fields[12])) / _TICKS)
