"""Run the tests by trial under coverage: `make test`, `make test TESTS=tests.test_registry`.

    python -m tools.run_tests [NAMES...]

The whole run fails below `MIN_BRANCHES`; a selection by names is not measured. The last line is always
`N passed, N failed, N skipped`, as trial's own reporter counts them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: percent of the branches of wsservice/ that the tests must take
MIN_BRANCHES = 95.0


def run_tests(names: Sequence[str]) -> Any:
    """Run the tests of these names (modules, classes, methods) by trial; gives its reporter, which has counted."""
    from twisted.trial.reporter import TreeReporter
    from twisted.trial.runner import TestLoader, TrialRunner

    suite = TestLoader().loadByNames(list(names), recurse=True)
    return TrialRunner(TreeReporter, realTimeErrors=True).run(suite)


def run_measured(names: Sequence[str]) -> tuple[Any, bool]:
    """The same under coverage, which is printed; gives the reporter, and whether enough branches were taken.

    What the tests start as processes of their own is measured, too (`patch = subprocess` in pyproject.toml).
    """
    from coverage import Coverage

    settings = {"config_file": str(ROOT / "pyproject.toml"), "data_file": str(ROOT / ".coverage")}
    measuring = Coverage(**settings)
    measuring.erase()
    measuring.start()
    try:
        result = run_tests(names)
    finally:
        measuring.stop()
        measuring.save()
    os.chdir(ROOT)
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
    return result, percent >= MIN_BRANCHES


def _branches(report: Any) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        report.json_report(outfile=str(file))
        totals = json.loads(file.read_text())["totals"]
    return totals["covered_branches"], totals["num_branches"]


def main(names: Sequence[str]) -> int:
    """Run the tests, print the counts, and give the exit status."""
    os.chdir(ROOT)
    result, enough = (run_tests(names), True) if names else run_measured(["tests"])
    passed = result.successes + len(result.expectedFailures)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed, {len(result.skips)} skipped", flush=True)
    return 0 if enough and not failed and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
