"""The fragments in changelog.d/, and what tools/make_changelog.py makes of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.make_changelog import BadFragment, Fragment, paths, read, section, with_section

DAY = date(2026, 11, 24)


class ChangelogTests(SynchronousTestCase):
    def fragment(self, name: str, text: str = "Something.\n") -> Path:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
        return folder / name

    def test_every_fragment_can_be_released(self) -> None:
        for path in paths():
            read(path)

    def test_a_name_says_the_issue_the_kind_and_a_number(self) -> None:
        self.assertEqual(read(self.fragment("12.feature.md")), Fragment(12, 0, "feature", "Something."))
        self.assertEqual(read(self.fragment("3.fix.2.md", "In\ntwo lines.\n")), Fragment(3, 2, "fix", "In two lines."))

    def test_any_other_name_is_refused_and_an_empty_one(self) -> None:
        for name in ("12.md", "feature.md", "12.bug.md", "12.feature", "12.feature.x.md", "12.feature.md~"):
            error = self.assertRaises(BadFragment, read, self.fragment(name))
            self.assertIn("<issue>.<kind>.md", str(error))
        self.assertIn("empty", str(self.assertRaises(BadFragment, read, self.fragment("1.fix.md", "\n"))))

    def test_a_release_lists_kinds_in_order_and_issues_in_each(self) -> None:
        fragments = [
            Fragment(4, 0, "fix", "Mended."),
            Fragment(10, 0, "feature", "Last."),
            Fragment(2, 1, "feature", "Second."),
            Fragment(2, 0, "feature", "First."),
        ]
        self.assertEqual(
            section("1.2.0", DAY, fragments),
            "## 1.2.0 (2026-11-24)\n\n### New\n\n- First.\n- Second.\n- Last.\n\n### Mended\n\n- Mended.\n",
        )

    def test_the_newest_release_stands_first(self) -> None:
        page = with_section("# Changes\n\nWords.\n", section("1", DAY, []))
        page = with_section(page, section("2", DAY, []))
        self.assertEqual(page, "# Changes\n\nWords.\n\n## 2 (2026-11-24)\n\n## 1 (2026-11-24)\n")
