"""wsservice against its peers, in one run: `python -m benchmarks.compare [--rounds 5] [--json FILE] [ROW ...]`.

All servers run on one core and the load on another. In each round, for each row, each server is measured once, one
after the other; a row's figure is the median of its rounds. Only the ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest import SkipTest

from benchmarks import servers
from tests.integration.provider import Provider

COOKIES = 3000
RAW: dict[str, servers.Server] = {
    "wsservice": servers.wsservice,
    "fastify": servers.fastify,
    "plain autobahn": servers.plain_autobahn,
    "floor": servers.floor,
}
SOCKETIO: dict[str, servers.Server] = {"wsservice": servers.wsservice, "socket.io": servers.socketio}


class Row(NamedTuple):
    """One thing to measure: see load.c for the modes. `figure` is "rate", or a time, of which less is better."""

    mode: str
    clients: int
    protocol: str = "raw"
    figure: str = "rate"


ROWS = {
    "handshakes/s, new tokens": Row("handshakes", 32),
    "handshakes/s, tokens seen before": Row("handshakes", 32),
    "echo/s, 64 clients": Row("echo", 64),
    "echo/s, 1,000 clients": Row("echo", 1000),
    "deliveries/s, 1,000 clients": Row("broadcast", 1000),
    "deliveries/s, 5,000 clients": Row("broadcast", 5000),
    "first to last of 1,000, us": Row("broadcast", 1000, figure="p50_us"),
    "Socket.IO: handshakes/s, new tokens": Row("handshakes", 32, "socketio"),
    "Socket.IO: echo/s, 64 clients": Row("echo", 64, "socketio"),
    "Socket.IO: echo/s, 1,000 clients": Row("echo", 1000, "socketio"),
    "Socket.IO: deliveries/s, 1,000 clients": Row("broadcast", 1000, "socketio"),
    "Socket.IO: deliveries/s, 5,000 clients": Row("broadcast", 5000, "socketio"),
}
#: name of a row -> name of a server -> the figures of its rounds
Figures = dict[str, dict[str, list[dict[str, float]]]]


class Bench:
    """The servers, started once for the whole run, and the load."""

    def __init__(self, stack: ExitStack, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._provider = stack.enter_context(Provider())
        self._load = servers.compiled("load.c", folder)
        self._ports: dict[servers.Server, int] = {}
        for server in dict.fromkeys([*RAW.values(), *SOCKETIO.values()]):
            try:
                self._ports[server] = stack.enter_context(server(self._provider, servers.pinned(0)))
            except SkipTest as reason:
                sys.stderr.write(f"without this peer: {reason}\n")

    def write_cookies(self, prefix: str) -> Path:
        """Cookies that no server has seen, each of another user."""
        path = self._folder / "cookies"
        path.write_text("".join(f"{self._provider.cookie(f'{prefix}-{number}')}\n" for number in range(COOKIES)))
        return path

    def measure(self, row: Row, cookies: Path) -> dict[str, dict[str, float]]:
        """Every server once, in turn."""
        figures = {}
        for name, server in (RAW if row.protocol == "raw" else SOCKETIO).items():
            if server in self._ports:
                arguments = [row.mode, row.protocol, str(self._ports[server]), cookies, str(row.clients)]
                command = [*servers.pinned(1), self._load, *arguments, str(self._seconds)]
                figures[name] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        return figures


def run(bench: Bench, names: list[str], rounds: int) -> Figures:
    """All rounds of these rows."""
    figures: Figures = {name: defaultdict(list) for name in names}
    for number in range(rounds):
        cookies = bench.write_cookies(f"round{number}")
        for name in names:
            if "new tokens" in name:
                cookies = bench.write_cookies(f"round{number}-{ROWS[name].protocol}")
            for server, figure in bench.measure(ROWS[name], cookies).items():
                figures[name][server].append(figure)
        sys.stderr.write(f"round {number + 1} of {rounds} done\n")
    return figures


def markdown(figures: Figures) -> str:
    """The medians of wsservice, and how many times better it is than each peer (below 1: worse)."""
    peers = [name for name in dict.fromkeys([*RAW, *SOCKETIO]) if name != "wsservice"]
    lines = [f"| | wsservice | {' | '.join(f'against {peer}' for peer in peers)} |", "|---" * (len(peers) + 2) + "|"]
    for name, servers_figures in figures.items():
        kind = ROWS[name].figure
        medians = {server: median(one[kind] for one in rounds) for server, rounds in servers_figures.items()}
        own = medians["wsservice"]
        ratios = [
            "" if peer not in medians else f"{own / medians[peer] if kind == 'rate' else medians[peer] / own:.2f}"
            for peer in peers
        ]
        lines.append(f"| {name} | {own:,.0f} | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"the beginning of a row's name; all: {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement of echoes and deliveries")
    parser.add_argument("--json", type=Path, help="every figure of every round")
    options = parser.parse_args()
    names = [name for name in ROWS if not options.rows or name.startswith(tuple(options.rows))]
    if not names:
        parser.error(f"no row begins like that; the rows are: {', '.join(ROWS)}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        figures = run(Bench(stack, Path(folder), options.seconds), names, options.rounds)
    if options.json:
        machine = {"cores": os.cpu_count(), "python": sys.version, "pinned": bool(servers.pinned(0))}
        options.json.write_text(json.dumps({"machine": machine, "rows": figures}, indent=1) + "\n")
    sys.stdout.write(markdown(figures))


if __name__ == "__main__":
    main()
