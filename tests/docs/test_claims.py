"""Every block of code is run by a test, or somebody says why it cannot be."""

from __future__ import annotations

from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.blocks import Block, all_blocks
from tests.docs.claims import CLAIMS, PARSED, Claim
from tests.docs.commands import is_console
from tests.docs.test_commands import shell_blocks


def meets(claim: Claim, block: Block) -> bool:
    """Whether a claim is for a block."""
    return claim.page == block.page and claim.holds in block.code


class ClaimTests(SynchronousTestCase):
    def test_every_block_is_claimed(self) -> None:
        commands = {(block.page, block.line) for block in shell_blocks() if not is_console(block.code)}
        unclaimed = [
            block.where
            for block in all_blocks()
            if block.language not in PARSED
            and (block.page, block.line) not in commands
            and not any(meets(claim, block) for claim in CLAIMS)
        ]
        advice = "write a test that runs it, and name the test in tests/docs/claims.py:\n"
        self.assertEqual(unclaimed, [], advice + "\n".join(unclaimed))

    def test_every_claim_is_for_something(self) -> None:
        found = all_blocks()
        for claim in CLAIMS:
            self.assertTrue(any(meets(claim, block) for block in found), claim)
            self.assertNotEqual(bool(claim.run), bool(claim.shown), claim)

    def test_every_test_that_is_named_is_there(self) -> None:
        for claim in CLAIMS:
            for name in claim.run:
                parts = name.split(".")
                place = next(count for count, part in enumerate(parts) if part[0].isupper())
                found = import_module(".".join(parts[:place]))
                for part in parts[place:]:
                    found = getattr(found, part)
