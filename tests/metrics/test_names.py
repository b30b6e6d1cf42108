"""Everything that is counted has a name outside, and nothing else has one."""

from __future__ import annotations

import ast
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layers import modules
from tests.test_limits import counts
from wsservice.metrics.names import COUNTS, TIMINGS

#: counted by a name that is not written where it is counted (`web/auth.py`)
ROUTES = {"logins", "logouts", "me", "refreshes"}


class NamesTests(SynchronousTestCase):
    def test_every_count_in_the_code_has_a_name(self) -> None:
        self.assertEqual({name for name, _ in counts()} | ROUTES | {"tables_full", "api_messages"}, set(COUNTS))

    def test_a_count_has_a_label_where_the_code_gives_reasons(self) -> None:
        with_reasons = {name for name, reason in counts() if reason != ""} | ROUTES | {"tables_full", "api_messages"}
        self.assertEqual({name for name, count in COUNTS.items() if count.label}, with_reasons)

    def test_the_reasons_that_are_told_from_the_start_are_those_of_the_code(self) -> None:
        source = "".join(path.read_text() for path in modules().values())
        for name, count in COUNTS.items():
            for reason in count.reasons:
                known = f'"{reason}"' in source or reason.isdigit()
                self.assertTrue(known, (name, reason))

    def test_every_histogram_in_the_code_has_a_name(self) -> None:
        used = set()
        for path in modules().values():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".histogram"):
                    used.add(ast.unparse(node.args[0]))
        self.assertEqual(used, {"FAN_OUT", "LOOP_LAG", "PROVIDER"})
        self.assertEqual(len(TIMINGS), 3)

    def test_names_and_words_are_plain(self) -> None:
        names = [one.name for one in (*COUNTS.values(), *TIMINGS.values())]
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertTrue(re.fullmatch("[a-z_0-9]+", name) and not name.endswith("_total"), name)
        for one in (*COUNTS.values(), *TIMINGS.values()):
            self.assertTrue(one.help.endswith(".") and one.help[0].isupper(), one)
