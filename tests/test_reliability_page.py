"""docs/reliability.md says which test shows what: those tests must be there."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]
_CELL = re.compile(r"`(tests/\S+?\.py)`|`(test_\w+)`")


class ReliabilityPageTests(SynchronousTestCase):
    def test_every_test_that_it_names_is_there(self) -> None:
        missing, named, source = [], 0, ""
        for file, name in _CELL.findall((ROOT / "docs/reliability.md").read_text()):
            if file:
                path = ROOT / file
                source = path.read_text() if path.exists() else ""
                if not source:
                    missing.append(file)
            elif f"def {name}(" in source:
                named += 1
            else:
                missing.append(name)
        self.assertEqual(missing, [])
        self.assertGreater(named, 20)
