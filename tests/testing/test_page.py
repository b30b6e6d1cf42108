"""docs/testing.md: every block of code is a file of that name, and its tests pass by the runners that it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.blocks import ROOT, blocks

#: a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60
_FILE = re.compile(r"# (\w+\.py)\n(.*)", re.DOTALL)


class PageTests(SynchronousTestCase):
    def test_the_blocks_are_files_whose_tests_pass(self) -> None:
        code = [block.code for block in blocks("docs/testing.md") if block.language == "python"]
        files = dict(found.groups() for found in map(_FILE.fullmatch, code) if found)
        self.assertEqual(len(files), len(code))
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        for name, code in files.items():
            (folder / name).write_text(code)
        for command, says in (
            (["twisted.trial", "test_chat"], "Ran 4 tests"),
            (["unittest", "test_chat", "test_errors", "test_waiting"], "\nOK\n"),
            (["pytest", "-q"], " passed in "),
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(says, done.stdout + done.stderr)
