"""What the pages of examples/ say that one does and sees; and the examples' own tests, as their users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.examples.readme import EXAMPLES, blocks, expected_lines, printed, run_javascript, start
from tests.integration.service import PATIENCE, ROOT

NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/app.py"))


class PageTests(SynchronousTestCase):
    def check_javascript(self, example: str, user: str) -> None:
        """Each block prints what stands below it."""
        for code in blocks(example, "js"):
            with start(example) as service:
                program = run_javascript(code, service, user)
                self.addCleanup(program.stop)
                self.assertEqual(printed(program, code), expected_lines(code))
            self.assertNotIn("Traceback", service.log)

    def test_chat(self) -> None:
        self.check_javascript("chat", "alice")

    def test_presence(self) -> None:
        self.check_javascript("presence", "alice")

    def test_rooms_with_roles(self) -> None:
        self.check_javascript("rooms_with_roles", "bob")

    def test_the_index_names_each(self) -> None:
        self.assertEqual(NAMES, ["chat", "notifications", "presence", "rooms_with_roles"])
        index = (EXAMPLES / "README.md").read_text()
        for name in NAMES:
            self.assertIn(f"[{name}]({name}/README.md)", index)


class OwnTests(SynchronousTestCase):
    def run_each(self, *command: str) -> None:
        """Run the tests of each example by some runner."""
        for name in NAMES:
            done = subprocess.run(
                [sys.executable, "-B", "-m", *command],
                cwd=EXAMPLES / name,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_by_unittest(self) -> None:
        self.run_each("unittest", "test_app")

    def test_by_pytest(self) -> None:
        self.run_each("pytest", "-q", "-p", "no:cacheprovider", "test_app.py")

    def test_by_trial(self) -> None:
        self.run_each("twisted.trial", "--temp-directory", str(Path(self.mktemp()).absolute()), "test_app")
