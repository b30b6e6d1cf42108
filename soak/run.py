"""A soak: the real service in one process, the crowd in another, and what came of it.

    python -m soak.run [--minutes 10] [--connections 2000] [--json soak.json]

Exits with 1 if anything was lost, leaked, or unexpected.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from soak.plan import Plan, make_plan
from soak.report import Report
from soak.sampler import usage
from soak.watcher import Sample, Watcher
from tests.integration.service import RunningService

ROOT = Path(__file__).resolve().parents[1]
#: seconds
_SAMPLES, _PROGRESS, _CENSUS_AT = 2.0, 30.0, 120.0
#: seconds that the crowd may take to go home
_GOING = 180.0


class Load:
    """The load process."""

    def __init__(self, plan: Plan, service: RunningService) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "soak.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        users = {name: password for name, password in service.users.items() if name != "newuser"}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"plan": plan.as_dict(), "port": service.port, "passwords": users}) + "\n")
        self._process.stdin.flush()

    def line(self, seconds: float) -> str | None:
        """What it says next, if that comes in time; "" when it has ended."""
        try:
            return self._lines.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def end(self) -> None:
        """End it, if it has not ended by itself."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def soak(plan: Plan) -> Report:
    """Run it."""
    report = Report(plan)
    with tempfile.TemporaryDirectory() as folder, _start(plan, folder) as service:
        watcher = Watcher(service, plan)
        first = watcher.sample()
        report.idle_files, report.idle_resident = first.files, first.resident
        load = Load(plan, service)
        try:
            _watch(plan, watcher, load, report)
        finally:
            load.end()
        _wait_for_the_end(plan, watcher, report)
        report.census["afterwards"] = watcher.ask("census", True)
        report.counters = watcher.ask("counters")
        report.last_resident = usage(service.process.pid).resident
        watcher.close()
        report.status = service.stop()
        report.read_log(service.log)
    return report


def _start(plan: Plan, folder: str) -> RunningService:
    return RunningService(
        "--dev",
        "--app=soak.app:app",
        "--log-format=json",
        f"--dev-token-lifetime={plan.lifetime}",
        f"--ping-interval={plan.ping_interval * 1000:.0f}",
        f"--ping-timeout={plan.ping_timeout * 1000:.0f}",
        f"--max-connections-per-user={max(1000, plan.connections)}",
        # each login is a client of its own, with an address of its own; but there are only three users
        "--trusted-proxy=127.0.0.1",
        "--login-burst=100000",
        "--login-interval=0.01",
        cwd=folder,
        env={"SOAK_PUMP_BYTES": str(plan.pump_bytes), "SOAK_PUMP_INTERVAL": str(plan.pump_interval)},
    )


def _watch(plan: Plan, watcher: Watcher, load: Load, report: Report) -> None:
    """Take samples until the crowd begins to leave; then wait for what it counted."""
    every = min(_SAMPLES, plan.seconds / 20)
    watcher.began = time.monotonic()
    watcher.samples.clear()
    told = 0.0
    while (line := load.line(every)) is None or line.strip() == "connected":
        if line:
            _say(f"{watcher.samples[-1].at if watcher.samples else 0:5.0f} s  everybody has come")
            continue
        sample = watcher.sample()
        if sample.at - told >= _PROGRESS:
            told = sample.at
            _tell(sample)
        if sample.at >= _CENSUS_AT and "minute 2" not in report.census:
            report.census["minute 2"] = watcher.ask("census", False)
    report.samples = list(watcher.samples)
    if line.strip() != "leaving":
        raise RuntimeError(f"the load process ended early: {line!r}")
    report.census["end"] = watcher.ask("census", False)
    until = time.monotonic() + _GOING
    while (line := load.line(every)) is None:
        watcher.sample()
        if time.monotonic() > until:
            raise RuntimeError("the load process does not end")
    report.load = json.loads(line)


def _wait_for_the_end(plan: Plan, watcher: Watcher, report: Report) -> None:
    """Wait until the service has let go of everybody, those too that left without a word."""
    began = time.monotonic()
    sample = watcher.sample()
    while sample.files > report.idle_files or sample.connections > 1:
        if time.monotonic() - began > 2 * plan.patience:
            break
        time.sleep(0.2)
        sample = watcher.sample()
    report.returned = time.monotonic() - began
    report.last_files, report.last_connections = sample.files, sample.connections
    report.faults = watcher.faults


def _tell(sample: Sample) -> None:
    _say(
        f"{sample.at:5.0f} s  {sample.resident / 2**20:6.1f} MiB  {sample.files:5d} files  {sample.cpu:4.0%} CPU  "
        f"{sample.connections:5d} connections  {sample.answer * 1000:4.0f} ms"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run, print, write; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--json", type=Path, help="where everything that was measured is written to")
    options = parser.parse_args(arguments)
    report = soak(make_plan(options.connections, options.minutes, options.seed))
    if options.json is not None:
        options.json.write_text(report.as_json())
    _say(f"\n{report.table()}\n\n{'good' if report.is_good else 'NOT GOOD'}")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
