"""The limit of open files, which is the limit of connections: raised at start as far as the system lets us."""

from __future__ import annotations

import resource

#: where the system has no limit; precedent: systemd's default hard limit is half of this
ENOUGH = 1_048_576
#: files that are not connections: the log, the certificate, what the application opens
RESERVED = 100
#: of these: for connections beyond the limit, which may ask how the service is and nothing else
SPARE_CONNECTIONS = 32


def raise_open_files() -> int:
    """Raise this process's soft limit to its hard one; the limit that holds from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return min(soft, ENOUGH) if soft != resource.RLIM_INFINITY else ENOUGH
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # a sandbox may forbid it
        return soft
    return wanted


def most_connections(open_files: int) -> int:
    """How many connections there can be with so many open files."""
    return max(1, open_files - RESERVED)
