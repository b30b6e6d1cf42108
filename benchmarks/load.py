"""The load generator (generator/main.c), compiled and run against one server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.rows import Run
from benchmarks.servers import HERE, Running, compiled, pinned

#: connections whose cost is not counted in `idle_memory`: they pay for what is made once (generator/steps.c)
WARM_UP = 1000
#: by the name of a kind of figure, such as "rate", "p50_us"; see generator/figures.c
Figure = dict[str, float]
#: protocol of a row -> how the generator is told of it
_PROTOCOLS = {
    "raw": ("raw", "tcp"),
    "tls": ("raw", "tls"),
    "socketio": ("socketio", "tcp"),
    "polling": ("polling", "tcp"),
    "one node": ("socketio", "tcp"),
    "two nodes": ("socketio", "tcp"),
    "three nodes": ("socketio", "tcp"),
}


class Load:
    """The generator, compiled once into a folder.

    Attributes:
        has_tls: whether OpenSSL's headers were there.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        sources = sorted((HERE / "generator").glob("*.c"))
        self._seconds = seconds
        self.has_tls = _has_openssl(folder)
        options = ["-DWITH_TLS", "-lssl", "-lcrypto"] if self.has_tls else []
        self._program = compiled("load", sources, folder, *options)

    def run(self, server: Running, run: Run, cookies: Path) -> dict[str, Figure]:
        """Take the steps of a run, one after the other, with the same clients; gives each one's figure. Blocks.

        Raises:
            subprocess.CalledProcessError: the server did not do what it should; the load has said what.
        """
        command = self._command(server, run, cookies, run.clients)
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        figures: dict[str, Figure] = {}
        for figure in map(json.loads, lines):
            figures[figure.pop("step")] = figure
        return figures

    def idle_memory(self, server: Running, run: Run, cookies: Path) -> Figure:
        """Open the run's connections, and before them some that are not counted; gives KiB for each. Blocks.

        The server must be a new one: another has room left from the connections that it had.
        """
        command = self._command(server, run, cookies, run.clients + WARM_UP)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            assert load.stdin is not None
            assert load.stdout is not None
            resident = []
            for _ in range(2):
                if not load.stdout.readline():
                    raise subprocess.CalledProcessError(load.wait(), command)
                server.collect()
                resident.append(resident_kib(server.pid))
                load.stdin.write("\n")
                load.stdin.flush()
        return {"kib": (resident[1] - resident[0]) / run.clients}

    def _command(self, server: Running, run: Run, cookies: Path, clients: int) -> list[str]:
        nodes = (server, *server.others)
        ports, pids = (",".join(map(str, numbers)) for numbers in ([n.port for n in nodes], [n.pid for n in nodes]))
        connection = [*_PROTOCOLS[run.protocol], ports, pids, str(cookies)]
        return [*pinned(1), str(self._program), *connection, str(clients), str(self._seconds), *run.steps]


def resident_kib(pid: int) -> int:
    """The resident memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise RuntimeError("no Rss line; this needs Linux")


def _has_openssl(folder: Path) -> bool:
    source = folder / "openssl.c"
    source.write_text("#include <openssl/ssl.h>\nint main(void) { return !TLS_client_method(); }\n")
    try:
        compiled("openssl", [source], folder, "-lssl", "-lcrypto")
    except subprocess.CalledProcessError:
        sys.stderr.write("without the rows of TLS: apt-get install libssl-dev\n")
        return False
    return True
