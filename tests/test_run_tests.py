"""Tests of tools/run_tests.py and tools/groups.py: nothing is left out, and nothing that fails goes unseen."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.groups import groups
from tools.run_tests import ROOT, Counts, run_apart

_FAILING = "tests.test_run_tests.NoTests.does_fail"


class GroupTests(SynchronousTestCase):
    def test_every_module_is_in_one_group(self) -> None:
        names = [name for group in groups(ROOT) for name in group]
        self.assertEqual(len(names), len(set(names)))
        files = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
        self.assertEqual({Path(*name.split(".")).with_suffix(".py") for name in names}, files)

    def test_what_starts_programs_waits_alone(self) -> None:
        alone = [group for group in groups(ROOT) if group[0].startswith("tests.integration.")]
        self.assertEqual({len(group) for group in alone}, {1})


class CountsTests(SynchronousTestCase):
    def test_a_run_is_good_if_there_were_tests_and_none_failed(self) -> None:
        self.assertFalse(Counts().good)
        self.assertTrue(Counts(passed=1).good)
        self.assertFalse(Counts(passed=1, failed=1).good)
        self.assertFalse(Counts(passed=1, broken=1).good)

    def test_a_failure_in_a_process_of_its_own_is_counted_and_shown(self) -> None:
        counts, printed = run_apart([_FAILING])
        self.assertEqual((counts.passed, counts.failed, counts.broken), (0, 1, 0))
        self.assertIn("on purpose", printed)

    def test_a_process_that_ends_without_a_word_is_broken(self) -> None:
        counts, _ = run_apart(["--no-such-option"])
        self.assertEqual(counts, Counts(broken=1))


class NoTests(SynchronousTestCase):
    """Run by name only."""

    def does_fail(self) -> None:
        """Raises."""
        self.fail("on purpose")
