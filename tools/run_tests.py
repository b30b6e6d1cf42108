"""Run the tests by trial, measure what they cover, and close with one line of counts.

    python -m tools.run_tests [name ...]

Without names everything runs, and less than 95 % of the branches of wsservice/ is a failure. With names
(`tests.test_registry`, `tests.integration`) only those run, and the coverage is not judged.
"""

from __future__ import annotations

import sys

import coverage

#: percent of lines and branches
REQUIRED = 95.0
EVERYTHING = ["tests"]


def main(names: list[str]) -> int:
    """Run, report, and return the exit status."""
    measured = coverage.Coverage()
    measured.erase()
    measured.start()
    result = run(names or EVERYTHING)
    measured.stop()
    measured.save()
    measured.combine()
    covered = measured.report() if not names else REQUIRED
    sys.stdout.flush()
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    enough = covered >= REQUIRED
    if not enough:
        print(f"Coverage of wsservice/ is {covered:.1f} %; {REQUIRED:g} % are required.")
    print(f"{result.successes} passed, {failed} failed, {len(result.skips)} skipped")
    return 0 if enough and not failed and result.successes else 1


def run(names: list[str]) -> object:
    """Run the tests of these names; imports trial, and so what is tested, only once coverage has begun."""
    from twisted.trial.reporter import TreeReporter
    from twisted.trial.runner import TestLoader, TrialRunner

    suite = TestLoader().loadByNames(names, recurse=True)
    return TrialRunner(TreeReporter, realTimeErrors=True).run(suite)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
