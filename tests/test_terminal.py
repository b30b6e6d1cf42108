"""Tests of wsservice.terminal: what a person is told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.terminal import complaint, escape


class TerminalTests(SynchronousTestCase):
    def test_what_commands_a_terminal_is_escaped(self) -> None:
        self.assertEqual(escape("a\x1b[2Jb\n\u202ec"), "a\\x1b[2Jb\\n\\u202ec")
        self.assertEqual(escape("Grüße, 世界"), "Grüße, 世界")

    def test_one_problem_is_one_line(self) -> None:
        self.assertEqual(complaint("--port 'x' is no port"), "wsservice: --port 'x' is no port\n")

    def test_several_problems_have_a_line_each(self) -> None:
        self.assertEqual(complaint("a", "b\n"), "wsservice: 2 problems with the settings\n  a\n  b\\n\n")
