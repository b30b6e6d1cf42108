"""Every command on the pages has options, names and targets that exist."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.blocks import INDENTED, Block, all_blocks
from tests.docs.commands import BadCommand, check, commands, is_console

SHELLS = ("sh", "bash", "console", INDENTED)
#: blocks without a language that are commands all the same begin with one of these
_BEGINS = ("make ", "curl ", "wsservice ", "twistd ", "python ")


def shell_blocks() -> list[Block]:
    """The blocks that a reader types."""
    return [
        block
        for block in all_blocks()
        if block.language in SHELLS
        or (not block.language and (is_console(block.code) or block.code.startswith(_BEGINS)))
    ]


class CommandTests(SynchronousTestCase):
    def test_every_command_is_taken(self) -> None:
        wrong, seen = [], 0
        for block in shell_blocks():
            for words in commands(block):
                seen += 1
                try:
                    check(words)
                except BadCommand as error:
                    wrong.append(f"{block.where}\n    {' '.join(words)}\n    {error}")
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertGreater(seen, 50)

    def test_what_a_program_would_refuse_is_found(self) -> None:
        for line in (
            "twistd -n wsservice --prot 80",
            "twistd --nope wsservice",
            "wsservice emitt news",
            "wsservice connect --sockettio localhost:3020",
            "AWS_COGNITO_POOL_ID=1 twistd -n wsservice",
            "make tset",
            "make bench ROUND=3",
            "python -m tools.nothing",
            "frobnicate",
        ):
            (words,) = commands(Block("", 1, "sh", line))
            self.assertRaises(BadCommand, check, words)

    def test_a_block_is_taken_apart(self) -> None:
        code = "A=1 one 'a b' | two > file  # three\nfour \\\n  five && six <<'END'\nseven\nEND\n"
        self.assertEqual(
            list(commands(Block("", 1, "sh", code))), [["A=1", "one", "a b"], ["two"], ["four", "five"], ["six"]]
        )
        self.assertEqual(list(commands(Block("", 1, "", "$ one |\n    two\nprinted\n"))), [["one"], ["two"]])
