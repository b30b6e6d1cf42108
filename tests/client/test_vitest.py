"""The package's own tests, in Node: each that fails is told with its name."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.client.package import copy_client, run_vitest


class VitestTests(SynchronousTestCase):
    """`npm test`, on a copy."""

    def test_every_test_of_the_core_passes(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        outcomes = run_vitest(copy_client(folder), "--project", "core")
        self.assertGreater(len(outcomes), 0)
        wrong = [f"{one.status}: {one.name}\n{one.text}" for one in outcomes if one.status != "passed"]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(outcomes)} tests:\n\n" + "\n\n".join(wrong))
