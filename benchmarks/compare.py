"""wsservice against its peers, in one run: `python -m benchmarks.compare [--rounds 5] [--json FILE] [ROW ...]`.

All servers run on one core and the load on another. In each round, for each run of the load, each server is measured
once, one after the other, in an order that turns from round to round; a row's figure is the median of its rounds. Only
the ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from unittest import SkipTest

from benchmarks import servers
from benchmarks.load import WARM_UP, Figure, Load
from benchmarks.rows import OWN, ROWS, Run, runs
from benchmarks.table import ROUNDS, Figures, as_json, markdown
from tests.integration.provider import Provider

#: each of another user; where there are more clients, some have the same one
COOKIES = 3000
#: open files of a process that are no connections
RESERVED = 100


class Bench:
    """The servers, each started once for the whole run but for the idle rows, and the load."""

    def __init__(self, stack: ExitStack, folder: Path, load: Load) -> None:
        self._stack = stack
        self._folder = folder
        self._load = load
        self._pool = servers.Pool.in_folder(stack.enter_context(Provider()), folder)
        self._running: dict[servers.Server, servers.Running] = {}

    def start(self, plan: list[Run]) -> None:
        """Start every server that these runs need; what cannot start is left out."""
        for server in dict.fromkeys(server for run in plan for server in run.peers.values()):
            try:
                self._running[server] = self._stack.enter_context(server(self._pool, servers.pinned(0)))
            except SkipTest as reason:
                sys.stderr.write(f"without this peer: {reason}\n")

    def measure(self, run: Run, number: int) -> dict[str, dict[str, Figure]]:
        """Every server once, in turn, in the order of this round: server -> step -> figure."""
        cookies = self._write_cookies(f"round{number}", run)
        peers = [(name, server) for name, server in run.peers.items() if server in self._running]
        turned = number % len(peers)
        figures = {}
        for name, server in peers[turned:] + peers[:turned]:
            try:
                figures[name] = self._measure_one(server, run, cookies)
            except subprocess.CalledProcessError:
                if name == OWN:
                    raise
                sys.stderr.write(f"without {name} in this round: {', '.join(run.rows)}\n")
        return figures

    def _measure_one(self, server: servers.Server, run: Run, cookies: Path) -> dict[str, Figure]:
        if not run.is_idle:
            return self._load.run(self._running[server], run, cookies)
        with server(self._pool, servers.pinned(0)) as running:
            return {"idle": self._load.idle_memory(running, run, cookies)}

    def _write_cookies(self, prefix: str, run: Run) -> Path:
        """Cookies that no server has seen; for idle connections as many as there are."""
        path = self._folder / "cookies"
        count = run.clients + WARM_UP if run.is_idle else COOKIES
        users = (f"{prefix}-{run.protocol}-{run.clients}-{number}" for number in range(count))
        path.write_text("".join(f"{self._pool.provider.cookie(user)}\n" for user in users))
        return path


def measure_all(bench: Bench, plan: list[Run], rounds: int) -> Figures:
    """All rounds of these runs."""
    found: Figures = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        began = time.monotonic()
        for run in plan:
            for server, steps in bench.measure(run, number).items():
                for name, row in run.rows.items():
                    found[name][server].append(steps[row.step])
        sys.stderr.write(f"round {number + 1} of {rounds}: {time.monotonic() - began:.0f} s\n")
    return {name: dict(found[name]) for name in ROWS if name in found}


def possible(names: list[str], *, has_tls: bool, open_files: int) -> list[str]:
    """The rows that can be measured here; of the others, one line says why not."""
    few = [name for name in names if ROWS[name].clients + RESERVED > open_files]
    if few:
        sys.stderr.write(f"a process may have only {open_files} open files (ulimit -Hn): without {', '.join(few)}\n")
    return [name for name in names if name not in few and (has_tls or ROWS[name].protocol != "tls")]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"the beginning of a row's name; all: {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement of echoes and deliveries")
    parser.add_argument("--json", type=Path, help="every figure of every round")
    options = parser.parse_args()
    names = [name for name in ROWS if not options.rows or name.startswith(tuple(options.rows))]
    if not names:
        parser.error(f"no row begins like that; the rows are: {', '.join(ROWS)}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        load = Load(Path(folder), options.seconds)
        plan = runs(possible(names, has_tls=load.has_tls, open_files=hard))
        bench = Bench(stack, Path(folder), load)
        bench.start(plan)
        figures = measure_all(bench, plan, options.rounds)
    if options.json:
        machine = {"cores": os.cpu_count(), "python": sys.version, "pinned": bool(servers.pinned(0))}
        run = {"machine": machine, "seconds": options.seconds, "rounds": options.rounds}
        options.json.write_text(json.dumps({**run, "ratios": as_json(figures), "rows": figures}, indent=1) + "\n")
    sys.stdout.write(markdown(figures))


if __name__ == "__main__":
    main()
