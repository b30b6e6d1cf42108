"""Run the tests by trial under coverage: `make test`, `make test TESTS=tests.test_registry`.

    python -m tools.run_tests [--jobs N] [NAMES...]

Without names all tests are run, in a few processes at a time, one more than there are cores: most tests of the real
parts wait for programs that they have started. What a process printed is shown when it ends, in one piece. The whole
run fails below `MIN_BRANCHES`; a selection by names is run here, in one process, and not measured. The last line is
always `N passed, N failed, N skipped`, as trial's own reporter counts them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.groups import groups

ROOT = Path(__file__).resolve().parents[1]
#: percent of the branches of wsservice/ that the tests must take
MIN_BRANCHES = 95.0
#: seconds that a group of tests may take, far more than any does: only one that hangs is ended by it
MOST_SECONDS = 600


@dataclass
class Counts:
    """How tests ended; `broken` are processes that ended without having told."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    broken: int = 0

    def add(self, other: Counts) -> None:
        """Take in what another process counted."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.broken += other.broken

    @property
    def good(self) -> bool:
        """Whether tests were run, and none failed."""
        return not self.failed and not self.broken and bool(self.passed + self.skipped)


def run_tests(names: Sequence[str]) -> Counts:
    """Run the tests of these names (modules, classes, methods) by trial, in this process."""
    from twisted.trial.reporter import TreeReporter
    from twisted.trial.runner import TestLoader, TrialRunner

    suite = TestLoader().loadByNames(list(names), recurse=True)
    result: Any = TrialRunner(TreeReporter, realTimeErrors=True).run(suite)
    sys.stderr.flush()
    return Counts(
        passed=result.successes + len(result.expectedFailures),
        failed=len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses),
        skipped=len(result.skips),
    )


def run_apart(names: Sequence[str]) -> tuple[Counts, str]:
    """Run them in a process of its own; gives what it counted, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts.json"
        command = [sys.executable, "-m", "tools.run_tests", "--counts", str(file), *names]
        with (Path(folder) / "printed").open("w+b") as output:
            try:
                subprocess.run(command, stdout=output, stderr=output, timeout=MOST_SECONDS, check=False)
            except subprocess.TimeoutExpired:
                output.write(f"\nended after {MOST_SECONDS} s\n".encode())
            output.seek(0)
            printed = output.read().decode(errors="replace")
        counts = Counts(**json.loads(file.read_text())) if file.exists() else Counts(broken=1)
    return counts, printed


def run_all(jobs: int) -> Counts:
    """Run every test, `jobs` processes at a time; what did not pass is named once more at the end."""
    counts, bad = Counts(), []
    with ThreadPoolExecutor(jobs) as pool:
        started = time.monotonic()
        runs = {pool.submit(run_apart, names): names for names in groups(ROOT)}
        for run in as_completed(runs):
            one, printed = run.result()
            counts.add(one)
            print(f"\n== {' '.join(runs[run])}, ended at {time.monotonic() - started:.0f} s\n{printed}", flush=True)
            if not one.good:
                bad.append(" ".join(runs[run]))
    if bad:
        print("\nDid not pass:", *bad, sep="\n    ")
    return counts


def run_measured(jobs: int) -> tuple[Counts, bool]:
    """The same under coverage, which is printed; gives the counts, and whether enough branches were taken.

    What the tests start as processes of their own is measured, too (`patch = subprocess` in pyproject.toml).
    """
    from coverage import Coverage

    settings = {"config_file": str(ROOT / "pyproject.toml"), "data_file": str(ROOT / ".coverage")}
    measuring = Coverage(**settings)
    measuring.erase()
    measuring.start()
    try:
        counts = run_all(jobs)
    finally:
        measuring.stop()
        measuring.save()
    report = Coverage(**settings)
    report.combine()
    report.save()
    print()
    report.report()
    taken, all_branches = _branches(report)
    percent = 100 * taken / all_branches
    print(f"\nBranch coverage of wsservice/: {percent:.1f} % ({taken} of {all_branches} branches)")
    if percent < MIN_BRANCHES:
        print(f"That is below {MIN_BRANCHES:g} %: the run fails.")
    return counts, percent >= MIN_BRANCHES


def _branches(report: Any) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        report.json_report(outfile=str(file))
        totals = json.loads(file.read_text())["totals"]
    return totals["covered_branches"], totals["num_branches"]


def main(arguments: Sequence[str]) -> int:
    """Run the tests, print the counts, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.run_tests")
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1, help="processes at a time")
    parser.add_argument("--counts", type=Path, help=argparse.SUPPRESS)  # where `run_apart` reads them
    parser.add_argument("names", nargs="*", metavar="NAME", help="a module, class or method; default: all tests")
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    counts, enough = (run_tests(given.names), True) if given.names else run_measured(given.jobs)
    if given.counts is not None:
        given.counts.write_text(json.dumps(asdict(counts)))
    broken = f", {counts.broken} broken off" if counts.broken else ""
    print(f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped{broken}", flush=True)
    return 0 if enough and counts.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
